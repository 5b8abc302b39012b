"""Batches: what is selected, what is refused before anything starts, and that nothing is lost whatever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from dmtkit.baselines import STORE, store_for
from dmtkit.batch import Batch, make_batch, names, numbers, run_batch
from dmtkit.batch.command import run_list, status_table, summary
from dmtkit.batch.outcome import Outcome
from dmtkit.batch.plan import job_name
from dmtkit.batch.status import Board, Status
from dmtkit.batch.worker import Slot
from dmtkit.errors import ConfigError, DataError, RunError
from dmtkit.experiment import run_methods
from dmtkit.launch import plan_job
from dmtkit.notebook import run_all
from dmtkit.processes import watch
from tests.helpers import TINY, TINY_SEGMENTATION, fingerprint

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "params" / "digits.yaml"


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@pytest.fixture
def tiny(tmp_path):
    """A params file of runs of seconds; its changes are not part of the folders' names."""

    def write(name="tiny", base=TINY, **changes):
        values = {**base, **changes}
        path = tmp_path / f"{name}.yaml"
        lines = (f"{key}: {json.dumps(list(v) if isinstance(v, tuple) else v)}" for key, v in values.items())
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "expected"), [("1-3", [1, 2, 3]), ("4", [4]), ("0, 2,5-6", [0, 2, 5, 6]), ("3,1", [3, 1])]
)
def test_selections_of_numbers(text, expected):
    assert numbers("--seeds", text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "selection is empty"),
        (",", "selection is empty"),
        ("5-3", "write 3-5"),
        ("1-3,2", "2 selected more than once"),
        ("1;2", "expected numbers and ranges"),
        ("-1", "expected numbers and ranges"),
    ],
)
def test_bad_selections_say_what_is_wrong(text, complaint):
    with pytest.raises(ConfigError, match=f"--seeds: .*{complaint}"):
        numbers("--seeds", text)


def test_a_method_named_twice_is_refused():
    with pytest.raises(ConfigError, match="dmt selected more than once"):
        names("--methods", "dmt,cl,dmt")


def test_every_combination_is_one_run_in_a_folder_of_its_own(outputs, tiny):
    batch = make_batch([tiny(base=TINY_SEGMENTATION)], seeds=[1, 2], splits=[0, 1], methods=["cbst", "dmt"])
    assert len(batch.jobs) == len(batch.waiting) == 8
    assert len({job.folder for job in batch.jobs}) == 8
    assert all(job.folder.is_relative_to(outputs.resolve()) for job in batch.jobs)
    assert all(job.steps > 0 for job in batch.jobs if job in batch.waiting)
    assert len(batch.baselines) == 4, "A of each split and seed is shared by CBST and DMT; B is DMT's alone"
    assert {baseline.plan.model for baseline in batch.baselines.values()} == {"A"}
    assert not outputs.exists(), "planning writes nothing"
    assert run_list(batch).row_count == 12


def test_all_methods_are_those_of_the_task(outputs):
    found = [job.config.methods for job in make_batch([DIGITS], methods=["all"]).jobs]
    assert ("cl",) in found
    assert ("cbst",) not in found
    assert len(found) == 8


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"params": []}, "none given"),
        ({"params": [DIGITS, DIGITS]}, "named more than once"),
        ({"params": [DIGITS], "splits": [0, 1]}, "its seed draws the split"),
        ({"params": [DIGITS], "methods": ["cbst"]}, "cbst is not defined for classification; those that are: .*dst"),
        ({"params": [DIGITS], "methods": ["dtm"]}, "did you mean 'dst' or 'dmt'"),
        ({"params": [ROOT / "params" / "digit.yaml"]}, "no such params file"),
    ],
)
def test_bad_batches_are_refused_before_anything_starts(outputs, arguments, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_batch(**arguments)
    assert not outputs.exists()


def test_every_bad_parameter_of_every_file_is_named_at_once(outputs, tiny):
    bad = [tiny("one", epochs=-1), tiny("two", lr="fast"), tiny("three")]
    with pytest.raises(ConfigError, match=r"(?s)one\.yaml.*epochs.*two\.yaml.*lr"):
        make_batch(bad, seeds=[1, 2])


def test_missing_data_is_named_before_anything_starts(outputs, tiny):
    with pytest.raises(DataError, match="no folder"):
        make_batch([tiny(dataset="folder", data_dir="no/where")])


def test_no_scheduler_answers_within_seconds(outputs, tiny):
    batch = make_batch([tiny()])
    started = time.monotonic()
    with pytest.raises(RunError, match=r"nothing answers at tcp://127\.0\.0\.1:1 .*start one with"):
        run_batch(batch, scheduler="tcp://127.0.0.1:1")
    assert time.monotonic() - started < 20
    with pytest.raises(RunError, match="nothing answers at nonsense"):
        run_batch(batch, scheduler="nonsense://x")


def test_slots_share_out_threads_and_gpus(tmp_path):
    slot = Slot(tmp_path, tmp_path, threads=4, gpus=("0", "1"), settings={"A": "b"})
    assert slot.environment(2) == {
        "A": "b",
        "OMP_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert slot.environment(1)["CUDA_VISIBLE_DEVICES"] == "1"
    assert Slot(tmp_path, tmp_path, settings={"A": "b"}).environment("tcp://elsewhere") == {"A": "b"}


def test_the_board_tells_state_progress_and_time_left(outputs, tiny, tmp_path):
    batch = make_batch([tiny()], methods=["cl", "dmt"])
    first, second = (job_name(job) for job in batch.jobs)
    board = Board(tmp_path, dict.fromkeys((first, second, *(b.name for b in batch.baselines.values())), 100), batch)
    slot = Slot(tmp_path, tmp_path)
    assert [status.state for status in board.read({})] == ["pending"] * 3
    slot.note(first, "running")
    board.read({})
    batch.jobs[0].folder.mkdir(parents=True)
    record = {"method": "cl", "phase": 1, "step": 20, "loss": 0.5, "val_accuracy": 80.0}
    (batch.jobs[0].folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "torn.json").write_text("{")
    found = {status.name: status for status in board.read({second: Outcome(second, "failed", message="why\nmore")})}
    assert found[first].text == "cl, phase 1, loss 0.500, val 80.0 %"
    assert (found[first].done, found[first].steps) == (20, 100)
    assert found[first].left > 0
    assert (found[second].state, found[second].text) == ("failed", "why")
    table = [*found.values(), Status("x", "pending")]
    assert status_table(table).row_count == 4
    assert status_table(table, rows=2).row_count == 3, "what does not fit is counted"


def command(params, *words):
    return [sys.executable, "-m", "dmtkit", "batch", str(params), *map(str, words)]


def start(params, outputs, *words, **options):
    environment = {**os.environ, "DMTKIT_OUTPUTS": str(outputs), "COLUMNS": "200"}
    return subprocess.Popen(
        command(params, *words), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, **options,
    )  # fmt: skip


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def training(outputs, but=()):
    """A run in training, other than `but`, and the process that trains it."""

    def find():
        for path in outputs.glob("*/*/*/phase_[1-9]/checkpoint-*.pt"):
            writer = path.parents[2] / ".writer.json"
            if path.parents[2] not in but and writer.is_file():
                pid = json.loads(writer.read_text())["pid"]
                if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    return path.parents[2], psutil.Process(pid)
        return None

    return wait_for(find)


def starts(folder):
    return (folder / "papermill.log").read_text().count("started by process")


@pytest.mark.slow
def test_killed_workers_kernels_and_batches_lose_nothing(outputs, tiny, tmp_path):
    """A kernel, a Dask worker and the batch itself are killed in turn; every run ends in the undisturbed bits, once."""
    params = tiny(epochs=10, checkpoint_seconds=0.1, log_points=6)
    words = ("--methods", "cl,dmt_naive,dmt", "--workers", 2, "--retry", 1)
    batch = start(params, outputs, *words)
    first, kernel = training(outputs)
    kernel.kill()

    folder, kernel = training(outputs, but=[first])
    worker = kernel.parent().parent().parent()  # kernel ← papermill ← tied ← worker
    assert "dmtkit.tied" not in " ".join(worker.cmdline())
    worker.kill()
    wait_for(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE, 20)
    wait_for(lambda: starts(first) == starts(folder) == 2)

    third, kernel = training(outputs)
    family = psutil.Process(batch.pid).children(recursive=True)
    batch.kill()
    batch.communicate()
    wait_for(lambda: not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], 30)
    assert not (third / "DONE.json").exists()
    finished = {path.parent: starts(path.parent) for path in outputs.glob("*/*/DONE.json")}

    again = start(params, outputs, *words)
    said, _ = again.communicate(timeout=180)
    assert again.returncode == 0, said
    jobs = make_batch([params], methods=["cl", "dmt_naive", "dmt"]).jobs
    for job in jobs:
        assert job.finished
        alone = run_methods(job.config, None, tmp_path / "alone" / job.config.methods[0])
        assert fingerprint(job.folder) == fingerprint(alone.path), job.config.methods
    rendered = {folder for folder in finished if (folder / "classification.ipynb").is_file()}
    assert all(starts(folder) == finished[folder] for folder in rendered & {j.folder for j in jobs if done(said, j)})
    last = start(params, outputs, *words)
    said, _ = last.communicate(timeout=60)
    assert last.returncode == 0
    assert "3 skipped" in said


def done(said, job):
    """Whether the batch says that the run was finished before it began."""
    return any(job_name(job) in line and "finished" in line for line in said.splitlines())


@pytest.mark.slow
def test_a_failed_run_does_not_stop_the_others_and_is_named_with_its_log(outputs, tiny):
    good, bad = tiny("good", methods=["supervised"]), tiny("bad", methods=["supervised"], lr=1e30)
    both = start(good, outputs, bad, "--workers", 2, "--retry", 1)
    said, _ = both.communicate(timeout=120)
    assert both.returncode == 1
    assert "1 done, 1 failed" in said
    assert "failed bad/seed-1" in said
    assert "loss became NaN or infinite" in said
    assert "    | " in said, "the last lines of its log"
    assert starts(outputs / "bad" / "seed-1") == 2, "it was tried again"
    assert (outputs / "good" / "seed-1" / "DONE.json").is_file()
    (summary,) = outputs.glob(".batches/*/batch.json")
    assert {o["state"] for o in json.loads(summary.read_text())["outcomes"]} == {"done", "failed"}


@pytest.mark.slow
def test_ctrl_c_saves_every_run_and_a_second_batch_waits_its_turn(outputs, tiny, tmp_path):
    params = tiny(methods=["dmt"], epochs=12, checkpoint_seconds=0.1)
    batch = start(params, outputs, "--workers", 2, start_new_session=True)  # two, so that each has one thread
    folder, kernel = training(outputs)
    os.killpg(batch.pid, signal.SIGINT)  # as a terminal does: to all of its processes
    said, _ = batch.communicate(timeout=60)
    assert batch.returncode == 130, said
    assert "run the same command again to go on" in said
    assert not kernel.is_running()
    assert list(folder.glob("*/phase_*/checkpoint-*.pt")), "the run saved itself"

    with FileLock(folder / ".lock"):
        (folder / ".writer.json").write_text(json.dumps({"pid": 4711, "host": "elsewhere"}))
        second = start(params, outputs, "--workers", 2)
        notes = outputs / ".batches"
        wait_for(lambda: any("4711" in path.read_text() for path in notes.glob("*/tiny~*.json")), 60)
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "waiting" in said
    assert "process 4711 on elsewhere" in said
    alone = run_methods(make_batch([params]).jobs[0].config, None, tmp_path / "alone")
    assert fingerprint(folder) == fingerprint(alone.path)


@pytest.mark.slow
def test_the_command_line_refuses_bad_batches_and_shows_dry_runs(outputs):
    def run(*words):
        found = start(DIGITS, outputs, *words)
        said, _ = found.communicate(timeout=60)
        return found.returncode, said

    code, said = run("--seeds", "1-2", "--dry-run")
    assert code == 0
    assert "2 runs, 2 of them to do" in said
    for words, complaint in [
        (("--seeds", "3-1"), "write 1-3"),
        (("--splits", "0"), "its seed draws the split"),
        (("--methods", "cbst"), "not defined for classification"),
    ]:
        code, said = run(*words)
        assert (code, "Traceback" in said) == (2, False)
        assert complaint in " ".join(said.split())
    assert not outputs.exists()


def test_the_slurm_example_of_the_docs_makes_a_job_script():
    pytest.importorskip("dask_jobqueue")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL)
    start = code.partition("cluster.scale")[0].replace('interface="ib0"', 'interface="lo"')
    names: dict = {}
    exec(start.replace("SLURMCluster(\n", "SLURMCluster(\n    scheduler_options={'dashboard_address': ':0'},\n"), names)
    with names["cluster"] as cluster:
        script = cluster.job_script()
    assert "#SBATCH --gres=gpu:1" in script
    assert "--nthreads 1" in script


def test_a_batch_of_nothing_to_do_starts_no_cluster():
    assert run_batch(Batch((), ())) == []


def test_only_a_process_of_our_own_is_asked_to_stop(tmp_path):
    """The lock's holder may be another batch's process: it is none of our business."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (tmp_path / ".writer.json").write_text(json.dumps({"pid": other.pid, "host": "here", "started_by": "another"}))
    started = time.monotonic()
    asked = iter([0, 0] + [1] * 1000)
    code = watch(
        [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log", tmp_path, stops=lambda: next(asked)
    )
    assert code != 0
    assert time.monotonic() - started < 30, "what waits for somebody else's lock has nothing to save"
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_that_we_started_is_asked_softly(tmp_path):
    program = (
        "import json, os, time\n"
        "token = os.environ['DMTKIT_STARTED_BY']\n"
        "json.dump({'pid': os.getpid(), 'started_by': token}, open('.writer.json', 'w'))\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('saved')\n    raise SystemExit(130)\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a Dask worker has it
    try:
        watch(
            [sys.executable, "-c", program], tmp_path / "log", tmp_path,
            stops=lambda: int((tmp_path / ".writer.json").is_file()),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert "saved" in (tmp_path / "log").read_text()


def test_what_we_started_ends_with_us(tmp_path):
    program = (
        "import sys; from pathlib import Path; from dmtkit.processes import watch\n"
        "watch([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'], "
        "Path('log').absolute(), Path.cwd())\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    lines = wait_for(lambda: (tmp_path / "log").is_file() and (tmp_path / "log").read_text().split("\n")[1:2], 30)
    pid = int(wait_for(lambda: (tmp_path / "log").read_text().split("\n")[1], 30) or lines[0])
    starter.kill()
    starter.wait()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10)


def test_a_notebook_whose_kernel_died_while_drawing_is_not_finished(outputs, tiny):
    """papermill gives it an end time and no exception; only its later cells tell."""
    job = plan_job(tiny(), {})
    job.folder.mkdir(parents=True)
    (job.folder / "DONE.json").write_text("{}")
    cells = [{"source": ["x"], "cell_type": "code", "execution_count": count, "outputs": []} for count in (1, None)]
    state = {"papermill": {"exception": None, "end_time": "2026-01-01"}}
    job.output.write_text(json.dumps({"metadata": state, "cells": cells}))
    assert not job.finished
    cells[1]["execution_count"] = 2
    job.output.write_text(json.dumps({"metadata": state, "cells": cells}))
    assert job.finished


def test_messages_with_brackets_are_shown_as_they_are():
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=120)
    console.print(status_table([Status("a [b]", "failed", text="at [/x/a.cc:5] [enforce fail]")]))
    assert not summary([Outcome("a [b]", "failed", message="[/x] closed", tail="[y]")], console)
    text = console.file.getvalue()
    assert "[enforce fail]" in text
    assert "a [b]: [/x] closed" in text


def test_runs_elsewhere_share_their_baselines_where_they_look_for_them(outputs, tiny, tmp_path):
    (tmp_path / "disk").mkdir()
    outputs.mkdir()
    (outputs / "tiny").symlink_to(tmp_path / "disk")
    batch = make_batch([tiny()], methods=["cl", "dmt"])
    (baseline,) = batch.baselines.values()
    assert baseline.folder.parent == store_for(batch.jobs[0].folder) == outputs / STORE


def test_a_notebooks_selections_may_be_lists_numbers_or_text(outputs, tiny):
    with pytest.raises(ConfigError, match="seeds: 1 selected more than once"):
        run_all(str(tiny()), "cl", "1,1")
    with pytest.raises(ConfigError, match="methods: the selection is empty"):
        run_all(str(tiny()), [], 3)
    with pytest.raises(ConfigError, match="unknown method"):
        run_all(str(tiny()), "dtm,cl", 3)
    assert not outputs.exists()


def test_our_own_scheduler_cannot_bind_to_a_foreign_address(outputs, tiny):
    with pytest.raises(RunError, match=r"--host: no scheduler can be started at 203\.0\.113\.7"):
        run_batch(make_batch([tiny()]), host="203.0.113.7")
