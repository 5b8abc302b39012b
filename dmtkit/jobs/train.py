"""`python -m dmtkit.jobs.train PARAMS`: trains without a notebook, alone or as one of the processes of `accelerate launch`.

Exit 0 means that DONE.json is there, 1 that something failed, 2 bad input, 130 that it was stopped. Of several
processes one speaks, and none outlives an error in another; their launcher then says 1, whatever they said.
"""

import contextlib
import json
import os
import shlex
import signal
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

from dmtkit import distributed
from dmtkit.errors import ConfigError, DmtkitError
from dmtkit.jobs.console import Override, Params, joined, message, overrides, program, show_results
from dmtkit.jobs.notebook_job import Job, parse_value, plan_job
from dmtkit.jobs.process import OUTCOME
from dmtkit.jobs.progress import Bar
from dmtkit.runs.folder import hold
from dmtkit.training.experiment import check_data, load_data, run_methods
from dmtkit.training.loop import check_shares
from dmtkit.training.resume import Progress

app = typer.Typer(add_completion=False)
FAILED = "dmtkit/failed"  # how many processes met an error; the first of them says what it was
GRACE = 3.0  # seconds in which that one can do so, before a process that is only dragged along ends
FOREVER = timedelta(days=30)  # a process may wait long for rank 0, and rank 0 for another run's baseline


@app.command()
def train(
    params: Params,
    override: Override = None,
    output: Annotated[Path | None, typer.Option(help="the run folder")] = None,
) -> None:
    """Train every method of a params file, without a notebook; run it again to go on after a stop."""
    code = 2  # until everything is checked, nothing is written
    words = [str(params), *(word for pair in override or [] for word in ("-p", pair))]
    try:
        job = _plan(params, override or [], output)
        device = start_team("cpu" if isinstance(job, DmtkitError) else job.config.device)
        if isinstance(job, DmtkitError):
            raise job
        if job.config.processes not in (1, distributed.size()):
            raise ConfigError(
                f"processes: found {job.config.processes} where {distributed.size()} started; `dmtkit run` starts as many as that, and "
                f"`accelerate launch --multi_gpu --num_processes {job.config.processes} -m dmtkit.jobs.train` does"
            )
        check_shares(job.config, distributed.size())
        if distributed.broadcast((job.folder / "DONE.json").is_file):
            return _end_well(f"{job.folder}: finished already, nothing to do", job, words)
        if distributed.rank_zero() and (job.folder / ".lock").is_file():
            with hold(job.folder, ".lock"):
                pass
        data = distributed.in_turn(lambda: load_data(job.config))
        distributed.in_turn(lambda: check_data(job.config, data))
        code = 1
        config = job.config.model_copy(update={"device": device})
        if distributed.rank_zero():
            typer.echo(
                f"{job.folder}: training" + (f" in {distributed.size()} processes" if distributed.size() > 1 else "")
            )
        run_methods(config, data, job.folder, progress=_progress())
        _end_well(f"{job.folder}: finished", job, words)
    except BaseException as error:
        _end(error, code)


def start_team(device: str) -> str:
    """Meet the other processes, if there are any; the device that the settings' `device` means here.

    Raises ConfigError if a launcher was asked for several processes and started one, or for GPUs that are not there.
    """
    if "LOCAL_RANK" not in os.environ:
        if {"MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"} <= os.environ.keys():
            raise ConfigError(
                "accelerate launch was asked for several processes and started one, as it does where it does not find "
                "several GPUs; add --multi_gpu, and it starts them on CPUs too"
            )
        return device
    from accelerate import PartialState  # takes seconds

    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if os.environ.get("WORLD_SIZE") == str(here) and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nobody else's network is needed, or listened to
    cpu = device == "cpu" or not gpus or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    few = not cpu and here > gpus
    state = PartialState(cpu=cpu or few, backend="gloo" if cpu or few else "cpu:gloo,cuda:nccl", timeout=FOREVER)
    threading.Thread(target=_end_with_the_others, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGTERM, _end_soon)
    if few:
        raise ConfigError(f"found {here} processes and {gpus} GPUs here, expected a GPU each; or set device to cpu")
    if distributed.size() > 1 and device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: found {device!r}; several processes take a GPU each: use auto, cuda or cpu")
    return device if distributed.size() == 1 else str(state.device.type)


def _plan(params: Path, pairs: list[str], output: Path | None) -> Job | DmtkitError:
    """The checked run, or what is wrong with it: said once the processes have met, so that one of them says it."""
    try:
        chosen = {name: parse_value(name, text) for name, text in overrides(pairs).items()}
        return plan_job(params, chosen, output, rendered=False)
    except DmtkitError as error:
        return error


def _progress() -> Any:
    def nothing(progress: Progress) -> None:
        pass

    return Bar() if distributed.rank_zero() and sys.stderr.isatty() else nothing


def _end_well(text: str, job: Job, words: list[str]) -> None:
    if distributed.rank_zero():
        typer.echo(text)
        show_results(job.folder)
        typer.echo(
            f"\nRender its notebook with:  {shlex.join([str(program('dmtkit')), 'run', *words, '--output', str(job.folder)])}"
        )
    if distributed.size() > 1:
        distributed.barrier()
        dist.destroy_process_group()
        _leave(
            0
        )  # the thread that watches the others may be asking the store, which would abort the interpreter's own end


def _end(error: BaseException, code: int) -> NoReturn:
    """Say what went wrong, unless another process was first, and end: the launcher then ends the others."""
    if isinstance(error, KeyboardInterrupt):
        code, text = 130, f"\n{error}" if str(error) else "\nstopped"
    elif isinstance(error, DmtkitError):
        text = message(error)
    elif distributed.size() > 1 and _lost(error):
        error = DmtkitError(
            f"process {distributed.rank()} of {distributed.size()} lost another one, which ended without a word: killed, for want of "
            "memory perhaps. Run the same command again: it goes on from the last checkpoint"
        )
        code, text = 1, message(error)
    else:
        code, text = 1, "".join(traceback.format_exception(error))
    if distributed.size() > 1 and _store().add(FAILED, 1) > 1:
        time.sleep(GRACE)
    else:
        typer.secho(text, fg=None if code == 130 else typer.colors.RED, err=True)
        if os.environ.get(OUTCOME):
            said = {"kind": type(error).__name__, "message": str(error)}
            Path(os.environ[OUTCOME]).write_text(json.dumps(said), encoding="utf-8")
    if distributed.size() == 1:
        raise SystemExit(code)
    _leave(code)  # an orderly end would wait for processes that are not coming


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _lost(error: BaseException) -> bool:
    """Whether it is the connection to another process that failed."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _end_with_the_others(launcher: int) -> None:
    """End this process if another met an error, for whose share a GPU would wait for ever, or if the launcher is gone."""
    with contextlib.suppress(Exception):  # the launcher, whose the store is, may go at any moment
        store = _store()
        while os.getppid() == launcher and not (distributed.size() > 1 and store.check([FAILED])):
            time.sleep(1)
    if os.getppid() == launcher:
        time.sleep(GRACE)
    os._exit(1)


def _end_soon(number: int, frame: object) -> None:
    """The launcher ends this process since another one is gone: what that means here may still be said."""
    timer = threading.Timer(GRACE, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()


def _store() -> dist.Store:
    """Where the processes met: it is their launcher's, and stays when one of them ends."""
    return dist.distributed_c10d._get_default_store()


if __name__ == "__main__":
    app(args=joined(sys.argv[1:]), prog_name="python -m dmtkit.jobs.train")
