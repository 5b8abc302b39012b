"""The three cases of a pseudo label (method.md §3) counted: agreement, negative and positive disagreement."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor

from dmtkit.losses.dynamic import DynamicWeights

CASES = ("agree", "negative", "positive")  # agreement, negative and positive disagreement (method.md §3)


def from_sums(sums: Mapping[str, float], steps: int = 1) -> dict[str, float]:
    """Mean loss of so many steps; shares, mean weight and, where the truth is known, accuracy in percent within each case.

    `sums` are losses, those of `dynamic.statistics`, and whatever else a method counts, of which the mean of a step is
    given. The loss of several networks is also given as one. A case that did not occur has no accuracy.

    >>> from_sums({"loss": 6.0, "sure": 4, "count": 4, "weight": 2.0, "agree": 3, "negative": 1, "positive": 0,
    ...            "known_negative": 1, "right_negative": 0}, steps=2)["accuracy_negative"]
    0.0
    """
    of_cases = {"count", "weight", *CASES, *(f"{kind}_{case}" for kind in ("known", "right") for case in CASES)}
    record = {name: value / steps for name, value in sums.items() if name not in of_cases}
    losses = [value for name, value in record.items() if name.startswith("loss_")]
    if losses and "loss" not in record:
        record["loss"] = sum(losses)
    if (count := sums.get("count", 0)) and {"weight", *CASES} <= sums.keys():
        record |= {"count": count, "mean_weight": sums["weight"] / count}
        record |= {f"share_{case}": sums[case] / count for case in CASES}
    for case in CASES:
        if sums.get(f"known_{case}"):
            record[f"accuracy_{case}"] = 100 * sums[f"right_{case}"] / sums[f"known_{case}"]
    return record


def case_rows(
    case: Integer[np.ndarray, " m"], weight: Float[np.ndarray, " m"], right: Bool[np.ndarray, " m"] | None
) -> list[dict[str, float | str]]:
    """One row a case (0 agreement, 1 negative, 2 positive disagreement): count, share, mean weight, accuracy.

    `right` says which labels are right; without it the rows have no accuracy.

    >>> rows = case_rows(np.array([0, 2]), np.array([0.9, 0.0]), np.array([True, False]))
    >>> rows[2]["case"], rows[2]["accuracy"]
    ('positive', 0.0)
    """
    rows: list[dict[str, float | str]] = []
    for number, name in enumerate(CASES):
        mask = case == number
        row: dict[str, float | str] = {"case": name, "count": int(mask.sum()), "share": float(mask.mean())}
        if mask.any():
            row["mean_weight"] = float(weight[mask].mean())
            if right is not None:
                row["accuracy"] = float(100 * right[mask].mean())
        rows.append(row)
    return rows


def case_sums(
    weighed: DynamicWeights, given: Integer[Tensor, "*s"], truth: Integer[Tensor, "*s"], classes: int
) -> dict[str, Tensor]:
    """Counts and summed weights of kept pseudo labels by case (agreement, negative, positive), class and truth; they add up over batches.

    `cases` "3 k k1" has one column a true class and a last one for unknown truth; `weights` is "3 k". Pixels that are not
    valid are passed over.
    """
    k, k1, valid = classes, classes + 1, weighed.valid
    case = weighed.case[valid]
    label = given[valid].long()
    known = truth[valid].long().clamp(max=k)
    counts = torch.bincount((case * k + label) * k1 + known, minlength=3 * k * k1)
    weights = torch.bincount(case * k + label, weights=weighed.weight[valid].double(), minlength=3 * k)
    return {"cases": counts.view(3, k, k1), "weights": weights.view(3, k)}


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
    for number, case in enumerate((*CASES, "all")):
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
