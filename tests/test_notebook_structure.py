"""Every notebook keeps the rules, and every rule can be broken."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.notebook_rules import complaints

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
TEACHING = ["00_tour", "01_why_two_models", "02_dynamic_loss", "03_iterations"]
INTRODUCTION = "# T\n\n**Purpose.** p\n\n**Time.** t\n\n**Inputs.** i\n\n**Outputs.** o"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_keeps_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert complaints(notebook, path) == []


def test_all_notebooks_of_the_design_are_there():
    expected = {*TEACHING, "classification", "segmentation", "ablation", "explore_weights", "report"}
    assert {path.stem for path in NOTEBOOKS} == expected


def good():
    """A small teaching notebook that keeps every rule."""
    cells = [
        new_markdown_cell(INTRODUCTION),
        new_code_cell(
            'n: int = 3  # how many\nnames: list = [\n    "a",\n]  # which', metadata={"tags": ["parameters"]}
        ),
        new_markdown_cell("## A section\n\n![a cat](good.png)\n\n```\n# no heading\n```"),
        new_code_cell('dmtkit.start(globals(), "n names")\nplot_x(n)'),
        new_markdown_cell("*What it shows.*\n\n## What to read next\n\n[next](good.png)"),
        new_code_cell("reveal('a', 'b')\nreveal('c', 'd')\ncheck(1, 1, '')\ncheck(2, 2, '')"),
    ]
    return new_notebook(cells=cells)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "good.png").touch()
    return tmp_path / "00_good.ipynb"


def test_a_good_notebook_has_no_complaints(path):
    assert complaints(good(), path) == []


def edit(index, old, new):
    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (edit(0, "# T", "T"), "no title"),
        (edit(0, "**Time.**", "Time:"), "lacks **Time.**"),
        (edit(2, "## A", "# A"), "2 headings of the first level"),
        (edit(2, "## A", "### A"), "a level is skipped before 'A section'"),
        (edit(2, "A section", "What to read next"), "two headings say"),
        (lambda nb: nb.cells[3].outputs.append(new_output("stream", text="x")), "holds outputs"),
        (lambda nb: nb.metadata.update(widgets={"x": 1}), "the state of widgets"),
        (lambda nb: nb.cells[1].metadata.update(tags=[]), "0 cells are tagged parameters"),
        (lambda nb: nb.cells.insert(1, new_code_cell("import x")), "not the first code"),
        (edit(1, "n: int", "n"), "without type or explanation: 'n = 3"),
        (edit(1, "# which", ""), "without type or explanation: 'names"),
        (edit(3, 'dmtkit.start(globals(), "n names")', ""), "the names of its parameters are not checked"),
        (edit(3, '"n names"', '"n m"'), "it checks the parameters 'n m', but has 'n names'"),
        (edit(3, "plot_x(n)", "x = 1\n" * 25), "a cell has 26 lines"),
        (edit(2, "a cat", ""), "an image without alt text: ![](good.png)"),
        (edit(2, "![a cat](good.png)", '<img src="good.png">'), "an image without alt text: <img"),
        (edit(4, "(good.png)", "(gone.ipynb)"), "a link to nowhere: gone.ipynb"),
        (lambda nb: nb.cells.__setitem__(slice(3, 4), [new_code_cell("plot_x()")] * 4), "more than three figures"),
        (edit(5, "reveal('c', 'd')", ""), "fewer than two answers"),
        (edit(5, "check(2, 2, '')", ""), "fewer than two exercises"),
        (edit(4, "## What to read next", ""), "does not end with"),
    ],
)
def test_every_rule_can_be_broken(path, spoil, complaint):
    notebook = good()
    spoil(notebook)
    assert any(complaint in found for found in complaints(notebook, path)), complaints(notebook, path)
