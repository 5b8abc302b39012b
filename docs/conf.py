"""Builds the site of `make docs` from prose, notebooks and docstrings; nothing in it is loaded from elsewhere."""

import hashlib
import os
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

import dmtkit

ROOT = Path(__file__).resolve().parent.parent  # the source folder: links work here as they do on GitHub
CODE = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "dmtkit").rglob("*.py")))).hexdigest()[:12]
FINISHED = {"notebooks/classification": "digits/seed-1", "notebooks/segmentation": "scenes/split-0_seed-1"}
os.environ["DMTKIT_LIVE"] = "0"  # for the notebooks: no curves that grow

project, author, root_doc = "dmtkit", "the authors of dmtkit", "docs/index"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
include_patterns = ["*.md", "docs/**.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "data", "docs/_build", "outputs", "build"]
default_role = "code"
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other projects: a build without a network cannot ask for theirs
suppress_warnings = ["myst.header", "ref.python"]  # headings that skip a level; `Batch`, which two rooms have
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
nb_execution_mode, nb_execution_timeout, nb_execution_raise_on_error = "cache", 3600, True
nb_execution_cache_path = str(ROOT / "docs" / "_build" / f"executed-{CODE}")  # other code executes anew
nb_execution_excludepatterns = [
    f"notebooks/{name}.ipynb" for name in ("classification", "segmentation", "ablation", "report")
]
nb_output_stderr, nb_ipywidgets_js = "remove", {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]  # its picture instead
autodoc_default_options, autodoc_member_order = {"members": True, "ignore-module-all": True}, "bysource"
autodoc_preserve_defaults, add_module_names = True, False
maximum_signature_line_length = 100
html_theme, html_title, html_math_renderer = "furo", "dmtkit", "mathml"
html_static_path, html_css_files = ["style.css"], ["style.css"]
html_show_sourcelink = html_show_copyright = False


def write_api_pages(app: Any, config: Any) -> None:
    """A page for the public names, one for each room, one for the modules at the root: docs/api/*.md, written when they change."""
    rooms: dict[str, list[str]] = {"public_names": ["dmtkit"], "ground": []}
    for module in pkgutil.iter_modules(dmtkit.__path__, "dmtkit."):
        if module.ispkg:
            inner = pkgutil.walk_packages(import_module(module.name).__path__, f"{module.name}.")
            rooms[module.name.removeprefix("dmtkit.")] = [module.name, *(one.name for one in inner)]
        elif module.name != "dmtkit.__main__":
            rooms["ground"].append(module.name)
    (ROOT / "docs" / "api").mkdir(exist_ok=True)
    for room, modules in rooms.items():
        names = f"\n   :members: {', '.join(dmtkit.__all__)}" if modules == ["dmtkit"] else ""
        blocks = [f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}{names}\n```" for name in modules]
        blocks[0] = (
            blocks[0] if room == "ground" else blocks[0].partition("\n\n")[2]
        )  # the room's own words need no heading
        page, text = ROOT / "docs" / "api" / f"{room}.md", "\n\n".join([f"# {room.replace('_', ' ')}", *blocks]) + "\n"
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def markdown_to_rst(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are Markdown: `code` in single backticks, a star is a star, tables have bars."""
    rst: list[str] = []
    example = table = False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if example:
            rst.append(line)
            continue
        text = re.sub(r"(`+[^`]*`+)|[*]|_(?!\w)", lambda found: found[1] or "\\" + found[0], line)
        if not line.startswith("|"):
            rst += ["", "..", ""] if table else []  # what follows is no part of the table
            rst.append(text.replace("|", "\\|"))
        elif not table:
            rst += [".. list-table::", "   :header-rows: 1", ""]
        if line.startswith("|") and not line.startswith("|--"):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            rst += [f"   {'  ' if number else '* '}- {cell}" for number, cell in enumerate(cells)]
        table = line.startswith("|")
    lines[:] = rst


def show_formula(writer: Any, node: Any) -> None:
    """A formula as MathML, which browsers show without a script."""
    tex = re.sub(r"\\arg(?![a-zA-Z])", r"\\operatorname{arg}", node.astext())
    found = convert(tex, display="block" if isinstance(node, nodes.math_block) else "inline")
    if unknown := re.search(r">(\\[a-zA-Z]+)<", found):
        getLogger(__name__).warning("the formula %r has an unknown command: %s", tex, unknown[1], location=node)
    writer.body.append(
        re.sub(r"(<mi>(?:ln|log|exp)</mi>)(?!<mo)", r'\1<mspace width="0.17em"/>', found)
    )  # ln p, not lnp
    raise nodes.SkipNode


def take_finished_run(app: Any, name: str, source: list[str]) -> None:
    """Show the notebook of the demonstration, where it was run, in place of the empty one."""
    notebook = ROOT / "outputs" / FINISHED.get(name, "") / f"{Path(name).name}.ipynb"
    if name in FINISHED and notebook.is_file():
        source[0] = notebook.read_text(encoding="utf-8")


def mend_outputs(app: Any, page: Any) -> None:
    """Widgets that need a kernel give way to a word, progress bars to nothing; a figure without words has its section's."""
    for block in list(page.findall(nodes.literal_block)):
        if re.match(r"\s*\d+%\|", block.astext()):
            block.parent.remove(block)
        elif re.match(r"[A-Z]\w+\(children=", block.astext()):
            block.replace_self(nodes.paragraph("", "", nodes.emphasis(text="With sliders in a running notebook.")))
    for image in page.findall(nodes.image):
        section = next((node for node in iter_parents(image) if isinstance(node, nodes.section)), page)
        image.setdefault("alt", f"Figure: {section.next_node(nodes.title).astext()}")


def iter_parents(node: Any) -> Iterator[Any]:
    """What a node stands in, from the inside out."""
    while node := node.parent:
        yield node


def without_widget_state(app: Any, name: str, template: str, context: dict[str, Any], page: Any) -> None:
    """Leave out what widgets without their scripts cannot use: megabytes a page."""
    kept = [file for file in context["script_files"] if "widget-state" not in file.attributes.get("type", "")]
    context["script_files"] = kept


def finish(app: Any, error: Exception | None) -> None:
    """Save the explorer of the tour's run as a page, lead from / to the front page, and look for foreign addresses."""
    if error:
        return
    site = Path(app.outdir)
    config = dmtkit.make_config(dmtkit.load_params(ROOT / "params" / "tour.yaml"))
    dmtkit.explore(dmtkit.train(config, live=False)).save(site / "explorer.html")  # a finished run is only opened
    (site / "index.html").write_text(
        '<!doctype html><title>dmtkit</title><meta http-equiv="refresh" content="0; url=docs/index.html">'
    )
    if foreign := foreign_addresses(site):
        raise ExtensionError("\n".join(["loaded from elsewhere:", *foreign]))


def foreign_addresses(site: Path) -> list[str]:
    """What pages and style sheets of a site would load from another machine."""
    loads = re.compile(
        r"""<(?:script|img|iframe|source|video|audio|embed|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
        r"""|(?:@import\s+["']|url\(\s*["']?)((?:https?:)?//[^"')\s]+)"""
    )
    files = [path for kind in ("*.html", "*.css") for path in sorted(site.rglob(kind))]
    return [f"{path.name}: {m[1] or m[2]}" for path in files for m in loads.finditer(path.read_text(encoding="utf-8"))]


def setup(app: Any) -> None:
    """What Sphinx calls: the steps above, each at its time."""
    app.add_html_math_renderer("mathml", (show_formula, None), (show_formula, None))
    app.connect("config-inited", write_api_pages)
    app.connect("autodoc-process-docstring", markdown_to_rst)
    app.connect("source-read", take_finished_run)
    app.connect("doctree-read", mend_outputs)
    app.connect("html-page-context", without_widget_state, priority=900)
    app.connect("build-finished", finish)
