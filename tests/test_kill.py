"""SIGKILL at three moments of a run: the re-run ends in the bits of the undisturbed one."""

import pytest

from benchmarks.kill import finish, trial
from tests.helpers import TINY, fingerprint

SETTINGS = {**TINY, "checkpoint_seconds": 0, "epochs": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(folder, SETTINGS)
    return fingerprint(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "delay"), [("training", 0.3), ("writing", 0.1), ("labelling", 0.0)])
def test_killed_runs_end_in_the_same_bits(tmp_path, undisturbed, moment, delay):
    report = trial(tmp_path / "run", SETTINGS, moment, delay, undisturbed)
    assert report["killed"], "the run ended before it could be killed"
    assert report["same_bits"]
