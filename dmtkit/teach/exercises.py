"""What the walkthroughs say to their reader: computed prose, answers behind a fold, checks of exercises."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

MARGIN = 0.01  # smaller differences count as none
HINTS = {
    "start": "At the start the student has not seen these labels: is the teacher's own confidence a good guide already, or does"
    " the student make the same mistakes?",
    "middle": "In the middle it has seen them several times and still changes fast.",
    "end": "At the end it may have learned even the wrong labels by heart; then it agrees with them.",
}


def say(text: str) -> Any:
    """Prose with computed numbers in it, as Markdown; the last line of a cell shows it.

    >>> say(f"The weight is {0.8**3:.2f}.").data
    'The weight is 0.51.'
    """
    from IPython.display import Markdown

    return Markdown(text)


def percent(share: float, digits: int = 1) -> str:
    """A share, 0–1, in words; a dash for what could not be measured.

    >>> percent(0.1234), percent(float("nan"))
    ('12.3 %', '– (none)')
    """
    return "– (none)" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def reveal(question: str, answer: str) -> Any:
    """A question whose answer lies behind a fold: predict first, then open it. Both are Markdown.

    >>> print(reveal("Which weight is larger?", "The first.").data)
    <details><summary><b>Predict first.</b> Which weight is larger? <i>(click to reveal)</i></summary>
    <BLANKLINE>
    The first.
    <BLANKLINE>
    </details>
    """
    summary = f"<summary><b>Predict first.</b> {question} <i>(click to reveal)</i></summary>"
    return say(f"<details>{summary}\n\n{answer}\n\n</details>")


def check(answer: Any, expected: Any, hint: str, tolerance: float = 1e-3) -> Any:
    """Compare the reader's answer, number, text or array, with the right one; never an error, so that *Run All* goes on.

    An answer of None (or `...`) has not been tried yet.

    >>> check(0.5122, 0.8**3, "Mind the exponent.").data
    '✅ Right.'
    """
    if answer is None or answer is ...:
        return say(f"✏️ Not tried yet. Hint: {hint}")
    try:
        given, wanted = (np.asarray(one.detach() if hasattr(one, "detach") else one) for one in (answer, expected))
        right = given.shape == wanted.shape
        if right and wanted.dtype.kind in "fiu" and given.dtype.kind in "fiub":
            right = np.allclose(given.astype(float), wanted.astype(float), rtol=0, atol=tolerance, equal_nan=True)
        else:
            right = right and bool((given == wanted).all())
    except (TypeError, ValueError, RuntimeError):
        right = False
    return say("✅ Right." if right else f"❌ Found {answer!r}. Hint: {hint}")


def about_disagreement(shares: pd.Series) -> Any:
    """Whether B's disagreement marks A's wrong labels; `shares` are those of `agreement`."""
    disagree, agree = shares["error_disagree"], shares["error_agree"]
    if disagree > agree:
        clue = "So disagreement is a clue. The errors that both models make stay hidden: a second model helps only where it errs *differently*."
    else:
        clue = "So here disagreement does **not** mark the wrong labels. Are the two models too much alike, or is there hardly an error?"
    return say(
        f"B contradicts {percent(1 - shares['agree'])} of A's labels. Of these {percent(disagree)} are wrong, of the others "
        f"{percent(agree)}. {clue} B contradicts {percent(shares['contradicted'])} of A's wrong labels."
    )


def about_search(
    curves: Mapping[str, Mapping[str, np.ndarray]], who: str = "the second model", share: float = 0.1
) -> Any:
    """At each time, whether sorting by w finds more wrong labels in the first `share` than by c_A; and what to ask where not."""
    lines, failed = [], []
    for time, found in curves.items():
        two, one = (float(np.interp(share, *found[score])) for score in ("w", "c_A"))
        if np.isnan(two):
            lines.append(f"- **{time}**: nothing to compare, as no label is wrong.")
            continue
        word = "helps" if two - one > MARGIN else "does worse" if one - two > MARGIN else "makes no difference"
        failed += [time] * (word != "helps")
        lines.append(f"- **{time}**: {percent(two)} of the wrong labels by $w$, {percent(one)} by $c_A$: {who} {word}.")
    if failed and who == "the second model":
        hints = " ".join(HINTS[time] for time in failed if time in HINTS)
        lines.append(f"\n**Why does it not help at the {', nor at the '.join(failed)}?** {hints}")
    return say(f"The first {percent(share, 0)} of the labels that are reviewed hold:\n\n" + "\n".join(lines))
