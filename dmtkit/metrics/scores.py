"""How good a model is: accuracy, mean IoU, calibration."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor


def accuracy(prediction: Integer[np.ndarray, "*s"], truth: Integer[np.ndarray, "*s"]) -> float:
    """Percent of predictions that are right; NaN of nothing.

    >>> accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0]))
    75.0
    """
    return float(100 * (prediction == truth).mean()) if prediction.size else float("nan")


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
    iou = class_iou(confusion)
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")


@dataclass(frozen=True)
class Reliability:
    """Per bin of confidence: how many samples, their mean confidence and their accuracy (NaN if empty), 0–1."""

    count: Integer[np.ndarray, " b"]
    confidence: Float[np.ndarray, " b"]
    accuracy: Float[np.ndarray, " b"]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy, weighted by count."""
        gap = np.abs(np.nan_to_num(self.confidence) - np.nan_to_num(self.accuracy))
        return float((self.count * gap).sum() / max(self.count.sum(), 1))


def reliability(confidence: Float[np.ndarray, " n"], correct: Bool[np.ndarray, " n"], bins: int = 10) -> Reliability:
    """Bin samples by confidence into `bins` equal parts of 0–1 and compare with how often they are right.

    >>> reliability(np.array([0.95, 0.85]), np.array([True, False])).count.tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    """
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, weights=confidence, minlength=bins) / count
        right = np.bincount(index, weights=correct.astype(float), minlength=bins) / count
    return Reliability(count, mean, right)
