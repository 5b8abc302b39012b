"""Whatever is given as settings is answered in words; `tests/fuzz.py` draws them."""

import pytest

from tests.fuzz import fuzz, live


def test_every_setting_is_accepted_or_refused():
    for kind, answers in fuzz(3000).items():
        assert set(answers) == {"accepted", "refused"}, (kind, answers)


@pytest.mark.long
def test_what_is_accepted_runs_or_is_refused_before_anything_is_written():
    answers = live(100)
    assert set(answers) == {"runs", "refused"}, answers
