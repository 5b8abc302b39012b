"""Runs a params file's notebook in a process of its own: checked first, watched while it runs, signed after."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from filelock import FileLock, Timeout

from dmtkit.config import Config, check_name, load_params, make_config, project_root, unknown_name
from dmtkit.data import Data, load
from dmtkit.errors import ConfigError, DmtkitError, RunError
from dmtkit.files import read_json
from dmtkit.methods import check, check_data, plans
from dmtkit.phases import phase_steps
from dmtkit.runs import lock_holder, read_log, refuse_other_run

NOT_SETTINGS = {"output_dir"}  # a parameter of the notebook that is no setting of the run


@dataclass(frozen=True)
class Job:
    """A checked run: its notebook, parameters and folder, and how many training steps it takes."""

    config: Config
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    steps: int

    @property
    def output(self) -> Path:
        """The executed notebook, in the run folder."""
        return self.folder / self.notebook.name

    @property
    def finished(self) -> bool:
        """Whether the run is done and its notebook was rendered without an error."""
        if not (self.folder / "DONE.json").is_file() or not self.output.is_file():
            return False
        try:
            state = read_json(self.output)["metadata"]["papermill"]
        except (DmtkitError, KeyError):
            return False
        return state.get("exception") is None and state.get("end_time") is not None


def prepare(params: Path, overrides: dict[str, str], output: Path | None) -> Job:
    """Check everything that can be checked without writing: names, values, data, folder and lock."""
    values = load_params(params)
    values.setdefault("experiment", params.stem)
    chosen = {name: yaml.safe_load(value) for name, value in overrides.items()}
    values |= chosen
    notebook = _notebook(str(values.get("task", "classification")))
    _check_names(values, notebook)
    config = make_config({name: value for name, value in values.items() if name not in NOT_SETTINGS})
    check(config)
    folder = output or values.get("output_dir") or _default_folder(config, chosen)
    folder = Path(folder).resolve()
    refuse_other_run(config, folder)
    _refuse_locked(folder)
    data = load(config)
    check_data(config, data)
    parameters = values | {"output_dir": str(folder)}
    return Job(config, notebook, parameters, folder, _steps(config, data))


def execute(job: Job, say: Callable[[int, str], None] = lambda step, text: None) -> None:
    """Run the notebook, telling `say` the training steps done and the newest measurements.

    Raises RunError with the notebook's own message if it fails. Ctrl-C lets the run write a checkpoint.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    encoded = base64.b64encode(yaml.safe_dump(job.parameters).encode()).decode()
    command = [sys.executable, "-m", "papermill", str(job.notebook), str(job.output), "-b", encoded]
    command += ["--no-progress-bar", "--kernel", "python3"]
    with open(job.folder / "papermill.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=project_root(), stdout=log, stderr=log, start_new_session=True)
        with _stop_softly(job.folder, process) as stopped:
            while process.poll() is None:
                say(*_progress(job))
                time.sleep(0.5)
    say(*_progress(job))
    if stopped:
        raise KeyboardInterrupt(f"{job.folder}: stopped; run the same command again to go on")
    if process.returncode != 0 or not (job.folder / "DONE.json").is_file():
        raise RunError(f"{job.output}: the notebook failed: {_failure(job)}")
    sign(job.output)


def sign(notebook: Path) -> None:
    """Sign an executed notebook, so that JupyterLab trusts it and shows its widgets."""
    import nbformat
    from nbformat.sign import NotebookNotary

    NotebookNotary().sign(nbformat.read(notebook, as_version=4))


def _notebook(task: str) -> Path:
    path = project_root() / "notebooks" / f"{task}.ipynb"
    if not path.is_file():
        raise ConfigError(f"task: there is no notebook {path}; run from the project's folder, with a task it has")
    return path


def _check_names(values: dict[str, Any], notebook: Path) -> None:
    """Every name must be a parameter of the notebook: papermill itself only warns."""
    from papermill import inspect_notebook

    known = list(inspect_notebook(str(notebook)))
    unknown = [unknown_name(name, known) for name in values if name not in known]
    if unknown:
        raise ConfigError("unknown parameters:\n" + "\n".join(f"  - {line}" for line in unknown))


def _default_folder(config: Config, chosen: dict[str, Any]) -> Path:
    """outputs/<experiment>/<variant>: the seed, and whatever else was set for this run."""
    parts = [f"seed-{config.seed}"]
    for name, value in chosen.items():
        if name not in ("seed", "experiment", "output_dir", "data_dir", "device"):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{name}-{text}")
    try:
        variant = check_name("_".join(parts))
    except ValueError:
        raise ConfigError("these overrides cannot name a run folder; give one with --output DIR") from None
    return project_root() / "outputs" / config.experiment / variant


def _refuse_locked(folder: Path) -> None:
    if not (folder / ".lock").is_file():
        return
    try:
        with FileLock(folder / ".lock", timeout=3):
            pass
    except Timeout:
        raise RunError(
            f"{folder}: another run is writing here ({lock_holder(folder)}); wait for it, stop it, or give "
            "another folder with --output"
        ) from None


def _steps(config: Config, data: Data) -> int:
    return sum(phase_steps(config, data, plan) for plan in plans(config))


def _progress(job: Job) -> tuple[int, str]:
    """Training steps done, and the newest log point in words."""
    done: dict[tuple[str, int], int] = {}
    last: dict[str, Any] = {}
    for record in read_log(job.folder / "metrics.jsonl"):
        done[record["method"], record["phase"]] = record["step"]
        last = record
    if not last:
        return 0, "starting"
    text = f"{last['method']}, phase {last['phase']}, loss {last['loss']:.3f}"
    if "val_accuracy" in last:
        text += f", val {last['val_accuracy']:.1f} %"
    return sum(done.values()), text


@contextmanager
def _stop_softly(folder: Path, process: subprocess.Popen) -> Iterator[list[int]]:
    """Pass Ctrl-C on to the training process, which saves and stops; a second one kills it."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        try:
            writer = read_json(folder / ".writer.json")["pid"] if len(stopped) == 1 else None
        except (DmtkitError, KeyError):
            writer = None
        if writer is None:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(writer, signal.SIGINT)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failure(job: Job) -> str:
    """The error that the notebook shows, or the last lines of papermill's log."""
    try:
        for cell in read_json(job.output)["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    name, value = output["ename"], output["evalue"]
                    return value if name in _OWN_ERRORS else f"{name}: {value}"
    except (DmtkitError, KeyError, json.JSONDecodeError):
        pass
    lines = (job.folder / "papermill.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-5:]) or f"papermill ended without a word; see {job.folder / 'papermill.log'}"


_OWN_ERRORS = {kind.__name__ for kind in DmtkitError.__subclasses__()}
