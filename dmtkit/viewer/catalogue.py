"""What of a run can be looked at, and from which files: views (method, phase, student, moment) of samples; choices among them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import inf
from numbers import Real
from typing import Any

import numpy as np

import dmtkit
from dmtkit.errors import ConfigError, RunError, unknown_name
from dmtkit.files import read_json
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import Run
from dmtkit.viewer.packs import LAYOUTS, pack, thumbnail

VOID = 255
PLACE = ("method", "student", "time", "phase")
CHOICES = (*PLACE, "sample", "gamma1", "gamma2")


@dataclass
class Catalogue:
    """Views and samples as the browser side lists them, the pack behind every key, what is wrong, and whether truth is known."""

    views: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    packs: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)
    truth: bool = False

    def matching(self, chosen: dict[str, Any]) -> list[dict[str, Any]]:
        """The views that have everything that is chosen, likeliest first."""
        wanted = {name: chosen[name] for name in PLACE if name in chosen}
        return [view for view in self.views if wanted.items() <= view.items()]

    def check(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """A choice as the browser side understands it; ConfigError with what there is, if the run has no such thing.

        A choice may name only a part. None counts as not chosen, and a sample may be a number.

        >>> views = [{"method": "dmt", "student": "B", "time": "end", "phase": 1}]
        >>> Catalogue(views, samples={"3": {}}).check({"sample": 3, "method": "dmt", "time": None})
        {'method': 'dmt', 'sample': '3'}
        """
        for name in chosen:
            if name not in CHOICES:
                raise ConfigError(unknown_name(name, list(CHOICES), "choice"))
        checked: dict[str, Any] = {}
        for name in [name for name in CHOICES if chosen.get(name) is not None]:
            value = chosen[name]
            if name in PLACE:
                possible = list(dict.fromkeys(view[name] for view in self.matching(checked)))
                checked[name] = _one_of(name, value, possible, checked)
            elif name == "sample":
                checked[name] = _one_of(name, str(value), list(self.samples), {})
            elif isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < inf:
                checked[name] = float(value)
            else:
                raise ConfigError(f"{name}: found {value!r}, expected a number from 0 up")
        return checked


def _one_of(name: str, value: Any, possible: list[Any], so_far: dict[str, Any]) -> Any:
    if value in possible:
        return possible[possible.index(value)]  # a number of numpy's becomes a plain one
    given = f" (with {', '.join(f'{key} = {one!r}' for key, one in so_far.items())})" if so_far else ""
    expected = "one of " * (len(possible) > 1) + ", ".join(map(repr, possible))
    raise ConfigError(f"{name}: found {value!r}, expected {expected}{given}")


def read_catalogue(run: Run) -> Catalogue:
    """List what a run holds; RunError if that is nothing. Files that are missing or damaged are named and left out."""
    catalogue, ratios = Catalogue(), run.config.label_ratios
    add = _add_maps if run.task.pixels else _add_gallery
    storing = [name for name in run.config.methods if run.method(name).stores_labels]
    for method, phase in [(name, phase) for name in storing for phase in _phases(run, name)]:
        if phase.number > len(ratios):
            reason = f"left out: config.yaml names {len(ratios)} label ratios, one for each phase"
            catalogue.notices.append(f"{_name(run, phase)}: {reason}")
            continue
        for student in run.task.models:
            place = phase.model_folder(student)
            if not place.done:
                continue
            teacher = run.task.teacher(student, run.method(method).teacher)
            view = {"method": method, "phase": phase.number, "student": student, "teacher": teacher}
            try:
                if not (place.folder / "samples.npz").is_file():
                    catalogue.notices.append(f"{_name(run, place)}: samples.npz is missing; this phase is left out")
                else:
                    add(catalogue, run, view | {"ratio": ratios[phase.number - 1]}, place)
            except (RunError, KeyError, ValueError) as error:
                catalogue.notices.append(f"{_name(run, place)}: left out ({error})")
    if not catalogue.views:
        why = "the samples of its phases are missing; run it again into another folder"
        if not run.finished:
            why = "no phase with pseudo labels is complete yet; let the run go on (the same command again)"
        if not storing:
            why = (
                f"its methods ({', '.join(run.config.methods)}) store no pseudo labels; run one that does, such as dmt"
            )
        raise RunError("\n".join([f"{run.path}: holds nothing to look at: {why}", *catalogue.notices]))
    catalogue.notices[:0] = _remarks(run, catalogue)
    return catalogue


def _remarks(run: Run, catalogue: Catalogue) -> Iterator[str]:
    """What the reader should know before looking."""
    if not run.finished:
        phases = len({(view["method"], view["phase"]) for view in catalogue.views})
        yield f"This run is not finished: it shows the {phases} phases that are complete. The same command goes on."
    here = dmtkit.__version__
    try:
        made = read_json(run.path / "environment.json")["versions"]["dmtkit"]
    except (RunError, KeyError, TypeError):
        yield "environment.json is missing or damaged: which version made this run is not known."
    else:
        if made != here:
            yield f"This run was made by dmtkit {made}; this is {here}. Weights are computed by this version's rules."


def _phases(run: Run, method: str) -> list[Phase]:
    """The phases of a method in order, whether complete or under way."""
    folders = [path for path in (run.path / method).glob("phase_*") if path.name[6:].isdigit()]
    phases = sorted((Phase(folder, run.path) for folder in folders), key=lambda phase: phase.number)
    return [phase for phase in phases if phase.number]


def _name(run: Run, place: Phase) -> str:
    return place.folder.relative_to(run.path).as_posix()


def _add_maps(catalogue: Catalogue, run: Run, view: dict[str, Any], place: Phase) -> None:
    """Segmentation: every sample is an image, every element a pixel."""
    fixed = place.arrays("samples")
    base = f"{view['method']}/{view['phase']}/{view['student']}"
    entries: dict[str, dict[str, Any]] = {}
    for position in sorted({int(name.split("/")[0]) for name in fixed}):
        sample, image, truth = str(position), fixed[f"{position}/image"], fixed[f"{position}/truth"]
        entries[sample] = {"image": f"image/{sample}", "labels": f"{base}/{sample}", "tile": [1, 1]}
        entries[sample] |= {"width": truth.shape[1], "height": truth.shape[0]}
        listed = {"id": sample, "name": f"image {sample}", "thumbnail": thumbnail(image)}
        catalogue.samples.setdefault(sample, listed)
        catalogue.packs.setdefault(f"image/{sample}", partial(_stored, place, "samples", sample, "image"))
        catalogue.packs[f"{base}/{sample}"] = partial(_stored, place, "samples", sample, "labels")
        catalogue.shown.add(position)
        catalogue.truth |= bool((truth != VOID).any())
    for time in ("start", "middle", "end"):
        path = place.folder / f"probe_{time}.npz"
        try:
            with np.load(path, allow_pickle=False) as archive:  # its names alone
                asked = [sample for sample in entries if f"{sample}/y_B" in archive.files]
        except Exception as error:  # numpy and zipfile raise a dozen kinds on damaged files
            reason = f": cannot be read ({type(error).__name__}: {error})" if path.exists() else " is missing"
            catalogue.notices.append(f"{_name(run, place)}: {path.name}{reason}; this moment is left out")
            continue
        here = {sample: {**entries[sample], "student": f"{base}/{time}/{sample}"} for sample in asked}
        for sample, entry in here.items():
            catalogue.packs[entry["student"]] = partial(_stored, place, path.stem, sample, "student")
        if here:
            catalogue.views.append({**view, "time": time, "samples": here})


def _stored(place: Phase, name: str, sample: str, kind: str) -> bytes:
    arrays = place.arrays(name)
    return pack(kind, {part: arrays[f"{sample}/{part}"] for part in LAYOUTS[kind]})


def _add_gallery(catalogue: Catalogue, run: Run, view: dict[str, Any], place: Phase) -> None:
    """Classification: the images of a phase are one sample, every element an image."""
    rows = place.arrays("samples")
    base, ids = f"{view['method']}/{view['phase']}", rows["index"].tolist()
    _, channels, height, width = rows["pixels"].shape
    image = rows["pixels"].transpose(0, 2, 3, 1).reshape(-1, width, channels)
    arrays = {"truth": np.full(len(ids), VOID), **rows, "image": image}
    entry: dict[str, Any] = {kind: f"{base}/{kind}" for kind in LAYOUTS}
    catalogue.packs |= {entry[kind]: partial(pack, kind, arrays) for kind in LAYOUTS}
    catalogue.truth |= "truth" in rows
    catalogue.samples.setdefault("images", {"id": "images", "name": "images of U", "thumbnail": ""})
    catalogue.shown |= set(ids)
    entry |= {"width": len(ids), "height": 1, "tile": [height, width], "ids": ids}
    catalogue.views.append({**view, "time": "", "samples": {"images": entry}})
