"""The paper's tables as data, and measured numbers in their layout, beside the published ones (published.csv)."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from dmtkit.errors import RunError, unknown_name
from dmtkit.results.style import in_order, title
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.experiment import SPREAD, cell
from dmtkit.results.tables.statistics import Spread, spread
from dmtkit.results.tables.table import Table
from dmtkit.runs.published import published


@dataclass(frozen=True)
class Layout:
    """One table of the paper: headings and the tables of published.csv that fill them; rows by method or title.

    `full` is the heading of the column of all labels, which the oracle of any other column measures. `closed` tables
    have these rows alone; the others show a row once it has a number.
    """

    caption: str
    columns: dict[str, str]
    rows: tuple[str, ...]
    full: str = ""
    closed: bool = False


OWN = ("online_st", "cl", "cbst", "dst", "dmt_naive", "dmt_flip", "dmt", "oracle")
VOC_OTHERS = ("Mean Teacher", "Hung et al.", "s4GAN + MLMT", "CutMix", "CCT (PSPNet)", "GCT")
CIFAR_OTHERS = ("Mean Teacher", "DCT (CNN-13)", "Dual Student (CNN-13)", "MixMatch", "DAG (CNN-13)")
LAYOUTS = {
    "cifar10": Layout(
        "CIFAR-10, test accuracy in percent",
        {"1 000 labels": "cifar10_1000", "4 000 labels": "cifar10_4000"},
        ("supervised", *CIFAR_OTHERS, *OWN),
    ),
    "voc": Layout(
        "PASCAL VOC 2012, val mIoU in percent by the share of labels",
        {"1/106": "voc_106", "1/50": "voc_50", "1/20": "voc_20", "1/8": "voc_8", "full": "voc_full"},
        ("supervised", *VOC_OTHERS, *OWN),
        full="full",
    ),
    "cityscapes": Layout(
        "Cityscapes, val mIoU in percent by the share of labels",
        {"1/30": "cityscapes_30", "1/8": "cityscapes_8", "full": "cityscapes_full"},
        ("supervised", "Hung et al.", "s4GAN + MLMT", "CutMix", *OWN),
        full="full",
    ),
    "human_labels": Layout(
        "Against human labels: PASCAL VOC 2012, val mIoU in percent",
        {"mIoU": "voc_sbd"},
        ("supervised", "oracle", *OWN[:-1]),
    ),
    "ablations": Layout(
        "Ablations: PASCAL VOC 2012 with 1/50 of the labels, val mIoU in percent",
        {"1/50": "voc_50"},
        ("supervised", "online_st", "cbst", "dst", "dmt_naive", "dmt_flip", "dmt"),
        closed=True,
    ),
}
# Where a cell stands: its heading, its method (its title, if that is not ours), its experiment where several fill a column.
PLACE = ["column", "key", "which"]
NUMBERS = ["row", "method", "metric", *Spread._fields, "runs", "published", "source"]


def paper_table(collected: Collected, name: str) -> Table:
    """A table of the paper by its name in LAYOUTS: measured cells beside published ones, each empty where there is none.

    Where several experiments or settings fill one column, each has rows of its own, named by it: none is averaged
    with another. RunError for a name that does not exist.
    """
    if name not in LAYOUTS:
        raise RunError(unknown_name(name, list(LAYOUTS), "table"))
    layout = LAYOUTS[name]
    cells = _cells(collected, layout)
    order = [*layout.rows, *in_order(key for key in cells["key"] if key not in layout.rows)]
    cells = cells.assign(place=cells["key"].map(order.index), at=cells["column"].map(list(layout.columns).index))
    cells = cells.sort_values(["place", "which", "at"], ignore_index=True)
    notes = [
        SPREAD,
        "Measured by the settings of the runs, which need not be the paper's; published: DMT authors' repository.",
    ]
    if layout.full:
        notes.append(f"Measured with all labels ({layout.full}): the oracles of the other columns' runs.")
    for experiment in sorted(cells["runs"].dropna().unique()):
        notes += [note for note in collected.notes(experiment) if note not in notes]
    tidy = cells.assign(table=name)[["table", "column", *NUMBERS]]
    return Table(f"paper_{name}", layout.caption, _shown(layout, cells), tidy, notes)


def paper_tables(collected: Collected) -> list[Table]:
    """Those of the paper's tables that a run fills a cell of; the ablations', if it is one that no other table is about."""
    tables = []
    for name, layout in LAYOUTS.items():
        runs = collected.runs[collected.runs["published"].isin(list(layout.columns.values()))]
        if not (runs[runs["method"].isin(layout.rows[1:-1])] if layout.closed else runs).empty:
            tables.append(paper_table(collected, name))
    return tables


def _cells(collected: Collected, layout: Layout) -> pd.DataFrame:
    """Every published cell, and one for every method of every experiment that fills a column."""
    listed = pd.concat([published(table).assign(column=heading) for heading, table in layout.columns.items()])
    listed = listed.rename(columns={"title": "row", "value": "published"})
    listed = listed.assign(key=listed["method"].fillna(listed["row"]), which="")
    headings = {table: heading for heading, table in layout.columns.items()}
    runs = collected.runs.assign(column=collected.runs["published"].map(headings)).dropna(subset="column")
    if layout.full:  # the oracles of the other columns are the baseline of all labels
        runs.loc[runs["method"] == "oracle", ["column", "method"]] = layout.full, "supervised"
    several = runs.groupby("column")["experiment"].transform("nunique") > 1
    runs["which"] = runs["experiment"].where(several, "")
    titles = dict(zip(listed["method"], listed["row"], strict=True))
    first = titles.get("supervised", "")
    prefix = f"{first} + " if first.endswith("labels") else ""  # of a table whose rows say what is learned from
    found = []
    groups: Any = runs.groupby(["column", "which", "experiment", "method"])
    for (column, which, experiment, method), rows in groups:
        row = titles.get(method, prefix + title(method)) + f", {which}" * bool(which)
        found.append((column, method, which, row, method, rows["metric"].iloc[0], *spread(rows["value"]), experiment))
    filled = pd.DataFrame(found, columns=[*PLACE, *NUMBERS[:-2]])
    cells = listed.set_index(PLACE).combine_first(filled.set_index(PLACE)).reset_index()
    cells["n"] = cells["n"].fillna(0).astype(int)
    return cells[cells["key"].isin(layout.rows)] if layout.closed else cells


def _shown(layout: Layout, cells: pd.DataFrame) -> pd.DataFrame:
    rows = list(dict.fromkeys(cells["row"]))
    if layout.closed:  # every row, measured or not
        there = cells.groupby("key")["row"].unique()
        rows = [row for key in layout.rows for row in there.get(key, [title(key)])]
    texts = cells[["row", "column"]].assign(
        measured=[cell(Spread(*each)) for each in cells[[*Spread._fields]].itertuples(index=False)],
        published=cells["published"].map("{:.2f}".format, na_action="ignore"),
    )
    shown = texts.pivot(index="row", columns="column").swaplevel(axis=1)
    columns = pd.MultiIndex.from_product([layout.columns, ("measured", "published")])
    return shown.reindex(index=pd.Index(rows, name="method"), columns=columns).astype(object).fillna("")
