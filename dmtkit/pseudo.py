"""Pseudo labels: predict once, histogram the confidences, keep the most confident share.

A label is stored in three bytes: its class as uint8 and its confidence as one of 65 536 levels. The
histogram of levels has a fixed size and adds up across batches and processes, so finding a threshold
takes no second pass and no memory that grows with the data.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer, UInt8, UInt16
from torch import Generator, Tensor

from dmtkit import distributed
from dmtkit.losses.softmax import read_softmax

LEVELS = 65536
NEVER = LEVELS  # the threshold of a class that was never predicted: no level reaches it


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


@dataclass(frozen=True)
class Predictions:
    """What one forward pass says of every element: class, confidence level, level of a given class."""

    label: UInt8[np.ndarray, "n *s"]
    level: UInt16[np.ndarray, "n *s"]
    level_of_given: UInt16[np.ndarray, "n *s"] | None = None


@torch.inference_mode()
def predict(
    model: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    given: UInt8[np.ndarray, "n *s"] | None = None,
) -> Predictions:
    """One forward pass over un-augmented images: argmax and max of the softmax, as classes and levels.

    With `given` (y_A) also the probability of that class (p_B), so that one pass serves the labels of
    the next phase and the explanation of this one.

    >>> found = predict(lambda x: x, [torch.tensor([[0.0, 100.0]]), torch.tensor([[0.0, 0.0]])])
    >>> found.label.tolist(), found.level.tolist()
    ([1, 0], [65535, 32768])
    """
    found, start = [], 0
    for images in batches:
        end = start + len(images)
        found.append(read_logits(model(images), None if given is None else torch.from_numpy(given[start:end])))
        start = end
    label, level, level_of_given = (
        np.concatenate([values.cpu().numpy() for values in part if values is not None])
        if part[0] is not None
        else np.empty(0)
        for part in zip(*found, strict=True)
    )
    of_given = None if given is None else level_of_given.astype(np.uint16)
    return Predictions(label, level.astype(np.uint16), of_given)


def predict_shared(
    model: Callable[[Tensor], Tensor],
    batches: Callable[[int, int], Iterable[Tensor]],
    count: int,
    size: int,
    given: UInt8[np.ndarray, "n *s"] | None = None,
) -> Predictions:
    """`predict` over `count` images, of several processes each its part of them; `batches` gives those of a range.

    The batches, of `size` images, are those that one process alone would form.
    """
    mine = distributed.share_of(math.ceil(count / size))
    start, end = mine.start * size, min(mine.stop * size, count)
    own = predict(model, batches(start, end), None if given is None else given[start:end]) if mine else None
    return join([part for part in distributed.gather(own) if part is not None])


def join(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of consecutive parts as those of the whole.

    >>> join([Predictions(np.array([i], np.uint8), np.array([7], np.uint16)) for i in (1, 2)]).label.tolist()
    [1, 2]
    """
    if len(parts) == 1:
        return parts[0]
    given = [part.level_of_given for part in parts if part.level_of_given is not None]
    label, level = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "level"))
    return Predictions(label, level, np.concatenate(given) if given else None)


def read_logits(
    logits: Float[Tensor, "n k *s"], given: Integer[Tensor, "n *s"] | None = None
) -> tuple[UInt8[Tensor, "n *s"], Int64[Tensor, "n *s"], Int64[Tensor, "n *s"] | None]:
    """Class, confidence level, and the level of the class `given` (0 where that is no class), of every element."""
    found = read_softmax(logits)
    label, level = found.prediction.to(torch.uint8), quantise(found.confidence)
    if given is None:
        return label, level, None
    given = given.to(logits.device)
    known = given < logits.shape[1]
    return label, level, quantise(found.of(given * known)) * known


def confidence_of(level: UInt16[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Levels as confidences 0–1, to within 1/131 070 of what the model said.

    >>> confidence_of(np.array([0, 65535], dtype=np.uint16)).tolist()
    [0.0, 1.0]
    """
    return level.astype(np.float32) / np.float32(LEVELS - 1)


def quantise(confidence: Float[Tensor, "*s"]) -> Int64[Tensor, "*s"]:
    """The nearest of 65 536 levels, 0 for a confidence of 0 and 65 535 for 1."""
    return (confidence.float() * (LEVELS - 1)).round().long()


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
