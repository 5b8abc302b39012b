"""Resume at every point, damaged files, locks, a full disk, a NaN loss: nothing is lost and everything is said."""

import errno
import json
import os
import shutil
import signal
import warnings

import pytest
from filelock import FileLock

from dmtkit import files
from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.errors import RunError, TrainingError
from dmtkit.files import read_json, write_json
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.run import load_run
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY, Stop, fingerprint, make_tree, relay, stop_after

CONFIG = make_config({**TINY, "checkpoint_seconds": 0})


@pytest.fixture(scope="module")
def data():
    return load(CONFIG)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A run that nothing disturbed, with its store of baselines beside it: to be copied, not changed."""
    place = tmp_path_factory.mktemp("whole")
    run_methods(CONFIG, data, place / "run")
    return place


@pytest.fixture(scope="module")
def undisturbed(whole):
    return fingerprint(whole / "run")


@pytest.fixture(scope="module")
def begun(tmp_path_factory, data):
    """A run that was stopped in the middle of a phase: to be copied, not changed."""
    place = tmp_path_factory.mktemp("begun")
    with pytest.raises(Stop):
        run_methods(CONFIG, data, place / "run", progress=stop_after(11))
    return place


def copy(place, tmp_path):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def test_stopped_after_every_step_it_ends_in_the_same_bits(tmp_path, data, undisturbed):
    def run(progress):
        assert not (tmp_path / "run" / "DONE.json").exists()
        return run_methods(CONFIG, data, tmp_path / "run", progress=progress)

    assert relay(run).finished
    assert fingerprint(tmp_path / "run") == undisturbed


def test_how_often_checkpoints_are_written_changes_nothing(tmp_path, data, undisturbed):
    run_methods(make_config({**TINY, "checkpoint_seconds": 3600}), data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


def test_ctrl_c_saves_and_says_so(tmp_path, data, undisturbed):
    def interrupt(progress):
        if progress.step == 9:
            os.kill(os.getpid(), signal.SIGINT)

    config = make_config({**TINY, "checkpoint_seconds": 3600})
    with pytest.raises(KeyboardInterrupt, match="everything is saved"):
        run_methods(config, data, tmp_path / "run", progress=interrupt)
    assert list(tmp_path.glob("run/*/phase_1/checkpoint-*.pt")), "Ctrl-C wrote a checkpoint"
    run_methods(config, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


def test_ctrl_c_outside_training_says_how_to_go_on(tmp_path, data, undisturbed, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dmtkit.tasks.classification.Classification.measure", interrupted)
        with pytest.raises(KeyboardInterrupt, match="run the same again and it goes on"):
            run_methods(CONFIG, data, tmp_path / "run")
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


def test_ctrl_c_while_the_last_step_is_logged_is_not_lost(tmp_path, data, undisturbed, monkeypatch):
    real = RunFolder.log

    def log_and_interrupt(self, key, line):
        real(self, key, line)
        if (key[1], line["step"]) == (1, line["steps"]):
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", log_and_interrupt)
        with pytest.raises(KeyboardInterrupt, match="end of a phase"):
            run_methods(CONFIG, data, tmp_path / "run")
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


def test_other_data_under_the_same_settings_is_refused(tmp_path):
    folder = make_tree(tmp_path / "data")
    values = {**TINY, "dataset": "folder", "data_dir": str(folder), "labels": 2, "val": 1}
    with pytest.raises(Stop):
        run_methods(make_config(values), output_dir=tmp_path / "run", progress=stop_after(7))
    (folder / "train" / "cat" / "000.png").rename(folder / "train" / "cat" / "zzz.png")
    with pytest.raises(RunError, match="started on other data"):
        run_methods(make_config(values), output_dir=tmp_path / "run")
    (folder / "train" / "cat" / "zzz.png").rename(folder / "train" / "cat" / "000.png")
    folder.rename(tmp_path / "moved")  # the same data elsewhere is the same data
    moved = make_config({**values, "data_dir": str(tmp_path / "moved")})
    assert run_methods(moved, output_dir=tmp_path / "run").finished


def test_going_on_elsewhere_is_noted(tmp_path, data, begun):
    copy(begun, tmp_path)
    path = tmp_path / "run" / "environment.json"
    write_json(path, {**read_json(path), "machine": "an abacus"})
    with pytest.warns(UserWarning, match="goes on with another machine"):
        run_methods(CONFIG, data, tmp_path / "run")
    assert "another machine" in (tmp_path / "run" / "notes.log").read_text()
    assert json.loads(path.read_text())["resumed"]


def test_a_finished_run_opens_where_its_device_is_missing(tmp_path, whole):
    copy(whole, tmp_path)
    elsewhere = make_config({**TINY, "checkpoint_seconds": 0, "device": "cuda:9"})
    assert run_methods(elsewhere, None, tmp_path / "run").finished


def test_a_finished_run_is_left_alone(tmp_path, whole):
    copy(whole, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    run_methods(CONFIG, None, tmp_path / "run")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_a_truncated_checkpoint_goes_back_to_the_one_before(tmp_path, data, begun, undisturbed):
    copy(begun, tmp_path)
    _, new = sorted(tmp_path.glob("run/*/phase_*/checkpoint-*.pt"))
    new.write_bytes(new.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="damaged checkpoint, going back to checkpoint-"):
        run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("pattern", ["dmt/phase_1/predictions.npz", "cl/phase_2/phase.json"])
def test_a_damaged_file_of_a_complete_phase(tmp_path, data, undisturbed, pattern):
    with pytest.raises(Stop):
        run_methods(CONFIG, data, tmp_path / "run", progress=stop_after(42))
    (victim,) = (tmp_path / "run").glob(pattern)
    victim.write_bytes(victim.read_bytes()[:50])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_methods(CONFIG, data, tmp_path / "run")
    there = fingerprint(tmp_path / "run")
    assert there == undisturbed


def test_another_writer_is_refused_and_named(tmp_path, data, begun, monkeypatch):
    folder = tmp_path / "run"
    copy(begun, tmp_path)
    (folder / ".writer.json").write_text(json.dumps({"pid": 4711, "host": "elsewhere"}))
    with FileLock(folder / ".lock"), pytest.raises(RunError, match=r"another run is writing here \(process 4711"):
        run_methods(CONFIG, data, folder)


def test_other_settings_in_the_folder_are_named(tmp_path, data, begun):
    copy(begun, tmp_path)
    with pytest.raises(RunError, match=r"lr: 0\.1 there, 0\.2 now"):
        run_methods(make_config({**TINY, "lr": 0.2}), data, tmp_path / "run")


def test_a_full_disk_leaves_what_was_there(tmp_path, data, undisturbed, monkeypatch):
    folder = tmp_path / "run"
    count = iter(range(100))
    real = os.fsync

    def full(descriptor):
        if next(count) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(RunError, match=r"disk is full(.|\n)*run the same command again"):
            run_methods(CONFIG, data, folder)
    assert not list(folder.rglob("*.partial"))
    run_methods(CONFIG, data, folder)
    assert fingerprint(folder) == undisturbed


def test_an_atomic_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write_json(path, {"a": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(RunError, match="disk is full"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_a_loss_that_is_not_finite_stops_with_step_and_samples(tmp_path, data):
    config = make_config({**TINY, "lr": 1e30, "methods": ("supervised",)})
    with pytest.raises(TrainingError) as error:
        run_methods(config, data, tmp_path / "run")
    assert "supervised, phase 0" in str(error.value)
    assert "at step" in str(error.value)
    assert "digit-" in str(error.value)
    assert not (tmp_path / "run" / "DONE.json").exists()
    assert not list(tmp_path.glob("run/*/phase_0/checkpoint*")), "a broken model is not saved"


def test_a_torn_last_line_of_the_log_is_passed_over(tmp_path, data, begun, undisturbed):
    copy(begun, tmp_path)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"method": "dmt", "pha')
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == undisturbed


def test_a_folder_that_is_no_run():
    with pytest.raises(RunError, match="is no run folder"):
        load_run("tests")


def test_a_run_is_found_from_here_the_project_or_outputs_and_an_unknown_one_is_answered(outputs, tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"nowhere: is no run folder \(it has no config.yaml\); .* holds no run$"):
        load_run("nowhere")
    for name in ("digits/seed-1", "scenes/split-0_seed-1", "scenes/split-1_seed-1"):
        (outputs / name).mkdir(parents=True)
        (outputs / name / "config.yaml").touch()
    monkeypatch.chdir(outputs / "scenes")
    here = load_run("split-0_seed-1").path
    assert here.resolve() == load_run("scenes/split-0_seed-1").path == outputs / "scenes/split-0_seed-1"
    with pytest.raises(
        RunError, match=r"(?s)nearest name first:\n  - scenes/split-1.*\n  - scenes/split-0.*\n  - digits"
    ):
        load_run("scenes/split-1_seed-2")
