"""Reads run folders, the only thing that passes between training and showing; finished runs or unfinished.

`<run>/`: config.yaml, environment.json, split.json, metrics.jsonl, `<method>/phase_<k>/`, figures/, notebook, DONE.json.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtkit import files
from dmtkit.config import STORED, Config, make_config
from dmtkit.errors import ConfigError, DamagedError, RunError, listing
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import METHODS, TASK_FACTS, TaskFacts
from dmtkit.runs import manifest
from dmtkit.runs.phase import MEND, Phase
from dmtkit.runs.search import find, read_settings

if TYPE_CHECKING:
    import pandas as pd


def read_config(path: Path) -> Config:
    """The config that a run folder was started with."""
    try:
        settings = read_settings(path / "config.yaml")
    except (OSError, ValueError) as error:
        try:  # which holds them too
            settings = files.read_json(path / "methods.json")["settings"]
        except (RunError, KeyError):
            raise RunError(
                f"{path}: config.yaml cannot be read ({error}); put it back, or remove this folder: it is trained anew"
            ) from None
    try:
        return make_config(settings, context=STORED)
    except ConfigError as error:
        raise RunError(f"{path}: config.yaml is none of this version ({error})") from None


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
        """Whether DONE.json is there, and what was written; without, the run goes on."""
        place = self.path / "DONE.json"
        with suppress(DamagedError):
            return place.is_file() and files.read_json(place) is not None
        return False

    @cached_property
    def done(self) -> dict[str, Any]:
        """DONE.json: experiment, dataset, seed, seconds, results."""
        if not (self.path / "DONE.json").is_file():
            raise RunError(f"{self.path}: this run is not finished; run the same command again to go on")
        return files.read_json(self.path / "DONE.json")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Per method its headline metric and the value after every phase."""
        return self.done["results"]

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """metrics.jsonl as a table, one row a log point; DamagedError if lines of a finished phase are not those written."""
        import pandas as pd

        for place in sorted(self.path.glob("*/phase_*/**/phase.json")):
            phase = Phase(place.parent, self.path)
            if phase.recorded.get(manifest.LINES) not in (None, phase.lines.get(manifest.LINES)):
                raise DamagedError(
                    f"{self.path / 'metrics.jsonl'}: lines of {phase.folder} are damaged or gone; {MEND}"
                )
        return pd.DataFrame(manifest.read_log(self.path / "metrics.jsonl"))

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
