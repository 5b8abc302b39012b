"""A table, and how it is written: as Markdown, CSV, LaTeX (booktabs) and HTML; all but CSV, which is data alone, carry its notes."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from dmtkit.errors import ConfigError, RunError, unknown_name
from dmtkit.runs.search import MARK

_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}"}
_SIGNS |= {"±": r"$\pm$", "−": "$-$", "–": "--", "…": r"\ldots{}", "α": r"$\alpha$", "γ": r"$\gamma$"}
_SIGNS |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True, repr=False)
class Table:
    """A table: `shown` has the cells as text, laid out for reading; `tidy` the numbers, one row each.

    `caption` and `notes` say what was measured and what was left out; `name` can name a file.
    """

    name: str
    caption: str
    shown: pd.DataFrame
    tidy: pd.DataFrame
    notes: Sequence[str] = ()

    def _repr_html_(self) -> str:
        return html_table(self)

    def _repr_markdown_(self) -> str:
        return to_markdown(self)

    __repr__ = _repr_markdown_


def to_markdown(table: Table) -> str:
    """A table as Markdown whose columns line up in a terminal too, its caption above and its notes below."""
    shown = table.shown.reset_index()
    head = [": ".join(filter(None, name)) if isinstance(name, tuple) else name for name in shown]
    rows = [[str(cell).replace("|", r"\|") for cell in row] for row in [head, *shown.to_numpy()]]
    first, *others = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    line = " | ".join([f"| {{:<{first}}}", *(f"{{:>{width}}}" for width in others)]) + " |"
    rule = "|".join(["", "-" * (first + 2), *("-" * (width + 1) + ":" for width in others), ""])
    title, *lines = [line.format(*row) for row in rows]
    return "\n".join([f"**{table.caption}**", "", title, rule, *lines, "", *(f"*{note}*\n" for note in table.notes)])


def to_csv(table: Table) -> str:
    """A table's data, one row a number, in full precision; `pandas.read_csv` gives back `table.tidy`."""
    return table.tidy.to_csv(index=False, lineterminator="\n")


def to_latex(table: Table) -> str:
    """A table for a paper that loads the package booktabs."""
    label = {"caption": _latex(table.caption), "label": f"tab:{table.name}", "position_float": "centering"}
    columns = "l" + "r" * table.shown.shape[1]
    text = _escaped(table.shown, _latex).to_latex(hrules=True, column_format=columns, multicol_align="c", **label)
    notes = "".join(f"\\par\\smallskip{{\\footnotesize {_latex(note)}\\par}}\n" for note in table.notes)
    return text.replace("\\end{table}", f"{notes}\\end{{table}}")


def html_table(table: Table) -> str:
    """A table as an HTML element, with caption, followed by its notes."""
    styler = _escaped(table.shown, escape).set_caption(escape(table.caption)).set_uuid(table.name)
    return styler.to_html() + "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)


def to_html(table: Table) -> str:
    """A table as a page of its own."""
    return _PAGE.substitute(title=escape(table.caption), body=html_table(table))


FORMATS: dict[str, Callable[[Table], str]] = {"md": to_markdown, "csv": to_csv, "latex": to_latex, "html": to_html}


def check_formats(names: Iterable[str]) -> None:
    """ConfigError for a format that is not known.

    >>> check_formats(["pdf"])
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: pdf: unknown format; known are: csv, html, latex, md
    """
    for name in names:
        if name not in FORMATS:
            raise ConfigError(unknown_name(name, list(FORMATS), "format"))


def write(
    tables: Sequence[Table], folder: str | os.PathLike[str], formats: Sequence[str] = tuple(FORMATS)
) -> list[Path]:
    """Write every table in every format as `<folder>/<name>.<suffix>`, the notes of a CSV beside it; the files.

    RunError if they cannot be written.
    """
    check_formats(formats)
    folder, texts = Path(folder), dict[str, str]()
    for stem, table in zip(distinct([table.name for table in tables]), tables, strict=True):
        texts |= {f"{stem}.{'tex' if name == 'latex' else name}": FORMATS[name](table) for name in formats}
        if "csv" in formats:
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


def slug(text: str) -> str:
    """A file name for a table's name.

    >>> slug("voc_50 [gamma1=3, flip=True]")
    'voc_50_gamma1-3_flip-True'
    """
    words = re.sub(r"[^\w.+-]", " ", text.replace("=", "-")).split()
    return "_".join(words).strip(".") or "table"


def distinct(names: Sequence[str]) -> list[str]:
    """File names of which no two are the same, not even where case does not count.

    >>> distinct(["a", "A", "b"])
    ['a', 'A-2', 'b']
    """
    seen = [name.lower() for name in names]
    again = [seen[:at].count(name) for at, name in enumerate(seen)]
    return [f"{name}-{count + 1}" if count else name for name, count in zip(names, again, strict=True)]


def _escaped(shown: pd.DataFrame, escaping: Callable[[Any], str]) -> Any:
    """pandas' Styler of a table, all its text escaped."""
    corner: list[Any] = [*[None] * (shown.columns.nlevels - 1), escaping(shown.index.name or "")]  # so it needs no row
    styler = shown.rename_axis(index=None).rename_axis(columns=corner).style
    return styler.format(escaping).format_index(escaping).format_index(escaping, axis=1)


def _latex(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in text)
