"""What a Dask worker does: one run, or one model of phase 0, in a process of its own, from wherever it stopped."""

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dmtkit.config import make_config
from dmtkit.errors import DmtkitError, LockedError, RunError
from dmtkit.files import read_json, write_json
from dmtkit.jobs.notebook_job import LOCKS, Job
from dmtkit.jobs.plan import Baseline
from dmtkit.jobs.process import Count, last_lines, watch
from dmtkit.runs.folder import refuse_locked
from dmtkit.training.experiment import run_baseline

Environment = dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """The end of one run: how it ended, how long it took here, and, if it failed, why and what its log said last."""

    name: str
    state: Literal["done", "skipped", "failed", "stopped"]
    seconds: float = 0.0
    message: str = ""
    tail: str = field(default="", repr=False)

    @property
    def good(self) -> bool:
        """Whether the run is finished now, whoever ran it."""
        return self.state in ("done", "skipped")


class FailedError(Exception):
    """What Dask is told of a run that failed, so that it tries it again, and starts none that needs it; holds the Outcome."""


@dataclass(frozen=True)
class Slot:
    """How a run is to be computed: where the batch keeps its notes, threads, and the GPUs to share out among workers."""

    notes: Path  # <outputs>/.batches/<batch>
    threads: int | None = None
    gpus: tuple[str, ...] = ()

    def environment(self, worker: Any, device: str = "auto") -> Environment:
        """Environment variables of a run on the worker of this name; a cluster's own workers keep what they have.

        A run that names its GPU (`device: cuda:1`) sees all of them.
        """
        variables = {"DMTKIT_OUTPUTS": str(self.notes.parents[1])}
        if self.threads:
            variables |= {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        if self.gpus and isinstance(worker, int) and ":" not in device:
            variables["CUDA_VISIBLE_DEVICES"] = self.gpus[worker % len(self.gpus)]
        return variables

    def stops(self) -> int:
        """How often the batch was asked to stop."""
        return len(list(self.notes.glob("stop-*")))

    def note(self, name: str, state: str, message: str = "") -> None:
        """Tell whoever shows the batch what a run is doing."""
        write_json(self._note(name), {"name": name, "state": state, "message": message})

    def told(self, name: str) -> tuple[str, str]:
        """The state and the message that were noted of a run."""
        try:
            note = read_json(self._note(name))
        except RunError:
            return "pending", ""
        return note["state"], note["message"]

    def _note(self, name: str) -> Path:
        return self.notes / f"{name.replace('/', '~')}.json"


def run(start: Callable[..., None], what: Job | Baseline, slot: Slot, needed: Sequence[Outcome] = ()) -> Outcome:
    """Run what is left of a job or a baseline, once no other process is at it; FailedError if it fails, whatever the reason."""
    from distributed import get_worker

    waited, began = "", time.monotonic()
    try:
        while not what.finished:
            if slot.stops():
                return Outcome(what.name, "stopped", message="stopped while it waited")
            try:
                refuse_locked(what.folder, *LOCKS)
                slot.note(what.name, "running")
                began = time.monotonic()
                environment = slot.environment(get_worker().name, what.config.device)
                start(what, stops=slot.stops, environment=environment)
                return Outcome(what.name, "done", time.monotonic() - began, waited)
            except LockedError as error:
                waited = str(error)
                slot.note(what.name, "waiting", waited)
                time.sleep(1)
            except KeyboardInterrupt:
                return Outcome(what.name, "stopped", time.monotonic() - began, "its last checkpoint is kept")
    except Exception as error:
        message = str(error) if isinstance(error, DmtkitError) else f"{type(error).__name__}: {error}"
        failed = Outcome(what.name, "failed", time.monotonic() - began, message, last_lines(what.log))
        raise FailedError(failed) from None
    return Outcome(what.name, "skipped", message="another process finished it" if waited else "finished already")


def train_baseline(baseline: Baseline, stops: Count, environment: Environment) -> None:
    """Train a model of phase 0 into the store, in a process of its own; RunError if that fails."""
    words = baseline.config.model_dump_json(), baseline.training.owner, baseline.training.model
    command = [sys.executable, "-m", "dmtkit.jobs.worker", *words, str(baseline.folder.parent)]
    if code := watch(command, baseline.log, stops=stops, environment=environment):
        if stops():
            raise KeyboardInterrupt
        raise RunError(last_lines(baseline.log, 1) or f"exit code {code}")


def main(config: str, owner: str, model: str, store: str) -> None:
    """The process that `train_baseline` starts: where it fails, the log's last line is a message."""
    try:
        run_baseline(make_config(json.loads(config)), owner, model, Path(store))
    except (DmtkitError, KeyboardInterrupt) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def dask_setup(worker: Any) -> None:
    """Called by Dask as a worker starts: Ctrl-C reaches all processes of a terminal, but only the batch acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main(*sys.argv[1:])
