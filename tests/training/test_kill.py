"""SIGKILL at several moments of a run of either task: the re-run ends in the bits of the undisturbed one."""

import pytest

from benchmarks.kill import finish, trial
from tests.helpers import TINY, TINY_SEGMENTATION, fingerprint

SETTINGS = {
    "classification": {**TINY, "checkpoint_seconds": 0, "epochs": 2},
    "segmentation": {**TINY_SEGMENTATION, "checkpoint_seconds": 0, "epochs": 3, "methods": ("dmt",)},
}


@pytest.fixture(scope="module", params=list(SETTINGS))
def undisturbed(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(folder, SETTINGS[request.param])
    return SETTINGS[request.param], fingerprint(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "delay"), [("training", 0.3), ("writing", 0.1), ("labelling", 0.0)])
def test_killed_runs_end_in_the_same_bits(tmp_path, undisturbed, moment, delay):
    settings, bits = undisturbed
    report = trial(tmp_path / "run", settings, moment, delay, bits)
    assert report["killed"], "the run ended before it could be killed"
    assert report["same_bits"]
