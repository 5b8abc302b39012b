"""The command line: what it does, what it refuses, and what it says; one real process for each command."""

import json
import os
import signal
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from filelock import FileLock
from nbformat.sign import NotebookNotary

from dmtkit.jobs import notebook_job
from tests.commands import ENVIRONMENT, PATIENCE, dmtkit, dmtkit_process, wait_for
from tests.helpers import ROOT, TINY, TINY_SEGMENTATION, make_tree
from tests.made_runs import put
from tests.trees import make_voc_style, save_mask


def tiny(*more, values=TINY):
    """Small values as arguments of the command line."""
    pairs = {**values, "checkpoint_seconds": 0, "methods": "supervised,dmt"} | dict(more)
    texts = {name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for name, v in pairs.items()}
    return [word for name, value in texts.items() for word in ("-p", name, value)]


@pytest.mark.slow
def test_run_executes_the_notebook_and_a_second_time_does_nothing(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/digits.yaml", *tiny(), "--output", folder]
    first = dmtkit(*words)
    assert first.exit_code == 0, first.stderr
    assert "dmt" in first.stdout
    assert "over supervised" in first.stdout
    done = json.loads((folder / "DONE.json").read_text())
    assert set(done) == {"experiment", "dataset", "task", "seed", "split", "seconds", "results", "files", "sha256"}
    assert len(done["results"]["dmt"]["phases"]) == 2
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert figures == {"curves", "phases", "reliability", "cases_dmt", "case_accuracy_dmt", "extremes_dmt"}
    notebook = nbformat.read(folder / "classification.ipynb", as_version=4)
    assert NotebookNotary().check_signature(notebook), "signed, so that widgets show"
    second = dmtkit(*words)
    assert second.exit_code == 0
    assert "nothing to do" in second.stdout


@pytest.mark.long
def test_the_segmentation_notebook_runs_from_the_command_line(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/scenes.yaml", *tiny(("methods", "supervised,cbst,dmt"), values=TINY_SEGMENTATION)]
    found = dmtkit(*words, "--output", folder)
    assert found.exit_code == 0, found.stderr[-3000:]
    assert "test mIoU" in found.stdout
    assert "A+B" in found.stdout
    done = json.loads((folder / "DONE.json").read_text())
    assert {"miou", "phases", "A", "B", "A+B"} == set(done["results"]["dmt"])
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    wanted = "phases class_iou weights_dmt_0 kept_dmt label_quality_dmt_1 error_search_cbst roc_dmt_2"
    assert set(wanted.split()) <= figures
    assert "nothing to do" in dmtkit(*words, "--output", folder).stdout


@pytest.mark.long
def test_every_command_in_a_process(tmp_path):
    put(tmp_path / "runs", {"dmt": 60.0})
    for words, said in (
        (["run", "params/digits.yaml", *tiny(), "--output", tmp_path / "run"], "over supervised"),
        (["doctor"], "ready"),
        (["data", "check", "params/digits.yaml"], "10 classes"),
        (["batch", "params/digits.yaml", "--seeds", "1-2", "--dry-run"], "2 runs, 2 of them to do"),
        (["report", tmp_path / "runs"], "| DMT "),
    ):
        found = dmtkit_process(*words)
        assert found.returncode == 0, found.stderr
        assert said in found.stdout


def test_data_check_names_bad_masks_and_a_run_on_them_writes_nothing(tmp_path):
    tree = make_voc_style(tmp_path / "data")
    params = tmp_path / "own.yaml"
    params.write_text(f"task: segmentation\ndataset: folder\ndata_dir: {tree}\nclasses: [a, b, c]\ndenominator: 4\n")
    good = dmtkit("data", "check", params)
    assert good.exit_code == 0, good.stderr
    assert "3 classes, images 24×20 to 30×32" in good.stdout
    save_mask(tree / "SegmentationClass" / "im_000.png", np.zeros((5, 5), np.uint8))
    save_mask(tree / "SegmentationClass" / "im_004.png", np.full((24, 32), 7, np.uint8))
    for words in (["data", "check", params], ["run", params, "--output", tmp_path / "run"]):
        bad = dmtkit(*words)
        assert bad.exit_code == 2
        assert "im_000: the mask is 5×5" in bad.stderr
        assert "im_004: the mask holds label 7" in bad.stderr
    assert not (tmp_path / "run").exists()


def test_data_check_names_images_that_cannot_be_read(tmp_path):
    make_tree(tmp_path / "data")
    params = tmp_path / "own.yaml"
    params.write_text(f"dataset: folder\ndata_dir: {tmp_path / 'data'}\nlabels: 2\nval: 2\n")
    good = dmtkit("data", "check", params)
    assert good.exit_code == 0
    assert "2 classes, images 3×12×12" in good.stdout
    (tmp_path / "data" / "train" / "cat" / "001.png").write_text("x")
    bad = dmtkit("data", "check", params)
    assert bad.exit_code == 2
    assert "train/cat/001.png: unreadable" in bad.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-p", "splt", "2"], "splt: unknown parameter"),
        (["-p", "labels", "many"], "labels: found 'many'"),
        (["-p", "labels", "5000"], "labels: 5000 labeled"),
        (["-p", "processes", "1000"], "a batch of 64 cannot be shared by 1000 processes"),
        (["-p", "gamma1", "-1"], "gamma1: found -1"),
        (["-p", "methods", "dtm"], "did you mean 'dst' or 'dmt'"),
        (["-p", "experiment", "../x"], "names a folder"),
        (["-p", "dataset", "folder", "-p", "data_dir", "no/where"], "there is no folder"),
        (["-p", "task", "knitting"], "task: found 'knitting', expected one of classification"),
        (["-p", "methods", "[dmt"], "is not valid YAML"),
        (["-p", "seed"], "expected a name and a value"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(tmp_path, words, complaint):
    found = dmtkit("run", "params/digits.yaml", *words, "--output", tmp_path / "run")
    assert found.exit_code == 2
    assert complaint in found.stderr
    assert not (tmp_path / "run").exists()


def test_a_locked_folder_a_file_and_an_unwritable_place_are_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    with FileLock(folder / ".lock"):
        found = dmtkit("run", "params/digits.yaml", "--output", folder)
    assert found.exit_code == 2
    assert "another run is writing here" in found.stderr
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        found = dmtkit("run", "params/digits.yaml", "--output", place)
        assert found.exit_code != 0
        assert str(place) in found.stderr


def test_what_the_notebook_failed_of_is_said(tmp_path, monkeypatch):
    """Every way to end: an error of the kit's in a cell, another one, a papermill that says nothing."""
    folder = tmp_path / "run"

    def failed(ename, evalue):
        def watch(command, log, *given, **more):
            log.write_text("last words\n")
            error = {"output_type": "error", "ename": ename, "evalue": evalue}
            cells = [{"outputs": [error] if ename else []}]
            (folder / "classification.ipynb").write_text(json.dumps({"cells": cells}))
            return 1

        monkeypatch.setattr(notebook_job, "watch", watch)
        found = dmtkit("run", "params/digits.yaml", *tiny(), "--output", folder)
        assert found.exit_code == 1
        return found.stderr

    assert "the notebook failed: the loss became NaN" in failed("TrainingError", "the loss became NaN")
    assert "the notebook failed: ZeroDivisionError: division" in failed("ZeroDivisionError", "division")
    assert "the notebook failed: last words" in failed("", "")


@pytest.mark.parametrize("found", [False, True])
def test_a_notebook_of_a_run_that_was_found_is_not_signed(found, tmp_path, monkeypatch):
    """Whoever made the run may have made what its notebook shows."""
    folder, signed = tmp_path / "run", []
    folder.mkdir()

    def watch(command, log, **_):
        (folder / "DONE.json").write_text("{}")
        return 0

    if found:
        watch([], None)
    monkeypatch.setattr(notebook_job, "watch", watch)
    monkeypatch.setattr(notebook_job, "sign", signed.append)
    job = notebook_job.plan_job(ROOT / "params/digits.yaml", {}, folder)
    notebook_job.execute(job)
    assert signed == ([] if found else [job.output])


@pytest.mark.long
def test_a_failing_run_exits_1_with_its_own_words(tmp_path):
    found = dmtkit_process("run", "params/digits.yaml", *tiny(("lr", "1e30")), "--output", tmp_path / "run")
    assert found.returncode == 1
    assert "loss became NaN or infinite at step" in found.stderr
    assert not (tmp_path / "run" / "DONE.json").exists()


@pytest.mark.long
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/digits.yaml", *tiny(("epochs", 30), ("checkpoint_seconds", 3600)), "--output", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "dmtkit", *words], cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    log = folder / "metrics.jsonl"
    wait_for(lambda: log.is_file() and '"dmt"' in log.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    saved = [p for name in ("checkpoint", "model") for p in folder.glob(f"dmt/phase_*/{name}-*.pt")]
    assert saved, "the training process was asked to save, and did"
    again = dmtkit(*words)
    assert again.exit_code == 0, again.stderr[-2000:]


def test_papermill_makes_folders_below_outputs(tmp_path, monkeypatch):
    from papermill.iorw import papermill_io

    monkeypatch.chdir(tmp_path)
    papermill_io.write("{}", "outputs/new/x.ipynb")
    assert papermill_io.read("outputs/new/x.ipynb") == "{}"


@pytest.mark.long
def test_the_readmes_papermill_command_runs_anywhere(tmp_path):
    words = [str(ROOT / "notebooks/classification.ipynb"), "outputs/x/classification.ipynb"]
    words += ["-f", str(ROOT / "params/digits.yaml"), "-p", "output_dir", str(tmp_path / "run")]
    words += [*tiny(("methods", "supervised")), "-k", "python3", "--no-progress-bar"]
    command = [sys.executable, "-m", "papermill", *words]
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    assert (tmp_path / "run" / "DONE.json").is_file()
    assert (tmp_path / "outputs" / "x" / "classification.ipynb").is_file()
