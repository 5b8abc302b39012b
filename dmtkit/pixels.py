"""Sums over pixels, all mergeable: confusion, the three cases by class, and how well a score finds wrong labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from dmtkit import team
from dmtkit.dynamic import DynamicWeights

SCORES = ("w", "p_B", "c_A", "p_B·c_A")  # low values should mark wrong labels
BINS = 65536


def confusion_matrix(
    prediction: Integer[Tensor, "*s"], truth: Integer[Tensor, "*s"], classes: int
) -> Int64[Tensor, "k k"]:
    """How many pixels of each true class (row) were given each class (column); void pixels count nowhere.

    >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]), 2).tolist()
    [[1, 1], [0, 0]]
    """
    known = truth < classes
    index = truth[known].long() * classes + prediction[known].long()
    return torch.bincount(index, minlength=classes * classes).view(classes, classes)


def class_iou(confusion: Integer[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """Intersection over union of every class in percent; NaN for a class that neither occurs nor is predicted.

    >>> class_iou(np.array([[1, 1], [0, 2]])).round(1).tolist()
    [50.0, 66.7]
    """
    inside = np.diag(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - inside
    return 100 * np.divide(inside, union, out=np.full(len(inside), np.nan), where=union > 0)


def mean_iou(confusion: Integer[np.ndarray, "k k"]) -> float:
    """The mean of `class_iou` over the classes that occur or are predicted, in percent; NaN of nothing."""
    found = class_iou(confusion)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


@dataclass
class CaseSums:
    """Kept pseudo labels by case (agreement, negative, positive), their class, and the truth; and their weights.

    `count` has one column a true class and a last one for unknown truth.
    """

    count: Int64[np.ndarray, "3 k k1"]
    weight: Float[np.ndarray, "3 k"]

    @classmethod
    def empty(cls, classes: int) -> "CaseSums":
        """Nothing seen yet."""
        return cls(np.zeros((3, classes, classes + 1), np.int64), np.zeros((3, classes)))

    def add(self, found: DynamicWeights, given: Integer[Tensor, "*s"], truth: Integer[Tensor, "*s"]) -> None:
        """Take in the pixels of a batch; those that are not valid are passed over."""
        _, k, k1 = self.count.shape
        valid = found.valid
        case = torch.where(found.agree, 0, torch.where(found.surer, 2, 1))[valid]
        label = given[valid].long()
        known = truth[valid].long().clamp(max=k)
        counts = torch.bincount((case * k + label) * k1 + known, minlength=3 * k * k1)
        weights = torch.bincount(case * k + label, weights=found.weight[valid].double(), minlength=3 * k)
        self.count += counts.view(3, k, k1).cpu().numpy()
        self.weight += weights.view(3, k).cpu().numpy()

    def total(self) -> "CaseSums":
        """The sums of all processes."""
        return CaseSums(_total(self.count), _total(self.weight))


@dataclass
class ErrorSearch:
    """For each of `SCORES`, how many right and wrong labels have each of 65 536 values."""

    histogram: Int64[np.ndarray, "4 2 65536"]

    @classmethod
    def empty(cls) -> "ErrorSearch":
        """Nothing seen yet."""
        return cls(np.zeros((len(SCORES), 2, BINS), np.int64))

    def add(
        self,
        found: DynamicWeights,
        confidence: Float[Tensor, "*s"],
        wrong: Bool[Tensor, "*s"],
        known: Bool[Tensor, "*s"],
    ) -> None:
        """Take in the valid pixels whose truth is `known`."""
        chosen = found.valid & known
        bad = wrong[chosen].long()
        for row, score in enumerate((found.weight, found.p, confidence, found.p * confidence)):
            level = (score[chosen].clamp(0, 1) * (BINS - 1)).round().long()
            counts = torch.bincount(bad * BINS + level, minlength=2 * BINS)
            self.histogram[row] += counts.view(2, BINS).cpu().numpy()

    def total(self) -> "ErrorSearch":
        """The histograms of all processes, added."""
        return ErrorSearch(_total(self.histogram))

    @property
    def auroc(self) -> dict[str, float]:
        """Per score the chance that a wrong label has a lower value than a right one (ties half); NaN without both."""
        return {name: auroc(self.histogram[row]) for row, name in enumerate(SCORES)}

    def curves(self, points: int = 200) -> dict[str, np.ndarray]:
        """Per score an ROC curve "2 m": share of right labels flagged, share of wrong ones found."""
        return {name: roc(self.histogram[row], points) for row, name in enumerate(SCORES)}


def roc(histogram: Int64[np.ndarray, "2 b"], points: int | None = None) -> Float[np.ndarray, "2 m"]:
    """Flag everything at or below a level, level by level: false alarms and wrong labels found, 0–1."""
    total = histogram.sum(1, keepdims=True)
    steps = np.flatnonzero(histogram.sum(0))
    shares = np.cumsum(histogram[:, steps], 1) / np.maximum(total, 1)
    curve = np.concatenate([np.zeros((2, 1)), shares], 1)
    if points and curve.shape[1] > points:
        even = np.searchsorted(curve.sum(0), np.linspace(0, 2, points)).clip(max=curve.shape[1] - 1)
        curve = curve[:, np.unique(even)]
    return curve


def auroc(histogram: Int64[np.ndarray, "2 b"]) -> float:
    """The area below `roc`: of right labels (row 0) and wrong ones (row 1), low values marking the wrong.

    >>> auroc(np.array([[0, 1, 1], [1, 1, 0]]))
    0.875
    """
    if not histogram.sum(1).all():
        return float("nan")
    curve = roc(histogram)
    return float(np.trapezoid(curve[1], curve[0]))


def _total(values: np.ndarray) -> np.ndarray:
    return team.total(torch.from_numpy(values)).numpy()


def case_table(sums: CaseSums, classes: Sequence[str]) -> list[dict[str, float | str]]:
    """One row a case and class that occurs: count, weight, and, where truths are known, precision and recall in percent.

    Precision: right labels among those of the case and class. Recall: the share of the class's true pixels, among all
    kept ones, that this case labels rightly. The class `all` stands for every class.
    """
    k = len(classes)
    true_pixels = sums.count[:, :, :k].sum((0, 1))
    rows: list[dict[str, float | str]] = []
    for number, case in enumerate(("agree", "negative", "positive", "all")):
        counts = sums.count[number] if number < 3 else sums.count.sum(0)
        weights = sums.weight[number] if number < 3 else sums.weight.sum(0)
        right, known = np.diag(counts[:, :k]), counts[:, :k].sum(1)
        every: list[tuple[Any, str]] = [*enumerate(classes), (slice(None), "all")]
        for c, name in every:
            count = int(counts[c].sum())
            row: dict[str, float | str] = {"case": case, "class": name, "count": count}
            row["share"] = count / max(int(sums.count.sum()), 1)
            if count:
                row["mean_weight"] = float(weights[c].sum() / count)
            if known[c].sum():
                row["precision"] = float(100 * right[c].sum() / known[c].sum())
            if true_pixels[c].sum():
                row["recall"] = float(100 * right[c].sum() / true_pixels[c].sum())
            rows.append(row)
    return rows
