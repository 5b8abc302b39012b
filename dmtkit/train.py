"""`python -m dmtkit.train PARAMS`: trains without a notebook, alone or as one of the processes of `accelerate launch`.

Exit 0 means that DONE.json is there, 1 that something failed, 2 bad input, 130 that it was stopped. Of several
processes one speaks, and none outlives an error in another; their launcher then says 1, whatever they said.
"""

import os
import sys
import threading
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import torch.distributed as dist
import typer

from dmtkit import team
from dmtkit.cli import Override, Params, joined, message, overrides, show_results
from dmtkit.errors import ConfigError, DmtkitError
from dmtkit.experiment import check_data, check_shares, load, run_methods
from dmtkit.launch import Job, parse_value, plan_job
from dmtkit.notebook import Bar
from dmtkit.phases import Progress
from dmtkit.run_folder import hold

app = typer.Typer(add_completion=False)
FAILED = "dmtkit/failed"  # how many processes met an error; the first of them says what it was
GRACE = 3.0  # seconds in which the one that speaks can do so, before a process that is only dragged along ends
FOREVER = timedelta(days=30)  # a process may wait long for the leader, and the leader for another run's baseline


@app.command()
def train(
    params: Params,
    override: Override = None,
    output: Annotated[Path | None, typer.Option(help="the run folder")] = None,
) -> None:
    """Train every method of a params file, without a notebook; run it again to go on after a stop."""
    code = 2
    try:
        job, problem = _plan(params, override or [], output)
        device = start_team(job.config.device if job else "cpu")
        if job is None:
            raise problem or AssertionError
        check_shares(job.config, team.size())
        if team.agree((job.folder / "DONE.json").is_file):
            return _say(f"{job.folder}: finished already, nothing to do", job)
        if team.leader() and (job.folder / ".lock").is_file():
            with hold(job.folder, ".lock"):
                pass
        data = team.in_turn(lambda: load(job.config))
        team.in_turn(lambda: check_data(job.config, data))
        code = 1
        config = job.config.model_copy(update={"device": device})
        if team.leader():
            typer.echo(f"{job.folder}: training" + (f" in {team.size()} processes" if team.size() > 1 else ""))
        run_methods(config, data, job.folder, progress=_progress())
        _say(f"{job.folder}: finished", job)
        if team.size() > 1:
            dist.destroy_process_group()
    except BaseException as error:
        _end(error, code)


def start_team(device: str) -> str:
    """Meet the other processes, if there are any; the device that the settings' `device` means here.

    Raises ConfigError if a launcher was asked for several processes and started one, or for a GPU that all would share.
    """
    if "LOCAL_RANK" not in os.environ:
        if {"MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"} <= os.environ.keys():
            raise ConfigError(
                "accelerate launch was asked for several processes and started one: it does so unless it finds "
                "several GPUs; add --multi_gpu, which starts several on CPUs too"
            )
        return device
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    state = PartialState(cpu=cpu, backend="gloo" if cpu else "cpu:gloo,cuda:nccl", timeout=FOREVER)
    if team.size() > 1:
        threading.Thread(target=_end_with_the_others, daemon=True).start()
        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device: found {device!r}; several processes take a GPU each: use auto, cuda or cpu")
    return device if team.size() == 1 else str(state.device.type)


def _plan(params: Path, pairs: list[str], output: Path | None) -> tuple[Job | None, DmtkitError | None]:
    """The checked run, or what is wrong with it: said once the processes have met, so that one of them says it."""
    try:
        return plan_job(params, {name: parse_value(name, text) for name, text in overrides(pairs).items()}, output), None
    except DmtkitError as error:
        return None, error


def _progress() -> Any:
    def nothing(progress: Progress) -> None:
        pass

    return Bar() if team.leader() and sys.stderr.isatty() else nothing


def _say(text: str, job: Job) -> None:
    if team.leader():
        typer.echo(text)
        show_results(job.folder)
        typer.echo(f"\nRender the notebook with:  dmtkit run … --output {job.folder}")


def _end(error: BaseException, code: int) -> NoReturn:
    """Say what went wrong, unless another process was first, and end: the launcher then ends the others."""
    if isinstance(error, KeyboardInterrupt):
        code, text = 130, f"\n{error}" if str(error) else "\nstopped"
    elif isinstance(error, DmtkitError):
        text = message(error)
    elif team.size() > 1 and _is_lost(error):
        code, text = 1, (
            f"dmtkit: training: process {team.rank()} of {team.size()} lost another one, which ended without a word: "
            "killed, for want of memory perhaps. Run the same command again to go on from the last checkpoint"
        )  # fmt: skip
    elif isinstance(error, SystemExit):
        raise error
    else:
        code, text = 1, "".join(traceback.format_exception(error))
    if team.size() == 1:
        typer.secho(text, fg=None if code == 130 else typer.colors.RED, err=True)
        raise SystemExit(code)
    if _store().add(FAILED, 1) == 1:
        typer.secho(text, fg=None if code == 130 else typer.colors.RED, err=True)
    else:
        time.sleep(GRACE)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # an orderly end would wait for processes that are not coming


def _is_lost(error: BaseException) -> bool:
    """Whether it is the connection to another process that failed."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _end_with_the_others() -> None:
    """End this process if another met an error: on a GPU it would wait for that one's share of a sum for ever."""
    store = _store()
    while not store.check([FAILED]):
        time.sleep(1)
    time.sleep(GRACE)
    os._exit(1)


def _store() -> dist.Store:
    """Where the processes met: it stays when one of them ends, since it is their launcher's."""
    return dist.distributed_c10d._get_default_store()


if __name__ == "__main__":
    app(args=joined(sys.argv[1:]), prog_name="python -m dmtkit.train")
