"""`python -m dmtkit.jobs.train PARAMS`: trains without a notebook, in as many processes as `processes` says.

Exit 0 means that DONE.json is there, 1 that something failed, 2 bad input, 130 that it was stopped. Of several
processes one speaks, and none outlives an error in another. `accelerate launch` says 1, whatever they said.
"""

import json
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
import typer
from torch import multiprocessing

from dmtkit import distributed
from dmtkit.errors import ConfigError, DmtkitError
from dmtkit.jobs.console import Bar, Output, Override, Params, complain, joined, overrides, program, show_results
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.process import OUTCOME
from dmtkit.runs.folder import refuse_locked
from dmtkit.training.experiment import run_methods, start_session
from dmtkit.training.loop import asked_to_stop

app = typer.Typer(add_completion=False)
MEET = "DMTKIT_MEET"  # an environment variable: where the processes meet that `together` starts
FAILED = "dmtkit/failed"  # how many processes met an error; the first of them says what it was
GRACE = 3.0  # seconds in which that one can do so, before a process that is only dragged along ends
FOREVER = timedelta(days=30)  # a process may wait long for rank 0, and rank 0 for another run's baseline


@app.command()
def train(params: Params, override: Override = None, output: Output = None) -> None:
    """Train every method of a params file, without a notebook; run it again to go on after a stop."""
    code = 2  # until everything is checked, nothing is written
    try:
        try:
            job = plan_job(params, overrides(override), output)
        except DmtkitError:
            start_team("cpu")  # once the processes have met, one of them says what is wrong
            raise
        device = start_team(job.config.device)
        if job.config.processes > 1 and "LOCAL_RANK" not in os.environ:
            together(job.config.processes, params, override, output)
        size, speaks, folder = distributed.size(), distributed.rank_zero(), job.folder
        if job.config.processes not in (1, size):
            raise ConfigError(
                f"processes: found {job.config.processes} where {size} started; start as many, or leave it out"
            )
        ended = "finished already, nothing to do"
        if not distributed.broadcast((folder / "DONE.json").is_file):
            if speaks:
                refuse_locked(folder)
            data = distributed.in_turn(lambda: start_session(job.config).task.data)
            code, ended = 1, "finished"
            if speaks:
                typer.echo(f"{folder}: training" + f" in {size} processes" * (size > 1))
            config = job.config.model_copy(update={"device": device})
            run_methods(config, data, folder, Bar() if speaks and sys.stderr.isatty() else lambda progress: None)
        if speaks:
            typer.echo(f"{folder}: {ended}")
            show_results(folder)
            given = [word for pair in override or [] for word in ("-p", pair)]
            words = [str(program("dmtkit")), "run", str(params), *given, "--output", str(folder)]
            typer.echo(f"\nRender its notebook with:  {shlex.join(words)}")
        if size > 1:
            distributed.barrier()
            dist.destroy_process_group()
    except typer.Exit:
        raise
    except BaseException as error:
        _end(error, code)


def together(count: int, *arguments: Any) -> NoReturn:
    """Train in `count` processes of this machine, of which one is told of every Ctrl-C, and end as they do."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // count))
    with tempfile.TemporaryDirectory() as place, asked_to_stop(patient=True) as signals:
        team = multiprocessing.start_processes(_member, (count, f"file://{place}/meet", *arguments), count, join=False)
        try:
            while not team.join(0.5, grace_period=2 * GRACE):
                while signals and team.processes[0].is_alive():
                    os.kill(team.processes[0].pid, signal.SIGINT)
                    signals.pop()
        except multiprocessing.ProcessExitedException as error:
            if error.exit_code < 0:
                typer.echo(error.msg, err=True)
            raise typer.Exit(max(1, error.exit_code)) from None
    raise typer.Exit


def _member(rank: int, count: int, meet: str, *arguments: Any) -> None:
    os.setpgrp()  # Ctrl-C in a terminal reaches the starter alone
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, MEET: meet}
    os.environ.update({name: str(value) for name, value in own.items()})
    train(*arguments)


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
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGTERM, _end_soon)
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    world = int(os.environ["WORLD_SIZE"])
    if world == here:  # nobody else's network is needed, or listened to
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        os.environ.update(GLOO_SOCKET_IFNAME=loopback, NCCL_SOCKET_IFNAME=loopback)
    cpu = device == "cpu" or not gpus or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    few = not cpu and here > gpus
    backend = "gloo" if cpu or few else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, os.environ.get(MEET, "env://"), FOREVER, world, int(os.environ["RANK"]))
    if few:
        raise ConfigError(f"found {here} processes and {gpus} GPUs here, expected a GPU each; or set device to cpu")
    if world > 1 and device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: found {device!r}; several processes take a GPU each: use auto, cuda or cpu")
    if not cpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return device if world == 1 else "cpu" if cpu else "cuda"


def _was_said() -> bool:
    """Whether another process was first to say what went wrong."""
    try:
        return dist.distributed_c10d._get_default_store().add(FAILED, 1) > 1
    except RuntimeError:  # the launcher has ended by then, and its store
        return True


def _end(error: BaseException, code: int) -> NoReturn:
    """Say what went wrong, unless another process was first, and end: the launcher then ends the others."""
    several = distributed.size() > 1
    gone = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
    if several and gone:
        code = 1
        error = DmtkitError(
            f"process {distributed.rank()} of {distributed.size()} lost another one, which ended without a word: killed, for want "
            "of memory perhaps. Run the same command again: it goes on from the last checkpoint"
        )
    if several and _was_said():
        time.sleep(GRACE)
    else:
        code = complain(error, code)
        if os.environ.get(OUTCOME):
            said = {"kind": type(error).__name__, "message": str(error)}
            Path(os.environ[OUTCOME]).write_text(json.dumps(said), encoding="utf-8")
    if several:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # an orderly end would wait for processes that are not coming
    raise SystemExit(code)


def _end_with(launcher: int) -> None:
    """End this process when its launcher is gone."""
    while os.getppid() == launcher:
        time.sleep(1)
    os._exit(1)


def _end_soon(number: int, frame: object) -> None:
    """The launcher ends this process since another one is gone: what that means here may still be said."""
    timer = threading.Timer(GRACE, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    app(args=joined(sys.argv[1:]), prog_name="python -m dmtkit.jobs.train")
