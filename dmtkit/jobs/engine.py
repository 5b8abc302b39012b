"""Runs a batch on Dask: what runs start from before them, failures apart, everything resumable."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dmtkit.errors import RunError
from dmtkit.files import write_json, writing
from dmtkit.jobs.notebook_job import Job, execute, progress_of
from dmtkit.jobs.plan import Baseline, Batch
from dmtkit.jobs.worker import FailedError, Outcome, Slot, run, train_baseline
from dmtkit.params import outputs_root
from dmtkit.training.loop import asked_to_stop

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 5  # seconds that a scheduler is given to answer
LOST = 20  # workers that one run may lose before it is given up


@dataclass(frozen=True)
class Status:
    """One run of a batch, or one baseline: its state, training steps done of all, the newest measurement in words."""

    name: str
    state: str
    done: int = 0
    steps: int = 0
    text: str = ""


Show = Callable[[list[Status]], None]


def run_batch(
    batch: Batch,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    host: str = "127.0.0.1",
    retry: int = 0,
    show: Show = lambda statuses: None,
) -> list[Outcome]:
    """Run what is not finished of a batch; the outcome of every run, in the batch's order.

    Uses `workers` processes here, or the Dask `scheduler` at an address; `retry` is how often a failed run is tried again.
    `show` is told how things stand, about once a second. Ctrl-C lets every run save and stop; a second one kills
    them. Raises RunError if no scheduler answers, or none can be started.
    """
    already = {job.name: Outcome(job.name, "skipped", message="finished already") for job in batch.jobs}
    if not batch.waiting:
        return list(already.values())
    with cluster(workers, scheduler, host) as client:
        notes = outputs_root().resolve() / ".batches" / f"{datetime.now():%Y-%m-%d_%H%M%S}-{os.getpid()}"
        with writing(notes):
            notes.mkdir(parents=True)
        started, slot = time.monotonic(), share_out(notes, workers, scheduler)
        with asked_to_stop(patient=True) as signals:
            ended = _run(client, batch, slot, retry, show, signals)
    outcomes = [ended.get(job.name, already[job.name]) for job in batch.jobs]
    told = {"seconds": time.monotonic() - started, "workers": workers, "scheduler": scheduler}
    with suppress(RunError):  # a full disk now takes nothing from the runs
        write_json(notes / "batch.json", {**told, "outcomes": [vars(outcome) for outcome in outcomes]})
    return outcomes


@contextmanager
def cluster(workers: int, scheduler: str | None, host: str) -> "Iterator[Client]":
    """A client of the scheduler at this address, or of a cluster of our own, which lets nobody else in and ends with it."""
    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        try:
            client = Client(scheduler, timeout=PATIENCE)
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"--scheduler: nothing answers at {scheduler} within {PATIENCE} seconds ({error}); start one with `dask "
                "scheduler`, copy the address that it prints, or leave the option out to use this machine"
            ) from None
        with client:
            yield client
        return
    settings = {"distributed.scheduler.allowed-failures": LOST, "distributed.scheduler.worker-saturation": 1.0}
    settings |= {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}  # no pages for anyone
    with dask.config.set(settings):
        try:
            own = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host=host,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                security=True,
                memory_limit=0,
                preload=["dmtkit.jobs.worker"],
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error.__cause__ or error)
            raise RunError(
                f"--host: no scheduler can be started at {host} ({reason}); leave it out to use 127.0.0.1"
            ) from None
        with own, Client(own) as client:
            yield client


def share_out(notes: Path, workers: int, scheduler: str | None) -> Slot:
    """This machine's threads and GPUs shared out among the workers; another cluster shares out its own."""
    if scheduler:
        return Slot(notes)
    import torch

    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, len(os.sched_getaffinity(0)) // workers))
    every = ",".join(map(str, range(torch.cuda.device_count())))
    gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", every).split(",") if name]
    return Slot(notes, threads, tuple(gpus))


def _run(
    client: "Client", batch: Batch, slot: Slot, retry: int, show: Show, signals: Sequence[int]
) -> dict[str, Outcome]:
    """The outcome of everything that was to do, by name; Dask tries again, and starts nothing whose baseline failed."""
    starts, left, stamp = dict[Path, "Future"](), dict[str, "Future"](), slot.notes.name
    baselines = {place: baseline for place, baseline in batch.baselines.items() if not baseline.finished}
    for place, baseline in baselines.items():
        options = {"key": f"baseline-{place.name}-{stamp}", "retries": retry, "priority": 1}
        starts[place] = left[baseline.name] = client.submit(run, train_baseline, baseline, slot, **options)
    for number, job in enumerate(batch.waiting):
        needed = [starts[place] for place in job.needs if place in starts]
        options = {"key": f"{job.name}-{stamp}", "retries": retry, "priority": -number}
        left[job.name] = client.submit(run, execute, job, slot, needed, **options)
    to_do: list[Job | Baseline] = [*baselines.values(), *batch.waiting]
    statuses, ended, stops = dict[str, Status](), dict[str, Outcome](), list[float]()
    while left:
        while len(stops) < len(signals):
            stops.append(time.monotonic())
            (slot.notes / f"stop-{len(stops)}").touch()
        over = len(stops) > 1 and time.monotonic() - stops[-1] > PATIENCE
        for what in (each for each in to_do if each.name in left):
            name, told = what.name, slot.told(what.name)
            if left[name].done():
                ended[name] = _outcome(name, left.pop(name))  # read once: Dask might compute it again
            elif over or (stops and told[0] == "pending"):
                ended[name] = Outcome(name, "stopped", message="stopped before it began")
                left.pop(name).cancel()
            statuses[name] = status_of(what, told, ended.get(name))
        show(list(statuses.values()))
        time.sleep(1)
    return ended


def _outcome(name: str, future: "Future") -> Outcome:
    """What a finished future tells; a run whose workers all died has failed too."""
    if future.status == "finished":
        return future.result()
    if future.status in ("cancelled", "lost"):
        why = "the connection to the Dask scheduler was lost; run the same command again"
        return Outcome(name, "failed", message=why)
    error = future.exception()
    if not isinstance(error, FailedError):
        return Outcome(name, "failed", message=f"Dask gave it up: {type(error).__name__}: {error}")
    failed: Outcome = error.args[0]
    if failed.name == name:
        return failed
    return replace(failed, name=name, message=f"it needs {failed.name}: {failed.message}")


def status_of(what: Job | Baseline, told: tuple[str, str], outcome: Outcome | None = None) -> Status:
    """How something stands: by the state and message that its worker told, its log, and its outcome, if there is one."""
    state, text = told
    done, text = progress_of(what.folder) if outcome or state == "running" else (0, text)
    if outcome:
        state, text = outcome.state, outcome.message.partition("\n")[0] or text
    return Status(what.name, state, done, what.steps, text)
