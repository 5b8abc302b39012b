"""One phase of a run: its folder, what it stores, and whether that is what was written."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmtkit import files
from dmtkit.errors import DamagedError
from dmtkit.runs import manifest

DROPPED = "labels-dropped"  # lies where labels were removed that nobody needs any more
MEND = "remove the run's DONE.json, and a labels folder that is named, and run the same again: what is damaged is made anew"


@dataclass(frozen=True)
class Phase:
    """One phase of one method, `<run>/<method>/phase_<k>`, or of one of its models; complete with its phase.json."""

    folder: Path
    run: Path

    @property
    def number(self) -> int:
        """Which phase it is, from 0."""
        place = self.folder if self.folder.name.startswith("phase_") else self.folder.parent
        return int(place.name.removeprefix("phase_"))

    @property
    def key(self) -> manifest.Key:
        """The method, the number and the model, as a log names them."""
        method, _, *model = self.folder.relative_to(self.run).parts
        return method, self.number, "".join(model)

    def model_folder(self, name: str) -> "Phase":
        """What belongs to one model, A or B, of a phase that trains two."""
        return Phase(self.folder / name, self.run)

    @property
    def done(self) -> bool:
        """Whether the phase is complete."""
        return (self.folder / "phase.json").is_file()

    @property
    def summary(self) -> dict[str, Any]:
        """Steps, seconds, accuracies and case table of a finished phase."""
        return {name: value for name, value in self._written.items() if name != "files"}

    @property
    def _written(self) -> dict[str, Any]:
        return files.read_json(self.folder / "phase.json")

    @property
    def recorded(self) -> dict[str, str]:
        """The checksums of a finished phase, by name; labels that were removed are not among them."""
        there = self._written.get("files", {})
        return {name: was for name, was in there.items() if not (self.dropped and name.startswith("labels/"))}

    @property
    def lines(self) -> dict[str, str]:
        """A checksum of what the log holds of it."""
        there = manifest.checksums_of_log(self.run / "metrics.jsonl")
        return {manifest.LINES: there[self.key]} if self.key in there else {}

    def damaged(self) -> list[str]:
        """What of a finished phase is not as it was written; DamagedError if phase.json cannot tell."""
        recorded = self.recorded
        if not recorded and "steps" in self._written:  # by an earlier version
            return [] if self.model() else ["its model"]
        lines = recorded.pop(manifest.LINES, None)
        wrong = manifest.differing(self.folder, recorded)
        return wrong if lines == self.lines.get(manifest.LINES) or not recorded else [*wrong, manifest.LINES]

    def intact(self) -> bool:
        """Whether the phase is complete, and as it was written; says what is not."""
        try:
            wrong = self.damaged() if self.done else []
        except DamagedError:
            wrong = ["phase.json"]
        if wrong:
            self.note(f"{self.folder}: {', '.join(wrong)}: damaged or gone, made anew")
        return self.done and not wrong

    @property
    def left(self) -> dict[str, str]:
        """What a training under way has left beside its checkpoints, by checksum."""
        return manifest.contents(self.folder, ["*.npz"])

    def is_whole(self, state: Mapping[str, Any] | None) -> bool:
        """Whether there is a checkpoint or a model, and what its training had left by then; says what is not."""
        lost = manifest.differing(self.folder, (state or {}).get("left", {}))  # none by an earlier version
        if lost:
            self.note(f"{self.folder}: {', '.join(lost)}: damaged or gone, so this model is trained anew")
        return state is not None and not lost

    def restart(self) -> None:
        """Drop what a training that was given up has left."""
        self.checkpoints.drop()
        for path in self.folder.glob("*.npz"):
            path.unlink()

    def reopen(self) -> dict[str, str]:
        """Mark a phase as incomplete, and its labels as needed; what its checksums were."""
        before = {}
        with suppress(DamagedError):
            before = self.recorded if self.done else {}
        (self.folder / "phase.json").unlink(missing_ok=True)
        (self.folder / DROPPED).unlink(missing_ok=True)
        return before

    @property
    def dropped(self) -> bool:
        """Whether its labels of U were removed."""
        return (self.folder / DROPPED).is_file()

    def drop_labels(self) -> None:
        """Remove its labels of U, if there are any, and leave a mark."""
        if (self.folder / "labels").is_dir():
            (self.folder / DROPPED).touch()
            shutil.rmtree(self.folder / "labels", ignore_errors=True)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays stored as `name`, such as predictions or samples; DamagedError if they are not what was written."""
        path = self.folder / f"{name}.npz"
        recorded = self.recorded.get(path.name) if self.done else None
        if recorded not in (None, manifest.content(path)):
            raise DamagedError(f"{path}: is damaged or gone; {MEND}")
        return files.read_arrays(path)

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Store arrays, atomically."""
        files.write_arrays(self.folder / f"{name}.npz", arrays)

    @property
    def checkpoints(self) -> files.Checkpoints:
        """Those of the training under way."""
        return files.Checkpoints(self.folder, "checkpoint", keep=2)

    @property
    def models(self) -> files.Checkpoints:
        """The trained model, whose file's name tells its content, and damaged ones."""
        return files.Checkpoints(self.folder, "model", keep=1)

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest good checkpoint of the training under way."""
        state = self.checkpoints.load(self.note)
        if state and "networks" not in state:
            self.note(f"{self.folder}: its checkpoint is of an earlier version of dmtkit; this phase is trained anew")
            self.checkpoints.drop()  # else they would count as newer than all that follow
            return None
        return state

    def model(self) -> dict[str, Any] | None:
        """The trained model and what is reported of it: keys `model` and, if that is another, `kept`; None if there is none, or none undamaged."""
        return self.models.load(self.note)

    def weights(self) -> dict[str, Any]:
        """The trained model of a finished phase; DamagedError if it is missing or damaged."""
        if (state := self.model()) is None:
            raise DamagedError(f"{self.folder}: its model is missing or damaged")
        return state

    def note_other_bits(self, before: Mapping[str, str]) -> None:
        """Say where something that was made anew is not what it was `before`: on another machine, or a GPU."""
        other = [name for name, there in self.recorded.items() if before.get(name, there) != there]
        if other := [name for name in other if name.endswith(".npz")]:  # others hold times too
            self.note(
                f"{self.folder}: {', '.join(other)}: came out in other bits; later phases keep what they learned of the old"
            )

    def remark(self, message: str) -> None:
        """Add a line to the run's notes.log, once."""
        place = self.run / "notes.log"
        if not place.is_file() or message not in place.read_text(encoding="utf-8").splitlines():
            files.append_line(place, message, durable=False)

    def note(self, message: str) -> None:
        """Warn, and keep the warning in the run's notes.log, which the command line shows."""
        files.note(self.run, message)

    def finish(self, summary: dict[str, Any]) -> None:
        """Drop the checkpoints, then write the summary that marks the phase complete."""
        self.checkpoints.drop()
        checksums = {**self.lines, **manifest.contents(self.folder)}
        files.write_json(self.folder / "phase.json", {**summary, "files": checksums})


def reported(state: dict[str, Any]) -> dict[str, Any]:
    """The weights that a trained model's file reports: its average or best snapshot, where it has one."""
    return state.get("kept") or state["model"]
