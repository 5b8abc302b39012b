"""A command in a process of its own: logged, watched while it runs, stopped softly, ended with whoever started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

from dmtkit.files import writing
from dmtkit.params import project_root
from dmtkit.runs.folder import HOST, writer_of

Count = Callable[[], int]
OUTCOME = "DMTKIT_OUTCOME"  # an environment variable: a file in which a process says to its starter why it failed


def watch(
    command: Sequence[str],
    log: Path,
    *,
    tick: Callable[[], None] = lambda: None,
    stops: Count = lambda: 0,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a command from the project's folder until it ends, adding what it prints to `log`; its exit code.

    `tick` is called every half second. `stops` counts the requests to stop: at the first the process that trains is
    asked to save and stop, if .writer.json beside the log names one that we started; else, and at the second, all are killed.
    """
    asked = 0
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8") as file:
            print(f"--- {datetime.now():%Y-%m-%d %H:%M:%S} started by process {os.getpid()}", file=file, flush=True)
            process = subprocess.Popen(
                [sys.executable, "-m", "dmtkit.jobs.end_with_parent", *command],
                cwd=project_root(),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
    with process:
        while process.poll() is None:
            while asked < stops():
                asked += 1
                _stop(process.pid, writer_of(log.parent) if asked == 1 else {})
            tick()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
    return process.returncode


def _stop(pid: int, writer: Mapping[str, object]) -> None:
    """Ask the process that trains to save and stop; kill the whole group if it is none that `pid` started."""
    with suppress(ProcessLookupError, psutil.Error):  # it may have ended by itself just now
        for child in psutil.Process(pid).children(recursive=True):
            if (child.pid, HOST) == (writer.get("pid"), writer.get("host")):
                return child.send_signal(signal.SIGINT)
        os.killpg(pid, signal.SIGKILL)


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for a message; empty if there is none."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    except OSError:
        return ""
