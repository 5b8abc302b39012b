"""Which labels a share α keeps, class by class or over all classes at once, and how good they are."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer

from dmtkit.labels.keep import NEVER, ClassThresholds, class_thresholds, normalized
from dmtkit.losses.levels import TOP
from dmtkit.teach.error_review import accuracy_of_kept


@dataclass(frozen=True)
class Keeping:
    """Per class: how many labels say it, how many of these are kept, and the least confidence kept (NaN: none predicted)."""

    predicted: Int64[np.ndarray, " k"]
    kept: Float[np.ndarray, " k"]
    threshold: Float[np.ndarray, " k"]

    @property
    def share(self) -> Float[np.ndarray, " k"]:
        """The kept share of each class's labels, 0–1; NaN for a class that was never predicted."""
        empty = np.full(len(self.kept), np.nan)
        return np.divide(self.kept, self.predicted, out=empty, where=self.predicted > 0)


def keep(histogram: Int64[np.ndarray, "k levels"], ratio: float, balanced: bool = True) -> Keeping:
    """Keep the share `ratio` of every class, or, not `balanced`, of all labels together by one threshold.

    Labels that tie at a threshold count by their mean, so `kept` need not be whole.

    >>> histogram = np.zeros((2, 65536), np.int64)
    >>> histogram[0, 65000], histogram[1, 30000] = 8, 4
    >>> keep(histogram, 0.5, balanced=False).share.tolist()  # one threshold: nothing of the class that is less sure
    [0.75, 0.0]
    >>> keep(histogram, 0.5).share.tolist()
    [0.5, 0.5]
    """
    counts = histogram if balanced else histogram.sum(0, keepdims=True)
    found = class_thresholds(torch.from_numpy(counts), ratio)
    level, ties = (np.broadcast_to(values, len(histogram)) for values in (found.level, found.ties))
    total, at_most = histogram.sum(1), histogram.cumsum(1)
    rows, place = np.arange(len(histogram)), np.minimum(level, TOP)
    kept = np.where(level < NEVER, total - at_most[rows, place] + ties * histogram[rows, place], 0)
    return Keeping(total, kept, np.where((level < NEVER) & (total > 0), level / TOP, np.nan))


def accuracy_by_ratio(
    label: Integer[np.ndarray, " n"],
    confidence: Float[np.ndarray, " n"],
    wrong: np.ndarray,
    ratios: Float[np.ndarray, " r"],
    balanced: bool = True,
) -> Float[np.ndarray, " r"]:
    """How many of the kept labels are right, 0–1, for every α: the share α of each class, or of all labels together.

    >>> label, confidence = np.array([0, 0, 1, 1]), np.array([0.9, 0.8, 0.4, 0.3])
    >>> wrong = np.array([False, False, True, False])
    >>> accuracy_by_ratio(label, confidence, wrong, np.array([0.5, 1.0])).tolist()
    [0.5, 0.75]
    >>> accuracy_by_ratio(label, confidence, wrong, np.array([0.5]), balanced=False).tolist()
    [1.0]
    """
    if not balanced:
        return accuracy_of_kept(confidence, wrong, ratios)
    classes, counts = np.unique(label, return_counts=True)
    found = [accuracy_of_kept(confidence[label == c], wrong[label == c], ratios) for c in classes]
    return np.average(found, axis=0, weights=counts) if len(found) else np.full(len(ratios), np.nan)


def rules(probability: Float[np.ndarray, "n k"], threshold: Float[np.ndarray, " k"]) -> dict[str, np.ndarray]:
    """The label that each rule gives to every row of probabilities, −1 where it keeps none (method.md §5.2).

    `argmax` keeps the most probable class where it reaches its threshold; `normalized` takes the class of the highest
    p_k / threshold_k and keeps it where that reaches 1.

    >>> found = rules(np.array([[0.5, 0.3, 0.2]]), np.array([0.9, 0.28, 0.9]))
    >>> found["argmax"].tolist(), found["normalized"].tolist()
    ([-1], [1])
    """
    level = np.round(np.asarray(threshold) * TOP).astype(np.int64)
    likeliest = probability.argmax(1)
    thresholds = ClassThresholds(level, np.ones(len(level)))
    chosen, reached = (values.numpy() for values in normalized(torch.from_numpy(probability), thresholds))
    reached_by_argmax = np.round(probability.max(1) * TOP)
    return {
        "argmax": np.where(reached_by_argmax >= level[likeliest], likeliest, -1),
        "normalized": np.where(reached >= level[chosen], chosen.astype(np.int64), -1),
    }
