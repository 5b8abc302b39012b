"""No name runs a script: in a run's notebook saved as HTML, in a report, in the explorer's page; a real browser opens them."""

import nbformat
import pytest
from nbconvert import HTMLExporter

import dmtkit
from dmtkit.results import tables
from tests.commands import execute
from tests.helpers import TINY_SEGMENTATION
from tests.hostile_names import HOSTILE, Shown, notebook_table
from tests.trees import make_voc_style

pytestmark = pytest.mark.browser
NAMES = [name for name in HOSTILE if "$" not in name]  # what begins a formula has tests of its own


def notebook_of_a_run(folder, monkeypatch):
    """The notebook that a run rendered whose classes have hostile names, as HTML with everything that it shows."""
    values = {**TINY_SEGMENTATION, "dataset": "folder", "classes": NAMES, "denominator": 4, "methods": ["cbst", "dmt"]}
    values |= {"data_dir": str(make_voc_style(folder / "data", classes=len(NAMES))), "output_dir": str(folder / "run")}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    execute("segmentation", folder / "run.ipynb", monkeypatch, **given)
    text, _ = HTMLExporter().from_notebook_node(nbformat.read(folder / "run.ipynb", 4))
    assert "class_iou" in text
    explorer = dmtkit.explore(folder / "run").save(folder / "explorer.html").read_text()
    return {"notebook.html": text, "explorer.html": explorer}


def opened(browser, page):
    """How many scripts of a name ran when a page was opened, and asked for what."""
    context = browser.new_context(offline=True)
    window, dialogs = context.new_page(), []
    window.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    window.goto(page.as_uri(), wait_until="domcontentloaded")
    window.wait_for_timeout(1000)
    count = window.evaluate("() => window.owned || 0")
    context.close()
    return count + len(dialogs)


def test_no_name_runs_a_script(browser, tmp_path, monkeypatch):
    made = Shown(tmp_path / "shown", HOSTILE)
    pages = {
        "table.html": notebook_table(made),
        "report.html": "".join(map(tables.to_html, made.tables)),
        "made.html": dmtkit.explore(made.run).save(tmp_path / "made.html").read_text(),
    }
    pages |= notebook_of_a_run(tmp_path, monkeypatch)
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert opened(browser, tmp_path / name) == 0, name
    (tmp_path / "raw.html").write_text("<meta charset='utf-8'>" + "".join(HOSTILE))
    assert opened(browser, tmp_path / "raw.html") > 1, "where they are not text they do run"
