"""The command line in this process, a real one of it, and a notebook executed as a reader would."""

import contextlib
import os
import subprocess
import sys
import time

import nbformat
import papermill
import psutil
from typer.testing import CliRunner

from dmtkit.cli import app
from dmtkit.jobs.console import joined
from tests.helpers import ROOT

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PATIENCE = 600  # seconds until a test gives up waiting, whatever else the machine is doing


def dmtkit(*words):
    """What `dmtkit …` does, in this process: exit_code, stdout, stderr."""
    with contextlib.chdir(ROOT):
        found = CliRunner().invoke(app, joined([*map(str, words)]))
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def dmtkit_process(*words):
    """The same in a process of its own: returncode, stdout, stderr."""
    command = [sys.executable, "-m", "dmtkit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT)


def execute(notebook, out, monkeypatch, **parameters):
    """Run a notebook by papermill as a reader would, figures inline: its cells, the number of figures and what it said."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    executed = papermill.execute_notebook(
        ROOT / "notebooks" / f"{notebook}.ipynb", out, parameters, kernel_name="python3", progress_bar=False, cwd=ROOT
    )
    shown = outputs_of(executed)
    said = " ".join(output["data"].get("text/markdown", "") for output in shown)
    return executed, sum("image/png" in output["data"] for output in shown), said


def outputs_of(notebook):
    """What its cells show."""
    return [o for cell in notebook.cells for o in cell.get("outputs", []) if "data" in o]


def error_of(path):
    """The error that an executed notebook ended in."""
    (error,) = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", []) if o.output_type == "error"]
    return error


def wait_for(condition, process=None):
    """What the condition says once it holds; while the process runs, if one is given."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert process is None or process.poll() is None, "it ended too soon"
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)
    return found


def listening(pid):
    """The addresses at which a process and all that it started listen."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return [c.laddr.ip for each in family for c in each.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
