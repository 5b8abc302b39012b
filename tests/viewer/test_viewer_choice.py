"""What the explorer is to begin with: choices that a run does not have are refused in words, others are understood."""

import re

import numpy as np
import pytest

import dmtkit
from dmtkit.errors import ConfigError
from tests.explorable import explorable


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return dmtkit.load_run(explorable(tmp_path_factory.mktemp("runs")))


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ({"method": "nope"}, "method: found 'nope', expected one of 'dmt', 'cbst'"),
        ({"method": "supervised"}, "method: found 'supervised', expected one of"),
        ({"method": "cbst", "student": "B"}, "student: found 'B', expected 'A' (with method = 'cbst')"),
        ({"time": "nope"}, "time: found 'nope', expected one of 'middle', 'start', 'end'"),
        ({"phase": 99}, "phase: found 99, expected one of 1, 2, 3"),
        ({"sample": "99"}, "sample: found '99', expected one of '3', '7'"),
        ({"gamma1": "3"}, "gamma1: found '3', expected a number from 0 up"),
        ({"gamma2": -1}, "gamma2: found -1, expected a number from 0 up"),
        ({"methd": "dmt"}, "methd: unknown choice; did you mean 'method'?"),
        ({"bogus": 1}, "bogus: unknown choice; known are: gamma1, gamma2, method, phase, sample, student, time"),
    ],
)
def test_a_choice_that_the_run_does_not_have_is_refused_with_those_it_has(run, chosen, complaint):
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        dmtkit.explore(run, **chosen)


def test_choices_in_other_words_are_understood(run):
    explorer = dmtkit.explore(run, sample=np.int64(7), phase=np.int64(2), method=None, gamma1=1)
    assert explorer.chosen == {"sample": "7", "phase": 2, "gamma1": 1.0}
    assert "image/png" in explorer._repr_mimebundle_()[0]
    explorer.chosen = {"method": "cbst", "phase": 1}
    explorer.figure()
    explorer.chosen = {"method": "nope"}
    with pytest.raises(ConfigError, match="method: found 'nope'"):
        explorer.figure()
