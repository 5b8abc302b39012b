"""The site of `make docs`, as far as it can be tried without building it: its settings, and what every page is found by."""

import fnmatch
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.test_project import ARROWS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES += [path.relative_to(ROOT).as_posix() for kind in ("docs/*.md", "docs/results/*.md") for path in ROOT.glob(kind)]
NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")]


@pytest.fixture
def conf():
    for needed in ("sphinx", "latex2mathml"):
        pytest.importorskip(needed)
    spec = spec_from_file_location("conf", ROOT / "docs" / "conf.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_and_notebook_is_reached_from_the_front_page():
    index = (ROOT / "docs" / "index.md").read_text()
    lines = [line for block in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL) for line in block.splitlines()]
    places = [re.sub(r".*<(.*)>", r"\1", line) for line in lines if line and not line.startswith((":", "api/"))]
    reached = {Path("docs", place).as_posix().replace("docs/../", "") for place in places}
    assert {page.rpartition(".")[0] for page in PAGES + NOTEBOOKS} - {"docs/index"} == reached


@pytest.mark.parametrize("page", PAGES)
def test_links_of_pages_lead_to_files(page):
    """What GitHub shows; `make docs` looks at anchors and at the notebooks too."""
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:|#|path:", link)]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link.partition("#")[0]).exists()] == []
    assert re.findall(r"!\[\]|!\[[^\]]*\]\(http|<(?:img|script|link)\b", text) == [], (
        "pictures lie here, and have words"
    )


def test_the_drawing_of_the_rooms_is_true():
    drawn = re.findall(r"^\| (\w+) .*→ (.*?) *\|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    floors = {room: set(rooms.split()) - {"–"} for room, rooms in drawn if room != "cli"}
    assert floors == ARROWS
    assert all(list(floors).index(room) < list(floors).index(one) for room in floors for one in floors[room])


def test_the_settings_name_files_that_are_there(conf):
    for pattern in conf.nb_execution_excludepatterns:
        assert fnmatch.filter(NOTEBOOKS, pattern)
    assert {f"{name}.ipynb" for name in conf.FINISHED} <= set(NOTEBOOKS)
    assert (ROOT / f"{conf.root_doc}.md").is_file()
    assert all((ROOT / "docs" / name).is_file() for name in conf.html_css_files)


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        "<img alt='x' src='//example.org/a.png'>",
        '<link rel="stylesheet" href="https://example.org/a.css">',
        "<style>@import 'http://example.org/a.css';</style>",
        "<p style=\"background: url('https://example.org/a.png')\">x</p>",
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(conf, tmp_path, loads):
    (tmp_path / "a.html").write_text(f'<a href="https://example.org">a link</a> <img src="a.png">{loads}')
    (found,) = conf.foreign_addresses(tmp_path)
    assert found.startswith("a.html: ")
    assert "example.org/a." in found


def test_docstrings_are_markdown(conf):
    lines = [
        "`n *s` of a *star*, c_A and `a_`, x_ | y",
        ">>> 2 * 3",
        "6",
        "",
        "| case | w |",
        "|---|---|",
        "| `a` | 0 |",
        "",
    ]
    conf.markdown_to_rst(None, "function", "f", None, None, lines)
    assert lines[:4] == ["`n *s` of a \\*star\\*, c_A and `a_`, x\\_ \\| y", ">>> 2 * 3", "6", ""]
    assert lines[4:7] == [".. list-table::", "   :header-rows: 1", ""]
    assert lines[7:] == ["   * - case", "     - w", "   * - `a`", "     - 0", "", "..", "", ""]


def test_notebooks_are_shown_without_what_needs_a_kernel(conf):
    from docutils import nodes

    texts = ("  0%|   | 1/10", "VBox(children=(FloatSlider(value=1.0),))", "printed")
    section = nodes.section(
        "", nodes.title(text="The loss"), nodes.image(uri="a.png"), nodes.image(uri="b.png", alt="Words")
    )
    section += [nodes.literal_block(text=text) for text in texts]
    page = nodes.container("", section)
    conf.mend_outputs(None, page)
    assert [image["alt"] for image in page.findall(nodes.image)] == ["Figure: The loss", "Words"]
    assert [block.astext() for block in page.findall(nodes.literal_block)] == ["printed"]
    assert "With sliders in a running notebook." in page.astext()


def test_formulas_need_no_script(conf):
    from docutils import nodes

    class Writer:
        body = []

    with pytest.raises(nodes.SkipNode):
        conf.show_formula(Writer, nodes.math(text=r"\arg\max_k p^{\gamma_1}"))
    assert Writer.body[0].startswith("<math")
    assert "\\" not in Writer.body[0]
