"""One experiment's methods and phases as tables: mean ± sd over seeds and splits, differences within pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtkit.results.tables import export
from dmtkit.results.tables.collect import FIRST, Collected
from dmtkit.results.tables.names import in_order, slug, title
from dmtkit.results.tables.statistics import Spread, bootstrap_interval, paired_differences, spread
from dmtkit.runs.published import published

if TYPE_CHECKING:
    import pandas as pd

SPREAD = "Measured cells: mean ± sample standard deviation over seeds and splits, and in brackets their number n."
FEW_PAIRS = 6


@dataclass(frozen=True, repr=False)
class Table:
    """A table: `shown` has the cells as text, laid out for reading; `tidy` the numbers, one row each.

    `caption` and `notes` say what was measured and what was left out; `name` can name a file.
    """

    name: str
    caption: str
    shown: "pd.DataFrame"
    tidy: "pd.DataFrame"
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return export.html_table(self)

    def _repr_markdown_(self) -> str:
        return export.to_markdown(self)

    def __repr__(self) -> str:
        return export.to_markdown(self)


def cell(found: Spread) -> str:
    """A measured cell in percent; empty of nothing.

    >>> cell(Spread(94.213, 0.125, 3)), cell(Spread(94.213, float("nan"), 1)), cell(spread([]))
    ('94.21 ± 0.12 (3)', '94.21 (1)', '')
    """
    return f"{found.mean:.2f}{f' ± {found.sd:.2f}' if found.n > 1 else ''} ({found.n})" if found.n else ""


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(1.234), signed(-0.5)
    ('+1.23', '−0.50')
    """
    return f"{value:+.2f}".replace("-", "−")


def methods_table(collected: Collected, experiment: str, reference: str = "supervised") -> Table:
    """Every method of an experiment: mean ± sd (n), and its paired difference to `reference` with a 95 % interval.

    Of two models A is the method's; B and the mean of both stand beside it, where they were measured.
    """
    import pandas as pd

    runs, measure = collected.of(experiment), collected.label(experiment)
    known = published(runs["published"].max()).dropna(subset="method").set_index("method")
    test, over = f"test {measure} (%)", f"over {title(reference)}"
    shown, tidy = [], []
    for method in collected.methods(experiment):
        rows = runs[runs["method"] == method]
        spreads = {name: spread(rows[name]) for name in ("value", "B", "A+B")}
        differences = paired_differences(runs, method, reference)[: None if method != reference else 0]
        mean, sd, pairs = spread(differences)
        low, high = bootstrap_interval(differences)
        row: dict[str, Any] = {"experiment": experiment, "method": method, "metric": rows["metric"].iloc[0]}
        row |= spreads["value"]._asdict()
        row |= {f"{name}_{key}": getattr(spreads[name], key) for name in ("B", "A+B") for key in ("mean", "sd")}
        row |= {
            "reference": reference,
            "difference": mean,
            "difference_sd": sd,
            "low": low,
            "high": high,
            "pairs": pairs,
        }
        tidy.append(
            row | {name: known[column].get(method) for name, column in (("published", "value"), ("source", "source"))}
        )
        cells = {
            "method": title(method),
            test: cell(spreads["value"]),
            "B": cell(spreads["B"]),
            "A+B": cell(spreads["A+B"]),
        }
        cells |= {over: signed(mean), "pairs": str(pairs)} if pairs else {}
        cells |= {"95 % interval": f"{signed(low)} to {signed(high)}"} if pairs > 1 else {}
        shown.append(cells | ({"published": f"{known['value'][method]:.2f}"} if method in known.index else {}))
    order = [test, over, "95 % interval", "pairs", "B", "A+B", "published"]
    table = pd.DataFrame(shown).set_index("method").reindex(columns=order).replace("", None).dropna(axis=1, how="all")
    numbers = pd.DataFrame(tidy)
    counts = numbers.loc[numbers["pairs"] > 0, "pairs"]
    note = f"No differences: no other method was measured on a seed and split of {title(reference)}."
    if len(counts):
        note = f"Differences are those to {title(reference)} of the same seed and split; the interval is a percentile bootstrap's."
        note += f" Of fewer than {FEW_PAIRS} pairs it is too narrow." * bool(counts[counts > 1].min() < FEW_PAIRS)
    caption = f"{experiment}: test {measure} in percent of every method{_uneven(runs)}"
    notes = (SPREAD, note, *collected.notes(experiment))
    return Table(f"methods_{slug(experiment)}", caption, table.fillna(""), numbers, notes)


def phases_table(collected: Collected, experiment: str) -> Table:
    """Every method's test metric after each phase, mean ± sd (n); phase 0 is the baseline of the same seeds and splits."""
    import pandas as pd

    steps = progress(collected, experiment)
    tidy = [
        {"experiment": experiment, "method": method, "phase": phase, "metric": rows["metric"].iloc[0]}
        | spread(rows["value"])._asdict()
        for (method, phase), rows in steps.groupby(["method", "phase"])
    ]
    table = pd.DataFrame(tidy, columns=["experiment", "method", "phase", "metric", *Spread._fields])
    cells = [cell(Spread(*row)) for row in table[[*Spread._fields]].itertuples(index=False)]
    wide = table.assign(cell=cells).pivot(index="method", columns="phase", values="cell")
    wide = wide.reindex(in_order(wide.index)).rename(index=title, columns=lambda k: f"phase {k}").fillna("")
    once = [title(name) for name in trained_once(steps) if name not in FIRST]
    notes = [SPREAD, "Phase 0 is the supervised baseline of the same seeds and splits."]
    if once:
        notes.append(
            f"{', '.join(once)}: trains once, as long as all phases together; its result stands under phase 1."
        )
    uneven = _uneven(collected.of(experiment))
    caption = f"{experiment}: test {collected.label(experiment)} in percent after every phase{uneven}"
    notes += collected.notes(experiment)
    return Table(f"phases_{slug(experiment)}", caption, wide.rename_axis(columns=None), table, tuple(notes))


def progress(collected: Collected, experiment: str) -> "pd.DataFrame":
    """The rows of `collected.phases` of an experiment, every method's phase 0 being the baseline of its seed and split."""
    import pandas as pd

    collected.of(experiment)
    steps = collected.phases[collected.phases["experiment"] == experiment]
    first = steps[steps["method"] == "supervised"].drop(columns=["method", "folder"])
    later = steps[~steps["method"].isin(FIRST) & (steps["phase"] == 1)][["method", "folder", "seed", "split"]]
    return pd.concat([steps, later.merge(first, on=["seed", "split"])], ignore_index=True)


def trained_once(steps: "pd.DataFrame") -> list[str]:
    """The methods that have no phases to tell of, where others have: the baseline, the oracle, online self-training."""
    last = steps.groupby("method")["phase"].max()
    return in_order(last.index[(last <= 1) & (last.max() > 1)].union(last.index.intersection(list(FIRST))))


def _uneven(runs: "pd.DataFrame") -> str:
    """A warning where methods were not measured on the same seeds and splits: their means do not compare."""
    seen = {frozenset(zip(rows["seed"], rows["split"], strict=True)) for _, rows in runs.groupby("method")}
    return "; not all methods on the same seeds and splits" if len(seen) > 1 else ""
