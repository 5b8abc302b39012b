"""Runs a command that ends when its starter does: `python -m dmtkit.jobs.end_with_parent COMMAND …`, standard input being a pipe.

The starter never writes to the pipe. When it dies, however that happens, the system closes the pipe; then the command
and all of its process group are killed. So no run goes on that nobody watches, holding the locks of its folder.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run the command and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Dask worker ignores it, and would pass that on
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    return process.wait()


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
