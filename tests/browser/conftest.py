"""One JupyterLab and one browser for all browser tests, on runs made by hand."""

import os
import shutil
from pathlib import Path

import pytest

from tests.browser.lab import Notebook, find_browser, isolated, start_lab
from tests.explorable import explorable, gallery

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "outputs" / "screenshots"


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium; skipped without one, unless DMTKIT_BROWSER=required."""
    path = find_browser()
    if path is None and os.environ.get("DMTKIT_BROWSER") == "required":
        pytest.fail("no Chromium or Chrome was found on the PATH")
    if path is None:
        pytest.skip("no Chromium or Chrome on the PATH; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def runs(place):
    """By name: a small run of maps, one as large as VOC's, and a gallery."""
    return {
        "small": explorable(place / "small"),
        "large": explorable(place / "large", shape=(500, 500), classes=21, phases=6, samples=(3, 7), methods=("dmt",)),
        "gallery": gallery(place / "gallery", count=60),
    }


@pytest.fixture(scope="session")
def environment(place):
    return isolated(place, place / "outputs")


@pytest.fixture(scope="session")
def lab(place, environment):
    (place / "project" / "notebooks").mkdir(parents=True)
    with start_lab(place / "project", environment) as running:
        yield running


@pytest.fixture
def opened(browser, lab):
    """Opens notebooks, each in a window of its own; at the end no browser console may hold an error."""
    found: list[Notebook] = []

    def open_notebook(path: Path, **parameters: object) -> Notebook:
        target = lab.folder / path.name
        if path.parent != lab.folder:
            shutil.copy(path, target)
            set_parameters(target, parameters)
        window = browser.new_context(viewport={"width": 1500, "height": 1300}, accept_downloads=True)
        notebook = Notebook(window.new_page(), lab, path.name)
        found.append(notebook)
        return notebook.open()

    yield open_notebook
    for notebook in found:
        notebook.page.context.close()
    assert [notebook.complaints for notebook in found if notebook.complaints] == []


def set_parameters(path: Path, parameters: dict[str, object]) -> None:
    """Append assignments to the parameters cell, as a reader would edit it."""
    import nbformat

    notebook = nbformat.read(path, 4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
    nbformat.write(notebook, path)


@pytest.fixture
def shoot():
    """Keeps a picture of what the browser shows, to be looked at."""

    def keep(target, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        target.screenshot(path=SHOTS / f"{name}.png")

    return keep
