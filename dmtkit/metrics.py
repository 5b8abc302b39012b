"""Measures of a model and of its pseudo labels: accuracy, calibration, the three cases."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer


@dataclass(frozen=True)
class TaskFacts:
    """What tables, figures and the explorer must know of a task.

    `metric` is the headline's name in DONE.json, `label` that in words; `models` are those trained side by side, one without
    a name where there is one; `pixels` says whether labels are those of pixels or of images.
    """

    metric: str
    label: str
    models: tuple[str, ...]
    pixels: bool

    @property
    def first(self) -> str:
        """The model that is reported."""
        return self.models[0]

    def teacher(self, student: str, which: str) -> str:
        """Who labels for a student: `itself`, or the `other` one where there are two."""
        others = [model for model in self.models if model != student]
        return others[0] if which == "other" and others else student


TASK_FACTS = {
    "classification": TaskFacts("accuracy", "accuracy", ("",), pixels=False),
    "segmentation": TaskFacts("miou", "mIoU", ("A", "B"), pixels=True),
}
CASES = ("agree", "negative", "positive")  # agreement, negative and positive disagreement (method.md §3)


def accuracy(prediction: Integer[np.ndarray, "*s"], truth: Integer[np.ndarray, "*s"]) -> float:
    """Percent of predictions that are right; NaN of nothing.

    >>> accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0]))
    75.0
    """
    return float(100 * (prediction == truth).mean()) if prediction.size else float("nan")


def from_sums(sums: Mapping[str, float], steps: int = 1) -> dict[str, float]:
    """Mean loss of so many steps; shares, mean weight and, where the truth is known, accuracy in percent within each case.

    `sums` are losses, those of `dynamic.statistics`, and whatever else a method counts, of which the mean of a step is
    given. The loss of several networks is also given as one. A case that did not occur has no accuracy.

    >>> from_sums({"loss": 6.0, "sure": 4, "count": 4, "weight": 2.0, "agree": 3, "negative": 1, "positive": 0,
    ...            "known_negative": 1, "right_negative": 0}, steps=2)["accuracy_negative"]
    0.0
    """
    cases = {"count", "weight", *CASES, *(f"{kind}_{case}" for kind in ("known", "right") for case in CASES)}
    record = {name: value / steps for name, value in sums.items() if name not in cases}
    losses = [value for name, value in record.items() if name.startswith("loss_")]
    if "loss" not in record and losses:
        record["loss"] = sum(losses)
    count = sums.get("count", 0)
    if count and {"weight", *CASES} <= sums.keys():
        record |= {"count": count, "mean_weight": sums["weight"] / count}
        record |= {f"share_{case}": sums[case] / count for case in CASES}
    for case in CASES:
        if sums.get(f"known_{case}"):
            record[f"accuracy_{case}"] = 100 * sums[f"right_{case}"] / sums[f"known_{case}"]
    return record


def case_rows(
    case: Integer[np.ndarray, " m"],
    weight: Float[np.ndarray, " m"],
    right: Bool[np.ndarray, " m"] | None,
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
