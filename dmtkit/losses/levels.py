"""Probabilities as whole numbers: 65 536 levels, so that a confidence takes two bytes and histograms of it add up."""

import numpy as np
from jaxtyping import Float, Int64, UInt16
from torch import Tensor

LEVELS = 65536
TOP = LEVELS - 1  # the level of a confidence of 1


def quantise(confidence: Float[Tensor, "*s"]) -> Int64[Tensor, "*s"]:
    """The nearest of 65 536 levels, 0 for a confidence of 0 and 65 535 for 1."""
    return (confidence.float() * TOP).round().long()


def confidence_of(level: UInt16[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Levels as confidences 0–1, to within 1/131 070 of what the model said.

    >>> confidence_of(np.array([0, 65535], dtype=np.uint16)).tolist()
    [0.0, 1.0]
    """
    return level.astype(np.float32) / np.float32(TOP)
