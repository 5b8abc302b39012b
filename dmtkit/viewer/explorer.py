"""The explorer as a widget: `dmtkit.explore(run)`. All interaction is the browser's; Python only hands arrays out."""

import os
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dmtkit.errors import DmtkitError, RunError
from dmtkit.files import read_json
from dmtkit.results.style import CASE_COLOURS, CASE_TITLES, VOID_COLOUR, WEIGHT_MAP, class_colours
from dmtkit.runs.run import Run
from dmtkit.runs.search import load_run
from dmtkit.viewer.bundle import STATIC, bundle
from dmtkit.viewer.catalogue import Catalogue, read_catalogue
from dmtkit.viewer.choice import check_choice, matching

SCRIPT = STATIC / "explorer" / "explorer.mjs"
CSS = STATIC / "explorer" / "explorer.css"


class Explorer(anywidget.AnyWidget):
    """Why every label of a run has its weight. `chosen` says what is shown, and may be set."""

    _esm = bundle(SCRIPT)
    _css = CSS.read_text(encoding="utf-8")
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
        if message.get("kind") != "wanted":
            return
        for key in message.get("keys", []):
            try:
                self.send({"kind": "packs", "keys": [key]}, [self.catalogue.packs[key]()])
            except (DmtkitError, KeyError) as error:
                self.send(
                    {"kind": "error", "keys": [key], "text": f"{self.run.path}: cannot be read any more ({error})"}
                )

    def save(self, path: str | Path) -> Path:
        """Write what is embedded as an HTML page that any browser opens, without a kernel or a network."""
        from dmtkit.viewer.page import save_page

        return save_page(self, path)

    def figure(self) -> Any:
        """The same view as a static matplotlib figure."""
        from dmtkit.results import plots

        chosen = check_choice(self.chosen, self.catalogue)
        method, student, time = (matching(self.catalogue, chosen)[0][name] for name in ("method", "student", "time"))
        if not self.run.task.pixels:
            return plots.plot_extremes(self.run, method)
        views = matching(self.catalogue, {"method": method, "student": student, "time": time})
        samples = list(self.catalogue.samples)
        sample = samples.index(chosen.get("sample", samples[0]))
        return plots.plot_weight_maps(
            self.run, method, student, sample, time, phases=sorted(view["phase"] for view in views)
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and beside it the static figure for whatever cannot show widgets or does not trust the notebook."""
        found = super()._repr_mimebundle_(**options)
        try:
            import matplotlib.pyplot as plt

            figure, buffer = self.figure(), BytesIO()
            figure.savefig(buffer, dpi=80)
            plt.close(figure)
        except (DmtkitError, KeyError, OSError, IndexError):  # the widget itself says what is missing
            return found
        data, metadata = found or ({}, {})
        return {**data, "image/png": b64encode(buffer.getvalue()).decode()}, metadata


def explore(run: Run | str | os.PathLike[str], embed: float = 8.0, **chosen: Any) -> Explorer:
    """Open the explorer on a run, finished or not; the last expression of a cell shows it.

    `embed` is how many MB travel inside the notebook and so work without a kernel; the rest is fetched from the run
    folder when it is looked at. `chosen` may name the method, phase, student, time and sample to begin with, and
    gamma1 and gamma2. RunError if the folder is no run, or holds no samples; ConfigError, with what there is, if it has
    nothing of that choice.
    """
    run = run if isinstance(run, Run) else load_run(run)
    catalogue = read_catalogue(run)
    first = first_method(catalogue)
    catalogue.views.sort(key=lambda view: preference(view, first))
    return Explorer(run, catalogue, embed, check_choice(chosen, catalogue))


def preference(view: dict[str, Any], first: str) -> tuple[bool, bool, bool]:
    """What sorts views by how likely they are to be looked at: DMT, the middle of a phase, B learning from A."""
    return view["method"] != first, view["time"] not in ("middle", ""), view["student"] == "A"


def first_method(catalogue: Catalogue) -> str:
    """The method to begin with: DMT where it was run, else the last."""
    methods = list(dict.fromkeys(view["method"] for view in catalogue.views))
    return "dmt" if "dmt" in methods else methods[-1]


def make_index(run: Run, catalogue: Catalogue) -> dict[str, Any]:
    """All that the browser must know before it asks for arrays."""
    methods = dict.fromkeys(view["method"] for view in catalogue.views)
    config = run.config
    return {
        "title": "/".join(Path(run.path).resolve().parts[-2:]),
        "pixels": run.task.pixels,
        "classes": run.classes,
        "truth": catalogue.truth,
        "colours": [_hex(colour) for colour in class_colours(run.classes)],
        "cases": [{"title": CASE_TITLES[name], "colour": colour} for name, colour in CASE_COLOURS.items()],
        "weight_map": weight_colours(),
        "void_colour": VOID_COLOUR,
        "gamma": [config.gamma1, config.gamma2],
        "rules": {name: run.method(name).rule for name in methods},
        "titles": {name: run.method(name).title for name in methods},
        "phases": {name: len(config.label_ratios) for name in methods},
        "first": catalogue.views[0]["method"],
        "views": catalogue.views,
        "samples": list(catalogue.samples.values()),
        "names": names_of(run, catalogue),
        "notices": catalogue.notices,
    }


def names_of(run: Run, catalogue: Catalogue) -> dict[str, str]:
    """The file names of the samples, by their position in U."""
    names = read_json(run.path / "split.json").get("unlabeled", [])
    return {str(position): names[position] for position in sorted(catalogue.shown) if position < len(names)}


def embedded(catalogue: Catalogue, megabytes: float) -> tuple[dict[str, bytes], list[str]]:
    """The packs that travel in the notebook: what is shown first, then what is likeliest to be asked for, up to a size.

    The first sample of the first view is always among them, through all its phases. The second list says which could
    not be read.
    """
    found, size, unreadable = dict[str, bytes](), 0, dict[str, str]()
    for number, keys in enumerate(_groups(catalogue)):
        new = {}
        for key in keys:
            if key not in found and key not in unreadable:
                try:
                    new[key] = catalogue.packs[key]()
                except RunError as error:
                    unreadable[key] = str(error)
                except KeyError as error:
                    unreadable[key] = f"{key}: the array {error} is missing"
        size += sum(map(len, new.values()))
        if number and size > 1e6 * megabytes:
            break
        found |= new
    return found, list(dict.fromkeys(unreadable.values()))


def _groups(catalogue: Catalogue) -> Iterator[list[str]]:
    """Keys in the order in which they are worth embedding: a sample with all phases of a method, student and moment each."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for view in catalogue.views:
        groups.setdefault((view["method"], view["time"], view["student"]), []).append(view)
    for views in groups.values():
        for sample in catalogue.samples:
            entries = [view["samples"][sample] for view in views if sample in view["samples"]]
            yield [entry[part] for entry in entries for part in ("image", "labels", "student")]


def weight_colours() -> list[str]:
    """256 colours of weights from 0 to 1.

    >>> len(weight_colours()), weight_colours()[0]
    (256, '#00224e')
    """
    import matplotlib

    return [_hex(colour) for colour in matplotlib.colormaps[WEIGHT_MAP](range(256))]


def _hex(colour: Any) -> str:
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in colour[:3])
