"""Puts the committed results into README.md and docs/: whatever stands between these two lines, as the JSON gives it.

<!-- numbers NAME … -->
<!-- end of numbers -->

A NAME is a macro of numbers.md.j2.
"""

import os
import re
from pathlib import Path

import jinja2
import matplotlib.pyplot as plt

from benchmarks.common import RESULTS, ROOT, load
from dmtkit.methods import METHODS
from dmtkit.results.style import apply_style
from dmtkit.results.tables import spread

BEGIN, END = "<!-- numbers", "<!-- end of numbers -->"
BLOCK = re.compile(rf"({BEGIN} ?(.*?) ?-->\n)(.*?)({END}|\Z)", re.DOTALL)
LINK = re.compile(r"\]\(([\w/.-]+)\)")


def signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def pm(total: dict[str, float] | list[float]) -> str:
    """Mean ± standard deviation, of a summary or of values; – of none."""
    mean, sd = (total["mean"], total["sd"]) if isinstance(total, dict) else spread(total)[:2]
    return f"{mean:.1f} ± {sd:.1f}" if mean == mean else "–"


def lines_of(method: str) -> int:
    """How long a method's file is."""
    return len((ROOT / "dmtkit" / "methods" / f"{method}.py").read_text().splitlines())


def macros(results: dict[str, dict]) -> object:
    """The template's macros over results, each a function without arguments that gives Markdown."""
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(
        loader=here, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template.filters |= {"f": format, "signed": signed, "pm": pm}
    return template.get_template("numbers.md.j2").make_module(
        {"results": results, "methods": METHODS, "lines_of": lines_of}
    )


def committed() -> dict[str, dict]:
    return {path.stem: load(path.stem) for path in RESULTS.glob("*.json")}


def blocks(module: object) -> list[str]:
    """The names that a page can ask for: macros that need no arguments."""
    return sorted(name for name, value in vars(module).items() if getattr(value, "arguments", None) == ())


def render(text: str, module: object, page: Path = ROOT / "README.md") -> str:
    """A page's text with its numbers renewed; links are from the page."""
    known = blocks(module)

    def link(target: re.Match) -> str:
        return f"]({os.path.relpath(ROOT / target[1], page.parent)})"

    def numbers(block: re.Match) -> str:
        begin, names, old, end = block.groups()
        if not names or set(names.split()) - set(known):
            raise ValueError(f"`{begin.strip()}` wants names of {', '.join(known)}")
        if not end or BEGIN in old:
            raise ValueError(f"`{begin.strip()}` wants a line `{END}` before the next one")
        found = "\n\n".join(getattr(module, name)().strip() for name in names.split())
        return begin + LINK.sub(link, found) + "\n" + end

    return BLOCK.sub(numbers, text)


def every_page() -> list[Path]:
    return [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def pages() -> None:
    """Renew the numbers of every page, and the figure of docs/performance.md."""
    module = macros(committed())
    for page in every_page():
        page.write_text(render(page.read_text(), module, page))
    plot_scaling(load("scaling")["results"]).savefig(ROOT / "docs" / "images" / "scaling.png", dpi=110)


def plot_scaling(results: dict) -> plt.Figure:
    """Seconds and peak memory of every part against the number of images."""
    apply_style()
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    parts = {name: rows for name, rows in results.items() if name != "nothing"}
    for (name, rows), marker in zip(parts.items(), "os^Dv*", strict=True):
        for ax, key in zip(axes, ("seconds", "peak_mib"), strict=True):
            ax.plot([int(size) for size in rows], [row[key] for row in rows.values()], marker=marker, label=name)
    bare = next(iter(results["nothing"].values()))["peak_mib"]
    axes[1].axhline(bare, color="0.5", linestyle="--", label="imports alone")
    axes[0].set(xscale="log", xlabel="images", yscale="log", ylabel="seconds")
    axes[1].set(xscale="log", xlabel="images", ylabel="peak memory of the process (MiB)")
    axes[1].set_ylim(bottom=0)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center")
    return figure
