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
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")
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
    rows = [[_markdown(str(cell)) for cell in row] for row in [head, *shown.to_numpy()]]
    first, *others = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    line = " | ".join([f"| {{:<{first}}}", *(f"{{:>{width}}}" for width in others)]) + " |"
    rule = "|".join(["", "-" * (first + 2), *("-" * (width + 1) + ":" for width in others), ""])
    title, *lines = [line.format(*row) for row in rows]
    notes = [f"*{_markdown(note)}*\n" for note in table.notes]
    return "\n".join([f"**{_markdown(table.caption)}**", "", title, rule, *lines, "", *notes])


def to_csv(table: Table | pd.DataFrame) -> str:
    """A table's data in full precision, as `pandas.read_csv` gives it back; text that a spreadsheet would compute after a `'`."""
    tidy = table.tidy if isinstance(table, Table) else table
    plain = tidy.map(lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(_COMPUTED) else cell)
    return plain.to_csv(index=False, lineterminator="\n")


def to_latex(table: Table) -> str:
    """A table for a paper that loads the package booktabs."""
    label = {"label": f"tab:{table.name}", "position_float": "centering", "multicol_align": "c"}
    styler = styled(table.shown, caption=table.caption, escaping=_latex)
    text = styler.to_latex(hrules=True, column_format="l" + "r" * table.shown.shape[1], **label)
    notes = "".join(f"\\par\\smallskip{{\\footnotesize {_latex(note)}\\par}}\n" for note in table.notes)
    return text.replace("\\end{table}", f"{notes}\\end{{table}}")


def html_table(table: Table) -> str:
    """A table as an HTML element, with caption, followed by its notes."""
    styler = styled(table.shown, caption=table.caption).set_uuid(table.name)
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


def styled(table: pd.DataFrame, precision: int = 2, caption: str = "", escaping: Callable[[str], str] = escape) -> Any:
    """A data frame as notebooks and pages show it: numbers rounded, and all names as text, whatever they hold."""

    def text(cell: Any) -> str:
        return escaping(f"{cell:.{precision}f}" if pd.api.types.is_float(cell) else str(cell))

    if table.index.nlevels == 1:  # its name stands in the corner, so that it needs no row
        corner: list[Any] = [*[None] * (table.columns.nlevels - 1), text(table.index.name or "")]
        table = table.rename_axis(index=None).rename_axis(columns=corner)
    styler = table.style.set_caption(escaping(caption)).format(text, na_rep="–")
    return styler.format_index(text).format_index(text, axis=1)


def _markdown(text: str) -> str:
    return re.sub(r"[\\`*<|]|(?<=\])\(|&(?=#?\w+;)", r"\\\g<0>", text)  # no HTML, no link, no further cell


def _latex(text: str) -> str:
    return "".join(_SIGNS.get(sign, sign) for sign in text)
