"""Runs a batch on Dask: baselines before what depends on them, failures apart, everything resumable."""

import datetime
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtkit.batch.outcome import Outcome
from dmtkit.batch.plan import Batch, job_name
from dmtkit.batch.status import Board, Status
from dmtkit.batch.worker import Slot, run_baseline, run_job
from dmtkit.errors import RunError
from dmtkit.files import write_json
from dmtkit.params import outputs_root, project_root
from dmtkit.processes import count_interrupts, never

if TYPE_CHECKING:
    from distributed import Client, Future

NOTES = ".batches"
PATIENCE = 5  # seconds that a scheduler is given to answer
LOST = 20  # workers that one run may lose before it is given up

Show = Callable[[list[Status]], None]


def run_batch(
    batch: Batch,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    host: str = "127.0.0.1",
    retry: int = 0,
    show: Show = lambda statuses: None,
    interrupts: bool = True,
) -> list[Outcome]:
    """Run what is not finished of a batch; the outcome of every run, in the batch's order.

    Uses `workers` processes here, or the Dask `scheduler` at an address; `retry` is how often a failed run is tried again.
    `show` is told how things stand, about once a second. Ctrl-C lets every run save and stop; a second one kills
    them (not with `interrupts=False`, where signals are somebody else's). Raises RunError if no scheduler answers.
    """
    outcomes = {job_name(job): Outcome(job_name(job), "skipped", message="finished already") for job in batch.jobs}
    if not batch.waiting:
        return list(outcomes.values())
    with cluster(workers, scheduler, host) as client:
        notes = outputs_root().resolve() / NOTES / f"{datetime.datetime.now():%Y-%m-%d_%H%M%S}-{os.getpid()}"
        notes.mkdir(parents=True)
        started = time.monotonic()
        with count_interrupts() if interrupts else _nothing() as asked:
            outcomes |= _run(client, batch, _slot(notes, workers, scheduler), retry, show, asked)
    write_json(notes / "batch.json", {
        "seconds": time.monotonic() - started, "workers": workers, "scheduler": scheduler,
        "outcomes": [vars(outcome) for outcome in outcomes.values()],
    })  # fmt: skip
    return [outcomes[job_name(job)] for job in batch.jobs]


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
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, host=host, dashboard_address=None, memory_limit=0,
            preload=["dmtkit.batch.worker"], silence_logs=logging.CRITICAL,
        ) as own,
        Client(own) as client,
    ):  # fmt: skip
        yield client


def _slot(notes: Path, workers: int, scheduler: str | None) -> Slot:
    """This machine's threads and GPUs shared out among the workers; another cluster shares out its own."""
    settings = {"DMTKIT_OUTPUTS": str(outputs_root().resolve())}
    if scheduler:
        return Slot(notes, project_root(), settings=settings)
    threads = max(1, (os.cpu_count() or 1) // workers)
    return Slot(notes, project_root(), threads, visible_gpus(), settings)


def visible_gpus() -> tuple[str, ...]:
    """The names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES would list them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return tuple(name for name in given.split(",") if name)
    return tuple(str(number) for number in range(torch.cuda.device_count()))


def _run(
    client: "Client", batch: Batch, slot: Slot, retry: int, show: Show, asked: Callable[[], int]
) -> dict[str, Outcome]:
    """The outcome of every run that was not finished, by name."""
    jobs = {job_name(job): job for job in batch.waiting}
    steps = {name: job.steps for name, job in jobs.items()} | {
        each.name: each.steps for each in batch.baselines.values()
    }
    stamp, places = slot.notes.name, {name: place for place, name in enumerate(jobs)}
    first = {
        key: client.submit(run_baseline, baseline, slot, key=f"baseline-{key}-{stamp}", pure=False, priority=1)
        for key, baseline in batch.baselines.items()
        if not baseline.finished
    }

    def submit(name: str, attempt: int) -> "Future":
        needed = [first[key] for key in batch.needs[name] if key in first]
        key = f"{name}-{stamp}-{attempt}"
        return client.submit(run_job, jobs[name], needed, slot, key=key, pure=False, priority=-places[name])

    futures = {name: submit(name, 0) for name in jobs}
    ended: dict[str, Outcome] = {}
    board = Board(slot.notes, steps, batch)
    attempts, stops = dict.fromkeys(jobs, 0), 0
    while len(ended) < len(futures):
        while stops < asked():
            stops += 1
            (slot.notes / f"stop-{stops}").touch()
        for name, future in futures.items():
            if name in ended or not future.done():
                continue
            outcome = _outcome(name, future)
            if outcome.state == "failed" and attempts[name] < retry and not stops:
                attempts[name] += 1
                futures[name] = submit(name, attempts[name])
            else:
                ended[name] = outcome
        found = {batch.baselines[key].name: future for key, future in first.items() if future.done()}
        over = ended | {name: _outcome(name, future) for name, future in found.items()}
        show(board.read(over))
        time.sleep(1)
    return ended


def _outcome(name: str, future: "Future") -> Outcome:
    """What a finished future tells; a run whose workers all died has failed too."""
    if future.status == "finished":
        found: Any = future.result()
        return found
    reason = future.exception() if future.status == "error" else future.status
    return Outcome(name, "failed", message=f"Dask gave it up: {type(reason).__name__}: {reason}")


@contextmanager
def _nothing() -> Iterator[Callable[[], int]]:
    yield never
