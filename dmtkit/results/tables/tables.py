"""One experiment's methods and phases as tables: mean ± sd over seeds and splits, differences within pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtkit.registry import TASK_FACTS
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
    if not found.n:
        return ""
    return f"{found.mean:.2f}" + (f" ± {found.sd:.2f}" if found.n > 1 else "") + f" ({found.n})"


def methods_table(collected: Collected, experiment: str, reference: str = "supervised") -> Table:
    """Every method of an experiment: mean ± sd (n), and its paired difference to `reference` with a 95 % interval.

    Of two models A is the method's; B and the mean of both stand beside it, where they were measured.
    """
    import pandas as pd

    runs = collected.of(experiment)
    known = published(runs["published"].max()).dropna(subset="method").set_index("method")
    measure = TASK_FACTS[runs["task"].iloc[0]].label
    over = f"over {title(reference)}"
    rows, tidy = [], []
    for method in collected.methods(experiment):
        values = runs[runs["method"] == method]
        found = {name: spread(values[name]) for name in ("value", "B", "A+B")}
        row = {f"test {measure} (%)": cell(found["value"])}
        row |= {name: cell(found[name]) for name in ("B", "A+B") if found[name].n}
        numbers: dict[str, Any] = {"experiment": experiment, "method": method, "metric": values["metric"].iloc[0]}
        numbers |= found["value"]._asdict()
        numbers |= {f"{name}_{key}": found[name]._asdict()[key] for name in ("B", "A+B") for key in ("mean", "sd")}
        difference = paired_differences(runs, method, reference)
        mean, sd, pairs = spread([] if method == reference else difference)
        low, high = bootstrap_interval(difference) if pairs else (float("nan"),) * 2
        if pairs:
            row |= {over: signed(mean), "pairs": str(pairs)}
            row |= {"95 % interval": f"{signed(low)} to {signed(high)}"} if pairs > 1 else {}
        numbers |= {"reference": reference, "difference": mean, "difference_sd": sd, "low": low, "high": high}
        numbers |= {"pairs": pairs, "published": known["value"].get(method), "source": known["source"].get(method)}
        row |= {"published": f"{known['value'][method]:.2f}"} if method in known.index else {}
        rows.append({"method": title(method), **row})
        tidy.append(numbers)
    order = [f"test {measure} (%)", over, "95 % interval", "pairs", "B", "A+B", "published"]
    shown = pd.DataFrame(rows).set_index("method").reindex(columns=order).dropna(axis=1, how="all").fillna("")
    notes = [SPREAD, *_notes_on_pairs(pd.DataFrame(tidy), reference), *collected.notes(experiment)]
    caption = f"{experiment}: test {measure} in percent of every method{_uneven(runs)}"
    return Table(f"methods_{slug(experiment)}", caption, shown, pd.DataFrame(tidy), tuple(notes))


def phases_table(collected: Collected, experiment: str) -> Table:
    """Every method's test metric after each phase, mean ± sd (n); phase 0 is the baseline of the same seeds and splits."""
    import pandas as pd

    steps = progress(collected, experiment)
    measure = TASK_FACTS[collected.of(experiment)["task"].iloc[0]].label
    tidy = [
        {"experiment": experiment, "method": method, "phase": phase, "metric": rows["metric"].iloc[0]}
        | spread(rows["value"])._asdict()
        for (method, phase), rows in steps.groupby(["method", "phase"])
    ]
    table = pd.DataFrame(tidy, columns=["experiment", "method", "phase", "metric", "mean", "sd", "n"])
    cells = [cell(Spread(*row)) for row in table[["mean", "sd", "n"]].itertuples(index=False)]
    wide = table.assign(cell=cells).pivot(index="method", columns="phase", values="cell")
    wide = wide.reindex(in_order(wide.index)).rename(index=title, columns=lambda k: f"phase {k}").fillna("")
    wide.columns.name = None
    once = [title(name) for name in trained_once(steps) if name not in FIRST]
    notes = [SPREAD, "Phase 0 is the supervised baseline of the same seeds and splits."]
    notes += [
        f"{', '.join(once)}: trains once, as long as all phases together; its result stands under phase 1."
    ] * bool(once)
    caption = f"{experiment}: test {measure} in percent after every phase{_uneven(collected.of(experiment))}"
    return Table(f"phases_{slug(experiment)}", caption, wide, table, (*notes, *collected.notes(experiment)))


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


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(1.234), signed(-0.5)
    ('+1.23', '−0.50')
    """
    return f"{value:+.2f}".replace("-", "−")


def _notes_on_pairs(tidy: "pd.DataFrame", reference: str) -> list[str]:
    pairs = tidy.loc[tidy["pairs"] > 0, "pairs"]
    if pairs.empty:
        return [f"No differences: no other method was measured on a seed and split of {title(reference)}."]
    note = f"Differences are those to {title(reference)} of the same seed and split; the interval is a percentile bootstrap's."
    few = f" Of fewer than {FEW_PAIRS} pairs it is too narrow." * bool(pairs[pairs > 1].min() < FEW_PAIRS)
    return [note + few]


def _uneven(runs: "pd.DataFrame") -> str:
    """A warning where methods were not measured on the same seeds and splits: their means do not compare."""
    seen = {frozenset(zip(rows["seed"], rows["split"], strict=True)) for _, rows in runs.groupby("method")}
    return "; not all methods on the same seeds and splits" if len(seen) > 1 else ""
