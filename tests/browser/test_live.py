"""The live view of training in JupyterLab: it grows in place, does not jump, and leaves a picture in the file."""

import time

import nbformat
import pytest

from tests.browser.lab import wait_for
from tests.helpers import TINY

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_training_is_shown_while_it_runs_and_stays_as_a_picture(opened, lab, shoot):
    values = {
        **TINY,
        "baseline_epochs": 180,
        "epochs": 24,
        "label_ratios": [0.3, 0.6],
        "methods": ["supervised", "dmt"],
    }
    code = [f"import dmtkit\nconfig = dmtkit.make_config({values!r})", "run = dmtkit.train(config)", "print('after')"]
    sheet = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in code],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(sheet, lab.folder / "live.ipynb")
    notebook = opened(lab.folder / "live.ipynb")
    page = notebook.page
    wait_for(lambda: lab.kernel_is_ready("live.ipynb"), "no kernel")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    output = page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea")
    picture, said, drawn = output.locator("img"), set(), set()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and "finished (" not in output.inner_text():
        said.add(output.inner_text())
        drawn |= {picture.get_attribute("src")} if picture.count() else set()
        page.wait_for_timeout(200)
    shoot(page, "live-end")
    assert len(said) > 4, "the line follows the run"
    assert len(drawn) > 1, "the curves grow"
    assert picture.count() == 1, "in one place"
    wait_for(lambda: lab.kernel_is_ready("live.ipynb"), "the kernel stays busy")
    notebook.no_errors()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1500)
    line, figure, *_ = nbformat.read(lab.folder / "live.ipynb", 4).cells[1].outputs
    assert "100%" in line.data["text/plain"]
    assert "image/png" in figure.data
    assert "loss" in figure.metadata["image/png"]["alt"]
