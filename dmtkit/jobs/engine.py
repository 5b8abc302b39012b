"""Runs a batch on Dask: what runs start from before them, failures apart, everything resumable."""

import datetime
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dmtkit.errors import DmtkitError, RunError
from dmtkit.files import read_json, write_json, writing
from dmtkit.jobs.notebook_job import Job, execute, progress_of
from dmtkit.jobs.plan import Baseline, Batch
from dmtkit.jobs.process import count_interrupts
from dmtkit.jobs.worker import FailedError, Outcome, Slot, run, train_baseline
from dmtkit.params import outputs_root

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
    outcomes = {job.name: Outcome(job.name, "skipped", message="finished already") for job in batch.jobs}
    if not batch.waiting:
        return list(outcomes.values())
    with cluster(workers, scheduler, host) as client:
        notes = outputs_root().resolve() / ".batches" / f"{datetime.datetime.now():%Y-%m-%d_%H%M%S}-{os.getpid()}"
        with writing(notes):
            notes.mkdir(parents=True)
        started, slot = time.monotonic(), share_out(notes, workers, scheduler)
        with count_interrupts() as asked:
            outcomes |= _run(client, batch, slot, retry, show, asked)
    told = {"seconds": time.monotonic() - started, "workers": workers, "scheduler": scheduler}
    with suppress(RunError):  # a full disk now takes nothing from the runs
        write_json(notes / "batch.json", {**told, "outcomes": [vars(outcome) for outcome in outcomes.values()]})
    return [outcomes[job.name] for job in batch.jobs]


@contextmanager
def cluster(workers: int, scheduler: str | None, host: str) -> "Iterator[Client]":
    """A client of the scheduler at this address, or of a cluster of our own that ends with it; RunError if none answers."""
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
    with dask.config.set(settings):
        try:
            own = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host=host,
                dashboard_address=f"{host}:0",
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
    client: "Client", batch: Batch, slot: Slot, retry: int, show: Show, asked: Callable[[], int]
) -> dict[str, Outcome]:
    """The outcome of every run that was not finished, by name; Dask tries again, and starts nothing whose baseline failed."""
    stamp = slot.notes.name
    first = {
        place: client.submit(
            run, train_baseline, baseline, slot, key=f"baseline-{place.name}-{stamp}", retries=retry, priority=1
        )
        for place, baseline in batch.baselines.items()
        if not baseline.finished
    }
    left = {batch.baselines[place].name: future for place, future in first.items()}
    for number, job in enumerate(batch.waiting):
        needed = [first[place] for place in batch.needs[job.name] if place in first]
        key = f"{job.name}-{stamp}"
        left[job.name] = client.submit(run, execute, job, slot, needed, key=key, retries=retry, priority=-number)
    baselines = [batch.baselines[place] for place in first]
    board, ended, stops, stopped = Board(slot.notes, [*baselines, *batch.waiting]), dict[str, Outcome](), 0, 0.0
    while left:
        while stops < asked():
            stops, stopped = stops + 1, time.monotonic()
            (slot.notes / f"stop-{stops}").touch()
        for name in [name for name, future in left.items() if future.done()]:
            ended[name] = _outcome(name, left.pop(name))  # a future is dropped once read: Dask might compute it again
        statuses = board.read(ended)
        show(statuses)
        over = stops > 1 and time.monotonic() - stopped > PATIENCE
        for status in statuses if stops else []:
            if status.name in left and (over or status.state == "pending"):
                ended[status.name] = Outcome(status.name, "stopped", message="stopped before it began")
                left.pop(status.name).cancel()
        time.sleep(1)
    return {job.name: ended[job.name] for job in batch.waiting}


def _outcome(name: str, future: "Future") -> Outcome:
    """What a finished future tells; a run whose workers all died has failed too."""
    if future.status == "finished":
        return future.result()
    if future.status in ("cancelled", "lost"):
        message = "the connection to the Dask scheduler was lost; run the same command again"
        return Outcome(name, "failed", message=message)
    error = future.exception()
    if not isinstance(error, FailedError):
        return Outcome(name, "failed", message=f"Dask gave it up: {type(error).__name__}: {error}")
    failed: Outcome = error.args[0]
    return (
        failed
        if failed.name == name
        else replace(failed, name=name, message=f"it needs {failed.name}: {failed.message}")
    )


class Board:
    """How everything stands that a batch has to do: read from the notes of its workers and the logs of its runs."""

    def __init__(self, notes: Path, to_do: list[Job | Baseline]) -> None:
        self.notes, self.to_do = notes, to_do
        self.over: dict[str, Status] = {}

    def read(self, ended: dict[str, Outcome]) -> list[Status]:
        """The status of each, in order."""
        told = {}
        for path in self.notes.glob("*.json"):
            with suppress(DmtkitError, KeyError):
                note = read_json(path)
                told[note["name"]] = note["state"], note["message"]
        statuses = []
        for what in self.to_do:
            if what.name not in self.over:
                state, text = told.get(what.name, ("pending", ""))
                done, newest = progress_of(what.folder) if state == "running" or what.name in ended else (0, text)
                if outcome := ended.get(what.name):
                    state, newest = outcome.state, outcome.message.partition("\n")[0] or newest
                status = Status(what.name, state, done, what.steps, newest)
                if outcome:
                    self.over[what.name] = status
            statuses.append(self.over.get(what.name) or status)
        return statuses
