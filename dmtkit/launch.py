"""Runs a params file's notebook in a process of its own: checked first, watched while it runs, signed after."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import yaml

from dmtkit.config import Config, check_name, make_config
from dmtkit.errors import ConfigError, DmtkitError, RunError, unknown_name
from dmtkit.experiment import check, check_data, load, total_steps
from dmtkit.files import cannot_write, read_json
from dmtkit.params import load_params, outputs_root, project_root
from dmtkit.run_folder import hold, refuse_other_run
from dmtkit.runs import read_log

LAUNCH_LOCK = ".launch.lock"  # from the start of papermill to the signed notebook; .lock covers training alone
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
    chosen = {name: parse_value(name, value) for name, value in overrides.items()}
    values |= chosen
    notebook = _notebook(str(values.get("task", "classification")))
    _check_names(values, notebook)
    config = make_config({name: value for name, value in values.items() if name not in NOT_SETTINGS})
    folder = Path(output or str(values.get("output_dir") or "") or _default_folder(config, chosen)).resolve()
    refuse_other_run(config, folder)
    job = Job(config, notebook, values | {"output_dir": str(folder)}, folder, steps=0)
    if job.finished:
        return job
    check(config)
    if (folder / ".lock").is_file():  # a folder that is not there is made only once everything is checked
        with hold(folder, LAUNCH_LOCK, seconds=0), hold(folder, ".lock"):
            pass
    data = load(config)
    check_data(config, data)
    return replace(job, steps=total_steps(config, data))


def parse_value(name: str, text: str) -> Any:
    """A value from the command line, read as YAML: 3, 1e-3, true, [a, b] or words."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{name}: {text!r} is not valid YAML; quote it, or close its brackets") from None


def execute(job: Job, say: Callable[[int, str], None] = lambda step, text: None) -> None:
    """Run the notebook, telling `say` the training steps done and the newest measurements.

    Raises RunError with the notebook's own message if it fails. Ctrl-C lets the run write a checkpoint.
    """
    with hold(job.folder, LAUNCH_LOCK, seconds=0):
        _execute(job, say)


def _execute(job: Job, say: Callable[[int, str], None]) -> None:
    (job.folder / ".writer.json").unlink(missing_ok=True)  # of a process that was killed
    encoded = base64.b64encode(yaml.safe_dump(job.parameters).encode()).decode()
    command = [sys.executable, "-m", "papermill", str(job.notebook), str(job.output), "-b", encoded]
    command += ["--no-progress-bar", "--kernel", "python3"]
    with _open_log(job.folder / "papermill.log") as log:
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


def _open_log(path: Path) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error


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
    """outputs/<experiment>/<variant>: seed (and split), and whatever else was set for this run."""
    parts = [config.variant]
    for name, value in chosen.items():
        if name not in ("seed", "split", "experiment", "output_dir", "data_dir", "device"):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{name}-{text}")
    try:
        variant = check_name("_".join(parts))
    except ValueError:
        raise ConfigError("these overrides cannot name a run folder; give one with --output DIR") from None
    return outputs_root() / config.experiment / variant


def _progress(job: Job) -> tuple[int, str]:
    """Training steps done, and the newest log point in words."""
    done: dict[tuple[str, int, str], int] = {}
    last: dict[str, Any] = {}
    for record in read_log(job.folder / "metrics.jsonl"):
        done[record["method"], record["phase"], record.get("model", "")] = record["step"]
        last = record
    if not last:
        return 0, "starting"
    model = f", model {last['model']}" if "model" in last else ""
    text = f"{last['method']}, phase {last['phase']}{model}, loss {last['loss']:.3f}"
    for name, measure in (("val_accuracy", "val"), ("val_miou", "val mIoU")):
        text += f", {measure} {last[name]:.1f} %" if name in last else ""
    return sum(done.values()), text


@contextlib.contextmanager
def _stop_softly(folder: Path, process: subprocess.Popen) -> Iterator[list[int]]:
    """Pass Ctrl-C on to the training process, which saves and stops; a second one kills it."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        try:
            writer = read_json(folder / ".writer.json")["pid"] if len(stopped) == 1 else None
        except (DmtkitError, KeyError):
            writer = None
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
            os.kill(writer, signal.SIGINT) if writer else os.killpg(process.pid, signal.SIGKILL)

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
