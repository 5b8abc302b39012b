"""The live view of training in JupyterLab: it grows in place, does not jump, and leaves a picture in the file."""

import time

import nbformat
import pytest

from tests.browser.lab import wait_for
from tests.helpers import TINY

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_training_is_shown_while_it_runs_and_stays_as_a_picture(opened, lab, shoot):
    values = {**TINY, "baseline_epochs": 60, "epochs": 8, "label_ratios": [0.3, 0.6], "methods": ["supervised", "dmt"]}
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
    view, said, heights, drawn = page.locator(".dmt-live"), [], set(), []
    view.wait_for(timeout=60_000)
    deadline, themes = time.monotonic() + 120, ["light"]
    look = """() => { const view = document.querySelector(".dmt-live"); return view && {
        words: view.querySelector(".dmt-words").textContent, height: view.getBoundingClientRect().height,
        lines: [...view.querySelectorAll("svg[role=img]")].map((picture) => picture.getAttribute("aria-label")) } }"""
    while (found := page.evaluate(look)) and time.monotonic() < deadline:
        said.append(found["words"])
        heights.add(found["height"])
        drawn.append(found["lines"])
        if "DMT · phase 1" in found["words"] and themes == ["light"]:
            shoot(view, "live-light")
            notebook.theme("Dark")
            themes.append("dark")
        page.wait_for_timeout(200)
    shoot(page, "live-end")
    assert len(set(said)) > 4, "the words follow the run"
    assert len(heights) == 1, f"the page jumps: {heights}"
    assert len({lines[0] for lines in drawn}) > 3, "the loss grows"
    assert any("agreement: 0." in lines[2] for lines in drawn)
    picture = page.locator(".jp-OutputArea-output img")
    assert picture.count() == 1, "the picture has taken the view's place"
    wait_for(lambda: lab.kernel_is_ready("live.ipynb"), "the kernel stays busy")
    notebook.no_errors()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1500)
    (saved, *_) = nbformat.read(lab.folder / "live.ipynb", 4).cells[1].outputs
    assert "image/png" in saved.data
    assert "steps of supervised, dmt" in saved.metadata["image/png"]["alt"]
