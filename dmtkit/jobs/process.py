"""A command in a process of its own: logged, watched while it runs, stopped softly, ended with whoever started it."""

import contextlib
import datetime
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from dmtkit.errors import DmtkitError
from dmtkit.files import cannot_write, read_json
from dmtkit.runs.folder import STARTED_BY

Count = Callable[[], int]
OUTCOME = "DMTKIT_OUTCOME"  # an environment variable: a file in which a process says to its starter why it failed


def never() -> int:
    """No request to stop."""
    return 0


def watch(
    command: Sequence[str],
    log: Path,
    cwd: Path,
    *,
    tick: Callable[[], None] = lambda: None,
    stops: Count = never,
    environment: Mapping[str, str] | None = None,
    every: float = 0.5,
) -> int:
    """Run a command until it ends, adding what it prints to `log`; its exit code.

    `tick` is called every half second. `stops` counts the requests to stop: at the first the process that trains is
    asked to save and stop, if .writer.json beside the log names one that we started; else, and at the second, all are killed.
    """
    folder, asked = log.parent, 0
    token = os.environ.get(STARTED_BY) or secrets.token_hex(8)  # what we start belongs to who started us
    try:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"--- {datetime.datetime.now():%Y-%m-%d %H:%M:%S} started by process {os.getpid()}\n")
            file.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "dmtkit.jobs.end_with_parent", *command],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env={**os.environ, **(environment or {}), STARTED_BY: token},
            )
    except OSError as error:
        raise cannot_write(log, error) from error
    with process:
        while process.poll() is None:
            while asked < stops():
                asked += 1
                _stop(folder, process, token if asked == 1 else "")
            tick()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(every)
    return process.returncode


def _stop(folder: Path, process: subprocess.Popen, token: str) -> None:
    """Ask the process that trains to save and stop; kill everything if it is none of ours, or without a token."""
    try:
        told = read_json(folder / ".writer.json")
        writer = told["pid"] if token and told["started_by"] == token else None
    except (DmtkitError, KeyError):
        writer = None
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
        os.kill(writer, signal.SIGINT) if writer else os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def count_interrupts() -> Iterator[Count]:
    """While entered, Ctrl-C and SIGTERM are counted and do nothing else."""
    met: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        met.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: len(met)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for a message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    except OSError:
        return ""
