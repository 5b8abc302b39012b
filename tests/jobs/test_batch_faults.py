"""Nothing is lost whatever is killed: kernels, Dask workers, batches; and what we started is ours to stop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from dmtkit.jobs.plan import make_batch
from dmtkit.jobs.process import watch
from dmtkit.runs.folder import HOST
from dmtkit.training.experiment import run_methods
from tests.commands import PATIENCE, dmtkit, wait_for
from tests.helpers import fingerprint

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "params" / "digits.yaml"


def command(params, *words):
    return [sys.executable, "-m", "dmtkit", "batch", str(params), *map(str, words)]


def start(params, outputs, *words, **options):
    environment = {**os.environ, "DMTKIT_OUTPUTS": str(outputs), "COLUMNS": "200"}
    return subprocess.Popen(
        command(params, *words),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


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


@pytest.mark.long
def test_killed_workers_kernels_and_batches_lose_nothing(outputs, tiny, tmp_path):
    """A kernel, a Dask worker and the batch itself are killed in turn; every run ends in the undisturbed bits, once."""
    params = tiny(epochs=10, checkpoint_seconds=0.1, log_points=6)
    words = ("--methods", "cl,dmt_naive,dmt", "--workers", 2, "--retry", 1)
    batch = start(params, outputs, *words)
    first, kernel = training(outputs)
    kernel.kill()

    folder, kernel = training(outputs, but=[first])
    worker = kernel.parent().parent().parent()  # kernel ← papermill ← tied ← worker
    assert "dmtkit.jobs.end_with_parent" not in " ".join(worker.cmdline())
    worker.kill()
    wait_for(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE)
    wait_for(lambda: starts(first) == starts(folder) == 2)

    third, kernel = training(outputs)
    family = psutil.Process(batch.pid).children(recursive=True)
    batch.kill()
    batch.communicate()
    wait_for(lambda: not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE])
    assert not (third / "DONE.json").exists()
    finished = {path.parent: starts(path.parent) for path in outputs.glob("*/*/DONE.json")}

    again = start(params, outputs, *words)
    said, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, said
    jobs = make_batch([params], methods=["cl", "dmt_naive", "dmt"]).jobs
    for job in jobs:
        assert job.finished
        alone = run_methods(job.config, None, tmp_path / "alone" / job.config.methods[0])
        assert fingerprint(job.folder) == fingerprint(alone.path), job.config.methods
    already = [job.folder for job in jobs if done(said, job)]
    assert all(starts(folder) == finished[folder] for folder in already), "what was finished is not started again"
    once = {job.folder: starts(job.folder) for job in jobs}
    last = start(params, outputs, *words)
    said, _ = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0
    assert "3 skipped" in said
    assert {job.folder: starts(job.folder) for job in jobs} == once, "none runs twice"


def done(said, job):
    """Whether the batch says that the run was finished before it began."""
    return any(f" {job.name} " in line and " finished " in line for line in said.splitlines())


@pytest.mark.long
def test_a_failed_run_does_not_stop_the_others_and_is_named_with_its_log(outputs, tiny):
    good, bad = tiny("good", methods=["supervised"]), tiny("bad", methods=["supervised"], lr=1e30)
    both = start(good, outputs, bad, "--workers", 2, "--retry", 1)
    said, _ = both.communicate(timeout=PATIENCE)
    assert both.returncode == 1
    assert "1 done, 1 failed" in said
    assert "failed bad/seed-1" in said
    assert "loss became NaN or infinite" in said
    assert "    | " in said, "the last lines of its log"
    assert starts(outputs / "bad" / "seed-1") == 2, "it was tried again"
    assert (outputs / "good" / "seed-1" / "DONE.json").is_file()
    (summary,) = outputs.glob(".batches/*/batch.json")
    assert {o["state"] for o in json.loads(summary.read_text())["outcomes"]} == {"done", "failed"}


@pytest.mark.long
def test_ctrl_c_saves_every_run_and_a_second_batch_waits_its_turn(outputs, tiny, tmp_path):
    params = tiny(methods=["dmt"], epochs=12, checkpoint_seconds=0.1)
    batch = start(params, outputs, "--workers", 2, start_new_session=True)  # two, so that each has one thread
    folder, kernel = training(outputs)
    os.killpg(batch.pid, signal.SIGINT)  # as a terminal does: to all of its processes
    said, _ = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 130, said
    assert "run the same command again to go on" in said
    assert not kernel.is_running()
    assert list(folder.glob("*/phase_*/checkpoint-*.pt")), "the run saved itself"

    with FileLock(folder / ".lock"):
        (folder / ".writer.json").write_text(json.dumps({"pid": 4711, "host": "elsewhere"}))
        second = start(params, outputs, "--workers", 2)
        notes = outputs / ".batches"
        wait_for(lambda: any("4711" in path.read_text() for path in notes.glob("*/tiny~*.json")))
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, said
    assert "waiting" in said
    assert "process 4711 on elsewhere" in said
    alone = run_methods(make_batch([params]).jobs[0].config, None, tmp_path / "alone")
    assert fingerprint(folder) == fingerprint(alone.path)


def test_the_command_line_refuses_bad_batches_and_shows_dry_runs(outputs):
    found = dmtkit("batch", DIGITS, "--seeds", "1-2", "--dry-run")
    assert found.exit_code == 0
    assert "2 runs, 2 of them to do" in found.stdout
    for words, complaint in [
        (("--seeds", "3-1"), "write 1-3"),
        (("--splits", "0"), "its seed draws the split"),
        (("--methods", "cbst"), "not defined for classification"),
    ]:
        found = dmtkit("batch", DIGITS, *words)
        assert found.exit_code == 2
        assert complaint in " ".join(found.stderr.split())
    assert not outputs.exists()


def test_only_a_process_of_our_own_is_asked_to_stop(tmp_path):
    """The lock's holder may be another batch's process: it is none of our business."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (tmp_path / ".writer.json").write_text(json.dumps({"pid": other.pid, "host": HOST}))
    asked = iter([0, 0] + [1] * 1000)
    code = watch([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log", stops=lambda: next(asked))
    assert code != 0, "what waits for somebody else's lock has nothing to save: it does not sleep to its end"
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_that_we_started_is_asked_softly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = (
        "import json, os, socket, time\n"
        "json.dump({'pid': os.getpid(), 'host': socket.gethostname()}, open('.writer.json', 'w'))\n"
        "try:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('saved')\n    raise SystemExit(130)\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a Dask worker has it
    try:
        watch(
            [sys.executable, "-c", program], tmp_path / "log", stops=lambda: int((tmp_path / ".writer.json").is_file())
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert "saved" in (tmp_path / "log").read_text()


def test_what_we_started_ends_with_us(tmp_path):
    program = (
        "import sys; from pathlib import Path; from dmtkit.jobs.process import watch\n"
        "watch([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'], "
        "Path('log').absolute())\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    lines = wait_for(lambda: (tmp_path / "log").is_file() and (tmp_path / "log").read_text().split("\n")[1:2])
    pid = int(wait_for(lambda: (tmp_path / "log").read_text().split("\n")[1]) or lines[0])
    starter.kill()
    starter.wait()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
