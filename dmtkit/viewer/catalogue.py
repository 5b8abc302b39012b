"""What of a run can be looked at: views (method, phase, student, moment) of samples, and where their arrays come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from dmtkit.errors import RunError
from dmtkit.files import read_json
from dmtkit.runs.run import Phase, Run
from dmtkit.viewer.packs import VOID, colours_of, image_pack, labels_pack, levels, student_pack, thumbnail

TIMES = ("start", "middle", "end")


@dataclass
class Catalogue:
    """Views and samples as the browser side lists them, the pack behind every key, what is wrong, and whether truth is known."""

    views: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    packs: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)
    truth: bool = False


def read_catalogue(run: Run) -> Catalogue:
    """List what a run holds; RunError if that is nothing. Files that are missing or damaged are named and left out."""
    found = Catalogue()
    add = _add_maps if run.task.pixels else _add_gallery
    for method in (name for name in run.config.methods if run.method(name).stores_labels):
        for phase in _phases(run, method):
            if phase.number > (count := len(run.config.label_ratios)):
                found.notices.append(
                    f"{_name(run, phase)}: left out: config.yaml names {count} label ratios, one for each phase"
                )
                continue
            for student, place in _students(run, method, phase):
                if not (place.folder / "samples.npz").is_file():
                    found.notices.append(f"{_name(run, place)}: samples.npz is missing; this phase is left out")
                    continue
                try:
                    add(found, run, method, phase, student, place)
                except (RunError, KeyError, ValueError) as error:
                    found.notices.append(f"{_name(run, place)}: left out ({error})")
    if not found.views:
        raise RunError("\n".join([f"{run.path}: holds nothing to look at: {_why_nothing(run)}", *found.notices]))
    found.notices[:0] = list(_remarks(run, found))
    return found


def _why_nothing(run: Run) -> str:
    """Why no phase has samples."""
    if not any(run.method(name).stores_labels for name in run.config.methods):
        return f"its methods ({', '.join(run.config.methods)}) store no pseudo labels; run one that does, such as dmt"
    if not run.finished:
        return "no phase with pseudo labels is complete yet; let the run go on (the same command again)"
    return "the samples of its phases are missing; run it again into another folder"


def _remarks(run: Run, found: Catalogue) -> Iterator[str]:
    """What the reader should know before looking."""
    import dmtkit

    if not run.finished:
        phases = len({(view["method"], view["phase"]) for view in found.views})
        yield f"This run is not finished: it shows the {phases} phases that are complete. The same command goes on."
    try:
        made = read_json(run.path / "environment.json")["versions"]["dmtkit"]
    except (RunError, KeyError, TypeError):
        yield "environment.json is missing or damaged: which version made this run is not known."
        return
    if made != dmtkit.__version__:
        yield f"This run was made by dmtkit {made}; this is {dmtkit.__version__}. Weights are computed by this version's rules."


def _phases(run: Run, method: str) -> list[Phase]:
    """The phases of a method in order, whether complete or under way."""
    folders = [path for path in (run.path / method).glob("phase_*") if path.name[6:].isdigit()]
    return [
        Phase(folder, run.path)
        for folder in sorted(folders, key=lambda path: int(path.name[6:]))
        if folder.name != "phase_0"
    ]


def _students(run: Run, method: str, phase: Phase) -> Iterator[tuple[str, Phase]]:
    """The models that learned in a phase and are done with it."""
    students = {name: phase.model_folder(name) for name in run.task.models}
    yield from ((name, place) for name, place in students.items() if place.done)


def _name(run: Run, place: Phase) -> str:
    return place.folder.relative_to(run.path).as_posix()


def _view(run: Run, method: str, phase: Phase, student: str, time: str, samples: dict[str, Any]) -> dict[str, Any]:
    teacher = run.task.teacher(student, run.method(method).teacher)
    ratio = run.config.label_ratios[phase.number - 1]
    return {
        "method": method,
        "phase": phase.number,
        "student": student,
        "teacher": teacher,
        "time": time,
        "ratio": ratio,
        "samples": samples,
    }


# ---- segmentation: every sample is an image, every element a pixel -----------------------------------------------------


def _add_maps(found: Catalogue, run: Run, method: str, phase: Phase, student: str, place: Phase) -> None:
    fixed = place.arrays("samples")
    positions = sorted({int(name.split("/")[0]) for name in fixed})
    base = f"{method}/{phase.number}/{student}"
    entries: dict[str, dict[str, Any]] = {}
    for position in positions:
        image, truth = fixed[f"{position}/image"], fixed[f"{position}/truth"]
        height, width = truth.shape
        sample = str(position)
        entries[sample] = {
            "image": f"image/{position}",
            "labels": f"{base}/{position}",
            "width": width,
            "height": height,
            "tile": [1, 1],
        }
        found.samples.setdefault(sample, {"id": sample, "name": f"image {position}", "thumbnail": thumbnail(image)})
        found.packs.setdefault(f"image/{position}", partial(_map_image, place, position))
        found.packs[f"{base}/{position}"] = partial(_map_labels, place, position)
        found.shown.add(position)
        found.truth |= bool((truth != VOID).any())
    for time in TIMES:
        name = f"probe_{time}"
        if not (place.folder / f"{name}.npz").is_file():
            found.notices.append(f"{_name(run, place)}: {name}.npz is missing; this moment is left out")
            continue
        try:
            asked = _names(place, name)
        except RunError as error:
            found.notices.append(f"{_name(run, place)}: {error}; this moment is left out")
            continue
        here = {s: {**entry, "student": f"{base}/{time}/{s}"} for s, entry in entries.items() if f"{s}/y_B" in asked}
        for sample, entry in here.items():
            found.packs[entry["student"]] = partial(_map_student, place, name, int(sample))
        if here:
            found.views.append(_view(run, method, phase, student, time, here))


def _names(place: Phase, name: str) -> set[str]:
    """The names of stored arrays; reads none of them."""
    path = place.folder / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            return set(archive.files)
    except Exception as error:  # numpy and zipfile raise a dozen kinds on damaged files
        raise RunError(f"{path.name}: cannot be read ({type(error).__name__}: {error})") from None


def _map_image(place: Phase, position: int) -> bytes:
    arrays = place.arrays("samples")
    return image_pack(colours_of(arrays[f"{position}/image"]), arrays[f"{position}/truth"])


def _map_labels(place: Phase, position: int) -> bytes:
    arrays = place.arrays("samples")
    return labels_pack(*(arrays[f"{position}/{name}"] for name in ("c_A", "y_A", "kept")))


def _map_student(place: Phase, name: str, position: int) -> bytes:
    arrays = place.arrays(name)
    return student_pack(*(arrays[f"{position}/{part}"] for part in ("c_B", "p_B", "y_B")))


# ---- classification: the images of a phase are one sample, every element an image --------------------------------------


def _add_gallery(found: Catalogue, run: Run, method: str, phase: Phase, student: str, place: Phase) -> None:
    rows = place.arrays("samples")
    base, count = f"{method}/{phase.number}", len(rows["index"])
    pixels = rows["pixels"].transpose(0, 2, 3, 1)  # "n h w c"
    entry = {
        "image": f"{base}/images",
        "labels": f"{base}/labels",
        "student": f"{base}/student",
        "width": count,
        "height": 1,
        "tile": list(pixels.shape[1:3]),
        "ids": rows["index"].tolist(),
    }
    truth = rows.get("truth", np.full(count, VOID))
    found.truth |= "truth" in rows
    found.packs[entry["image"]] = partial(_gallery_image, pixels, truth)
    found.packs[entry["labels"]] = partial(labels_pack, levels(rows["c_A"]), rows["y_A"], rows["kept"])
    found.packs[entry["student"]] = partial(student_pack, levels(rows["c_B"]), levels(rows["p_B"]), rows["y_B"])
    found.samples.setdefault("images", {"id": "images", "name": "images of U", "thumbnail": ""})
    found.shown |= set(entry["ids"])
    found.views.append(_view(run, method, phase, student, "", {"images": entry}))


def _gallery_image(pixels: np.ndarray, truth: np.ndarray) -> bytes:
    return image_pack(np.stack([colours_of(image) for image in pixels]), truth)
