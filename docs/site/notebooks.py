"""Notebooks: run by papermill, rendered by nbconvert; widgets give way to their still pictures."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

from docs.site.markdown import to_html as markdown

WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = [
    "image/png",
    "image/jpeg",
    "image/svg+xml",
    "text/html",
    "text/markdown",
    "text/plain",
]  # what is shown, best first
LIVE_ONLY = "*Interactive in a running notebook; the figure beside it stands for it here.*"


class ExecutionError(RuntimeError):
    """A notebook that did not run to its end."""


def execute(notebook: Path, output: Path, root: Path) -> None:
    """Run a notebook from the project's folder into `output`; ExecutionError with the last lines of what it said."""
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "papermill", str(notebook), str(output), "-k", "python3", "--no-progress-bar"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if found.returncode:
        output.unlink(missing_ok=True)
        raise ExecutionError(f"{notebook.name}: did not run:\n" + "\n".join(found.stderr.splitlines()[-15:]))


def to_html(path: Path, root: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook, executed or not, as HTML without a page around it, and its pictures by file name.

    Files of the project are named from `root` on: where it lies on this machine is nobody's business.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [output for output in map(still, cell.outputs) if output is not None]
            cell.outputs = [nbformat.from_dict(without(output, f"{root}/")) for output in outputs]
            cell.execution_count = None
    describe_pictures(notebook)
    anchors: dict[str, int] = {}
    exporter = HTMLExporter(template_name="basic", config=Config(
        HTMLExporter={"preprocessors": ["nbconvert.preprocessors.ExtractOutputPreprocessor"],
                      "exclude_input_prompt": True, "exclude_output_prompt": True},
        NbConvertBase={"display_data_priority": STILL},
        ExtractOutputPreprocessor={"output_filename_template": path.stem + "_{cell_index}_{index}{extension}"},
    ))  # fmt: skip
    exporter.register_filter("markdown2html", lambda source: markdown(source, anchors))
    body, resources = exporter.from_notebook_node(notebook)
    return body, dict(resources.get("outputs", {}))


def without(output: Any, prefix: str) -> Any:
    """An output, its texts without every occurrence of `prefix`.

    >>> without({"text": "/a/b/c: finished", "data": {"x": ["/a/b/d"]}}, "/a/b/")
    {'text': 'c: finished', 'data': {'x': ['d']}}
    """
    if isinstance(output, str):
        return output.replace(prefix, "")
    if isinstance(output, list):
        return [without(part, prefix) for part in output]
    return {name: without(part, prefix) for name, part in output.items()} if isinstance(output, dict) else output


def still(output: Any) -> Any:
    """An output as a page can show it; None for what only a running notebook needs: progress bars, warnings.

    >>> still(nbformat.v4.new_output("stream", name="stderr", text="10 %")) is None
    True
    """
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    if output.output_type == "error":
        return output
    data = output.data
    if WIDGET in data and not {"image/png", "image/svg+xml"} & data.keys():
        if str(data.get("text/plain", "")).lstrip().startswith(("  0%", "0%")) or "it/s" in str(
            data.get("text/plain", "")
        ):
            return None  # a progress bar
        return nbformat.v4.new_output("display_data", data={"text/markdown": LIVE_ONLY})
    kept = {mime: data[mime] for mime in STILL if mime in data}
    if not kept:
        return None
    output.data = nbformat.from_dict(kept)
    return output


def describe_pictures(notebook: Any) -> None:
    """Give every picture words: its own, else the caption in italics that follows it, else the section it stands in."""
    section = ""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            section = next(reversed(re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)), section)
            continue
        for output in cell.get("outputs", []):
            for mime in ("image/png", "image/jpeg"):
                if mime in output.get("data", {}):
                    words = output.metadata.setdefault(mime, {})
                    words.setdefault("alt", caption(notebook.cells[position + 1 :]) or f"Figure: {section}")


def caption(cells: list[Any]) -> str:
    """The caption with which the next Markdown cell begins, as plain text; empty if it begins with something else.

    >>> caption([nbformat.v4.new_markdown_cell("*Loss of **A**, in [`nats`](x.md).* More.")])
    'Loss of A, in nats.'
    """
    source = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    found = re.match(r"\*(?!\*)((?:\*\*.+?\*\*|[^*])+)\*(?!\*)", source)
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", found[1]) if found else ""  # of a link its words
    return re.sub(r"[*`$]", "", words).strip()
