"""What every notebook must be, as pure functions: a notebook in, complaints out."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

LONGEST = 25  # lines of a code cell; the parameters may be more
INTRODUCTION = ("Purpose", "Time", "Inputs", "Outputs")


def text_of(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def headings(notebook: Any) -> list[tuple[int, str]]:
    """Level and words of every heading."""
    found = []
    for source in text_of(notebook):
        prose = re.sub(r"```.*?```", "", source, flags=re.DOTALL)
        found += [(len(marks), words) for marks, words in re.findall(r"^(#{1,6}) (.+)$", prose, re.MULTILINE)]
    return found


def is_cleared(notebook: Any) -> Iterator[str]:
    for cell in code_of(notebook):
        if cell.outputs or cell.execution_count:
            yield f"a cell holds outputs or a count: {cell.source[:40]!r}"
    if "widgets" in notebook.metadata:
        yield "the state of widgets is stored"


def has_title_and_introduction(notebook: Any) -> Iterator[str]:
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell is no title"
        return
    yield from (f"the first cell lacks **{word}.**" for word in INTRODUCTION if f"**{word}.**" not in first.source)


def has_ordered_headings(notebook: Any) -> Iterator[str]:
    found = headings(notebook)
    if sum(level == 1 for level, _ in found) != 1:
        yield f"{sum(level == 1 for level, _ in found)} headings of the first level, expected one"
    for (before, _), (level, words) in pairwise(found):
        if level > before + 1:
            yield f"a level is skipped before {words!r}"
    words = [words for _, words in found]
    yield from (f"two headings say {one!r}" for one in sorted({one for one in words if words.count(one) > 1}))


def has_explained_parameters(notebook: Any) -> Iterator[str]:
    tagged = [cell for cell in code_of(notebook) if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged parameters, expected one"
        return
    if tagged[0] is not code_of(notebook)[0]:
        yield "the parameters are not the first code"
    body = re.sub(r"\[[^\]]*\]", "[]", tagged[0].source)  # a list over several lines
    for line in body.splitlines():
        if "=" in line.partition("#")[0] and not re.match(r"\w+: [\w\[\], |]+ = .+  # \S", line):
            yield f"a parameter without type or explanation: {line!r}"


def checks_its_parameters(notebook: Any) -> Iterator[str]:
    """papermill only warns of a name mistyped on its command line; so the notebook itself must refuse it."""
    code = "\n".join(cell.source for cell in code_of(notebook))
    names = [
        name
        for cell in code_of(notebook)
        if "parameters" in cell.metadata.get("tags", [])
        for name in re.findall(r"^(\w+): ", cell.source, re.MULTILINE)
    ]
    if "dmtkit.start(globals())" in code:
        return  # against the fields of the settings
    found = re.search(r'dmtkit\.start\(globals\(\), "([^"]*)"', code)
    if not found:
        yield "the names of its parameters are not checked: call dmtkit.start"
    elif sorted(found[1].split()) != sorted(names):
        yield f"it checks the parameters {found[1]!r}, but has {' '.join(names)!r}"


def has_short_cells(notebook: Any) -> Iterator[str]:
    for cell in code_of(notebook):
        if "parameters" not in cell.metadata.get("tags", []) and len(cell.source.splitlines()) > LONGEST:
            yield f"a cell has {len(cell.source.splitlines())} lines: {cell.source[:40]!r}"


def has_alt_text(notebook: Any) -> Iterator[str]:
    for source in text_of(notebook):
        yield from (f"an image without alt text: {image}" for image in re.findall(r"!\[\s*\]\([^)]*\)", source))
        yield from (
            f"an image without alt text: {image}" for image in re.findall(r"<img(?![^>]*\balt=\"[^\"])[^>]*>", source)
        )


def explains_its_figures(notebook: Any) -> Iterator[str]:
    """Every figure has words beside it: some prose stands between two code cells that draw, or right after the last."""
    silent = 0
    for cell in notebook.cells:
        draws = cell.cell_type == "code" and re.search(r"\bplot_\w+\(|\.figure\(|explore(_plot)?\(", cell.source)
        silent = 0 if cell.cell_type == "markdown" else silent + bool(draws)
        if silent > 3:
            yield f"more than three figures in a row without a word: {cell.source[:40]!r}"


def has_links_that_exist(notebook: Any, folder: Path) -> Iterator[str]:
    for source in text_of(notebook):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", source):
            if not re.match(r"\w+:", target) and not (folder / target).exists():
                yield f"a link to nowhere: {target}"


def teaches(notebook: Any) -> Iterator[str]:
    """Teaching notebooks: predict then reveal, exercises with checks, and where to go on."""
    code = "\n".join(cell.source for cell in code_of(notebook))
    if len(re.findall(r"\breveal\(", code)) < 2:
        yield "fewer than two answers to reveal"
    if len(re.findall(r"\bcheck\(", code)) < 2:
        yield "fewer than two exercises with a check"
    if headings(notebook)[-1][1] != "What to read next":
        yield "it does not end with what to read next"


RULES = (
    is_cleared,
    has_title_and_introduction,
    has_ordered_headings,
    has_explained_parameters,
    checks_its_parameters,
    has_short_cells,
    has_alt_text,
    explains_its_figures,
)


def complaints(notebook: Any, path: Path) -> list[str]:
    """All that is wrong with a notebook."""
    found = [complaint for rule in RULES for complaint in rule(notebook)]
    found += has_links_that_exist(notebook, path.parent)
    return found + (list(teaches(notebook)) if path.name[0].isdigit() else [])
