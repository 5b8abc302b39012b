"""Several processes that train together: started, stopped, killed; an error in one ends all and is said once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dmtkit import notebook
from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError, TrainingError
from dmtkit.files import read_json
from dmtkit.jobs import train as command
from dmtkit.jobs import training_job
from dmtkit.jobs.process import OUTCOME
from dmtkit.runs.manifest import read_log
from dmtkit.training.experiment import load_data
from tests.commands import ENVIRONMENT, PATIENCE, listening, wait_for
from tests.helpers import ROOT, TINY

pytestmark = pytest.mark.slow
LONG = {
    **TINY,
    "epochs": 200,
    "log_points": 200,
    "checkpoint_seconds": 3600,
    "methods": ("dmt",),
    "label_ratios": (0.2,),
}


ACCELERATE = [
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
]
ACCELERATE += ["--dynamo_backend", "no", "--main_process_port", "0", "--num_cpu_threads_per_process", "1"]
LAUNCHERS = pytest.mark.parametrize("launcher", [[], ACCELERATE], ids=["own", "accelerate"])


def start(launcher, *words):
    """Two processes, of our own or by `accelerate launch`."""
    program = [sys.executable, *launcher, *map(str, words), *([] if launcher else ["-p", "processes=2"])]
    return subprocess.Popen(
        program, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ranks(process):
    """The processes that the launcher started, once the run is under way."""
    family = psutil.Process(process.pid).children()
    return [child for child in family if {"dmtkit.jobs.train", "--multiprocessing-fork"} & {*child.cmdline()}]


@pytest.mark.long
def test_two_processes_compute_and_listen_on_loopback_alone(tiny, tmp_path):
    process = start([], "-m", "dmtkit.jobs.train", tiny(base=LONG), "--output", tmp_path / "run")
    wait_for(lambda: (tmp_path / "run" / "metrics.jsonl").is_file(), process)
    assert len(ranks(process)) == 2
    assert {"127.0.0.1"} == set(listening(process.pid)), "gloo's own, or the test sees none"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


@pytest.mark.long
@LAUNCHERS
def test_a_killed_process_ends_all_and_says_so_once(launcher, tiny, tmp_path):
    folder = tmp_path / "run"
    process = start(launcher, "-m", "dmtkit.jobs.train", tiny(base=LONG), "--output", folder)
    wait_for(lambda: len(list(read_log(folder / "metrics.jsonl"))) > 1, process)
    follower = next(child for child in ranks(process) if child.pid != read_json(folder / ".writer.json")["pid"])
    follower.kill()
    text, _ = process.communicate(timeout=PATIENCE)
    assert text.count("lost another one") == 1, text
    assert "Traceback" not in text.split("torch/distributed/elastic")[0]


@pytest.mark.long
@LAUNCHERS
def test_ctrl_c_saves_and_the_same_command_goes_on(launcher, tiny, tmp_path):
    folder = tmp_path / "run"
    words = "-m", "dmtkit.jobs.train", tiny(base=LONG), "--output", folder
    process = start(launcher, *words)
    wait_for(lambda: len(list(read_log(folder / "metrics.jsonl"))) > 1, process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=PATIENCE)
    assert text.count("everything is saved); run the same again") == 1, text
    (checkpoint,) = folder.rglob("checkpoint-*.pt")
    assert int(checkpoint.name.split("-")[1]) > 0

    process = start(launcher, *words)
    lines = len(list(read_log(folder / "metrics.jsonl")))
    wait_for(lambda: len(list(read_log(folder / "metrics.jsonl"))) > lines, process)
    records = [r for r in read_log(folder / "metrics.jsonl") if r["phase"] == 1]
    assert all(r["step"] <= records[-1]["steps"] for r in records)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)


@pytest.mark.long
@LAUNCHERS
def test_bad_input_is_said_once_and_nothing_is_written(launcher, tiny, tmp_path):
    process = start(launcher, "-m", "dmtkit.jobs.train", tiny(), "-p", "sed", "3", "--output", tmp_path / "run")
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == (1 if launcher else 2), "accelerate's own"
    assert not launcher or "exitcode  : 2" in text
    assert text.count("did you mean 'seed'?") == 1
    assert not (tmp_path / "run").exists()


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
if __name__ == "__main__":
    dmtkit.jobs.train.app(args=sys.argv[1:])
"""


@pytest.mark.long
@LAUNCHERS
def test_an_error_in_one_process_ends_all_with_one_message(launcher, tiny, tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    process = start(launcher, tmp_path / "faulty.py", tiny(), "--output", tmp_path / "run")
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert text.count("dmtkit: ") == 1
    assert "dmtkit: data: picture.png: cannot be read any more" in text


@pytest.mark.long
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
    def watch(command, log, *, environment, **_):
        log.parent.mkdir(exist_ok=True)
        log.write_text("last words\n")
        if said:
            Path(environment[OUTCOME]).write_text(json.dumps(said))
        return 1

    monkeypatch.setattr(training_job, "watch", watch)
    with pytest.raises(kind, match=match):
        notebook.train(make_config(TINY), output_dir=tmp_path / "run", live=False, processes=2)


@pytest.mark.parametrize(
    ("processes", "complaint"), [(99, "cannot be shared by 99"), (0, "processes: found 0, expected 1 or more")]
)
def test_a_notebook_checks_before_it_starts_anything(tmp_path, processes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        notebook.train(make_config(TINY), output_dir=tmp_path / "run", live=False, processes=processes)
    assert not (tmp_path / "run").exists()


def test_data_that_the_settings_do_not_load_are_refused_for_several_processes(tmp_path):
    other = load_data(make_config({**TINY, "seed": 5, "labels": 3}))
    with pytest.raises(RunError, match="this is other data"):
        notebook.train(make_config(TINY), other, tmp_path / "run", live=False, processes=2)
    assert not (tmp_path / "run").exists()


def alone(*words):
    """The command of each process in this one, as the only one: its exit code."""
    with pytest.raises(SystemExit) as end:
        command.app(args=[*map(str, words)])
    return end.value.code


def test_alone_it_trains_and_a_second_time_does_nothing(tiny, tmp_path, capsys):
    words = tiny(methods=["supervised"]), "--output", tmp_path / "run"
    assert alone(*words) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'run'}: finished\n" in said
    assert "test accuracy" in said
    assert alone(*words) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_alone_bad_input_exits_2_and_a_failure_1(tiny, tmp_path, capsys):
    for words, code, complaint in (
        (["-p", "sed=3"], 2, "did you mean 'seed'?"),
        (["-p", "lr=1e30"], 1, "became NaN or infinite at step"),
    ):
        assert alone(tiny(methods=["supervised"]), *words, "--output", tmp_path / "run") == code
        found = capsys.readouterr()
        assert complaint in found.err
        assert "Traceback" not in found.err
        assert (tmp_path / "run").exists() == (code == 1)


def test_a_launcher_and_the_settings_must_name_one_number(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(command, "start_team", lambda device: device)
    assert alone(tiny(), "-p", "processes=2", "--output", tmp_path / "run") == 2
    assert "processes: found 2 where 1 started; start as many" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_launcher_that_starts_one_of_several_is_told_of(monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert command.start_team("auto") == "auto"
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(ConfigError, match="add --multi_gpu"):
        command.start_team("auto")


def test_the_command_does_not_hide_the_function_of_its_name(tmp_path):
    """Of a module that is imported, the package's attribute becomes the module."""
    code = f"import dmtkit, dmtkit.jobs.train; dmtkit.train(dmtkit.make_config({{}}), output_dir={str(tmp_path)!r}, processes=99)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "cannot be shared by 99 processes" in found.stderr
