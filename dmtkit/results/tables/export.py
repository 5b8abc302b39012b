"""Tables as Markdown, CSV, LaTeX (booktabs) and HTML; every one but CSV, which is data alone, carries its notes."""

import html
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from dmtkit.errors import ConfigError, RunError, unknown_name
from dmtkit.runs.search import MARK

if TYPE_CHECKING:
    from dmtkit.results.tables.tables import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
    "α": r"$\alpha$",
    "γ": r"$\gamma$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: .5em; }}
th, td {{ padding: .2em .8em; text-align: right; white-space: nowrap; }}
thead tr:last-child th {{ border-bottom: 1px solid; }}
th:first-child, td:first-child {{ text-align: left; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def to_markdown(table: "Table") -> str:
    """A table as Markdown whose columns line up in a terminal too, its caption above and its notes below.

    >>> print(to_markdown(_example()))
    **Accuracy (%)**
    <BLANKLINE>
    | method | a_b: measured |
    |--------|--------------:|
    | DMT    |  94.21 ± 0.10 |
    <BLANKLINE>
    *n is 3.*
    <BLANKLINE>
    """
    head = [_corner(table), *(": ".join(filter(None, column)) for column in _levels(table))]
    rows = [[cell.replace("|", r"\|") for cell in row] for row in [head, *_rows(table)]]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(head))]
    lines = ["| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in rows]
    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    notes = "".join(f"\n*{note}*\n" for note in table.notes)
    return "\n".join([f"**{table.caption}**", "", lines[0], rule, *lines[1:], notes])


def to_csv(table: "Table") -> str:
    """A table's data, one row a number, in full precision; `pandas.read_csv` gives back `table.tidy`.

    >>> print(to_csv(_example()).splitlines()[0])
    method,mean,sd,n
    """
    return table.tidy.to_csv(index=False, lineterminator="\n")


def to_latex(table: "Table") -> str:
    r"""A table for a paper that loads the package booktabs.

    >>> print(to_latex(_example()))
    \begin{table}
      \centering
      \caption{Accuracy (\%)}
      \label{tab:example}
      \begin{tabular}{lr}
        \toprule
         & a\_b \\
        \cmidrule(lr){2-2}
        method & measured \\
        \midrule
        DMT & 94.21 $\pm$ 0.10 \\
        \bottomrule
      \end{tabular}
      \par\smallskip{\footnotesize n is 3.\par}
    \end{table}
    <BLANKLINE>
    """
    levels = _levels(table)
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_latex(table.caption)}}}",
        f"  \\label{{tab:{table.name}}}",
    ]
    lines += [f"  \\begin{{tabular}}{{l{'r' * len(levels)}}}", r"    \toprule"]
    if any(low for _, low in levels):
        spans = list(_spans(levels))
        lines.append("    " + " & ".join(["", *(_span(text, width) for text, _, width in spans)]) + r" \\")
        lines.append(
            "    " + " ".join(f"\\cmidrule(lr){{{at + 2}-{at + 1 + width}}}" for text, at, width in spans if text)
        )
    last = [_corner(table), *(low or high for high, low in levels)]
    lines += [f"    {_line(last)}", r"    \midrule", *(f"    {_line(row)}" for row in _rows(table))]
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += [f"  \\par\\smallskip{{\\footnotesize {_latex(note)}\\par}}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def html_table(table: "Table") -> str:
    """A table as an HTML element, with caption, followed by its notes."""
    levels = _levels(table)
    corner = html.escape(_corner(table))
    two = any(low for _, low in levels)
    head = "".join(f'<th scope="col">{html.escape(low or high)}</th>' for high, low in levels)
    rows = [f'<tr><th scope="col">{corner}</th>{head}</tr>']
    if two:
        spans = "".join(
            f'<th colspan="{width}" scope="colgroup">{html.escape(text)}</th>' for text, _, width in _spans(levels)
        )
        rows.insert(0, f"<tr><td></td>{spans}</tr>")
    body = [
        f'<tr><th scope="row">{html.escape(row[0])}</th>{"".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in _rows(table)
    ]
    notes = [f"<p>{html.escape(note)}</p>" for note in table.notes]
    caption = f"<caption>{html.escape(table.caption)}</caption>"
    return "\n".join(
        ["<table>", caption, "<thead>", *rows, "</thead>", "<tbody>", *body, "</tbody>", "</table>", *notes]
    )


def to_html(table: "Table") -> str:
    """A table as a page of its own.

    >>> "<td>94.21 ± 0.10</td>" in to_html(_example())
    True
    """
    return _PAGE.format(title=html.escape(table.caption), body=html_table(table))


FORMATS: dict[str, Callable[["Table"], str]] = {"md": to_markdown, "csv": to_csv, "latex": to_latex, "html": to_html}
SUFFIXES = {"md": "md", "csv": "csv", "latex": "tex", "html": "html"}


def check_formats(names: Iterable[str]) -> list[str]:
    """`names` as a list; ConfigError for one that is not known.

    >>> check_formats(["pdf"])
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: pdf: unknown format; known are: csv, html, latex, md
    """
    names = list(names)
    for name in names:
        if name not in FORMATS:
            raise ConfigError(unknown_name(name, list(FORMATS), "format"))
    return names


def write(
    tables: Sequence["Table"], folder: str | os.PathLike[str], formats: Iterable[str] = tuple(FORMATS)
) -> list[Path]:
    """Write every table in every format as `<folder>/<name>.<suffix>`, the notes of a CSV beside it; the files.

    RunError if they cannot be written.
    """
    folder, written = Path(folder), []
    wanted = check_formats(formats)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        for stem, table in zip(distinct([table.name for table in tables]), tables, strict=True):
            texts = {f"{stem}.{SUFFIXES[name]}": FORMATS[name](table) for name in wanted}
            if "csv" in wanted:
                texts[f"{stem}.notes.txt"] = "\n".join([table.caption, *table.notes, ""])
            for name, content in texts.items():
                (folder / name).write_text(content, encoding="utf-8")
                written.append(folder / name)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder for the report"
        ) from None
    return written


def distinct(names: Sequence[str]) -> list[str]:
    """File names of which no two are the same, not even where case does not count.

    >>> distinct(["a", "A", "b"])
    ['a', 'A-2', 'b']
    """
    seen = [name.lower() for name in names]
    again = [seen[:at].count(name) for at, name in enumerate(seen)]
    return [f"{name}-{count + 1}" if count else name for name, count in zip(names, again, strict=True)]


def _rows(table: "Table") -> list[list[str]]:
    return [[str(name), *row] for name, row in zip(table.shown.index, table.shown.to_numpy().tolist(), strict=True)]


def _corner(table: "Table") -> str:
    return str(table.shown.index.name or "")


def _levels(table: "Table") -> list[tuple[str, str]]:
    """Per column its heading and, where columns are grouped, what stands below it."""
    return [column if isinstance(column, tuple) else (column, "") for column in table.shown.columns]


def _spans(levels: list[tuple[str, str]]) -> Iterable[tuple[str, int, int]]:
    """Headings that share columns: text, first column and number of columns."""
    at = 0
    for text, columns in groupby(levels, key=lambda level: level[0]):
        width = len(list(columns))
        yield text, at, width
        at += width


def _span(text: str, width: int) -> str:
    return _latex(text) if width == 1 else f"\\multicolumn{{{width}}}{{c}}{{{_latex(text)}}}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def _example() -> "Table":
    import pandas as pd

    from dmtkit.results.tables.tables import Table

    columns = pd.MultiIndex.from_tuples([("a_b", "measured")])
    shown = pd.DataFrame([["94.21 ± 0.10"]], pd.Index(["DMT"], name="method"), columns)
    tidy = pd.DataFrame([{"method": "dmt", "mean": 94.21, "sd": 0.1, "n": 3}])
    return Table("example", "Accuracy (%)", shown, tidy, ("n is 3.",))
