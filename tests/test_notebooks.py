"""Notebooks: parameters equal to the config's; executed by papermill and by the command line."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from filelock import FileLock
from papermill import inspect_notebook

from dmtkit.config import TASKS
from tests.helpers import TINY, TINY_SEGMENTATION, make_tree
from tests.trees import make_voc_style, save_mask

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LIMIT = 600  # seconds: no speed is tested here, and the machine may be busy


def tiny(*more, values=TINY):
    """Small values as arguments of the command line."""
    pairs = {**values, "checkpoint_seconds": 0, "methods": "supervised,dmt"} | dict(more)
    texts = {name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for name, v in pairs.items()}
    return [word for name, value in texts.items() for word in ("-p", name, value)]


def dmtkit(*words, **options):
    command = [sys.executable, "-m", "dmtkit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, **options)


@pytest.mark.parametrize("task", list(TASKS))
def test_parameters_are_the_configs_with_the_same_defaults(task):
    notebook = nbformat.read(ROOT / "notebooks" / f"{task}.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    values: dict = {}
    exec(compile(ast.parse(cell.source), "parameters", "exec"), values)
    values.pop("__builtins__")
    values.pop("__annotations__", None)
    values.pop("output_dir")
    assert TASKS[task].model_validate(values) == TASKS[task]()
    assert set(values) | {"parameters"} == set(TASKS[task].model_fields), (
        "a method's parameters have names of their own"
    )
    helped = inspect_notebook(str(ROOT / "notebooks" / f"{task}.ipynb"))
    assert all(parameter["help"] for parameter in helped.values()), "papermill --help-notebook explains every one"


@pytest.mark.slow
def test_command_line_runs_the_notebook_and_a_second_time_does_nothing(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/digits.yaml", *tiny(), "--output", folder]
    first = dmtkit(*words)
    assert first.returncode == 0, first.stderr
    assert "dmt" in first.stdout
    assert "over supervised" in first.stdout
    done = json.loads((folder / "DONE.json").read_text())
    assert set(done) == {"experiment", "dataset", "task", "seed", "split", "seconds", "results"}
    assert len(done["results"]["dmt"]["phases"]) == 2
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert figures == {"curves", "phases", "reliability", "cases_dmt", "case_accuracy_dmt", "extremes_dmt"}
    notebook = nbformat.read(folder / "classification.ipynb", as_version=4)
    from nbformat.sign import NotebookNotary

    assert NotebookNotary().check_signature(notebook), "signed, so that widgets show"
    second = dmtkit(*words)
    assert second.returncode == 0
    assert "nothing to do" in second.stdout


@pytest.mark.slow
def test_the_segmentation_notebook_runs_from_the_command_line(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/scenes.yaml", *tiny(("methods", "supervised,cbst,dmt"), values=TINY_SEGMENTATION)]
    found = dmtkit(*words, "--output", folder)
    assert found.returncode == 0, found.stderr[-3000:]
    assert "test mIoU" in found.stdout
    assert "A+B" in found.stdout
    done = json.loads((folder / "DONE.json").read_text())
    assert {"miou", "phases", "A", "B", "A+B"} == set(done["results"]["dmt"])
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert {
        "phases",
        "class_iou",
        "weights_dmt_0",
        "kept_dmt",
        "label_quality_dmt_1",
        "error_search_cbst",
        "roc_dmt_2",
    } <= figures
    again = dmtkit(*words, "--output", folder)
    assert "nothing to do" in again.stdout


@pytest.mark.slow
def test_data_check_names_bad_masks_and_a_run_on_them_writes_nothing(tmp_path):
    tree = make_voc_style(tmp_path / "data")
    params = tmp_path / "own.yaml"
    params.write_text(f"task: segmentation\ndataset: folder\ndata_dir: {tree}\nclasses: [a, b, c]\ndenominator: 4\n")
    good = dmtkit("data", "check", params)
    assert good.returncode == 0, good.stderr
    assert "3 classes, images 24×20 to 30×32" in good.stdout
    save_mask(tree / "SegmentationClass" / "im_000.png", np.zeros((5, 5), np.uint8))
    save_mask(tree / "SegmentationClass" / "im_004.png", np.full((24, 32), 7, np.uint8))
    for words in (["data", "check", params], ["run", params, "--output", tmp_path / "run"]):
        bad = dmtkit(*words)
        assert bad.returncode == 2
        assert "im_000: the mask is 5×5" in bad.stderr
        assert "im_004: the mask holds label 7" in bad.stderr
        assert "Traceback" not in bad.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_plain_papermill_below_outputs_makes_the_folder(tmp_path):
    """The README's papermill command, into a folder that does not exist yet."""
    run, out = tmp_path / "run", f"outputs/test-{tmp_path.name}/classification.ipynb"
    words = ["notebooks/classification.ipynb", out, "-f", "params/digits.yaml", "-p", "output_dir", str(run)]
    words += [*tiny(("methods", "supervised")), "-k", "python3", "--no-progress-bar"]
    try:
        command = [sys.executable, "-m", "papermill", *words]
        found = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-2000:]
        assert (run / "DONE.json").is_file()
        assert (ROOT / out).is_file()
    finally:
        import shutil

        shutil.rmtree((ROOT / out).parent, ignore_errors=True)


@pytest.mark.slow
def test_plain_papermill_with_an_unknown_parameter_fails_in_words(tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "notebooks/classification.ipynb", str(out), "-p", "splt", "2"]
    found = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert found.returncode != 0
    (error,) = [o for c in nbformat.read(out, 4).cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert "splt: unknown parameter" in error.evalue
    assert len(error.traceback) == 1, "no traceback from the depths"


@pytest.mark.slow
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
    assert found.returncode == 2
    assert complaint in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_locked_folder_a_file_and_an_unwritable_place_are_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").touch()
    with FileLock(folder / ".lock"):
        found = dmtkit("run", "params/digits.yaml", "--output", folder)
    assert found.returncode == 2
    assert "another run is writing here" in found.stderr
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        found = dmtkit("run", "params/digits.yaml", "--output", place)
        assert found.returncode != 0
        assert "Traceback" not in found.stderr
        assert str(place) in found.stderr


@pytest.mark.slow
def test_a_failing_run_exits_1_with_its_own_words(tmp_path):
    found = dmtkit("run", "params/digits.yaml", *tiny(("lr", "1e30")), "--output", tmp_path / "run")
    assert found.returncode == 1
    assert "loss became NaN or infinite at step" in found.stderr
    assert not (tmp_path / "run" / "DONE.json").exists()


@pytest.mark.slow
def test_ctrl_c_on_the_command_line_saves_and_the_same_command_goes_on(tmp_path):
    folder = tmp_path / "run"
    words = ["run", "params/digits.yaml", *tiny(("epochs", 30), ("checkpoint_seconds", 3600)), "--output", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "dmtkit", *words], cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    log = folder / "metrics.jsonl"
    deadline = time.monotonic() + LIMIT
    while not (log.is_file() and '"dmt"' in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    saved = [p for name in ("checkpoint", "model") for p in folder.glob(f"dmt/phase_*/{name}-*.pt")]
    assert saved, "the training process was asked to save, and did"
    again = dmtkit(*words)
    assert again.returncode == 0, again.stderr[-2000:]


@pytest.mark.slow
def test_data_check_and_doctor(tmp_path):
    make_tree(tmp_path / "data")
    params = tmp_path / "own.yaml"
    params.write_text(f"dataset: folder\ndata_dir: {tmp_path / 'data'}\nlabels: 2\nval: 2\n")
    good = dmtkit("data", "check", params)
    assert good.returncode == 0
    assert "2 classes, images 3×12×12" in good.stdout
    (tmp_path / "data" / "train" / "cat" / "001.png").write_text("x")
    bad = dmtkit("data", "check", params)
    assert bad.returncode == 2
    assert "train/cat/001.png: unreadable" in bad.stderr
    doctor = dmtkit("doctor")
    assert doctor.returncode == 0
    assert "ready" in doctor.stdout


@pytest.mark.slow
def test_the_ablation_notebook_runs_every_method_and_judges_the_findings(tmp_path):
    values = {**TINY, "methods": ["supervised", "dmt"], "label_ratios": [0.1, 0.2]}
    (tmp_path / "tiny.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))
    words = ["notebooks/ablation.ipynb", str(tmp_path / "out.ipynb"), "-k", "python3", "--no-progress-bar"]
    words += [
        "-p",
        "params",
        str(tmp_path / "tiny.yaml"),
        "-y",
        "{methods: [supervised, dmt], seeds: [1, 2], workers: 2}",
    ]
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "MPLBACKEND"}  # figures inline
    environment["DMTKIT_OUTPUTS"] = str(tmp_path / "outputs")
    command = [sys.executable, "-m", "papermill", *words]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    assert len(list((tmp_path / "outputs").glob("tiny/*/DONE.json"))) == 4
    assert len(list((tmp_path / "outputs" / ".baselines").iterdir())) == 2, "one of each seed, shared by both methods"
    shown = [o for c in nbformat.read(tmp_path / "out.ipynb", 4).cells for o in c.get("outputs", [])]
    html = " ".join(o["data"].get("text/html", "") for o in shown if "data" in o)
    assert "over Baseline" in html
    assert "DMT is better than the supervised baseline" in html
    assert sum("image/png" in o.get("data", {}) for o in shown) == 4
    command[command.index("-y") + 1] = "{methods: [dtm]}"
    bad = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert bad.returncode != 0
    (error,) = [
        o
        for c in nbformat.read(tmp_path / "out.ipynb", 4).cells
        for o in c.get("outputs", [])
        if o.output_type == "error"
    ]
    assert "did you mean 'dst' or 'dmt'" in error.evalue
