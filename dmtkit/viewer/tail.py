"""Follows the log of a run that is being computed: what is new since the last look, and where it lies on the time axis."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dmtkit.files import read_json
from dmtkit.registry import TASK_FACTS
from dmtkit.runs.run import Phase, records_of

MEASURED = ("loss", "mean_weight", "share_agree", "share_negative", "share_positive")
Record = dict[str, Any]


@dataclass
class Tail:
    """The records of a metrics.jsonl, each given out once; only lines that are complete are read.

    The file may be replaced by another at any time: a phase that goes on from a checkpoint takes back what it logged.
    """

    path: Path
    given: list[Record] = field(default_factory=list)
    _place: tuple[int, int] = (0, 0)  # the file's inode and how many bytes of it are read
    _last: bytes = b""

    def new(self) -> tuple[bool, list[Record]]:
        """Whether all that was given out is void, and the records that are new."""
        try:
            with open(self.path, "rb") as file:
                inode, size = _identity(file.fileno())
                start = self._place[1]
                if inode == self._place[0] and size == start:
                    return False, []
                file.seek(max(0, start - len(self._last)))
                if inode == self._place[0] and start and file.read(len(self._last)) == self._last:
                    found = self._take(file.read(), inode, start)
                    self.given += found
                    return False, found
                file.seek(0)
                found = self._take(file.read(), inode, 0)
        except OSError:  # not there yet
            return False, []
        before, self.given = self.given, found
        if found[: len(before)] == before:
            return False, found[len(before) :]
        return True, found

    def _take(self, text: bytes, inode: int, start: int) -> list[Record]:
        """The records in the complete lines of what was read."""
        whole = text[: text.rfind(b"\n") + 1]
        if whole:
            self._last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        self._place = inode, start + len(whole)
        return list(records_of(whole.decode(errors="replace")))


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_ino, found.st_size


def points(records: list[Record], offsets: dict[tuple[str, int, str], tuple[int, int]]) -> list[Record]:
    """What a chart needs of log records, with `x`, the training step counted through all phases of all methods.

    `offsets` holds where each phase of each model begins and how long it is; phases that are new are added to it.

    >>> offsets = {}
    >>> log = [{"method": "dmt", "phase": k, "step": 5, "steps": 10, "loss": 1.0} for k in (1, 2)]
    >>> [point["x"] for point in points(log, offsets)], offsets
    ([5, 15], {('dmt', 1, ''): (0, 10), ('dmt', 2, ''): (10, 10)})
    """
    found = []
    for record in records:
        model = record.get("model", "")
        key = record["method"], record["phase"], model
        offset, _ = offsets.setdefault(key, (sum(steps for _, steps in offsets.values()), record.get("steps", 0)))
        point = {name: record[name] for name in ("method", "phase", "step", *MEASURED) if name in record}
        held_out = next(
            (record[f"val_{measure.metric}"] for measure in TASK_FACTS.values() if f"val_{measure.metric}" in record),
            None,
        )
        found.append(
            {**point, "model": model, "x": offset + record["step"]} | ({} if held_out is None else {"val": held_out})
        )
    return found


def measured(
    run: Path, offsets: dict[tuple[str, int, str], tuple[int, int]], known: set[tuple[str, int]]
) -> list[Record]:
    """The test metric after every phase that is complete and not `known` yet, at the step where it ended; A's of two models."""
    ends: dict[tuple[str, int], int] = {}
    for (method, number, _), (offset, steps) in offsets.items():
        ends[method, number] = max(ends.get((method, number), 0), offset + steps)
    found = []
    for (method, number), x in ends.items():
        phase = Phase(run / method / f"phase_{number}", run)
        if (method, number) in known or not phase.done:
            continue
        summary = read_json(phase.folder / "phase.json")
        score = summary["miou"] if "miou" in summary else summary.get("accuracy")
        value = score.get("A") if isinstance(score, dict) else score
        if value is not None:
            known.add((method, number))
            found.append({"method": method, "phase": number, "x": x, "value": value})
    return found
