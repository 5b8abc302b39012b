"""Checks of exercises: right, wrong, not tried, and answers of the wrong kind; never an error."""

import numpy as np
import pytest

from dmtkit.teach import check


@pytest.mark.parametrize(
    ("answer", "expected", "sign"),
    [
        (0.51, 0.5104, "✅"),
        (0.5, 0.52, "❌"),
        ("agree", "agree", "✅"),
        ("Agree", "negative", "❌"),
        (np.array([1.0, 2.0]), [1, 2], "✅"),
        ([1.0], [1, 2], "❌"),
        ({"a"}, 3, "❌"),
        ("three", 3, "❌"),
        (True, True, "✅"),
        (None, 1, "✏️"),
        (..., 1, "✏️"),
    ],
)
def test_an_answer_is_judged_and_never_raises(answer, expected, sign):
    said = check(answer, expected, "a hint", tolerance=1e-2).data
    assert said.startswith(sign)
    assert ("a hint" in said) == (sign != "✅")
