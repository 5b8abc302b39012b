"""Checks of exercises: right, wrong, not tried, and answers of the wrong kind; never an error."""

import numpy as np
import pytest
import torch

from dmtkit.teach.exercises import check


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
        (torch.tensor(0.51, requires_grad=True), 0.5104, "✅"),
        (torch.tensor([0.1, 0.9], requires_grad=True), [0.5, 0.5], "❌"),
        (torch.ones(1).to_sparse(), [1.0], "❌"),
        (float("nan"), float("nan"), "✅"),
        (float("nan"), 0.5, "❌"),
        (0.5, torch.tensor(0.5, requires_grad=True), "✅"),
    ],
)
def test_an_answer_is_judged_and_never_raises(answer, expected, sign):
    said = check(answer, expected, "a hint", tolerance=1e-2).data
    assert said.startswith(sign)
    assert ("a hint" in said) == (sign != "✅")
