"""One experiment's methods and phases as tables: mean ± sd over seeds and splits, differences within pairs."""

import pandas as pd

from dmtkit.results.style import in_order, title
from dmtkit.results.tables.collect import FIRST, Collected
from dmtkit.results.tables.statistics import Spread, bootstrap_interval, paired_differences, spread
from dmtkit.results.tables.table import Table, slug
from dmtkit.runs.published import published

SPREAD = "Measured cells: mean ± sample standard deviation over seeds and splits, and in brackets their number n."
FEW_PAIRS = 6
TIDY = ["experiment", "method", "metric", "mean", "sd", "n", "B_mean", "B_sd", "A+B_mean", "A+B_sd"]
TIDY += ["reference", "difference", "difference_sd", "low", "high", "pairs", "published", "source"]


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
    runs, measure = collected.of(experiment), collected.label(experiment)
    known = published(runs["published"].max()).dropna(subset="method").set_index("method")
    rows, tidy = [], []
    for method in collected.methods(experiment):
        own = runs[runs["method"] == method]
        score, b, both = (spread(own[name]) for name in ("value", "B", "A+B"))
        differences = paired_differences(runs, method, reference)[: 0 if method == reference else None]
        (mean, sd, pairs), (low, high) = spread(differences), bootstrap_interval(differences)
        value, source = (known[name].get(method) for name in ("value", "source"))
        row = (experiment, method, own["metric"].iloc[0], *score, *b[:2], *both[:2])
        tidy.append((*row, reference, mean, sd, low, high, pairs, value, source))
        interval = f"{signed(low)} to {signed(high)}" if pairs > 1 else ""
        over = (signed(mean), interval, str(pairs)) if pairs else ("", "", "")
        paper = f"{value:.2f}" if method in known.index else ""
        rows.append((title(method), cell(score), *over, cell(b), cell(both), paper))
    head = [
        "method",
        f"test {measure} (%)",
        f"over {title(reference)}",
        "95 % interval",
        "pairs",
        "B",
        "A+B",
        "published",
    ]
    shown = pd.DataFrame(rows, columns=head).set_index("method")
    numbers = pd.DataFrame(tidy, columns=TIDY)
    counts = numbers.loc[numbers["pairs"] > 0, "pairs"]
    note = f"No differences: no other method was measured on a seed and split of {title(reference)}."
    if len(counts):
        note = f"Differences are those to {title(reference)} of the same seed and split; the interval is a percentile bootstrap's."
        note += f" Of fewer than {FEW_PAIRS} pairs it is too narrow." * bool(counts[counts > 1].min() < FEW_PAIRS)
    caption = f"{experiment}: test {measure} in percent of every method{_uneven(runs)}"
    notes = (SPREAD, note, *collected.notes(experiment))
    return Table(f"methods_{slug(experiment)}", caption, shown.loc[:, (shown != "").any()], numbers, notes)


def phases_table(collected: Collected, experiment: str) -> Table:
    """Every method's test metric after each phase, mean ± sd (n); phase 0 is the baseline of the same seeds and splits."""
    steps = progress(collected, experiment)
    tidy = [
        (experiment, method, phase, rows["metric"].iloc[0], *spread(rows["value"]))
        for (method, phase), rows in steps.groupby(["method", "phase"])
    ]
    numbers = pd.DataFrame(tidy, columns=["experiment", "method", "phase", "metric", *Spread._fields])
    cells = [cell(Spread(*row[-3:])) for row in tidy]
    shown = numbers.assign(cell=cells).pivot(index="method", columns="phase", values="cell").fillna("")
    shown = shown.reindex(in_order(shown.index)).rename(index=title, columns="phase {}".format)
    once = [title(name) for name in trained_once(steps) if name not in FIRST]
    notes = [SPREAD, "Phase 0 is the supervised baseline of the same seeds and splits."]
    if once:
        notes.append(
            f"{', '.join(once)}: trains once, as long as all phases together; its result stands under phase 1."
        )
    uneven = _uneven(collected.of(experiment))
    caption = f"{experiment}: test {collected.label(experiment)} in percent after every phase{uneven}"
    notes += collected.notes(experiment)
    return Table(f"phases_{slug(experiment)}", caption, shown.rename_axis(columns=None), numbers, notes)


def progress(collected: Collected, experiment: str) -> pd.DataFrame:
    """The rows of `collected.phases` of an experiment, every method's phase 0 being the baseline of its seed and split."""
    collected.of(experiment)
    steps = collected.phases[collected.phases["experiment"] == experiment]
    first = steps[steps["method"] == "supervised"].drop(columns=["method", "folder"])
    later = steps[~steps["method"].isin(FIRST) & (steps["phase"] == 1)][["method", "folder", "seed", "split"]]
    return pd.concat([steps, later.merge(first, on=["seed", "split"])], ignore_index=True)


def trained_once(steps: pd.DataFrame) -> list[str]:
    """The methods that have no phases to tell of, where others have: the baseline, the oracle, online self-training."""
    last = steps.groupby("method")["phase"].max()
    return in_order(last.index[(last <= 1) & (last.max() > 1)].union(last.index.intersection(list(FIRST))))


def _uneven(runs: pd.DataFrame) -> str:
    """A warning where methods were not measured on the same seeds and splits: their means do not compare."""
    seen = {frozenset(zip(rows["seed"], rows["split"], strict=True)) for _, rows in runs.groupby("method")}
    return "; not all methods on the same seeds and splits" if len(seen) > 1 else ""
