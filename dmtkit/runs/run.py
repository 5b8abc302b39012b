"""Reads run folders, the only thing that passes between training and showing; finished runs or unfinished.

`<run>/`: config.yaml, environment.json, split.json, metrics.jsonl, `<method>/phase_<k>/`, figures/, notebook, DONE.json.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmtkit import files
from dmtkit.config import STORED, Config, make_config
from dmtkit.errors import ConfigError, RunError, listing
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import METHODS, TASK_FACTS, TaskFacts
from dmtkit.runs.search import find, read_settings

if TYPE_CHECKING:
    import pandas as pd


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
        return files.read_json(self.folder / "phase.json")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays stored as `name`: predictions, pseudo_labels, test or samples."""
        return files.read_arrays(self.folder / f"{name}.npz")

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
        """The trained model of a finished phase; RunError if it is missing or damaged."""
        if (state := self.model()) is None:
            raise RunError(f"{self.folder}: its model is missing or damaged")
        return state

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
        files.write_json(self.folder / "phase.json", summary)


def reported(state: dict[str, Any]) -> dict[str, Any]:
    """The weights that a trained model's file reports: its average or best snapshot, where it has one."""
    return state.get("kept") or state["model"]


def read_config(path: Path) -> Config:
    """The config that a run folder was started with."""
    try:
        return make_config(read_settings(path / "config.yaml"), context=STORED)
    except (OSError, ValueError, ConfigError) as error:
        raise RunError(f"{path}: config.yaml cannot be read ({error})") from None


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a metrics.jsonl; what is none, such as a line torn by a crash, is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {"method", "phase", "step"} <= record.keys():
            yield record


@dataclass(frozen=True)
class MethodFacts:
    """What tables, figures and the explorer must know of a method, as its run recorded it."""

    title: str
    teacher: str
    rule: str
    views: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stores_labels(self) -> bool:
        """Whether its phases begin with labelling U, once and for the whole phase."""
        return self.teacher in ("itself", "other")


@dataclass(frozen=True)
class Run:
    """A run read from its folder, finished or not; needs neither GPU nor data set."""

    path: Path

    @cached_property
    def config(self) -> Config:
        """The settings it was started with."""
        return read_config(self.path)

    @property
    def task(self) -> TaskFacts:
        """What its task has to show: metric, models, and whether labels are those of pixels."""
        return TASK_FACTS[self.config.task]

    @property
    def finished(self) -> bool:
        """Whether DONE.json is there."""
        return (self.path / "DONE.json").is_file()

    @cached_property
    def done(self) -> dict[str, Any]:
        """DONE.json: experiment, dataset, seed, seconds, results."""
        if not self.finished:
            raise RunError(f"{self.path}: this run is not finished; run the same command again to go on")
        return files.read_json(self.path / "DONE.json")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Per method its headline metric and the value after every phase."""
        return self.done["results"]

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """metrics.jsonl as a table, one row a log point."""
        import pandas as pd

        return pd.DataFrame(read_log(self.path / "metrics.jsonl"))

    @cached_property
    def classes(self) -> list[str]:
        """The class names."""
        return files.read_json(self.path / "split.json")["classes"]

    def phases(self, method: str) -> list[Phase]:
        """The finished phases of a method, in order; phase 0, shared by the methods, belongs to `supervised`."""
        folders = sorted((self.path / method).glob("phase_*"), key=lambda p: int(p.name.removeprefix("phase_")))
        return [phase for phase in (Phase(folder, self.path) for folder in folders) if phase.done]

    def method(self, name: str) -> MethodFacts:
        """What a method of the run is; it need not be known here."""
        recorded = (
            files.read_json(self.path / "methods.json")["methods"] if (self.path / "methods.json").is_file() else {}
        )
        if name not in recorded:  # a run of before that was recorded has the kit's own
            return MethodFacts(**METHODS[name].facts(self.config.task, {}))
        return MethodFacts(**recorded[name])

    @property
    def methods(self) -> list[str]:
        """The methods with a finished phase, in the config's order."""
        return [name for name in self.config.methods if self.phases(name)]


def load_run(folder: str | os.PathLike[str] | None = None) -> Run:
    """Open a run folder, or the newest finished run below outputs/ that holds labels to look at.

    A relative path is looked for from the current folder, then from the project, then in outputs/. RunError if there is no
    such run, with those that there are, the nearest name first.
    """
    if folder is None:
        return newest_run()
    root, name = outputs_root(), str(folder)
    for place in (Path(), project_root(), root):
        if (place / folder / "config.yaml").is_file():
            return Run(place / folder)
    there = find(root)
    runs = sorted([*there.finished, *there.unfinished], key=lambda run: -SequenceMatcher(None, run, name).ratio())
    known = f"runs in {root}, the nearest name first:\n{listing(runs)}" if runs else f"{root} holds no run"
    raise RunError(f"{name}: is no run folder (it has no config.yaml); {known}")


def newest_run() -> Run:
    """The run below outputs/ that finished last, of those that hold samples to look at; RunError if there is none."""
    root = outputs_root()
    every = [(Run(root / name), done["results"]) for name, (done, _) in find(root).finished.items()]
    runs = [run for run, results in every if any(run.method(method).stores_labels for method in results)]
    if not runs:
        raise RunError(
            f"{root}: holds no finished run of a method that stores labels; make one: make demo-segmentation"
        )
    return max(runs, key=lambda run: (run.path / "DONE.json").stat().st_mtime)
