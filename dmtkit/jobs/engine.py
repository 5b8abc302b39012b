"""Runs a batch on Dask: baselines before what depends on them, failures apart, everything resumable."""

import datetime
import logging
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtkit.errors import RunError
from dmtkit.files import cannot_write, write_json
from dmtkit.jobs.outcome import Outcome
from dmtkit.jobs.plan import Batch, job_name
from dmtkit.jobs.process import count_interrupts
from dmtkit.jobs.status import Board, Status
from dmtkit.jobs.worker import Slot, run_baseline, run_job
from dmtkit.params import outputs_root, project_root

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
) -> list[Outcome]:
    """Run what is not finished of a batch; the outcome of every run, in the batch's order.

    Uses `workers` processes here, or the Dask `scheduler` at an address; `retry` is how often a failed run is tried again.
    `show` is told how things stand, about once a second. Ctrl-C lets every run save and stop; a second one kills
    them. Raises RunError if no scheduler answers, or none can be started.
    """
    outcomes = {job_name(job): Outcome(job_name(job), "skipped", message="finished already") for job in batch.jobs}
    if not batch.waiting:
        return list(outcomes.values())
    with cluster(workers, scheduler, host) as client:
        notes = outputs_root().resolve() / NOTES / f"{datetime.datetime.now():%Y-%m-%d_%H%M%S}-{os.getpid()}"
        try:
            notes.mkdir(parents=True)
        except OSError as error:
            raise cannot_write(notes, error) from error
        started = time.monotonic()
        with count_interrupts() as asked:
            outcomes |= _run(client, batch, _slot(notes, workers, scheduler), retry, show, asked)
    told = {"seconds": time.monotonic() - started, "workers": workers, "scheduler": scheduler}
    with suppress(RunError):  # a full disk now takes nothing from the runs
        write_json(notes / "batch.json", {**told, "outcomes": [vars(outcome) for outcome in outcomes.values()]})
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


def _slot(notes: Path, workers: int, scheduler: str | None) -> Slot:
    """This machine's threads and GPUs shared out among the workers; another cluster shares out its own."""
    settings = {"DMTKIT_OUTPUTS": str(outputs_root().resolve())}
    if scheduler:
        return Slot(notes, project_root(), settings=settings)
    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, len(os.sched_getaffinity(0)) // workers))
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
        key: client.submit(
            run_baseline, baseline, slot, key=f"baseline-{Path(key).name}-{place}-{stamp}", pure=False, priority=1
        )
        for place, (key, baseline) in enumerate(batch.baselines.items())
        if not baseline.finished
    }

    def submit(name: str, attempt: int) -> "Future":
        """Again: without the shared baseline, which may be what failed; the run trains it itself."""
        needed = [first[key] for key in batch.needs[name] if key in first and not attempt]
        key = f"{name}-{stamp}-{attempt}"
        return client.submit(run_job, jobs[name], needed, slot, key=key, pure=False, priority=-places[name])

    board = Board(slot.notes, steps, batch)
    still = {name: submit(name, 0) for name in jobs}  # a future is dropped once it is read: Dask would compute it again
    ended: dict[str, Outcome] = {}
    shared: dict[str, Outcome] = {}
    attempts, stops, stopped = dict.fromkeys(jobs, 0), 0, 0.0
    while still:
        while stops < asked():
            stops, stopped = stops + 1, time.monotonic()
            (slot.notes / f"stop-{stops}").touch()
        shared |= {
            batch.baselines[key].name: _outcome(batch.baselines[key].name, future)
            for key, future in first.items()
            if future.done() and batch.baselines[key].name not in shared
        }
        for name, future in list(still.items()):
            if future.done():
                outcome = _outcome(name, still.pop(name))
                if outcome.state == "failed" and attempts[name] < retry and not stops:
                    attempts[name] += 1
                    still[name] = submit(name, attempts[name])
                else:
                    ended[name] = outcome
        statuses = board.read(ended | shared)
        show(statuses)
        if stops:
            for name in _never_begun(statuses, still, patience=stops > 1 and time.monotonic() - stopped > PATIENCE):
                ended[name] = Outcome(name, "stopped", message="stopped before it began")
                still.pop(name).cancel()
        time.sleep(1)
    return ended


def _never_begun(statuses: list[Status], still: Container[str], patience: bool) -> list[str]:
    """Runs that no worker has taken up; all that are left once patience is at its end."""
    return [s.name for s in statuses if s.name in still and (s.state == "pending" or patience)]


def _outcome(name: str, future: "Future") -> Outcome:
    """What a finished future tells; a run whose workers all died has failed too."""
    if future.status == "finished":
        found: Any = future.result()
        return found
    if future.status == "cancelled" or future.status == "lost":
        return Outcome(
            name, "failed", message="the connection to the Dask scheduler was lost; run the same command again"
        )
    reason = future.exception()
    return Outcome(name, "failed", message=f"Dask gave it up: {type(reason).__name__}: {reason}")
