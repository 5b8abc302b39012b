"""Runs a command that ends when its starter does: `python -m dmtkit.jobs.end_with_parent COMMAND …`, standard input being a pipe.

Nothing is ever written to the pipe. When the starter dies, however that happens, the system closes it; then the command and
all of its process group are killed. So no run goes on that nobody watches, holding the locks of its folder.
"""

import os
import signal
import subprocess
import sys
import threading


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Dask worker ignores it, and would pass that on
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.exit(process.wait())
