"""How a batch stands: read from the notes of its workers and the logs of its runs."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmtkit.errors import DmtkitError
from dmtkit.files import read_json
from dmtkit.jobs.notebook_job import progress_of
from dmtkit.jobs.outcome import Outcome
from dmtkit.jobs.plan import Batch, job_name


@dataclass(frozen=True)
class Status:
    """One run of a batch: its state, training steps done of all, the newest measurement in words, seconds left (or None)."""

    name: str
    state: str
    done: int = 0
    steps: int = 0
    text: str = ""
    left: float | None = None


class Board:
    """Follows a batch: `steps` are those of each run and baseline, by name."""

    def __init__(self, notes: Path, steps: dict[str, int], batch: Batch) -> None:
        self.notes, self.steps, self.batch = notes, steps, batch
        self.folders = {job_name(job): job.folder for job in batch.jobs}
        self.folders |= {baseline.name: baseline.folder for baseline in batch.baselines.values()}
        self.names = [baseline.name for baseline in batch.baselines.values() if not baseline.finished]
        self.names += [job_name(job) for job in batch.waiting]
        self.began: dict[tuple[str, float], int] = {}  # steps done when a start was first seen: they tell of no speed
        self.over: dict[str, Status] = {}

    def read(self, ended: dict[str, Outcome]) -> list[Status]:
        """The status of every baseline and run that there was to do, baselines first."""
        told = {}
        for path in self.notes.glob("*.json"):
            try:
                note = read_json(path)
                told[note["name"]] = note
            except (DmtkitError, KeyError, TypeError):
                continue
        for name in self.names:
            if name in ended and name not in self.over:
                self.over[name] = self._status(name, told.get(name, {}), ended[name])
        return [self.over.get(name) or self._status(name, told.get(name, {}), None) for name in self.names]

    def _status(self, name: str, note: dict[str, Any], outcome: Outcome | None) -> Status:
        steps, state = self.steps[name], note.get("state", "pending")
        if outcome is None and state != "running":
            return Status(name, state, 0, steps, note.get("message", ""))
        done, text = progress_of(self.folders[name])
        if outcome is not None:
            return Status(name, outcome.state, done, steps, outcome.message.partition("\n")[0] or text)
        return Status(name, state, done, steps, text, self._left(note, done, steps))

    def _left(self, note: dict[str, Any], done: int, steps: int) -> float | None:
        """Seconds left at the speed so far, once there is one."""
        made = done - self.began.setdefault((note["name"], note["since"]), done)
        return (time.time() - note["since"]) / made * max(steps - done, 0) if made > 0 else None
