"""Measures of a model and of its pseudo labels: accuracy, calibration, the three cases."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer


@dataclass(frozen=True)
class Measure:
    """The headline metric of a task: its name in DONE.json, and in words."""

    name: str
    label: str


MEASURES = {"classification": Measure("accuracy", "accuracy"), "segmentation": Measure("miou", "mIoU")}
CASES = ("agree", "negative", "positive")  # agreement, negative and positive disagreement (method.md §3)


def accuracy(prediction: Integer[np.ndarray, "*s"], truth: Integer[np.ndarray, "*s"]) -> float:
    """Percent of predictions that are right; NaN of nothing.

    >>> accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0]))
    75.0
    """
    return float(100 * (prediction == truth).mean()) if prediction.size else float("nan")


def from_sums(sums: dict[str, float]) -> dict[str, float]:
    """Shares, mean weight and, where the truth is known, accuracy in percent within each case.

    `sums` are those of `dynamic.statistics`; a case that did not occur has no accuracy.

    >>> from_sums({"count": 4, "weight": 2.0, "agree": 3, "negative": 1, "positive": 0,
    ...            "known_negative": 1, "right_negative": 0})["accuracy_negative"]
    0.0
    """
    count = sums.get("count", 0)
    if not count:
        return {}
    record = {"count": count, "mean_weight": sums["weight"] / count}
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
