"""Two processes against one: the same labels and thresholds, the same losses but for rounding; stops and errors end all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from dmtkit import notebook
from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError, TrainingError
from dmtkit.files import read_json
from dmtkit.jobs import training_job
from dmtkit.jobs.process import OUTCOME
from dmtkit.jobs.train import start_team
from dmtkit.jobs.training_job import launcher
from dmtkit.labels.store import open_labels
from dmtkit.runs.run import read_log
from dmtkit.runs.search import load_run
from dmtkit.training.experiment import check_shares, load_data, run_methods
from tests import own_method, teamwork
from tests.helpers import TINY, fingerprint
from tests.test_labelling import Mixed

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LIMIT = 600  # seconds: no speed is tested here, and the machine may be busy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("team")]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same work done by a team of two and by one process."""
    two, one = (tmp_path_factory.mktemp(name) for name in ("two", "one"))
    context = torch.multiprocessing.spawn(teamwork.member, (str(two),), nprocs=2, join=False)
    with own_method.registered():
        for work in (teamwork.norm, teamwork.labels, teamwork.runs):
            work(one)
    while not context.join():
        pass
    return one, two


def test_a_shared_normalisation_is_batch_norm_of_the_whole_batch(places):
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3)
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    whole, wanted = torch.randn(2, 5, 3, 4, 2) * 3 + 10, torch.randn(2, 5, 3, 4, 2)
    expected = {}
    for step in range(2):
        x = whole[step].clone().requires_grad_()
        y = layer(x)
        (y * wanted[step]).sum().backward()
        expected |= {f"y{step}": y.detach(), f"dx{step}": x.grad}
    expected |= {"dw": layer.weight.grad, "db": layer.bias.grad, **layer.state_dict()}
    for place in places:
        found = torch.load(place / "norm.pt")
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("rule", ["argmax", "normalized"])
def test_labels_and_histograms_are_equal_byte_for_byte(places, rule):
    one, two = (place / rule for place in places)
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for name in ("label.u8", "level.u16", "index.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    stores = [open_labels(folder, "m.pt", Mixed.names) for folder in (one, two)]
    np.testing.assert_array_equal(*(store.histogram for store in stores))  # and so are all thresholds
    np.testing.assert_array_equal(*(store.predicted for store in stores))
    assert stores[0].histogram.sum() == sum(h * w for h, w in Mixed.shapes)


def test_confusion_is_equal(places):
    one, two = (torch.load(place / "confusion.pt") for place in places)
    assert one.keys() == two.keys() == {"A", "B", "A+B"}
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("name", ["classification", "plain", "segmentation", *teamwork.OWN])
def test_a_run_of_two_processes_measures_what_one_measures(places, name):
    one, two = (place / name for place in places)
    logs = [list(read_log(folder / "metrics.jsonl")) for folder in (one, two)]
    assert len(logs[0]) == len(logs[1]) > 3
    for alone, shared in zip(*logs, strict=True):
        assert alone.keys() == shared.keys()
        first = alone["phase"] == 0 or alone["method"] == "own"
        for key, value in alone.items():
            if isinstance(value, str) or key in ("step", "steps", "lr"):
                assert shared[key] == value
            elif key == "loss" or not first:  # later phases learn from labels that rounding may turn
                assert shared[key] == pytest.approx(
                    value, rel=1e-4 if first else 2e-2, abs=1e-6 if first else 2e-2 * max(1, abs(value))
                ), (key, alone)


@pytest.mark.parametrize("name", ["classification", "plain", "segmentation", "few", *teamwork.OWN])
def test_a_run_of_two_processes_leaves_the_same_files(places, name):
    found = []
    for place in places:
        folder = place / name
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        names = {file.rsplit("-", 1)[0] if file.endswith(".pt") else file for file in files}
        found.append({name for name in names if not name.startswith(".baselines")})
    assert found[0] == found[1]
    run = load_run(places[1] / name)
    assert run.finished
    assert read_json(run.path / "environment.json")["processes"] == 2
    alone = load_run(places[0] / name)
    for method, result in alone.results.items():
        assert result.keys() == run.results[method].keys()
        for phase, other in zip(alone.phases(method), run.phases(method), strict=True):
            assert phase.summary.keys() == other.summary.keys()


def test_two_processes_go_on_where_they_were_stopped_in_the_same_bits(places):
    assert fingerprint(places[1] / "resumed") == fingerprint(places[1] / "classification")


def test_one_process_goes_on_where_two_were_stopped_and_says_so(places):
    with pytest.warns(UserWarning, match="another number of processes"):
        run = run_methods(teamwork.CLASSIFICATION, None, places[1] / "half")
    assert "another number of processes; the bits may differ" in (run.path / "notes.log").read_text()
    losses = [
        [r["loss"] for r in read_log(folder / "metrics.jsonl")] for folder in (run.path, places[0] / "classification")
    ]
    np.testing.assert_allclose(*losses, rtol=2e-2)


def test_a_batch_smaller_than_the_team_is_refused():
    with pytest.raises(ConfigError, match=r"a batch of 32 cannot be shared by 33 processes"):
        check_shares(make_config(TINY), 33)


def test_the_command_does_not_hide_the_function_of_its_name(tmp_path):
    """Of a module that is imported, the package's attribute becomes the module."""
    code = f"import dmtkit, dmtkit.jobs.train; dmtkit.train(dmtkit.make_config({{}}), output_dir={str(tmp_path)!r}, processes=99)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "cannot be shared by 99 processes" in found.stderr


def start(*words):
    """`accelerate launch` of two processes."""
    command = [*launcher(2), *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ranks(process):
    """The processes that the launcher started, once the run is under way."""
    children = psutil.Process(process.pid).children()
    return [child.pid for child in children if "dmtkit.jobs.train" in child.cmdline()]


def wait_for(condition, process, seconds=LIMIT):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.05)


LONG = {
    **TINY,
    "epochs": 200,
    "log_points": 200,
    "checkpoint_seconds": 3600,
    "methods": ("dmt",),
    "label_ratios": (0.2,),
}


def test_bad_input_is_said_once_and_nothing_is_written(tiny, tmp_path):
    process = start("-m", "dmtkit.jobs.train", tiny(), "-p", "sed", "3", "--output", tmp_path / "run")
    text, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, "accelerate's own"
    assert "exitcode  : 2" in text
    assert text.count("did you mean 'seed'?") == 1
    assert not (tmp_path / "run").exists()


def test_ctrl_c_saves_and_a_killed_process_ends_all_and_the_same_command_goes_on(tiny, tmp_path):
    folder = tmp_path / "run"
    words = "-m", "dmtkit.jobs.train", tiny(base=LONG), "--output", folder
    process = start(*words)
    wait_for(lambda: len(list(read_log(folder / "metrics.jsonl"))) > 1, process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=LIMIT)
    assert text.count("everything is saved); run the same again") == 1, text
    (checkpoint,) = folder.rglob("checkpoint-*.pt")
    stopped_at = int(checkpoint.name.split("-")[1])

    process = start(*words)
    wait_for(lambda: (folder / ".writer.json").is_file() and len(ranks(process)) == 2, process)
    follower = next(pid for pid in ranks(process) if pid != read_json(folder / ".writer.json")["pid"])
    lines = len(list(read_log(folder / "metrics.jsonl")))
    wait_for(lambda: len(list(read_log(folder / "metrics.jsonl"))) > lines, process)
    resumed = [r for r in read_log(folder / "metrics.jsonl") if r["phase"] == 1]
    os.kill(follower, signal.SIGKILL)
    text, _ = process.communicate(timeout=LIMIT)
    assert text.count("lost another one") == 1, text
    assert "Traceback" not in text.split("torch/distributed/elastic")[0]
    assert all(r["step"] <= resumed[-1]["steps"] for r in resumed)
    assert stopped_at > 0


FAULTY = """
import os, sys
import dmtkit.jobs.train
from dmtkit import distributed
from dmtkit.errors import DataError

def fail(*_, **__):
    if distributed.rank() == 1:
        raise DataError("picture.png: cannot be read any more")
    distributed.barrier()

dmtkit.jobs.train.run_methods = fail
dmtkit.jobs.train.app(args=sys.argv[1:])
"""


def test_an_error_in_one_process_ends_all_with_one_message(tiny, tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    process = start(tmp_path / "faulty.py", tiny(), "--output", tmp_path / "run")
    text, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert text.count("dmtkit: ") == 1
    assert "dmtkit: data: picture.png: cannot be read any more" in text


def test_a_notebook_trains_in_two_processes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    config = make_config({**TINY, "processes": 2, "methods": ("supervised",)})
    run = notebook.train(config, output_dir=tmp_path / "run", live=False)
    assert run.finished
    assert read_json(run.path / "environment.json")["processes"] == 2
    assert f"{run.path}: finished" in capsys.readouterr().out
    assert "training in 2 processes" in (run.path / "train.log").read_text()
    monkeypatch.setattr(training_job, "watch", None)  # nothing is started
    assert notebook.train(config, output_dir=tmp_path / "run", live=False).finished


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        ({"kind": "TrainingError", "message": "the loss"}, TrainingError, "^the loss$"),
        ({"kind": "KeyboardInterrupt", "message": "stopped at 3"}, KeyboardInterrupt, "stopped at 3"),
        ({"kind": "ZeroDivisionError", "message": "division"}, RunError, r"train\.log: the processes failed: division"),
        (None, RunError, "the processes failed: last words"),
    ],
)
def test_a_notebook_shows_what_its_processes_met(tmp_path, monkeypatch, said, kind, match):
    def watch(command, log, cwd, *, environment, **_):
        log.write_text("last words\n")
        if said:
            Path(environment[OUTCOME]).write_text(json.dumps(said))
        return 1

    monkeypatch.setattr(training_job, "watch", watch)
    with pytest.raises(kind, match=match):
        notebook.train(make_config(TINY), output_dir=tmp_path / "run", live=False, processes=2)


def test_a_notebook_checks_before_it_starts_anything(tmp_path):
    with pytest.raises(ConfigError, match="cannot be shared by 99"):
        notebook.train(make_config(TINY), output_dir=tmp_path / "run", live=False, processes=99)
    assert not (tmp_path / "run").exists()


def test_a_number_of_processes_below_one_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="processes: found 0, expected 1 or more"):
        notebook.train(make_config(TINY), output_dir=tmp_path / "run", live=False, processes=0)


def test_data_that_the_settings_do_not_load_are_refused_for_several_processes(tmp_path):
    other = load_data(make_config({**TINY, "seed": 5, "labels": 3}))
    with pytest.raises(RunError, match="this is other data"):
        notebook.train(make_config(TINY), other, tmp_path / "run", live=False, processes=2)
    assert not (tmp_path / "run").exists()


def test_one_process_where_the_settings_want_several_is_told_of(tiny, tmp_path):
    words = [
        sys.executable,
        "-m",
        "dmtkit.jobs.train",
        str(tiny()),
        "-p",
        "processes",
        "2",
        "--output",
        str(tmp_path / "run"),
    ]
    found = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert found.returncode == 2
    assert "processes: found 2 where 1 started" in found.stderr
    assert not (tmp_path / "run").exists()


def test_a_launcher_that_starts_one_of_several_is_told_of(monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert start_team("auto") == "auto"
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(ConfigError, match="add --multi_gpu"):
        start_team("auto")
