"""The explorer as a widget: `dmtkit.explore(run)`. All interaction is the browser's; Python only hands arrays out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.pylabtools import print_figure

from dmtkit.errors import DmtkitError, RunError
from dmtkit.files import read_json, write_atomically
from dmtkit.results.style import CASE_COLOURS, CASE_TITLES, VOID_COLOUR, WEIGHT_MAP, class_colours
from dmtkit.runs.run import Run, load_run
from dmtkit.viewer.bundle import STATIC, bundle, page
from dmtkit.viewer.catalogue import Catalogue, read_catalogue


class Explorer(anywidget.AnyWidget):
    """Why every label of a run has its weight. `chosen` says what is shown, and may be set."""

    _esm = bundle(STATIC / "explorer" / "explorer.mjs")
    _css = (STATIC / "explorer" / "explorer.css").read_text(encoding="utf-8")
    index = traitlets.Dict().tag(sync=True)
    packs = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)

    def __init__(self, run: Run, catalogue: Catalogue, embed: float, chosen: dict[str, Any]) -> None:
        self.run, self.catalogue = run, catalogue
        packs, unreadable = embedded(catalogue, embed)
        root = f"{run.path}{os.sep}"
        catalogue.notices += [f"{text.replace(root, '')}; what it holds cannot be shown" for text in unreadable]
        super().__init__(index=make_index(run, catalogue), packs=packs, chosen=chosen)
        self.on_msg(self._answer)

    def _answer(self, _: Any, message: dict[str, Any], buffers: list[memoryview]) -> None:
        """Send the packs that the browser asks for; what cannot be read is said instead."""
        for key in message.get("keys", []) if message.get("kind") == "wanted" else []:
            try:
                self.send({"kind": "packs", "keys": [key]}, [self.catalogue.packs[key]()])
            except (DmtkitError, KeyError) as error:
                text = f"{self.run.path}: cannot be read any more ({error})"
                self.send({"kind": "error", "keys": [key], "text": text})

    def save(self, path: str | Path) -> Path:
        """Write what is embedded as an HTML page that any browser opens, without a kernel or a network."""
        state = {name: getattr(self, name) for name in ("index", "packs", "chosen")}
        write_atomically(Path(path), page(str(self._esm), str(self._css), state).encode())
        return Path(path)

    def figure(self) -> Any:
        """The same view as a static matplotlib figure."""
        from dmtkit.results import plots

        chosen = self.catalogue.check(self.chosen)
        view = self.catalogue.matching(chosen)[0]
        if not self.run.task.pixels:
            return plots.plot_extremes(self.run, view["method"])
        place = {name: view[name] for name in ("method", "student", "time")}
        phases = sorted(each["phase"] for each in self.catalogue.matching(place))
        samples = list(self.catalogue.samples)
        sample = samples.index(chosen.get("sample", samples[0]))
        return plots.plot_weight_maps(self.run, view["method"], view["student"], sample, view["time"], phases)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and beside it the static figure for whatever cannot show widgets or does not trust the notebook."""
        shown = super()._repr_mimebundle_(**options)
        try:
            import matplotlib.pyplot as plt

            figure = self.figure()
            picture = print_figure(figure, dpi=80, bbox_inches=None, base64=True)
            plt.close(figure)
        except (DmtkitError, KeyError, OSError, IndexError):  # the widget itself says what is missing
            return shown
        data, metadata = shown or ({}, {})
        return {**data, "image/png": picture}, metadata


def explore(run: Run | str | os.PathLike[str], embed: float = 8.0, **chosen: Any) -> Explorer:
    """Open the explorer on a run, finished or not; the last expression of a cell shows it.

    `embed` is how many MB travel inside the notebook and so work without a kernel; the rest is fetched from the run
    folder when it is looked at. `chosen` may name the method, phase, student, time and sample to begin with, and
    gamma1 and gamma2. RunError if the folder is no run, or holds no samples; ConfigError, with what there is, if it has
    nothing of that choice.
    """
    run = run if isinstance(run, Run) else load_run(run)
    catalogue = read_catalogue(run)
    methods = [view["method"] for view in catalogue.views]
    first = "dmt" if "dmt" in methods else methods[-1]
    # Likeliest to be looked at: DMT, the middle of a phase, B learning from A.
    catalogue.views.sort(key=lambda v: (v["method"] != first, v["time"] not in ("middle", ""), v["student"] == "A"))
    return Explorer(run, catalogue, embed, catalogue.check(chosen))


def make_index(run: Run, catalogue: Catalogue) -> dict[str, Any]:
    """All that the browser must know before it asks for arrays."""
    import matplotlib
    from matplotlib.colors import to_hex

    facts = {view["method"]: run.method(view["method"]) for view in catalogue.views}
    files = read_json(run.path / "split.json").get("unlabeled", [])
    return {
        "title": "/".join(Path(run.path).resolve().parts[-2:]),
        "pixels": run.task.pixels,
        "classes": run.classes,
        "truth": catalogue.truth,
        "colours": [to_hex(colour) for colour in class_colours(run.classes)],
        "cases": [{"title": CASE_TITLES[name], "colour": colour} for name, colour in CASE_COLOURS.items()],
        "weight_map": [to_hex(colour) for colour in matplotlib.colormaps[WEIGHT_MAP](range(256))],
        "void_colour": VOID_COLOUR,
        "gamma": [run.config.gamma1, run.config.gamma2],
        "rules": {name: method.rule for name, method in facts.items()},
        "titles": {name: method.title for name, method in facts.items()},
        "phases": dict.fromkeys(facts, len(run.config.label_ratios)),
        "first": catalogue.views[0]["method"],
        "views": catalogue.views,
        "samples": list(catalogue.samples.values()),
        "names": {str(at): files[at] for at in sorted(catalogue.shown) if at < len(files)},
        "notices": catalogue.notices,
    }


def embedded(catalogue: Catalogue, megabytes: float) -> tuple[dict[str, bytes], list[str]]:
    """The packs that travel in the notebook: what is shown first, then what is likeliest to be asked for, up to a size.

    The first sample of the first view is always among them, through all its phases. The second list says which could
    not be read.
    """
    packs, size, unreadable = dict[str, bytes](), 0, dict[str, str]()
    for number, keys in enumerate(_groups(catalogue)):
        new = {}
        for key in keys:
            if key not in packs and key not in unreadable:
                try:
                    new[key] = catalogue.packs[key]()
                except RunError as error:
                    unreadable[key] = str(error)
                except KeyError as error:
                    unreadable[key] = f"{key}: the array {error} is missing"
        size += sum(map(len, new.values()))
        if number and size > 1e6 * megabytes:
            break
        packs |= new
    return packs, list(dict.fromkeys(unreadable.values()))


def _groups(catalogue: Catalogue) -> Iterator[list[str]]:
    """Keys in the order in which they are worth embedding: a sample with all phases of a method, student and moment each."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for view in catalogue.views:
        groups.setdefault((view["method"], view["time"], view["student"]), []).append(view)
    for views in groups.values():
        for sample in catalogue.samples:
            entries = [view["samples"][sample] for view in views if sample in view["samples"]]
            yield [entry[part] for entry in entries for part in ("image", "labels", "student")]
