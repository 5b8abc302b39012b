"""Tables as Markdown, CSV, LaTeX (booktabs) and HTML; every one but CSV, which is data alone, carries its notes."""

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtkit.errors import ConfigError, RunError, unknown_name
from dmtkit.runs.search import MARK

if TYPE_CHECKING:
    import pandas as pd

    from dmtkit.results.tables.experiment import Table

_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}"}
_SIGNS |= {"±": r"$\pm$", "−": "$-$", "–": "--", "…": r"\ldots{}", "α": r"$\alpha$", "γ": r"$\gamma$"}
_SIGNS |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: .5em; }}
th, td {{ padding: .2em .8em; text-align: right; white-space: nowrap; }}
thead tr:last-child th {{ border-bottom: 1px solid; }}
th:first-child, td:first-child {{ text-align: left; }}
</style></head><body>
{body}
</body></html>
"""


def to_markdown(table: "Table") -> str:
    """A table as Markdown whose columns line up in a terminal too, its caption above and its notes below."""
    shown = table.shown
    head = [": ".join(filter(None, name)) if isinstance(name, tuple) else name for name in shown.columns]
    rows = [[shown.index.name or "", *head], *([name, *cells] for name, *cells in shown.itertuples(name=None))]
    rows = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    signs = ["<", *">" * len(head)]
    lines = [
        f"| {' | '.join(f'{cell:{sign}{width}}' for cell, sign, width in zip(row, signs, widths, strict=True))} |"
        for row in rows
    ]
    rule = f"|{'|'.join('-' * (w + 1) + ('-' if s == '<' else ':') for s, w in zip(signs, widths, strict=True))}|"
    return "\n".join([f"**{table.caption}**", "", lines[0], rule, *lines[1:], "", *(f"*{n}*\n" for n in table.notes)])


def to_csv(table: "Table") -> str:
    """A table's data, one row a number, in full precision; `pandas.read_csv` gives back `table.tidy`."""
    return table.tidy.to_csv(index=False, lineterminator="\n")


def to_latex(table: "Table") -> str:
    """A table for a paper that loads the package booktabs."""
    label = {"caption": _latex(table.caption), "label": f"tab:{table.name}", "position_float": "centering"}
    columns = "l" + "r" * table.shown.shape[1]
    text = _escaped(table.shown, _latex).to_latex(hrules=True, column_format=columns, multicol_align="c", **label)
    notes = "".join(f"\\par\\smallskip{{\\footnotesize {_latex(note)}\\par}}\n" for note in table.notes)
    return text.replace("\\end{table}", f"{notes}\\end{{table}}")


def html_table(table: "Table") -> str:
    """A table as an HTML element, with caption, followed by its notes."""
    styler = _escaped(table.shown, escape).set_caption(escape(table.caption)).set_uuid(table.name)
    return styler.to_html() + "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)


def to_html(table: "Table") -> str:
    """A table as a page of its own."""
    return _PAGE.format(title=escape(table.caption), body=html_table(table))


FORMATS: dict[str, Callable[["Table"], str]] = {"md": to_markdown, "csv": to_csv, "latex": to_latex, "html": to_html}


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
    folder, wanted = Path(folder), check_formats(formats)
    texts: dict[str, str] = {}
    for stem, table in zip(distinct([table.name for table in tables]), tables, strict=True):
        texts |= {f"{stem}.{'tex' if name == 'latex' else name}": FORMATS[name](table) for name in wanted}
        if "csv" in wanted:
            texts[f"{stem}.notes.txt"] = "\n".join([table.caption, *table.notes, ""])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        for name, content in texts.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        words = f"{folder}: cannot be written ({error.strerror}); choose another folder for the report"
        raise RunError(words) from None
    return [folder / name for name in texts]


def distinct(names: Sequence[str]) -> list[str]:
    """File names of which no two are the same, not even where case does not count.

    >>> distinct(["a", "A", "b"])
    ['a', 'A-2', 'b']
    """
    seen = [name.lower() for name in names]
    again = [seen[:at].count(name) for at, name in enumerate(seen)]
    return [f"{name}-{count + 1}" if count else name for name, count in zip(names, again, strict=True)]


def _escaped(shown: "pd.DataFrame", escaping: Callable[[Any], str]) -> Any:
    """pandas' Styler of a table, all its text escaped."""
    corner: list[Any] = [*[None] * (shown.columns.nlevels - 1), escaping(shown.index.name or "")]  # so it needs no row
    styler = shown.rename_axis(index=None).rename_axis(columns=corner).style
    return styler.format(escaping).format_index(escaping).format_index(escaping, axis=1)


def _latex(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in text)
