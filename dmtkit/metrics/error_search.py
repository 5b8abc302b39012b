"""How well a score finds wrong labels: histograms that add up, the ROC curve and the area below it."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from dmtkit.losses.dynamic import DynamicWeights
from dmtkit.losses.levels import LEVELS, quantise

SCORES = ("w", "p_B", "c_A", "p_B·c_A")  # low values should mark wrong labels


def error_levels(
    weighed: DynamicWeights, confidence: Float[Tensor, "*s"], wrong: Bool[Tensor, "*s"], known: Bool[Tensor, "*s"]
) -> Int64[Tensor, "4 2 65536"]:
    """For each of `SCORES`, how many right and wrong labels have each of 65 536 values: histograms add up.

    Of the valid pixels those whose truth is `known`.
    """
    chosen = weighed.valid & known
    bad = wrong[chosen].long()
    scores = (weighed.weight, weighed.p, confidence, weighed.p * confidence)
    levels = (quantise(score[chosen].clamp(0, 1)) for score in scores)
    return torch.stack([torch.bincount(bad * LEVELS + level, minlength=2 * LEVELS).view(2, LEVELS) for level in levels])


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
