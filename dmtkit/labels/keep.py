"""Which pseudo labels a phase keeps: the share α the teacher is most confident of, overall (§5.1) or class by class (§5.2).

The histogram of confidence levels has a fixed size and adds up across batches and processes, so finding a threshold takes
no second pass and no memory that grows with the data.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from torch import Generator, Tensor

from dmtkit.losses.levels import LEVELS, TOP, confidence_of, quantise

NEVER = LEVELS  # the threshold of a class that was never predicted: no level reaches it
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio: its multiples lie evenly


@dataclass(frozen=True)
class PseudoLabels:
    """y_A and c_A of every unlabeled element, and which of them this phase keeps."""

    label: UInt8[np.ndarray, "n *s"]
    level: UInt16[np.ndarray, "n *s"]
    kept: Bool[np.ndarray, "n *s"]

    @property
    def confidence(self) -> Float[np.ndarray, "n *s"]:
        """c_A, 0–1."""
        return confidence_of(self.level)


def confidence_histogram(
    group: Int64[Tensor, " m"], level: Int64[Tensor, " m"], groups: int
) -> Int64[Tensor, "groups 65536"]:
    """How many elements of each group (a class, or 0 for all) have each level; histograms add up.

    >>> int(confidence_histogram(torch.tensor([0, 1, 1]), torch.tensor([5, 7, 7]), 2)[1, 7])
    2
    """
    return torch.bincount(group * LEVELS + level, minlength=groups * LEVELS).view(groups, LEVELS)


def thresholds(histogram: Int64[Tensor, "groups 65536"], ratio: float) -> Int64[Tensor, " groups"]:
    """Per group the highest level above or at which at least the share `ratio` of its elements lies.

    A group without elements gets `NEVER`.

    >>> counts = confidence_histogram(torch.zeros(4, dtype=torch.int64), torch.tensor([1, 2, 3, 4]), 1)
    >>> thresholds(counts, 0.5).tolist()
    [3]
    """
    total = histogram.sum(1)
    wanted = share(total, ratio)
    at_least = histogram.flip(1).cumsum(1).flip(1)  # how many elements lie at this level or above
    reached = (at_least >= wanted.unsqueeze(1)).sum(1) - 1
    return torch.where(total > 0, reached, NEVER)


def share(total: Int64[Tensor, "*s"], ratio: float) -> Int64[Tensor, "*s"]:
    """How many of `total` elements the share `ratio` is: rounded, and one at least."""
    return torch.minimum((total.double() * ratio).round().long().clamp(min=1), total.clamp(min=1))


def keep_most_confident(level: Int64[Tensor, " m"], ratio: float, generator: Generator) -> Bool[Tensor, " m"]:
    """Mark exactly the share `ratio` with the highest levels; ties at the threshold are drawn at random.

    A teacher that is sure of much has many ties, and taking them in order would favour whatever the
    list begins with.

    >>> keep_most_confident(torch.tensor([3, 9, 5, 9]), 0.5, Generator().manual_seed(0)).tolist()
    [False, True, False, True]
    """
    histogram = confidence_histogram(torch.zeros_like(level), level, 1)
    threshold = int(thresholds(histogram, ratio))
    kept = level > threshold
    ties = (level == threshold).nonzero().flatten()
    missing = int(share(torch.tensor(len(level)), ratio)) - int(kept.sum())
    kept[ties[torch.randperm(len(ties), generator=generator)[:missing]]] = True
    return kept


@dataclass(frozen=True)
class ClassThresholds:
    """Which elements each class keeps: all above its `level`, and the share `ties` of those at it.

    A class that was never predicted has the level `NEVER`.
    """

    level: Int64[np.ndarray, " k"]
    ties: Float[np.ndarray, " k"]

    @property
    def confidence(self) -> Float[np.ndarray, " k"]:
        """The levels as confidences; NaN for a class that was never predicted."""
        return np.where(self.level < NEVER, self.level / TOP, np.nan)


def class_thresholds(histogram: Int64[Tensor, "k 65536"], ratio: float) -> ClassThresholds:
    """Per class the threshold that keeps the share `ratio` of the elements predicted as it (§5.2).

    >>> counts = confidence_histogram(torch.zeros(4, dtype=torch.int64), torch.tensor([1, 9, 9, 9]), 2)
    >>> kept = class_thresholds(counts, 0.5)  # two of the three that are at level 9
    >>> kept.level.tolist(), [round(share, 2) for share in kept.ties.tolist()]
    ([9, 65536], [0.67, 0.0])
    """
    level = thresholds(histogram, ratio)
    known = level < NEVER
    index = level.clamp(max=TOP).unsqueeze(1)
    at = histogram.gather(1, index).squeeze(1)
    above = histogram.sum(1) - histogram.cumsum(1).gather(1, index).squeeze(1)
    ties = torch.where(known, (share(histogram.sum(1), ratio) - above) / at.clamp(min=1), 0.0)
    return ClassThresholds(level.numpy(), ties.double().numpy())


def keep_by_class(
    label: UInt8[np.ndarray, "*s"], level: UInt16[np.ndarray, "*s"], thresholds: ClassThresholds, offset: int = 0
) -> Bool[np.ndarray, "*s"]:
    """Which elements their class keeps; `offset` is the position of the first one in the whole data.

    Where a class is so sure that many elements share its threshold, those kept are spread evenly over the data,
    by their position alone: keeping all of them would keep far more than the share asked for.

    >>> label, level = np.zeros(6, np.uint8), np.array([1, 9, 9, 9, 9, 3], np.uint16)
    >>> int(keep_by_class(label, level, ClassThresholds(np.array([9]), np.array([0.5]))).sum())
    2
    """
    threshold = thresholds.level[label]
    kept = level > threshold
    ties = np.flatnonzero(level == threshold)
    place = ((ties + offset).astype(np.uint64) * GOLDEN) >> np.uint64(11)
    chosen = place * 2.0**-53 < thresholds.ties[label.ravel()[ties]]
    kept.ravel()[ties[chosen]] = True
    return kept


def normalized(
    probability: Float[Tensor, "n k *s"], thresholds: ClassThresholds
) -> tuple[UInt8[Tensor, "n *s"], Int64[Tensor, "n *s"]]:
    """CBST's own rule: the class of the highest p_k / threshold_k, and the level of its probability (§5.2).

    It is kept where that score reaches 1, which is what `keep_by_class` asks of its level. A class that was
    never predicted has no threshold and is not chosen.

    >>> p = torch.tensor([[0.6, 0.4]])
    >>> label, level = normalized(p, ClassThresholds(np.array([60000, 20000]), np.zeros(2)))
    >>> label.tolist(), level.tolist()  # 0.6 / 0.92 < 0.4 / 0.31
    ([1], [26214])
    """
    level = torch.from_numpy(thresholds.level).to(probability.device).clamp(min=1)
    shape = (1, -1, *[1] * (probability.dim() - 2))
    score = (probability * TOP / level.view(shape)).masked_fill((level == NEVER).view(shape), -1)
    label = score.argmax(1)
    chosen = probability.gather(1, label.unsqueeze(1)).squeeze(1)
    return label.to(torch.uint8), quantise(chosen)
