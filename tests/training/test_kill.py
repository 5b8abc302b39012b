"""A process that ends by SIGKILL: the re-run ends in the bits of the undisturbed one. tests/crash.py has every moment."""

import json
import signal
import subprocess
import sys

import pytest

from dmtkit.config import make_config
from dmtkit.training.experiment import run_methods
from tests.commands import ENVIRONMENT
from tests.helpers import ALL_TEST_SCENES, ROOT, TINY, TINY_SEGMENTATION, fingerprint

SETTINGS = {
    "classification": {**TINY, "checkpoint_seconds": 0, "methods": ("dmt",)},
    "segmentation": {**TINY_SEGMENTATION, "checkpoint_seconds": 0, "methods": ("dmt",)},
}
# Ends itself when a file is written but not yet at its place, for the 12th time: in the first phase.
PROGRAM = """
import itertools, json, os, signal, sys
from dmtkit import files
from dmtkit.config import make_config
from dmtkit.training.experiment import run_methods
calls, real = itertools.count(1), os.replace
def replace(*paths):
    if next(calls) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
files.os.replace = replace
run_methods(make_config(json.loads(sys.argv[2])), output_dir=sys.argv[1])
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _all_test_scenes():
    """As many as the processes have that are killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dmtkit.data.segmentation.TEST_SCENES", ALL_TEST_SCENES)
        yield


@pytest.fixture(scope="module", params=["classification", pytest.param("segmentation", marks=pytest.mark.long)])
def undisturbed(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    config = make_config(SETTINGS[request.param])
    run_methods(config, output_dir=folder)
    return SETTINGS[request.param], fingerprint(folder)


def test_a_killed_run_ends_in_the_same_bits(tmp_path, undisturbed):
    settings, bits = undisturbed
    folder = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), json.dumps(settings)], cwd=ROOT, env=ENVIRONMENT
    )
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("*.partial"))
    assert not (folder / "DONE.json").exists()
    run_methods(make_config(settings), output_dir=folder)
    assert fingerprint(folder) == bits
