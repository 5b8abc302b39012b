"""How well wrong labels are found: reviewed in the order of a score, filtered by confidence, or by disagreement."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer


@dataclass(frozen=True)
class Review:
    """Reviewing the most suspicious labels first: the share of labels `reviewed` and of the wrong ones `found`, 0–1.

    Both run from 0 to 1, straight between points. Where no label is wrong, `found` is NaN.
    """

    reviewed: Float[np.ndarray, " m"]
    found: Float[np.ndarray, " m"]

    def at(self, share: float) -> float:
        """The share of wrong labels found once the `share` most suspicious labels were reviewed."""
        return float(np.interp(share, self.reviewed, self.found))


def errors_found(score: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"]) -> Review:
    """Review labels from the lowest score to the highest, and count the wrong ones found on the way.

    Labels with equal scores come in no particular order: there the curve is the mean over all orders, a straight line.

    >>> review = errors_found(np.array([0.1, 0.5, 0.5, 0.9]), np.array([True, True, False, False]))
    >>> review.at(0.25), review.at(0.5), review.at(0.75)
    (0.5, 0.75, 1.0)
    """
    if not len(score):
        return Review(np.array([0.0, 1]), np.full(2, np.nan))
    _, group = np.unique(score, return_inverse=True)
    count, bad = np.bincount(group), np.bincount(group, weights=wrong)
    reviewed, found = (np.concatenate([[0.0], np.cumsum(values)]) for values in (count, bad))
    return Review(reviewed / len(score), found / (bad.sum() or np.nan))


def from_roc(curve: Float[np.ndarray, "2 m"], error_rate: float) -> Review:
    """The same from an ROC curve (right labels flagged, wrong ones flagged) and the share of labels that are wrong.

    >>> from_roc(np.array([[0, 0, 1], [0, 1, 1]]), error_rate=0.25).reviewed.tolist()  # perfect: all wrong ones first
    [0.0, 0.25, 1.0]
    """
    right, wrong = np.asarray(curve, float)
    reviewed = (1 - error_rate) * right + error_rate * wrong
    reviewed[-1] = 1
    return Review(reviewed, wrong if error_rate > 0 else np.full(len(wrong), np.nan))


def perfect(error_rate: float) -> Review:
    """The best that any score can do: every wrong label comes before every right one."""
    return from_roc(np.array([[0.0, 0, 1], [0, 1, 1]]), error_rate)


def accuracy_of_kept(
    confidence: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], ratios: Float[np.ndarray, " r"]
) -> Float[np.ndarray, " r"]:
    """How many of the labels are right, 0–1, where the share α of the most confident ones is kept; one value an α.

    Labels that tie at the threshold count by their mean. NaN of nothing.

    >>> wrong = np.array([True, False, True, False])
    >>> accuracy_of_kept(np.array([0.2, 0.4, 0.6, 0.8]), wrong, np.array([0.25, 0.5, 1.0])).tolist()
    [1.0, 0.5, 0.5]
    """
    if not len(wrong):
        return np.full(len(ratios), np.nan)
    review, share = errors_found(confidence, wrong), wrong.mean()
    left = np.array([1 - review.at(1 - ratio) if share else 0.0 for ratio in ratios])
    return 1 - share * left / ratios


def filtered(confidence: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], threshold: float) -> dict[str, float]:
    """What keeping the labels with `confidence` ≥ `threshold` does, as shares of all labels.

    >>> filtered(np.array([0.9, 0.8, 0.3, 0.2]), np.array([False, True, False, True]), 0.5)["kept wrong"]
    0.25
    """
    kept = confidence >= threshold
    parts = {
        "kept right": kept & ~wrong,
        "kept wrong": kept & wrong,
        "dropped right": ~kept & ~wrong,
        "dropped wrong": ~kept & wrong,
    }
    return {name: _mean(mask) for name, mask in parts.items()}


@dataclass(frozen=True)
class Agreement:
    """Labels of one model beside the predictions of another: shares, 0–1; NaN of nothing."""

    agree: float
    error: float
    error_agree: float
    error_disagree: float
    found: float  # of the wrong labels, how many the other model contradicts


def agreement(
    label: Integer[np.ndarray, " n"], prediction: Integer[np.ndarray, " n"], truth: Integer[np.ndarray, " n"]
) -> Agreement:
    """How often labels are wrong where another model agrees with them, and where it does not.

    >>> found = agreement(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 1]), np.array([1, 2, 2, 1]))
    >>> found.agree, found.error_agree, found.error_disagree, found.found
    (0.75, 0.3333333333333333, 1.0, 0.5)
    """
    wrong, agree = label != truth, label == prediction
    return Agreement(_mean(agree), _mean(wrong), _mean(wrong[agree]), _mean(wrong[~agree]), _mean(~agree[wrong]))


def repeated(
    label: Integer[np.ndarray, " n"], prediction: Integer[np.ndarray, " n"], truth: Integer[np.ndarray, " n"]
) -> float:
    """Of the wrong labels, the share, 0–1, where another model makes the very same mistake.

    >>> repeated(np.array([1, 1, 2]), np.array([1, 2, 2]), np.array([0, 0, 2]))
    0.5
    """
    wrong = label != truth
    return _mean(prediction[wrong] == label[wrong])


def verdict(found: Mapping[str, tuple[float, float]], who: str = "the second model", margin: float = 0.01) -> str:
    """Markdown: at each time, whether the student's view (first number) finds more errors than c_A (the second).

    Differences up to `margin` count as none.

    >>> print(verdict({"start": (0.5, 0.4)}))
    - **start**: 50.0 % of the wrong labels by $w$, 40.0 % by $c_A$: the second model helps.
    """
    lines = []
    for time, (two, one) in found.items():
        if np.isnan([one, two]).any():
            lines.append(f"- **{time}**: nothing to compare, as no label is wrong.")
            continue
        word = "helps" if two - one > margin else "does worse" if one - two > margin else "makes no difference"
        lines.append(f"- **{time}**: {percent(two)} of the wrong labels by $w$, {percent(one)} by $c_A$: {who} {word}.")
    return "\n".join(lines)


HINTS = {
    "start": "At the start the student has not seen these labels, so it cannot have learned them by heart. Then either the "
    "teacher's own confidence is a good guide already, or the student makes the same mistakes.",
    "middle": "In the middle the student has seen these labels several times and still changes fast.",
    "end": "At the end it may have learned even the wrong labels by heart; then it agrees with them.",
}


def questions(found: Mapping[str, tuple[float, float]], margin: float = 0.01) -> str:
    """Markdown: where the student's view does not find more errors than c_A, what to ask; empty where it always does.

    >>> questions({"start": (0.5, 0.4)})
    ''
    """
    failed = [time for time, (two, one) in found.items() if not two - one > margin]
    if not failed:
        return ""
    hints = " ".join(HINTS[time] for time in failed if time in HINTS)
    return f"**Why does it not help at the {', nor at the '.join(failed)}?** {hints} Which is it here? The figures below give hints."


def percent(share: float, digits: int = 1) -> str:
    """A share, 0–1, in words; a dash for what could not be measured.

    >>> percent(0.1234), percent(float("nan"))
    ('12.3 %', '– (none)')
    """
    return "– (none)" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
