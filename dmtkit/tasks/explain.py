"""Why each pseudo label of a phase has its weight: the table of cases and the samples kept for looking at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dmtkit.config import Config
from dmtkit.data.pictures import VOID, Part
from dmtkit.data.whole_images import WholeImages
from dmtkit.labels.keep import PseudoLabels
from dmtkit.labels.predict import Predictions, read_logits
from dmtkit.labels.store import Kept
from dmtkit.losses.dynamic import DynamicWeights
from dmtkit.losses.levels import TOP, confidence_of
from dmtkit.methods.method import Method
from dmtkit.metrics.cases import case_rows

RANDOM, EXTREMES = 96, 24  # how many samples are kept: drawn at random, and of either end of the weights


def case_table(
    pseudo: PseudoLabels,
    student: Predictions,
    level_of_given: np.ndarray,
    truth: np.ndarray,
    truth_known: bool,
    method: Method,
    config: Config,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Weigh every pseudo label by what the finished student says of the un-augmented image (γ at its maximum).

    y_A, c_A, y_B, c_B, p_B, weight and case of every unlabeled image, and a summary of the kept ones.
    """
    c_a, c_b, p = pseudo.confidence, confidence_of(student.level), confidence_of(level_of_given)
    found = method.weigh(
        torch.from_numpy(pseudo.label),
        torch.from_numpy(c_a),
        torch.from_numpy(student.label),
        torch.from_numpy(c_b),
        torch.from_numpy(p),
        gamma1=config.gamma1,
        gamma2=config.gamma2,
    )
    case = np.where(found.agree.numpy(), 0, np.where(found.surer.numpy(), 2, 1)).astype(np.uint8)
    columns = {
        "y_A": pseudo.label,
        "c_A": c_a,
        "y_B": student.label,
        "c_B": c_b,
        "p_B": p,
        "weight": found.weight.numpy(),
        "case": case,
        "kept": pseudo.kept,
    }
    kept = pseudo.kept
    summary: dict[str, Any] = {"kept": int(kept.sum()), "threshold": float(c_a[kept].min())}
    right = None
    if truth_known:
        columns["truth"] = truth
        right = (pseudo.label == truth)[kept]
        summary["label_accuracy"] = float(100 * right.mean())
    summary["cases"] = case_rows(case[kept], columns["weight"][kept], right)
    summary["mean_weight"] = float(columns["weight"][kept].mean())
    return columns, summary


def samples(columns: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The rows kept for looking at: the same random ones in every phase, and both ends of the kept weights."""
    kept = np.flatnonzero(columns["kept"])
    order = kept[np.lexsort((columns["p_B"][kept], columns["weight"][kept]))]
    drawn = np.random.default_rng(seed).permutation(len(columns["kept"]))[:RANDOM]
    index = np.unique(np.concatenate([drawn, order[:EXTREMES], order[-EXTREMES:]]))
    return {"index": index, **{name: values[index] for name, values in columns.items()}}


@dataclass(frozen=True)
class Explanation:
    """What a student says of the labels it was given, for one batch: weights and why, the labels, and the truth."""

    images: WholeImages
    found: DynamicWeights
    given: Tensor
    confidence: Tensor
    truth: Tensor


def explain_batch(
    images: WholeImages, logits: Tensor, part: Part, kept: Kept, weigh: Callable[..., DynamicWeights], truth: bool
) -> Explanation:
    """Weigh the kept labels of a batch of whole images by what the student says of them; `weigh` as a method does."""
    pairs = [kept.kept(position) for position in images.positions]
    given = images.stack([label for label, _ in pairs], VOID)
    level = images.stack([level.astype(np.int32) for _, level in pairs], 0)
    masks = [
        part.mask(position) if truth else np.full(size, VOID, np.uint8)
        for position, size in zip(images.positions, images.sizes, strict=True)
    ]
    prediction, own, p = read_logits(logits, given)
    assert p is not None
    c_a, c_b, p_b = (values.float() / TOP for values in (level, own, p))
    return Explanation(images, weigh(given, c_a, prediction, c_b, p_b), given, c_a, images.stack(masks, VOID))
