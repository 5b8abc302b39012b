"""Names of classes, experiments, methods and files are text, wherever they are shown."""

import json
import re

import nbformat
import pytest
import yaml

from dmtkit.results import tables
from tests.helpers import ROOT
from tests.hostile_names import HARMLESS, HOSTILE, HTML, Page, Shown, cells, figures, latex, terminal
from tests.made_runs import put


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What is shown of hostile names, and of a few harmless ones."""
    return tuple(Shown(tmp_path_factory.mktemp("shown"), names) for names in (HOSTILE, HARMLESS))


@pytest.mark.parametrize("surface", HTML)
def test_names_are_text_on_every_page(surface, made):
    found, plain = (Page(HTML[surface](each)) for each in made)
    assert set(found.tags) <= set(plain.tags), "no name adds a tag, or an attribute to one"
    if "explorer" not in surface:  # whose text is data of its script
        assert [name for name in HOSTILE if name not in found.text] == []


def test_names_are_text_in_latex(made):
    assert set(latex(made[0])) <= set(latex(made[1]))


def test_a_spreadsheet_computes_nothing_of_a_name(made):
    found = cells(made[0])
    assert [cell for cell in found if cell[:1] in ("=", "+", "@") or cell[:2] == "-1"] == []
    assert [name for name in HOSTILE if not {name, f"'{name}"} & {*found}] == []


def test_a_terminal_shows_names_as_they_are(made):
    text = terminal(made[0])
    assert [name for name in HOSTILE if text.count(name) < 5] == [], "list, bars, summary"


@pytest.mark.parametrize("file", ["DONE.json", "config.yaml"])
def test_names_that_command_a_terminal_are_left_out(file, tmp_path):
    run = put(tmp_path, {"dmt": 50.0})
    content = yaml.safe_load((run / file).read_text()) | {"experiment": "\x1b]0;owned\a"}
    (run / file).write_text(json.dumps(content))
    (reason,) = tables.collect(tmp_path).left_out["reason"]
    assert reason == f"{file} holds a name that no terminal can show, expected text without control characters"


@pytest.mark.long
def test_figures_show_names_as_they_are(tmp_path):
    figures(
        Shown(tmp_path, [name for name in HOSTILE if "$" not in name])
    )  # what begins a formula has tests of its own


def test_notebooks_show_tables_by_the_kits_function():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        code = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
        assert not re.search(r"\.style\b", code), f"{path.name}: tables.styled escapes, `.style` does not"
        assert "HTML(" not in code, path.name
