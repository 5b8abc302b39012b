"""Sums over pixels, all mergeable: confusion, the three cases by class, and how well a score finds wrong labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from dmtkit.losses.dynamic import DynamicWeights

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


def case_sums(
    weighed: DynamicWeights, given: Integer[Tensor, "*s"], truth: Integer[Tensor, "*s"], classes: int
) -> dict[str, Tensor]:
    """Counts and summed weights of kept pseudo labels by case (agreement, negative, positive), class and truth; they add up over batches.

    `cases` "3 k k1" has one column a true class and a last one for unknown truth; `weights` is "3 k". Pixels that are not
    valid are passed over.
    """
    k, k1, valid = classes, classes + 1, weighed.valid
    case = torch.where(weighed.agree, 0, torch.where(weighed.surer, 2, 1))[valid]
    label = given[valid].long()
    known = truth[valid].long().clamp(max=k)
    counts = torch.bincount((case * k + label) * k1 + known, minlength=3 * k * k1)
    weights = torch.bincount(case * k + label, weights=weighed.weight[valid].double(), minlength=3 * k)
    return {"cases": counts.view(3, k, k1), "weights": weights.view(3, k)}


def error_levels(
    weighed: DynamicWeights,
    confidence: Float[Tensor, "*s"],
    wrong: Bool[Tensor, "*s"],
    known: Bool[Tensor, "*s"],
) -> Int64[Tensor, "4 2 65536"]:
    """For each of `SCORES`, how many right and wrong labels have each of 65 536 values: histograms add up.

    Of the valid pixels those whose truth is `known`.
    """
    chosen = weighed.valid & known
    bad = wrong[chosen].long()
    found = []
    for score in (weighed.weight, weighed.p, confidence, weighed.p * confidence):
        level = (score[chosen].clamp(0, 1) * (BINS - 1)).round().long()
        found.append(torch.bincount(bad * BINS + level, minlength=2 * BINS).view(2, BINS))
    return torch.stack(found)


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


def case_table(
    cases: Int64[np.ndarray, "3 k k1"], weights: Float[np.ndarray, "3 k"], classes: Sequence[str]
) -> list[dict[str, float | str]]:
    """One row a case and class that occurs: count, weight, and, where truths are known, precision and recall in percent.

    Precision: right labels among those of the case and class. Recall: the share of the class's true pixels, among all
    kept ones, that this case labels rightly. The class `all` stands for every class.
    """
    k = len(classes)
    true_pixels = cases[:, :, :k].sum((0, 1))
    rows: list[dict[str, float | str]] = []
    for number, case in enumerate(("agree", "negative", "positive", "all")):
        counts = cases[number] if number < 3 else cases.sum(0)
        weight = weights[number] if number < 3 else weights.sum(0)
        right, known = np.diag(counts[:, :k]), counts[:, :k].sum(1)
        every: list[tuple[Any, str]] = [*enumerate(classes), (slice(None), "all")]
        for c, name in every:
            count = int(counts[c].sum())
            row: dict[str, float | str] = {"case": case, "class": name, "count": count}
            row["share"] = count / max(int(cases.sum()), 1)
            if count:
                row["mean_weight"] = float(weight[c].sum() / count)
            if known[c].sum():
                row["precision"] = float(100 * right[c].sum() / known[c].sum())
            if true_pixels[c].sum():
                row["recall"] = float(100 * right[c].sum() / true_pixels[c].sum())
            rows.append(row)
    return rows
