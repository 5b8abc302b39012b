"""The paper's tables as data, and measured numbers in their layout, beside the published ones (published.csv)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtkit.errors import RunError, unknown_name
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.names import in_order, title
from dmtkit.results.tables.statistics import Spread, spread
from dmtkit.results.tables.tables import SPREAD, Table, cell
from dmtkit.runs.published import published

if TYPE_CHECKING:
    import pandas as pd


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
TIDY = ["table", "column", "row", "method", "metric", "mean", "sd", "n", "runs", "published", "source"]


def paper_table(collected: Collected, name: str) -> Table:
    """A table of the paper by its name in LAYOUTS: measured cells beside published ones, each empty where there is none.

    Where several experiments or settings fill one column, each has rows of its own, named by it: none is averaged
    with another. RunError for a name that does not exist.
    """
    import pandas as pd

    if name not in LAYOUTS:
        raise RunError(unknown_name(name, list(LAYOUTS), "table"))
    layout = LAYOUTS[name]
    records = [record for heading in layout.columns for record in _column(collected, layout, heading)]
    table = pd.DataFrame(records, columns=["key", "which", *TIDY[1:]])
    table.insert(0, "table", name)
    others = in_order(key for key in table["key"] if key not in layout.rows)
    order = {key: at for at, key in enumerate([*layout.rows, *others])}
    table = table.sort_values(["key", "which"], key=lambda by: by.map(order) if by.name == "key" else by, kind="stable")
    shown = _shown(layout, table)
    used = sorted(table["runs"].dropna().unique())
    notes = [
        SPREAD,
        "Measured by the settings of the runs, which need not be the paper's; published: DMT authors' repository.",
    ]
    if layout.full:
        notes.append(f"Measured with all labels ({layout.full}): the oracles of the other columns' runs.")
    notes += list(dict.fromkeys(note for experiment in used for note in collected.notes(experiment)))
    return Table(f"paper_{name}", layout.caption, shown, table[TIDY].reset_index(drop=True), tuple(notes))


def measured(collected: Collected, name: str) -> bool:
    """Whether any run fills a cell of a table; of the ablations, a row that the other tables are not about."""
    layout = LAYOUTS[name]
    runs = collected.runs[collected.runs["published"].isin(list(layout.columns.values()))]
    return not (runs[runs["method"].isin(layout.rows[1:-1])] if layout.closed else runs).empty


def _column(collected: Collected, layout: Layout, heading: str) -> list[dict[str, Any]]:
    """The records of a column: every published row, and every method of every experiment that fills it."""
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _published(layout.columns[heading]):
        key = row["method"] or row["title"]
        if not layout.closed or key in layout.rows:
            values = {"metric": row["metric"], "published": row["value"], "source": row["source"]}
            records[key, ""] = _record(heading, key, row["title"], row["method"]) | values
    runs = _filling(collected, layout, heading)
    several = runs["experiment"].nunique() > 1
    group: Any
    for group, rows in runs.groupby(["experiment", "method"]):
        experiment, method = group
        if layout.closed and method not in layout.rows:
            continue
        which = experiment if several else ""
        found = {"metric": rows["metric"].iloc[0], "runs": experiment, **spread(rows["value"])._asdict()}
        empty = _record(heading, method, _title(layout, method), method, which)
        records[method, which] = records.get((method, which), empty) | found
    return list(records.values())


def _filling(collected: Collected, layout: Layout, heading: str) -> "pd.DataFrame":
    """The runs of a column; an oracle belongs to the column of all labels, as its baseline."""
    runs, table = collected.runs, layout.columns[heading]
    if not layout.full:
        return runs[runs["published"] == table]
    oracle = runs["method"] == "oracle"
    if heading != layout.full:
        return runs[(runs["published"] == table) & ~oracle]
    others = runs["published"].isin(list(layout.columns.values())) & oracle
    return runs[(runs["published"] == table) | others].replace({"method": {"oracle": "supervised"}})


def _published(table: str) -> list[dict[str, Any]]:
    """The published rows of a table; `method` is None for a method that is not ours."""
    rows = published(table)
    return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[return-value]


def _title(layout: Layout, method: str) -> str:
    """What the paper calls a method in this table; the labels come first where the published rows say so."""
    rows = [row for table in layout.columns.values() for row in _published(table) if row["method"]]
    names = {row["method"]: row["title"] for row in rows}
    start = names.get("supervised", "")
    return names.get(method, f"{start} + {title(method)}" if start.endswith("labels") else title(method))


def _record(heading: str, key: str, name: str, method: str | None, which: str = "") -> dict[str, Any]:
    """A cell without a number yet; `which` experiment it is of, where several fill the column."""
    row = f"{name}, {which}" if which else name
    empty = {"mean": float("nan"), "sd": float("nan"), "n": 0}
    return {"key": key, "which": which, "column": heading, "row": row, "method": method, **empty}


def _shown(layout: Layout, table: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    index = list(dict.fromkeys(table["row"]))
    if layout.closed:
        there = table.groupby("key")["row"].agg(lambda rows: list(dict.fromkeys(rows)))
        index = [row for key in layout.rows for row in there.get(key, [title(key)])]
    columns = pd.MultiIndex.from_product([layout.columns, ("measured", "published")])
    shown = pd.DataFrame("", index=pd.Index(index, name="method"), columns=columns)
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    for row in rows:
        if row["n"]:
            shown.loc[row["row"], (row["column"], "measured")] = cell(Spread(row["mean"], row["sd"], row["n"]))
        if row["published"] == row["published"]:
            shown.loc[row["row"], (row["column"], "published")] = f"{row['published']:.2f}"
    return shown
