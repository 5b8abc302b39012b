"""Every byte of a run: what is damaged is found, and made anew or named with what to do."""

import shutil
from itertools import cycle

import pytest
from typer.testing import CliRunner

from dmtkit.cli import app
from dmtkit.config import make_config
from dmtkit.runs.phase import MEND
from dmtkit.runs.verify import verify
from dmtkit.training.experiment import run_methods
from tests.crash import SETTINGS
from tests.damage import FOR_PEOPLE, RUNS, WAYS, damage, try_all


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def whole(request, tmp_path_factory):
    values = SETTINGS[request.param] | {"methods": ("dmt",), "label_ratios": (0.5,)}
    return run_methods(make_config(values), None, tmp_path_factory.mktemp("whole") / "run").path


def test_verify_finds_every_damage(whole, tmp_path):
    compared, wrong = verify(whole)
    files = [path for path in whole.rglob("*.*") if path.is_file() and ".baselines" not in path.parts]
    assert (compared, wrong) == (len([path for path in files if path.name not in FOR_PEOPLE]), {})
    shutil.copytree(whole, copy := tmp_path / "run")
    for path, way in zip(files, cycle([*WAYS, "removed"]), strict=False):
        here, content = copy / path.relative_to(whole), path.read_bytes()
        if path.name not in FOR_PEOPLE and damage(here, way) and (path.name, way) != ("DONE.json", "removed"):
            assert verify(copy)[1], f"{path} {way}"
        here.write_bytes(content)
    assert verify(copy)[1] == {}


def test_the_command_names_what_is_damaged_and_the_remedy(whole, tmp_path):
    shutil.copytree(whole, copy := tmp_path / "run")
    said = CliRunner().invoke(app, ["verify", str(copy)])
    assert (said.exit_code, "all as they were written" in said.output) == (0, True)
    damage(next(copy.glob("dmt/phase_1/**/samples.npz")), "flipped")
    said = CliRunner().invoke(app, ["verify", str(copy), str(whole)])
    assert said.exit_code == 1
    assert "samples.npz: damaged or gone" in said.output
    assert MEND in said.output


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_a_damaged_run_goes_on_to_the_same_bits_or_says_what_to_do(name, tmp_path):
    tried = try_all(name, tmp_path, every=13)
    assert tried["wrong"] == []
    assert tried["tried"] > 10
