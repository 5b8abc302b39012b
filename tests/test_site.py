"""The site of `make docs`: formulas without a script, nothing from elsewhere, and no link that leads nowhere."""

import base64
import io
import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from docs.site.__main__ import main
from docs.site.links import check, read
from docs.site.markdown import FormulaError, formula, slug, to_html
from docs.site.notebooks import WIDGET, still


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def display(**data):
    return new_output("display_data", data={mime.replace("__", "/"): content for mime, content in data.items()})


@pytest.fixture
def project(tmp_path):
    """A small project: prose with links of every kind, a notebook with outputs of every kind."""
    root = tmp_path / "project"
    for folder in ("docs/results", "docs/images", "notebooks", "code"):
        (root / folder).mkdir(parents=True)
    (root / "README.md").write_text(
        "# Project\n\n[results](docs/results/README.md#numbers-here), [results](docs/results), [code](code/a.py), "
        "[all code](code), [notebook](notebooks/00_first.ipynb#A-formula), [elsewhere](https://example.org/x)\n\n"
        "![What it shows](docs/images/a.png)\n"
    )
    (root / "docs/results/README.md").write_text(
        "# Results\n\n## Numbers here\n\n| a | b |\n|---|---|\n| 1 | $x^2$ |\n"
    )
    (root / "docs/choices.md").write_text("# Choices\n\n[back](../README.md) [log](../notes.csv)\n")
    (root / "code/a.py").write_text("x = '<tag>'\n")
    (root / "notes.csv").write_text("a,b\n")
    Image.new("RGB", (4, 3)).save(root / "docs/images/a.png")
    cells = [
        new_markdown_cell("# First\n\n**Purpose.** To see.\n\n[prose](../docs/choices.md)"),
        new_markdown_cell("## A formula\n\nInline $w = p_B^{\\gamma_1}$ and\n\n$$y = \\arg\\max_k \\frac{q_k}{t_k}$$"),
        new_code_cell(
            "draw()",
            outputs=[
                display(image__png=picture(), text__plain="<Figure>"),
                display(**{WIDGET: {"model_id": "1"}}, image__png=picture(), text__plain="Explorer()"),
                display(**{WIDGET: {"model_id": "2"}}, text__plain="interactive(...)"),
                display(**{WIDGET: {"model_id": "3"}}, text__plain="  0%|      | 0/10 [00:00<?, ?it/s]"),
                new_output("stream", name="stderr", text="a warning with a path"),
                new_output("stream", name="stdout", text=f"{root}/outputs/run: finished, printed <b>\n"),
                display(text__markdown="<details><summary>Predict</summary>\n\nIt is $x$.\n\n</details>"),
                display(text__html="<table><tr><td>7</td></tr></table>"),
            ],
        ),
        new_markdown_cell("*What the figure shows.* More."),
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/00_first.ipynb")
    return root


def build(root, capsys=None):
    return main(["--skip-execution", "--root", str(root), "--output", str(root / "site")])


def test_a_small_project_becomes_a_site(project, capsys):
    assert build(project) == 0, capsys.readouterr().err
    site = project / "site"
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert pages == {
        "index.html",
        "results/index.html",
        "choices.html",
        "notebooks/00_first.html",
        "source/code/a.py.html",
        "source/code/index.html",
    }
    assert (site / "files/notes.csv").is_file()
    index = (site / "index.html").read_text()
    links = read(site / "index.html").links
    assert {
        "results/index.html#numbers-here",
        "results/index.html",
        "source/code/a.py.html",
        "source/code/index.html",
        "notebooks/00_first.html#a-formula",
        "https://example.org/x",
    } <= set(links)
    assert 'src="files/docs/images/a.png"' in index
    assert "&lt;tag&gt;" in (site / "source/code/a.py.html").read_text()
    for page in pages:
        text = (site / page).read_text()
        assert 'name="viewport"' in text
        assert text.count("<nav") == 2
        assert "<script" not in text
        assert not [load for load in read(site / page).loads if "//" in load and not load.startswith("data:")]


def test_notebooks_show_pictures_prose_and_formulas_but_no_widgets(project):
    assert build(project) == 0
    text = (project / "site/notebooks/00_first.html").read_text()
    assert text.count("<math") == 3
    assert "$" not in re.sub(r"<[^>]+>", "", text)
    assert re.findall(r'<img[^>]*alt="([^"]*)"', text) == ["What the figure shows."] * 2
    assert text.count("<img") == 2
    assert all((project / "site/notebooks" / name).is_file() for name in re.findall(r'<img[^>]*src="([^"]*)"', text))
    for gone in (WIDGET, "interactive(", "it/s", "a warning", "Explorer()"):
        assert gone not in text
    assert "Interactive in a running notebook" in text
    assert "outputs/run: finished, printed &lt;b&gt;" in text
    assert str(project) not in text, "where the project lies is nobody's business"
    assert re.search(r"<summary>Predict</summary>\s*<p>It is\s+<math", text)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("[x](nowhere.md)", "choices.html: a broken link: nowhere.md"),
        ("[x](../README.md#missing)", "choices.html: a broken link: index.html#missing (the page has no such anchor)"),
        ("[x](#missing)", "choices.html: a broken link: #missing (the page has no such anchor)"),
        ("![a](nowhere.png)", "choices.html: there is no file nowhere.png"),
        ("![](images/a.png)", "choices.html: a picture without alt text"),
        ("![a](https://example.org/a.png)", "choices.html: loads from another place: https://example.org/a.png"),
        ('<script src="//cdn.example.org/a.js"></script>', "choices.html: loads from another place: //cdn.example.org"),
        ('<p style="background: url(http://example.org/a.png)">x</p>', "choices.html: loads from another place: http"),
        ("<style>@import 'https://example.org/a.css';</style>", "choices.html: loads from another place: https"),
        ('<p style="background: url(nowhere.png)">x</p>', "choices.html: there is no file nowhere.png"),
        ('<img src="../../outside.png" alt="x">', "choices.html: loads a file outside the site: ../../outside.png"),
        ('<video poster="//example.org/p.png"></video>', "choices.html: loads from another place: //example.org/p.png"),
        ('<video src="nowhere.mp4" poster="a.png"></video>', "choices.html: there is no file nowhere.mp4"),
        ('<audio src="https://example.org/a.mp3"></audio>', "choices.html: loads from another place: https://example"),
        ('<embed src="https://example.org/e">', "choices.html: loads from another place: https://example.org/e"),
        ('<video><track src="nowhere.vtt"></video>', "choices.html: there is no file nowhere.vtt"),
        ('<input type="image" src="nowhere.png">', "choices.html: there is no file nowhere.png"),
        ('<svg><image href="https://example.org/a.png"/></svg>', "choices.html: loads from another place: https://exa"),
        ('<svg><image xlink:href="nowhere.png"/></svg>', "choices.html: there is no file nowhere.png"),
        (
            '<svg><use href="//example.org/a.svg#x"/></svg>',
            "choices.html: loads from another place: //example.org/a.svg",
        ),
        ("[x](https://)", "choices.html: https:// is no address"),
        ("[x](../../outside.md)", "choices.html: a link that leaves the site: ../../outside.md"),
        ("$\\left( x$", "docs/choices.md: the formula '\\\\left( x' cannot be shown"),
        ("$\\nonsense x$", "docs/choices.md: the formula '\\\\nonsense x' has an unknown command"),
    ],
)
def test_what_is_broken_is_named_with_its_page(project, capsys, bad, complaint):
    (project.parent / "outside.md").write_text("# Outside\n")
    (project.parent / "outside.png").touch()
    with open(project / "docs/choices.md", "a") as file:
        file.write(f"\n\n{bad}\n")
    assert build(project) == 1
    assert complaint in capsys.readouterr().err


def test_a_second_build_forgets_the_first_but_no_strangers_folder(project, capsys):
    assert build(project) == 0
    (project / "docs/choices.md").unlink()
    (project / "README.md").write_text("# Project\n")
    (project / "notebooks/00_first.ipynb").unlink()
    assert build(project) == 0
    assert not (project / "site/choices.html").exists()
    mine = project / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    assert main(["--skip-execution", "--root", str(project), "--output", str(mine)]) == 1
    assert "was not made by this program" in capsys.readouterr().err
    assert (mine / "thesis.txt").is_file()


def test_a_notebook_that_fails_stops_the_build_and_is_named(project, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), project / "notebooks/00_first.ipynb")
    assert main(["--root", str(project), "--output", str(project / "site")]) == 1
    said = capsys.readouterr().err
    assert "00_first.ipynb: did not run" in said
    assert "ZeroDivisionError" in said


def test_executed_notebooks_are_shown_and_kept_for_the_next_build(project):
    nbformat.write(
        new_notebook(cells=[new_markdown_cell("# First\n\n## A formula"), new_code_cell("print(6 * 7)")]),
        project / "notebooks/00_first.ipynb",
    )
    for words in ([], ["--skip-execution"]):
        assert main([*words, "--root", str(project), "--output", str(project / "site")]) == 0
        assert "42" in (project / "site/notebooks/00_first.html").read_text()


def test_the_projects_own_pages_are_sound(tmp_path, capsys):
    """All prose and all notebooks as they are committed: every link and every formula."""
    assert main(["--skip-execution", "--output", str(tmp_path / "site")]) == 0, capsys.readouterr().err
    assert {"index.html", "choices.html", "cluster.html"} <= {path.name for path in (tmp_path / "site").glob("*.html")}


def test_formulas_and_anchors():
    assert "<mfrac>" in formula(r"\frac{a}{b}", display=True)
    with pytest.raises(FormulaError, match="unknown command"):
        formula(r"\unheardof")
    assert slug("The `γ` ramp, *explained*") == "the-γ-ramp-explained"
    assert re.findall(r'id="([^"]+)"', to_html("# A\n\n## A\n")) == ["a", "a-1"]
    assert "<code>$x$</code>" in to_html("`$x$` costs")


def test_a_page_that_changes_after_the_build_is_caught_too(project):
    assert build(project) == 0
    shutil.rmtree(project / "site/results")
    assert any("a broken link: results/index.html" in line for line in check(project / "site"))


def test_style_sheets_are_checked_as_pages_are(project):
    assert build(project) == 0
    site = project / "site"
    (site / "more").mkdir()
    (project / "outside.woff").touch()
    (site / "more" / "a.css").write_text(
        "@import 'b.css'; @import url(\"c.css\"); @font-face { src: url(//example.org/f.woff), url('../../outside.woff') }\n"
        '/* url(in-a-comment.png) */ p { background: url("nowhere.png"), url(data:image/png;base64,AA), url(#x) }\n'
        ".a { background: url(../site.css) }\n"
    )
    assert check(site) == [
        "more/a.css: there is no file b.css",
        "more/a.css: there is no file c.css",
        "more/a.css: loads from another place: //example.org/f.woff",
        "more/a.css: loads a file outside the site: ../../outside.woff",
        "more/a.css: there is no file nowhere.png",
    ]


def test_titles_and_anchors_of_words_that_html_escapes(project):
    (project / "docs/choices.md").write_text(
        "# Weights & `a < b`\n\n## Q & A\n\n[here](#q--a)\n\n[log](../notes.csv)\n"
    )
    assert build(project) == 0
    text = (project / "site/choices.html").read_text()
    assert "&amp;amp;" not in text
    assert "&amp;lt;" not in text
    assert re.search(r"<title>Weights &amp; a &lt; b\b", text)
    assert 'id="q--a"' in text
    assert slug("Q &amp; A") == slug("Q & A") == "q--a"


def test_outputs_without_anything_to_show_are_left_out():
    assert still(new_output("display_data", data={"application/javascript": "alert(1)"})) is None
    assert still(new_output("error", ename="E", evalue="x", traceback=[])) is not None
