"""JupyterLab on loopback with a token, a browser that has it open, and what a user does there."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there all the same
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}
PATIENCE = 120  # seconds until something that should have happened has not


def find_browser() -> str | None:
    """The system's Chromium, by name."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def isolated(home: Path, outputs: Path, theme: str = "light") -> dict[str, str]:
    """An environment in which Jupyter reads and writes nothing of the user's."""
    places = {
        name: home / name.lower()
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "IPYTHONDIR",
        )
    }
    themes = {"apputils-extension/themes": {"theme": f"JupyterLab {theme.capitalize()}"}}
    for name, values in {**SETTINGS, **themes}.items():
        file = places["JUPYTERLAB_SETTINGS_DIR"] / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return {
        **kept,
        **{name: str(place) for name, place in places.items()},
        "OMP_NUM_THREADS": "1",
        "DMTKIT_OUTPUTS": str(outputs),
    }


@dataclass
class Lab:
    """A server under way."""

    url: str
    token: str
    folder: Path

    def ask(self, path: str) -> Any:
        """What the REST interface says."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def kernel_is_ready(self, notebook: str) -> bool:
        """Whether the notebook's kernel is idle and the page is connected to it."""
        sessions = [one for one in self.ask("/api/sessions") if one["path"].endswith(notebook)]
        return any(one["kernel"]["execution_state"] == "idle" and one["kernel"]["connections"] for one in sessions)


@contextlib.contextmanager
def start_lab(project: Path, environment: dict[str, str]) -> Iterator[Lab]:
    """`dmtkit lab` in a project; gone, with its kernels, at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "dmtkit",
        "lab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    with open(project.parent / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    lab = Lab(f"http://127.0.0.1:{port}", token, project / "notebooks")
    try:
        wait_for(lambda: _answers(lab), f"JupyterLab did not start, see {log.name}")
        yield lab
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _answers(lab: Lab) -> bool:
    try:
        return bool(lab.ask("/api/status"))
    except (urllib.error.URLError, OSError):
        return False


def wait_for(condition: Any, complaint: str, patience: float = PATIENCE) -> None:
    """Poll until something is true."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        time.sleep(0.1)


@dataclass
class Notebook:
    """A notebook that is open in the browser."""

    page: Any
    lab: Lab
    name: str
    complaints: list[str] = field(default_factory=list)

    def open(self) -> "Notebook":
        """Open it, and listen to the console."""
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{self.lab.url}/lab/tree/notebooks/{self.name}?token={self.lab.token}&reset")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=1000 * PATIENCE)
        return self

    def run_all(self) -> None:
        """Run every cell, once the kernel is there, and wait until all are through."""
        wait_for(lambda: self.lab.kernel_is_ready(self.name), f"no kernel for {self.name}")
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        prompts = self.page.locator(".jp-CodeCell .jp-InputPrompt")
        finished = re.compile(r"\[\d+\]")

        def done() -> bool:
            self.page.wait_for_timeout(200)  # lets the page work
            return all(finished.search(text) for text in prompts.all_inner_texts())

        wait_for(done, f"{self.name} did not run to its end")
        wait_for(lambda: self.lab.kernel_is_ready(self.name), "the kernel stays busy")
        self.no_errors()

    def no_errors(self) -> None:
        """No cell shows an error."""
        errors = self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
        assert errors.count() == 0, errors.all_inner_texts()

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme, Light or Dark."""
        change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
        self.page.evaluate(change, f"JupyterLab {name}")
        light = "false" if name == "Dark" else "true"
        self.page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached")
        self.page.wait_for_timeout(1000)
