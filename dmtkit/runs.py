"""Run folders: the only thing that passes between training and showing (design: config, metrics, phases, DONE).

`RunFolder` is the writing side, locked while a run goes on; `Run` reads a finished or unfinished run.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from filelock import FileLock, Timeout

from dmtkit.config import Config, make_config, project_root
from dmtkit.environment import describe_environment
from dmtkit.errors import ConfigError, RunError
from dmtkit.files import (
    TEMPORARY,
    cannot_write,
    drop_states,
    load_newest_state,
    read_arrays,
    read_json,
    save_state,
    write_arrays,
    write_atomically,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd

# Settings that change how a run is computed but not what comes out of it.
NOT_COMPARED = {"device", "checkpoint_seconds"}


def default_folder(config: Config) -> Path:
    """outputs/<experiment>/seed-<seed>, below the project's root."""
    return project_root() / "outputs" / config.experiment / f"seed-{config.seed}"


@dataclass(frozen=True)
class Phase:
    """One phase of one method: `<run>/<method>/phase_<k>`; complete when phase.json is there."""

    folder: Path

    @property
    def done(self) -> bool:
        """Whether the phase is complete."""
        return (self.folder / "phase.json").is_file()

    @property
    def summary(self) -> dict[str, Any]:
        """Steps, seconds, accuracies and case table of a finished phase."""
        return read_json(self.folder / "phase.json")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays stored as `name`: predictions, pseudo_labels, test or samples."""
        return read_arrays(self.folder / f"{name}.npz")

    def has(self, name: str) -> bool:
        """Whether arrays of this name were stored."""
        return (self.folder / f"{name}.npz").is_file()

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Store arrays, atomically."""
        write_arrays(self.folder / f"{name}.npz", arrays)

    def save(self, state: dict[str, Any]) -> None:
        """Keep a checkpoint of the training under way."""
        save_state(self.folder, "checkpoint", state["step"], state)

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest good checkpoint of the training under way."""
        return load_newest_state(self.folder, "checkpoint")

    def save_model(self, state: dict[str, Any], step: int) -> None:
        """Keep the trained model."""
        save_state(self.folder, "model", step, state, keep=1)

    def model(self) -> dict[str, Any] | None:
        """The trained model and its EMA: keys `model` and `ema`; None if there is none, or none undamaged."""
        return load_newest_state(self.folder, "model")

    def finish(self, summary: dict[str, Any]) -> None:
        """Drop the checkpoints, then write the summary that marks the phase complete."""
        drop_states(self.folder, "checkpoint")
        write_json(self.folder / "phase.json", summary)


class RunFolder:
    """The folder of a run that is being computed; `open_run` makes one."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path, self.config = path, config

    def phase(self, method: str, number: int) -> Phase:
        """The folder of a method's phase."""
        return Phase(self.path / method / f"phase_{number}")

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl; values that are NaN are left out."""
        line = json.dumps({key: round_off(value) for key, value in record.items() if value == value})
        try:
            with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise cannot_write(self.path / "metrics.jsonl", error, len(line)) from error

    def rewind_log(self, method: str, phase: int, step: int) -> None:
        """Forget what was logged of this phase after `step`, and a line torn by a crash."""
        records = list(read_log(self.path / "metrics.jsonl"))
        kept = [r for r in records if (r["method"], r["phase"]) != (method, phase) or r["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.path / "metrics.jsonl", text.encode())

    def write_split(self, classes: tuple[str, ...], parts: dict[str, tuple[str, ...]]) -> None:
        """Keep the class names and who is in which part; usable as a file of own `lists`."""
        if not (self.path / "split.json").is_file():
            write_json(self.path / "split.json", {"classes": classes, **parts})

    def finish(self, done: dict[str, Any]) -> None:
        """Write DONE.json: from now on the run is finished."""
        write_json(self.path / "DONE.json", done)


@contextmanager
def open_run(config: Config, path: Path) -> Iterator[RunFolder]:
    """Lock `path` for this run, creating it if needed; another writer or other settings are a RunError."""
    refuse_other_run(config, path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock", timeout=3)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{path}: another run is writing here ({lock_holder(path)}); wait for it, stop it, or choose "
            "another folder with output_dir"
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        write_json(path / ".writer.json", {"pid": os.getpid(), "host": socket.gethostname()})
        for torn in path.rglob(f"*{TEMPORARY}"):
            torn.unlink(missing_ok=True)
        if not (path / "config.yaml").is_file():
            write_json(path / "environment.json", describe_environment(config))
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
            write_atomically(path / "config.yaml", text.encode())
        yield RunFolder(path, config)
    finally:
        (path / ".writer.json").unlink(missing_ok=True)
        lock.release()


def refuse_other_run(config: Config, path: Path) -> None:
    """RunError if `path` holds a run of other settings, naming those that differ, or is no folder."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a folder; choose another with output_dir")
    if not (path / "config.yaml").is_file():
        return
    there = read_config(path)
    differing = [
        f"{name}: {getattr(there, name)!r} there, {value!r} now"
        for name, value in config
        if name not in NOT_COMPARED and getattr(there, name) != value
    ]
    if differing:
        raise RunError(
            f"{path}: holds a run of other settings ({'; '.join(differing)}); "
            "choose another folder with output_dir, or remove this one"
        )


def read_config(path: Path) -> Config:
    """The config that a run folder was started with."""
    try:
        return make_config(yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ConfigError, TypeError) as error:
        raise RunError(f"{path}: config.yaml cannot be read ({error})") from None


def lock_holder(path: Path) -> str:
    """Who writes the run, as far as the folder tells."""
    try:
        writer = read_json(path / ".writer.json")
        return f"process {writer['pid']} on {writer['host']}"
    except (RunError, KeyError):
        return "its process did not say who it is"


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a metrics.jsonl; a line torn by a crash is passed over."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {"method", "phase", "step"} <= record.keys():
            yield record


def round_off(value: Any) -> Any:
    """Floats to nine digits, as many as a 32-bit number has."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class Run:
    """A run read from its folder, finished or not; needs neither GPU nor data set."""

    path: Path

    @cached_property
    def config(self) -> Config:
        """The settings it was started with."""
        return read_config(self.path)

    @property
    def finished(self) -> bool:
        """Whether DONE.json is there."""
        return (self.path / "DONE.json").is_file()

    @cached_property
    def done(self) -> dict[str, Any]:
        """DONE.json: experiment, dataset, seed, seconds, results."""
        if not self.finished:
            raise RunError(f"{self.path}: this run is not finished; run the same command again to go on")
        return read_json(self.path / "DONE.json")

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
        return read_json(self.path / "split.json")["classes"]

    def phases(self, method: str) -> list[Phase]:
        """The finished phases of a method, in order; phase 0, shared by the methods, belongs to `supervised`."""
        folders = sorted((self.path / method).glob("phase_*"), key=lambda p: int(p.name.removeprefix("phase_")))
        return [phase for phase in map(Phase, folders) if phase.done]

    @property
    def methods(self) -> list[str]:
        """The methods with a finished phase, in the config's order."""
        return [name for name in self.config.methods if self.phases(name)]


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Open a run folder; RunError if there is none."""
    path = Path(folder)
    if not (path / "config.yaml").is_file():
        raise RunError(f"{path}: is no run folder (it has no config.yaml); give outputs/<experiment>/<variant>")
    return Run(path)
