"""Every byte of a run: what is damaged is found, and made anew or named with what to do."""

import json
import shutil
from itertools import cycle

import pytest
from typer.testing import CliRunner

from dmtkit.cli import app
from dmtkit.config import make_config
from dmtkit.errors import RunError
from dmtkit.runs.phase import MEND
from dmtkit.runs.run import read_config
from dmtkit.runs.verify import verify
from dmtkit.training.experiment import run_methods
from tests.crash import SETTINGS
from tests.damage import FOR_PEOPLE, RUNS, WAYS, damage, try_all
from tests.helpers import Stop, fingerprint, stop_after


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def whole(request, tmp_path_factory):
    values = SETTINGS[request.param] | {"methods": ("dmt",), "label_ratios": (0.5,)}
    return run_methods(make_config(values), None, tmp_path_factory.mktemp("whole") / "run").path


def test_verify_finds_every_damage(whole, tmp_path):
    compared, wrong = verify(whole)
    files = [
        path
        for path in whole.rglob("*.*")
        if path.is_file() and (".baselines" not in path.parts or path.suffix == ".pt")
    ]
    assert (compared, wrong) == (len([path for path in files if path.name not in FOR_PEOPLE]), {})
    shutil.copytree(whole, copy := tmp_path / "run")
    for path, way in zip(files, cycle([*WAYS, "removed"]), strict=False):
        here, content = copy / path.relative_to(whole), path.read_bytes()
        unseen = way == "removed" and (path.name == "DONE.json" or ".baselines" in path.parts)
        if path.name not in FOR_PEOPLE and damage(here, way) and not unseen:
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
@pytest.mark.filterwarnings("ignore:.*(damaged|gone)")
def test_a_run_of_before_there_were_checksums_goes_on_and_a_lost_model_is_trained_again(whole, tmp_path):
    shutil.copytree(whole, copy := tmp_path / "run")
    bits = fingerprint(copy)
    for path in [path for path in copy.rglob("*.json") if path.name != ".writer.json"]:
        old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("files", "sha256")}
        path.write_text(json.dumps(old))
    with pytest.raises(RunError, match="by an earlier version, without checksums"):
        verify(copy)
    (copy / "DONE.json").unlink()
    damage(next(copy.glob("dmt/phase_1/**/model-*")), "truncated")
    run_methods(read_config(copy), None, copy)
    again = fingerprint(copy)
    assert {name: again[name] for name in bits if name not in ("split", "DONE")} == {
        name: bits[name] for name in bits if name not in ("split", "DONE")
    }


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*gone")
def test_without_its_methods_json_a_run_does_not_go_on_with_other_parameters(tmp_path):
    values = SETTINGS["classification"] | {"methods": ("fixmatch",), "fixmatch_threshold": 0.95}
    with pytest.raises(Stop):
        run_methods(make_config(values), None, tmp_path / "run", stop_after(8))
    (tmp_path / "run" / "methods.json").unlink()
    with pytest.raises(RunError, match="holds a run of other settings"):
        run_methods(make_config(values | {"fixmatch_threshold": 0.1}), None, tmp_path / "run")
    run_methods(make_config(values), None, tmp_path / "run")
    assert "methods.json: gone" in (tmp_path / "run" / "notes.log").read_text()


def test_a_seal_that_is_broken_off_is_found_and_hidden_files_are_nobodys(whole, tmp_path):
    shutil.copytree(whole, copy := tmp_path / "run")
    for name in ("._split.json", "dmt/phase_1/._samples.npz", "dmt/._phase.json"):
        (copy / name).write_bytes(b"\0\5\x16\7")
    assert verify(copy)[1] == {}
    for name in ("DONE.json", "split.json"):
        content = (copy / name).read_text()
        (copy / name).write_text(content.replace('"sha256"', '"sha257"'))
        assert copy / name in verify(copy)[1]
        (copy / name).write_text(content)


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_a_damaged_run_goes_on_to_the_same_bits_or_says_what_to_do(name, tmp_path):
    tried = try_all(name, tmp_path, every=13)
    assert tried["wrong"] == []
    assert tried["tried"] > 10
