"""What a Dask worker does: one run, or one baseline, in a process of its own, and never an exception for an answer."""

import base64
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dmtkit.errors import DmtkitError, LockedError
from dmtkit.files import write_json
from dmtkit.jobs.notebook_job import Job, execute, refuse_locked
from dmtkit.jobs.outcome import Outcome
from dmtkit.jobs.plan import Baseline, job_name
from dmtkit.jobs.process import last_lines, watch
from dmtkit.runs.folder import is_held, lock_holder


@dataclass(frozen=True)
class Slot:
    """How a run is to be computed: where the batch keeps its notes, threads, and the GPUs to share out among workers."""

    notes: Path
    root: Path
    threads: int | None = None
    gpus: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, worker: Any, device: str = "auto") -> dict[str, str]:
        """Environment variables of a run on the worker of this name; a cluster's own workers keep what they have.

        A run that names its GPU (`device: cuda:1`) sees all of them.
        """
        found = dict(self.settings)
        if self.threads:
            found |= {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        if self.gpus and isinstance(worker, int) and ":" not in device:
            found["CUDA_VISIBLE_DEVICES"] = self.gpus[worker % len(self.gpus)]
        return found

    def stops(self) -> int:
        """How often the batch was asked to stop."""
        return len(list(self.notes.glob("stop-*")))

    def note(self, name: str, state: str, **more: Any) -> None:
        """Tell whoever shows the batch what a run is doing."""
        write_json(
            self.notes / f"{name.replace('/', '~')}.json", {"name": name, "state": state, "since": time.time(), **more}
        )


def run_job(job: Job, needed: Sequence[Outcome], slot: Slot) -> Outcome:
    """Run a notebook to its end, from wherever it stopped; wait for another process that is at it."""
    try:
        return _run_job(job_name(job), job, needed, slot)
    except Exception as error:  # whatever it is, it stays with this run
        return Outcome(job_name(job), "failed", message=f"{type(error).__name__}: {error}", tail=last_lines(job.log))


def run_baseline(baseline: Baseline, slot: Slot) -> Outcome:
    """Train a model of phase 0 into the store; wait for another process that is at it."""
    try:
        return _run_baseline(baseline, slot)
    except Exception as error:
        return Outcome(baseline.name, "failed", message=f"{type(error).__name__}: {error}")


def _run_job(name: str, job: Job, needed: Sequence[Outcome], slot: Slot) -> Outcome:
    bad = [outcome for outcome in needed if not outcome.good]
    if bad:
        stopped = all(outcome.state == "stopped" for outcome in bad)
        return Outcome(
            name,
            "stopped" if stopped else "failed",
            message=f"it needs {bad[0].name}: {bad[0].message}",
            tail=bad[0].tail,
        )
    waited, started = "", time.monotonic()
    while not job.finished:
        if slot.stops():
            return Outcome(name, "stopped", message="stopped while it waited")
        try:
            refuse_locked(job.folder)
            slot.note(name, "running", folder=str(job.folder), steps=job.steps)
            started = time.monotonic()
            execute(job, stops=slot.stops, environment=slot.environment(worker_name(), job.config.device))
            return Outcome(name, "done", time.monotonic() - started, waited)
        except LockedError as error:
            waited = str(error)
            slot.note(name, "waiting", message=waited)
            time.sleep(1)
        except KeyboardInterrupt:
            return Outcome(name, "stopped", time.monotonic() - started, "its last checkpoint is kept")
        except DmtkitError as error:
            return Outcome(name, "failed", time.monotonic() - started, str(error), last_lines(job.log))
    return Outcome(name, "skipped", message="another process finished it meanwhile" if waited else "finished already")


def _run_baseline(baseline: Baseline, slot: Slot) -> Outcome:
    while not slot.stops() and is_held(baseline.folder / ".lock"):
        slot.note(baseline.name, "waiting", message=f"another run is training it ({lock_holder(baseline.folder)})")
        time.sleep(1)
    if slot.stops():
        return Outcome(baseline.name, "stopped", message="stopped before it began")
    slot.note(baseline.name, "running", folder=str(baseline.folder), steps=baseline.steps)
    started, log = time.monotonic(), baseline.folder / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    what = {
        "config": baseline.config.model_dump(mode="json"),
        "owner": baseline.training.owner,
        "model": baseline.training.model,
        "store": str(baseline.folder.parent),
    }
    encoded = base64.b64encode(yaml.safe_dump(what).encode()).decode()
    environment = slot.environment(worker_name(), baseline.config.device)
    try:
        code = watch(
            [sys.executable, "-m", "dmtkit.jobs.train_baseline", encoded],
            log,
            slot.root,
            stops=slot.stops,
            environment=environment,
        )
    except DmtkitError as error:
        return Outcome(baseline.name, "failed", time.monotonic() - started, str(error))
    seconds = time.monotonic() - started
    if code == 0:
        return Outcome(baseline.name, "done", seconds)
    if slot.stops():
        return Outcome(baseline.name, "stopped", seconds, "its last checkpoint is kept")
    return Outcome(baseline.name, "failed", seconds, last_lines(log, 1) or f"exit code {code}", last_lines(log))


def worker_name() -> Any:
    """The name of the Dask worker that this runs on: a number in a local cluster."""
    from distributed import get_worker

    try:
        return get_worker().name
    except ValueError:
        return None


def dask_setup(worker: Any) -> None:
    """Called by Dask as a worker starts: Ctrl-C reaches all processes of a terminal, but only the batch acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
