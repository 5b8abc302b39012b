"""What the teaching notebooks say to their reader: computed prose, answers behind a fold, checks of exercises."""

from typing import Any

import numpy as np


def say(text: str) -> Any:
    """Prose with computed numbers in it, as Markdown; the last line of a cell shows it.

    >>> say(f"The weight is {0.8**3:.2f}.").data
    'The weight is 0.51.'
    """
    from IPython.display import Markdown

    return Markdown(text)


def reveal(question: str, answer: str) -> Any:
    """A question whose answer lies behind a fold: predict first, then open it. Both are Markdown.

    >>> print(reveal("Which weight is larger?", "The first.").data)
    <details><summary><b>Predict first.</b> Which weight is larger? <i>(click to reveal)</i></summary>
    <BLANKLINE>
    The first.
    <BLANKLINE>
    </details>
    """
    return say(
        f"<details><summary><b>Predict first.</b> {question} <i>(click to reveal)</i></summary>\n\n{answer}\n\n</details>"
    )


def check(answer: Any, expected: Any, hint: str, tolerance: float = 1e-3) -> Any:
    """Compare the reader's answer, number, text or array, with the right one; never an error, so that *Run All* goes on.

    An answer of None (or `...`) has not been tried yet.

    >>> check(0.5122, 0.8**3, "Mind the exponent.").data
    '✅ Right.'
    >>> check(None, 1, "Look at the table.").data
    '✏️ Not tried yet. Hint: Look at the table.'
    """
    if answer is None or answer is ...:
        return say(f"✏️ Not tried yet. Hint: {hint}")
    return say("✅ Right." if _same(answer, expected, tolerance) else f"❌ Found {answer!r}. Hint: {hint}")


def _same(answer: Any, expected: Any, tolerance: float) -> bool:
    try:
        given, wanted = (np.asarray(one.detach() if hasattr(one, "detach") else one) for one in (answer, expected))
        if given.shape != wanted.shape:
            return False
        if wanted.dtype.kind in "fiu" and given.dtype.kind in "fiub":
            return bool(np.allclose(given.astype(float), wanted.astype(float), rtol=0, atol=tolerance, equal_nan=True))
        return bool((given == wanted).all())
    except (TypeError, ValueError, RuntimeError):
        return False
