"""Runs a params file's notebook in a process of its own: checked first, watched while it runs, signed after."""

import base64
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dmtkit import errors
from dmtkit.config import Config, check_name, config_type, make_config
from dmtkit.errors import ConfigError, DmtkitError, RunError
from dmtkit.files import read_json
from dmtkit.jobs.process import Count, last_lines, watch
from dmtkit.own import import_code, refuse_unshared
from dmtkit.params import load_params, notebook_of, outputs_root
from dmtkit.registry import methods_in, without_others
from dmtkit.runs.folder import hold, refuse_locked, refuse_other_run
from dmtkit.runs.manifest import read_log
from dmtkit.runs.run import Run
from dmtkit.training.experiment import check, start_session
from dmtkit.training.loop import asked_to_stop

LAUNCH_LOCK = ".launch.lock"  # from the start of papermill to the signed notebook; .lock covers training alone
LOCKS = (LAUNCH_LOCK, ".lock")
NOT_NAMED = {"seed", "split", "experiment", "output_dir", "data_dir", "code_from", "device", "processes", "threads"}


@dataclass(frozen=True)
class Job:
    """A checked run: its notebook, parameters and folder, its training steps, and the baselines that it starts from."""

    config: Config
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    steps: int = 0
    needs: tuple[Path, ...] = ()
    checked: bool = True  # whether its methods and data were; a dry run imports no code of one's own

    @property
    def name(self) -> str:
        """Its folder below outputs/, which tells what it is."""
        root = Path(os.path.abspath(outputs_root()))
        return str(self.folder.relative_to(root) if self.folder.is_relative_to(root) else self.folder)

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
        if not Run(self.folder).finished:
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


def prepare(params: Path, chosen: dict[str, Any], output: Path | None) -> Job:
    """Check everything that can be checked without writing: names, values, data, folder and lock."""
    job = plan_job(params, chosen, output)
    if job.finished:
        return job
    refuse_locked(job.folder, *LOCKS)
    return replace(job, steps=start_session(job.config).plan.total_steps)


def plan_job(params: Path, chosen: dict[str, Any], output: Path | None = None, imports: bool = True) -> Job:
    """The run of a params file and of what is `chosen` beside it; names, values and folder are checked.

    One that is only listed imports no code of one's own, and then is not checked.
    """
    values = {"experiment": params.stem} | load_params(params)
    kind = config_type(values | chosen)
    if imports:
        import_code((values | chosen).get("code_from"))
    if "methods" in chosen:  # some of the file's: what it sets for the others is not for this run
        values = without_others(values, methods_in(values, kind.model_fields), methods_in(chosen, kind.model_fields))
    values |= chosen
    place = values.pop("output_dir", None)  # a parameter of the notebook that is no setting of the run
    config = make_config(values)
    folder = Path(output or str(place or "") or _default_folder(config, chosen))
    folder = Path(os.path.abspath(folder))  # links stay: what lies below outputs/ shares its baselines
    checked = imports or not config.code_from
    if checked:
        refuse_other_run(config, folder)
        check(config)
        refuse_unshared(config)
    return Job(config, notebook_of(config.task), values | {"output_dir": str(folder)}, folder, checked=checked)


def execute(
    job: Job,
    say: Callable[[int, str], None] = lambda step, text: None,
    stops: Count | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run the notebook, telling `say` the training steps done and the newest measurements.

    Raises RunError with the notebook's own message if it fails. Ctrl-C (or what `stops` counts in its place) lets the
    run write a checkpoint and raises KeyboardInterrupt. The notebook is signed if this call trained what it shows: what a
    finished run holds may come from elsewhere, and whoever opens its notebook decides whether to trust it.
    """
    found = (job.folder / "DONE.json").is_file()
    counting: AbstractContextManager[list[int]] = nullcontext([]) if stops else asked_to_stop(patient=True)
    with hold(job.folder, LAUNCH_LOCK, seconds=0), counting as signals:
        stops = stops or (lambda: len(signals))
        encoded = base64.b64encode(yaml.safe_dump(job.parameters).encode()).decode()
        command = [sys.executable, "-m", "papermill", str(job.notebook), str(job.output), "-b", encoded]
        command += ["--no-progress-bar", "--kernel", "python3"]
        quiet = {"DMTKIT_LIVE": "0", **(environment or {})}  # nobody watches this kernel, whoever's environment it has

        def tell() -> None:
            say(*progress_of(job.folder))

        code = watch(command, job.log, tick=tell, stops=stops, environment=quiet)
        tell()
        if code == 0 and Run(job.folder).finished:
            return None if found else sign(job.output)
        if stops():
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


def _default_folder(config: Config, chosen: Mapping[str, Any]) -> Path:
    """outputs/<experiment>/<variant>: seed (and split), and whatever else was set for this run."""
    parts = [config.variant]
    for name, value in chosen.items():
        if name not in NOT_NAMED:
            parts.append(f"{name}-" + (",".join(map(str, value)) if isinstance(value, list) else str(value)))
    try:
        return outputs_root() / config.experiment / check_name("_".join(parts))
    except ValueError:
        raise ConfigError(
            "these overrides cannot name a run folder; write them into a params file, or name the folder with --output DIR"
        ) from None


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
    for last in read_log(folder / "metrics.jsonl"):
        done[last["method"], last["phase"], last.get("model", "")] = last["step"]
    return sum(done.values()), last


def _failure(job: Job) -> str:
    """The error that the notebook shows, or the last lines of papermill's log."""
    try:
        outputs = [output for cell in read_json(job.output)["cells"] for output in cell.get("outputs", [])]
        shown = next(output for output in outputs if output["output_type"] == "error")
        return shown["evalue"] if hasattr(errors, shown["ename"]) else f"{shown['ename']}: {shown['evalue']}"
    except (DmtkitError, KeyError, StopIteration):
        return last_lines(job.log) or f"papermill ended without a word; see {job.log}"
