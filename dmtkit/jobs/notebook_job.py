"""Runs a params file's notebook in a process of its own: checked first, watched while it runs, signed after."""

import base64
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dmtkit.config import Config, check_name, config_type, make_config
from dmtkit.errors import ConfigError, DmtkitError, RunError, unknown_name
from dmtkit.files import read_json
from dmtkit.jobs.process import Count, count_interrupts, last_lines, watch
from dmtkit.own import import_code, refuse_unshared
from dmtkit.params import from_project, load_params, notebook_of, outputs_root, project_root
from dmtkit.registry import METHODS, flat_names, methods_in, owner_of, without_others
from dmtkit.runs.folder import hold, refuse_other_run
from dmtkit.runs.run import read_log
from dmtkit.training.experiment import check, check_data, load_data, total_steps

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
    checked: bool = True  # whether its methods and data were; a dry run imports no code of one's own

    @property
    def output(self) -> Path:
        """The executed notebook, in the run folder."""
        return self.folder / self.notebook.name

    @property
    def log(self) -> Path:
        """What papermill and the kernel print, start after start."""
        return self.folder / "papermill.log"

    @property
    def finished(self) -> bool:
        """Whether the run is done and its notebook was rendered without an error."""
        if not (self.folder / "DONE.json").is_file() or not self.output.is_file():
            return False
        try:
            notebook = read_json(self.output)
            state, cells = notebook["metadata"]["papermill"], notebook["cells"]
        except (DmtkitError, KeyError):
            return False
        ended = state.get("exception") is None and state.get("end_time") is not None
        return ended and not any(  # papermill marks a notebook whose kernel was killed as ended
            cell.get("execution_count", 0) is None for cell in cells if "".join(cell["source"]).strip()
        )


def prepare(params: Path, overrides: dict[str, str], output: Path | None) -> Job:
    """Check everything that can be checked without writing: names, values, data, folder and lock."""
    job = plan_job(params, {name: parse_value(name, value) for name, value in overrides.items()}, output)
    if job.finished:
        return job
    refuse_locked(job.folder)
    return with_data(job, load_data(job.config))


def plan_job(
    params: Path, chosen: dict[str, Any], output: Path | None = None, rendered: bool = True, imports: bool = True
) -> Job:
    """The run of a params file and of what is `chosen` beside it; names, values and folder are checked.

    A run that is not to be `rendered` needs no notebook. One that is only listed imports no code of one's own, and then is not
    checked.
    """
    values = load_params(params)
    values.setdefault("experiment", params.stem)
    kind = config_type(values | chosen)
    if imports:
        import_code((values | chosen).get("code_from"))
    if "methods" in chosen:  # some of the file's: what it sets for the others is not for this run
        values = without_others(values, methods_in(values, kind.model_fields), methods_in(chosen, kind.model_fields))
    values |= chosen
    notebook = notebook_of(str(values.get("task", "classification"))) if rendered else Path()
    _check_names(values, methods_in(values, kind.model_fields), list(kind.model_fields))
    config = make_config({name: value for name, value in values.items() if name not in NOT_SETTINGS})
    folder = Path(output or str(values.get("output_dir") or "") or _default_folder(config, chosen))
    folder = Path(os.path.abspath(folder))  # links stay: what lies below outputs/ shares its baselines
    listed = bool(config.code_from) and not imports
    if not listed:
        refuse_other_run(config, folder)
        check(config)
        refuse_unshared(config)
    return Job(config, notebook, values | {"output_dir": str(folder)}, folder, steps=0, checked=not listed)


def with_data(job: Job, data: Any) -> Job:
    """The job, checked against its data too, and how many steps it takes."""
    check_data(job.config, data)
    return replace(job, steps=total_steps(job.config, data))


def refuse_locked(folder: Path) -> None:
    """LockedError if another process writes the run; a folder that is not there is not made."""
    if (folder / ".lock").is_file():
        with hold(folder, LAUNCH_LOCK, seconds=0), hold(folder, ".lock"):
            pass


def parse_value(name: str, text: str) -> Any:
    """A value from the command line, read as YAML: 3, 1e-3, true, [a, b] or words; a file of code is relative to here."""
    try:
        value = yaml.safe_load(text)
        return from_project(Path.cwd() / value) if name == "code_from" and isinstance(value, str) else value
    except yaml.YAMLError:
        raise ConfigError(f"{name}: {text!r} is not valid YAML; quote it, or close its brackets") from None


def execute(
    job: Job,
    say: Callable[[int, str], None] | None = None,
    stops: Count | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run the notebook, telling `say` the training steps done and the newest measurements.

    Raises RunError with the notebook's own message if it fails. Ctrl-C (or what `stops` counts in its place) lets the
    run write a checkpoint and raises KeyboardInterrupt.
    """
    with hold(job.folder, LAUNCH_LOCK, seconds=0), nullcontext(stops) if stops else count_interrupts() as asked:
        encoded = base64.b64encode(yaml.safe_dump(job.parameters).encode()).decode()
        command = [sys.executable, "-m", "papermill", str(job.notebook), str(job.output), "-b", encoded]
        command += ["--no-progress-bar", "--kernel", "python3"]
        tell = (lambda: say(*progress_of(job.folder))) if say else (lambda: None)
        quiet = {
            "DMTKIT_LIVE": "0",
            **(environment or {}),
        }  # nobody watches this kernel, whoever's environment it inherits
        code = watch(command, job.log, project_root(), tick=tell, stops=asked, environment=quiet)
        tell()
        if code == 0 and (job.folder / "DONE.json").is_file():
            return sign(job.output)
        if asked():
            raise KeyboardInterrupt(f"{job.folder}: stopped; run the same command again to go on")
        raise RunError(f"{job.output}: the notebook failed: {_failure(job)}")


def sign(notebook: Path) -> None:
    """Sign an executed notebook, so that JupyterLab trusts it and shows its widgets; a warning if that is not possible."""
    import nbformat
    from nbformat.sign import NotebookNotary

    try:
        NotebookNotary().sign(nbformat.read(notebook, as_version=4))
    except Exception as error:  # no run fails for its signature: the store may be locked, or its folder not writable
        warnings.warn(f"{notebook}: not signed, so JupyterLab asks before it shows widgets ({error})", stacklevel=2)


def _check_names(values: dict[str, Any], methods: list[str], known: list[str]) -> None:
    """Every name must be a parameter of the notebook, for papermill itself only warns, or be one of a method, which the config checks."""
    known = list(dict.fromkeys([*known, *NOT_SETTINGS, "parameters", *flat_names(methods)]))
    unknown = [
        unknown_name(name, known) for name in values if name not in known and not owner_of(name, [*methods, *METHODS])
    ]
    if unknown:
        raise ConfigError("unknown parameters:\n" + "\n".join(f"  - {line}" for line in unknown))


def _default_folder(config: Config, chosen: dict[str, Any]) -> Path:
    """outputs/<experiment>/<variant>: seed (and split), and whatever else was set for this run."""
    parts = [config.variant]
    for name, value in chosen.items():
        if name not in ("seed", "split", "experiment", "output_dir", "data_dir", "code_from", "device", "processes"):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{name}-{text}")
    try:
        variant = check_name("_".join(parts))
    except ValueError:
        raise ConfigError(
            "these overrides cannot name a run folder; write them into a params file, or name the folder with --output DIR"
        ) from None
    return outputs_root() / config.experiment / variant


def progress_of(folder: Path) -> tuple[int, str]:
    """Training steps done of the run in a folder, and its newest log point in words."""
    done, last = newest_record(folder)
    if not last:
        return 0, "starting"
    model = f", model {last['model']}" if "model" in last else ""
    text = f"{last['method']}, phase {last['phase']}{model}, loss {last['loss']:.3f}"
    for name, measure in (("val_accuracy", "val"), ("val_miou", "val mIoU")):
        text += f", {measure} {last[name]:.1f} %" if name in last else ""
    return done, text


def newest_record(folder: Path) -> tuple[int, dict[str, Any]]:
    """Training steps done of the run in a folder, and its newest log point, empty if there is none."""
    done: dict[tuple[str, int, str], int] = {}
    last: dict[str, Any] = {}
    for record in read_log(folder / "metrics.jsonl"):
        done[record["method"], record["phase"], record.get("model", "")] = record["step"]
        last = record
    return sum(done.values()), last


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
    return last_lines(job.log) or f"papermill ended without a word; see {job.log}"


_OWN_ERRORS = {"ConfigError", "DataError", "RunError", "LockedError", "TrainingError"}
