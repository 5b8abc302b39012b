"""Every label that a segmentation run stored, pixel by pixel, beside the truth: what the teaching notebooks count."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from dmtkit.data.pictures import VOID
from dmtkit.data.segmentation import Scenes
from dmtkit.errors import RunError
from dmtkit.files import read_json
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.store import Kept, LabelStore, open_labels
from dmtkit.losses.levels import confidence_of
from dmtkit.metrics.error_search import SCORES
from dmtkit.runs.run import Phase, Run
from dmtkit.tasks.probes import TIMES, probed
from dmtkit.teach.error_review import Agreement, Review, agreement, from_roc

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Labels:
    """Labels of pixels in one row, one image after the other: the class, its confidence 0–1, and the truth."""

    label: np.ndarray
    confidence: np.ndarray
    truth: np.ndarray

    @cached_property
    def wrong(self) -> np.ndarray:
        """Which labels are wrong."""
        return self.label != self.truth

    @property
    def error_rate(self) -> float:
        """The share of wrong labels, 0–1; NaN of none."""
        return float(self.wrong.mean()) if len(self.wrong) else float("nan")

    def of_class(self, number: int) -> "Labels":
        """The labels that say this class."""
        return self[self.label == number]

    def __getitem__(self, chosen: np.ndarray) -> "Labels":
        return Labels(self.label[chosen], self.confidence[chosen], self.truth[chosen])


def labeller(run: Run, method: str, number: int, model: str) -> Phase:
    """The phase of the model whose labels of U are asked for; phase 0 is shared by methods that start from all of X."""
    if number == 0:
        own = run.path / method / "phase_0" / model  # where its models see parts of X of their own (§5.3)
        method = method if own.is_dir() else "supervised"
    return Phase(run.path / method / f"phase_{number}" / model, run.path)


def teacher_of(run: Run, method: str, number: int, student: str) -> Phase:
    """The phase of the model whose labels `student` learns in phase `number`: the other's last one, or its own."""
    return labeller(run, method, number - 1, run.task.teacher(student, run.method(method).teacher))


def store_of(phase: Phase) -> LabelStore:
    """The labels that a model stored at the end of a phase; RunError if there are none."""
    if not (phase.folder / "labels" / "index.json").is_file():
        raise RunError(
            f"{phase.folder}: holds no labels (of the last phase none are needed, and `keep_labels: false` removes them)"
        )
    names = tuple(read_json(phase.run / "split.json")["unlabeled"])
    return open_labels(phase.folder / "labels", phase.model_name, names)


def labels_of(store: LabelStore, data: Scenes, positions: list[int] | None = None) -> Labels:
    """Labels, confidences and truth of all images (or of those at `positions`); void pixels are left out."""
    chosen = range(len(store.names)) if positions is None else positions
    label, level, truth = (
        np.concatenate([values(i).ravel() for i in chosen])
        for values in (store.label, store.level, data.unlabeled.mask)
    )
    known = truth < len(data.classes)
    if not known.any():
        raise RunError("the truth of the unlabeled images is not known; labels can be judged only where it is")
    return Labels(label[known], confidence_of(level[known]), truth[known])


def kept_of(run: Run, method: str, number: int, student: str) -> Kept:
    """The labels that `student` learned in phase `number`: the share α of every class that its teacher was surest of."""
    return kept_at(store_of(teacher_of(run, method, number, student)), run.config.label_ratios[number - 1])


def kept_at(store: LabelStore, ratio: float) -> Kept:
    """The share `ratio` of every class's labels, those of the highest confidence."""
    return Kept(store, class_thresholds(torch.from_numpy(store.histogram), ratio))


def error_rate(kept: Kept, data: Scenes, positions: list[int] | None = None) -> float:
    """The share of kept labels that are wrong, 0–1, in all images of U or in those at `positions`."""
    wrong = count = 0
    for position in range(len(kept.store.names)) if positions is None else positions:
        label, truth = kept.kept(position)[0], data.unlabeled.mask(position)
        counts = (label != kept.ignore_index) & (truth < len(data.classes))
        wrong, count = wrong + int((label != truth)[counts].sum()), count + int(counts.sum())
    return wrong / count if count else float("nan")


def probed_error_rate(run: Run, data: Scenes, method: str, number: int, student: str) -> float:
    """The share of wrong labels, 0–1, among those kept in the images that a run searches for errors."""
    kept = kept_of(run, method, number, student)
    return error_rate(kept, data, probed(run.config.seed, len(data.unlabeled)))


def searches(run: Run, data: Scenes, method: str, number: int, student: str) -> dict[str, dict[str, Review]]:
    """The search for wrong labels among those kept in the probe images: at the start, middle and end, by each score."""
    base = probed_error_rate(run, data, method, number, student)
    folder = run.phases(method)[number - 1].model_folder(student)
    arrays = {time: folder.arrays(f"probe_{time}") for time in TIMES}
    return {time: {name: from_roc(found[f"roc/{name}"], base) for name in SCORES} for time, found in arrays.items()}


def sampled_agreement(run: Run, method: str, number: int, student: str, time: str) -> Agreement:
    """How often a student agrees with the kept labels of the sample images at one time of a phase, and errs with them."""
    folder = run.phases(method)[number - 1].model_folder(student)
    fixed, asked = folder.arrays("samples"), folder.arrays(f"probe_{time}")
    places = sorted({name.split("/")[0] for name in fixed})
    kept = [fixed[f"{p}/kept"] & (fixed[f"{p}/truth"] != VOID) for p in places]
    maps = [
        [source[f"{p}/{name}"][mask] for p, mask in zip(places, kept, strict=True)]
        for source, name in ((fixed, "y_A"), (asked, "y_B"), (fixed, "truth"))
    ]
    return agreement(*(np.concatenate(values) for values in maps))


def label_progress(run: Run, data: Scenes, students: Mapping[str, str]) -> "pd.DataFrame":
    """Per method (with the student whose labels are meant) and phase: right labels in percent, all and the kept ones."""
    import pandas as pd

    rows = []
    for method, student in students.items():
        for phase in run.phases(method):
            kept = kept_of(run, method, phase.number, student)
            accuracy = 100 * (1 - labels_of(kept.store, data).wrong.mean())
            row = {"method": method, "phase": phase.number, "alpha": run.config.label_ratios[phase.number - 1]}
            rows.append(row | {"all": accuracy, "kept": 100 * (1 - error_rate(kept, data))})
    return pd.DataFrame(rows)
