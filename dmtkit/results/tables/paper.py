"""The paper's tables as data, and measured numbers in their layout, beside the published ones (published.csv)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtkit.errors import RunError, unknown_name
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.experiment import SPREAD, Table, cell
from dmtkit.results.tables.names import in_order, title
from dmtkit.results.tables.statistics import Spread, spread
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
    cells = [each for heading in layout.columns for each in _column(collected, layout, heading)]
    table = pd.DataFrame(cells, columns=["key", "which", *TIDY[1:]]).assign(table=name)
    order = [*layout.rows, *in_order(key for key in table["key"] if key not in layout.rows)]
    place = table["key"].map(order.index)
    table = table.assign(place=place).sort_values(["place", "which"], kind="stable", ignore_index=True)
    notes = [
        SPREAD,
        "Measured by the settings of the runs, which need not be the paper's; published: DMT authors' repository.",
    ]
    if layout.full:
        notes.append(f"Measured with all labels ({layout.full}): the oracles of the other columns' runs.")
    for experiment in sorted(table["runs"].dropna().unique()):
        notes += [note for note in collected.notes(experiment) if note not in notes]
    return Table(f"paper_{name}", layout.caption, _shown(layout, table), table[TIDY], tuple(notes))


def measured(collected: Collected, name: str) -> bool:
    """Whether any run fills a cell of a table; of the ablations, a row that the other tables are not about."""
    layout = LAYOUTS[name]
    runs = collected.runs[collected.runs["published"].isin(list(layout.columns.values()))]
    return not (runs[runs["method"].isin(layout.rows[1:-1])] if layout.closed else runs).empty


def _column(collected: Collected, layout: Layout, heading: str) -> list[dict[str, Any]]:
    """The cells of a column: every published row, and every method of every experiment that fills it."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _published(layout.columns[heading]):
        key = row["method"] or row["title"]
        values = {"metric": row["metric"], "published": row["value"], "source": row["source"]}
        cells[key, ""] = {"key": key, "which": "", "row": row["title"], "method": row["method"], "n": 0, **values}
    runs = _filling(collected, layout, heading)
    several = runs["experiment"].nunique() > 1
    groups: Any = runs.groupby(["experiment", "method"])
    for (experiment, method), rows in groups:
        which, suffix = (experiment, f", {experiment}") if several else ("", "")
        empty = {"key": method, "which": which, "row": _title(layout, method) + suffix, "method": method}
        found = {"metric": rows["metric"].iloc[0], "runs": experiment, **spread(rows["value"])._asdict()}
        cells[method, which] = cells.get((method, which), empty) | found
    return [{**each, "column": heading} for each in cells.values() if not layout.closed or each["key"] in layout.rows]


def _filling(collected: Collected, layout: Layout, heading: str) -> "pd.DataFrame":
    """The runs of a column; an oracle belongs to the column of all labels, as its baseline."""
    runs = collected.runs
    here, oracle = runs["published"] == layout.columns[heading], runs["method"] == "oracle"
    if not layout.full:
        return runs[here]
    if heading != layout.full:
        return runs[here & ~oracle]
    anywhere = runs["published"].isin(list(layout.columns.values()))
    return runs[here | (anywhere & oracle)].replace({"method": {"oracle": "supervised"}})


def _published(table: str) -> list[dict[str, Any]]:
    """The published rows of a table; `method` is None for a method that is not ours."""
    rows = published(table)
    return rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[return-value]


def _title(layout: Layout, method: str) -> str:
    """What the paper calls a method in this table; the labels come first where the published rows say so."""
    names = {row["method"]: row["title"] for table in layout.columns.values() for row in _published(table)}
    start = names.get("supervised", "")
    return names.get(method, f"{start} + {title(method)}" if start.endswith("labels") else title(method))


def _shown(layout: Layout, table: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    rows = list(dict.fromkeys(table["row"]))
    if layout.closed:  # every row, measured or not
        there = table.groupby("key")["row"].unique()
        rows = [row for key in layout.rows for row in there.get(key, [title(key)])]
    columns = pd.MultiIndex.from_product([layout.columns, ("measured", "published")])
    shown = pd.DataFrame("", index=pd.Index(rows, name="method"), columns=columns)
    each: Any
    for each in table.itertuples():
        shown.loc[each.row, (each.column, "measured")] = cell(Spread(each.mean, each.sd, each.n))
        shown.loc[each.row, (each.column, "published")] = "" if pd.isna(each.published) else f"{each.published:.2f}"
    return shown
