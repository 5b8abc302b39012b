"""Batches: what is selected, what is refused before anything starts, and that nothing is lost whatever is killed."""

import asyncio
import json
import os
import re
import signal
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from distributed import Security
from distributed.comm import connect
from rich.console import Console

from dmtkit.errors import ConfigError, DataError, RunError
from dmtkit.jobs.command import run_list, shown, summary
from dmtkit.jobs.engine import Status, cluster, run_batch, status_of
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.plan import Batch, make_batch, names, numbers
from dmtkit.jobs.worker import Outcome, Slot
from dmtkit.notebook import run_all
from dmtkit.training.baselines import STORE, store_for
from tests.commands import listening
from tests.helpers import TINY_SEGMENTATION

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "params" / "digits.yaml"


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
    assert {baseline.training.model for baseline in batch.baselines.values()} == {"A"}
    assert not outputs.exists(), "planning writes nothing"
    assert run_list(batch).row_count == 12


def test_all_methods_are_those_of_the_task(outputs):
    found = [job.config.methods for job in make_batch([DIGITS], methods=["all"]).jobs]
    assert ("cl",) in found
    assert ("cbst",) not in found
    assert {("fixmatch",), ("flexmatch",)} <= set(found)
    assert ("cps",) not in found
    assert len(found) == 11


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


def test_no_scheduler_answers(outputs, tiny):
    batch = make_batch([tiny()])
    with pytest.raises(RunError, match=r"nothing answers at tcp://127\.0\.0\.1:1 .*start one with"):
        run_batch(batch, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(RunError, match="nothing answers at nonsense"):
        run_batch(batch, scheduler="nonsense://x")


def test_slots_share_out_threads_and_gpus(tmp_path):
    slot = Slot(tmp_path / ".batches" / "now", threads=4, gpus=("0", "1"))
    assert slot.environment(2) == {
        "DMTKIT_OUTPUTS": str(tmp_path),
        "OMP_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert slot.environment(1)["CUDA_VISIBLE_DEVICES"] == "1"
    assert Slot(slot.notes).environment("tcp://elsewhere") == {"DMTKIT_OUTPUTS": str(tmp_path)}


def test_a_status_tells_state_and_progress(outputs, tiny, tmp_path):
    batch, slot = make_batch([tiny()], methods=["cl", "dmt"]), Slot(tmp_path)
    first, second = batch.waiting
    assert [status_of(what, slot.told(what.name)).state for what in (*batch.baselines.values(), first)] == [
        "pending"
    ] * 2
    slot.note(first.name, "running")
    first.folder.mkdir(parents=True)
    record = {"method": "cl", "phase": 1, "step": 20, "loss": 0.5, "val_accuracy": 80.0}
    (first.folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    running = status_of(first, slot.told(first.name))
    assert running == Status(first.name, "running", 20, first.steps, "cl, phase 1, loss 0.500, val 80.0 %")
    failed = status_of(second, slot.told(second.name), Outcome(second.name, "failed", message="why\nmore"))
    assert (failed.state, failed.text) == ("failed", "why")


@pytest.mark.parametrize("terminal", [True, False])
def test_what_runs_or_failed_is_shown_with_its_progress(terminal):
    console = Console(file=StringIO(), width=120, force_terminal=terminal)
    first = [Status("one", "running", 10, 40, "loss 1"), Status("two", "pending", 0, 40), Status("three", "pending")]
    with shown(console) as show:
        show(first)
        show([replace(first[0], done=20), replace(first[1], state="failed", text="at [/x/a.cc:5]"), first[2]])
    lines = console.file.getvalue().splitlines()
    assert any("one" in line and "running" in line and "loss 1" in line for line in lines)
    assert any("two" in line and "failed" in line and "at [/x/a.cc:5]" in line for line in lines)
    assert not any("three" in line for line in lines), "what did not begin is counted"
    if terminal:
        assert any("1 running, 1 failed, 1 pending" in line for line in lines)
        assert any("one" in line and "50%" in line for line in lines)


def test_the_slurm_example_of_the_docs_makes_a_job_script():
    """Importing dask_jobqueue takes Ctrl-C for itself; what comes after in this process must get it again."""
    handler = signal.getsignal(signal.SIGINT)
    pytest.importorskip("dask_jobqueue")
    signal.signal(signal.SIGINT, handler)
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
    console = Console(file=StringIO(), width=120)
    assert not summary([Outcome("a [b]", "failed", message="[/x] closed", tail="[y]")], console)
    assert "a [b]: [/x] closed" in console.file.getvalue()


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


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.long)])
def test_our_own_scheduler_lets_nobody_else_in(workers):
    with cluster(workers, None, "127.0.0.1") as client:
        here, told = client.scheduler.address, client.scheduler_info()
        assert here.startswith("tls://127.0.0.1:")
        assert workers == 0 or client.submit(sum, [1, 2]).result(timeout=60) == 3
        pages = [
            told["services"]["dashboard"],
            *(worker["services"]["dashboard"] for worker in told["workers"].values()),
        ]
        for page in ("info/main/workers.html", "json/counts.json", "status", ""):
            for port in pages:
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10)
        for address in (here, *told["workers"]):
            assert address.startswith("tls://127.0.0.1:")
            for context in (foreign(), ssl._create_unverified_context(), None):
                place = address if context else address.replace("tls", "tcp")
                with pytest.raises(OSError, match=r"[Cc]onnect|SSL"):
                    asyncio.run(connect(place, timeout=1, ssl_context=context))
        assert set(listening(os.getpid())) == {"127.0.0.1"}


def foreign():
    """Credentials of another batch, and no questions asked about the server's."""
    context = Security.temporary().get_connection_args("client")["ssl_context"]
    context.verify_mode = ssl.CERT_NONE
    return context
