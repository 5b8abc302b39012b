"""Figures of many runs: methods over seeds and splits, progress over phases, paired differences."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dmtkit.results.plots.common import nothing
from dmtkit.results.style import method_style, title
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.experiment import FEW_PAIRS, progress, signed, trained_once
from dmtkit.results.tables.statistics import bootstrap_interval, paired_differences, spread
from dmtkit.runs.published import published

BELOW = 0.25  # of a row: where the mean stands, so that it hides no point
LEVEL = ("--", ":", "-.")
PUBLISHED: dict[str, Any] = {"marker": "|", "markersize": 20, "markeredgewidth": 3, "color": "#444444", "ls": ""}


def plot_methods(collected: Collected, experiment: str, ax: Axes | None = None) -> Axes:
    """Every method's test metric: a point a seed and split, beside them mean ± sd; published ones as an upright line."""
    runs, methods = collected.of(experiment), collected.methods(experiment)
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * len(methods)))[1]
    known = published(runs["published"].max()).dropna(subset="method").set_index("method")["value"]
    for row, name in enumerate(methods):
        values, style = runs.loc[runs["method"] == name, "value"], method_style(name, row)
        mean, sd, n = spread(values)
        _points(ax, values, row, style, f"{mean:.2f}" + (f" ± {sd:.2f}" if n > 1 else "") + f"  n={n}")
        ax.errorbar(mean, row + BELOW, xerr=np.nan_to_num(sd), capsize=4, ms=8, lw=2, **style)
        if name in known.index:
            (mark,) = ax.plot(known[name], row, **PUBLISHED)
            ax.legend([mark], ["published"], loc="lower right", bbox_to_anchor=(1.3, 1), markerscale=0.6)
    _rows(ax, methods)
    ax.set_xlabel(f"test {collected.label(experiment)} (%)")
    ax.set_title(f"{experiment}: every seed and split, mean ± sd", loc="left")
    return ax


def plot_progress(collected: Collected, experiment: str, ax: Axes | None = None) -> Axes:
    """Mean ± sd of the test metric after every phase, a line a method; phase 0 is the supervised baseline.

    Methods without phases (the oracle, online self-training) are level lines.
    """
    ax = ax or plt.subplots(figsize=(8.5, 4.6))[1]
    steps = progress(collected, experiment)
    if steps.empty:
        return nothing(ax, "these runs tell of no phases")
    once, moved = trained_once(steps), 0
    moving = steps.loc[~steps["method"].isin(once), "method"].nunique()
    for position, name in enumerate(collected.methods(experiment)):
        style, rows = method_style(name, position), steps[steps["method"] == name]
        if rows.empty:
            continue
        by_phase = rows.groupby("phase")["value"].agg(["mean", "std"])
        if name in once:
            line = {"ls": LEVEL[once.index(name) % len(LEVEL)], "color": style["color"], "lw": 1.5}
            ax.axhline(by_phase["mean"].iloc[-1], label=title(name), **line)
            continue
        at = by_phase.index.to_numpy() + 0.03 * (moved - (moving - 1) / 2)  # so that bars of sd do not hide each other
        moved += 1
        means, sds = by_phase.fillna(0).to_numpy().T
        ax.errorbar(at, means, sds, label=title(name), capsize=3, lw=1.8, ms=7, **style)
    ax.set_xticks(range(int(steps["phase"].max()) + 1) if moving else [])
    ax.set(xlabel="phase", ylabel=f"test {collected.label(experiment)} (%)")
    ax.set_title(f"{experiment}: test {collected.label(experiment)} after every phase, mean ± sd", loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_paired(collected: Collected, experiment: str, reference: str = "supervised", ax: Axes | None = None) -> Axes:
    """Differences to `reference` of the same seed and split, their mean and its 95 % bootstrap interval."""
    runs, methods = collected.of(experiment), collected.methods(experiment)
    pairs = {name: paired_differences(runs, name, reference) for name in methods if name != reference}
    pairs = {name: values for name, values in pairs.items() if len(values)}
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * max(len(pairs), 2)))[1]
    if not pairs:
        return nothing(ax, f"{experiment}: no other method was measured on the seeds and splits of {title(reference)}")
    for row, (name, values) in enumerate(pairs.items()):
        style, mean = method_style(name, methods.index(name)), values.mean()
        words = f"{signed(mean)}  n={len(values)}"
        if len(values) > 1:
            low, high = bootstrap_interval(values)
            words += f"  [{signed(low)}, {signed(high)}]"
            ax.plot([low, high], [row + BELOW] * 2, color=style["color"], lw=2, marker="|", ms=9)
        _points(ax, values, row, style, words)
        ax.plot(mean, row + BELOW, ms=8, ls="", **style)
    ax.axvline(0, color="black", lw=1)
    _rows(ax, list(pairs))
    few = f"\nintervals of fewer than {FEW_PAIRS} pairs are too narrow" * (min(map(len, pairs.values())) < FEW_PAIRS)
    ax.set_xlabel(f"difference in test {collected.label(experiment)} to {title(reference)} (points){few}")
    ax.set_title(f"{experiment}: paired differences, mean and its 95 % interval", loc="left")
    return ax


def _points(ax: Axes, values: Any, row: int, style: dict[str, Any], words: str) -> None:
    """The values of a row as points, and words at its end."""
    ax.plot(values, np.full(len(values), row), ".", color=style["color"], alpha=0.5, ms=9)
    ax.text(1.02, row, words, va="center", transform=ax.get_yaxis_transform())


def _rows(ax: Axes, methods: list[str]) -> None:
    """A row a method, from above."""
    ax.set_yticks(range(len(methods)), [title(name) for name in methods])
    ax.set(ylabel="", ylim=(len(methods) - 0.4, -0.6))
    ax.grid(False, axis="y")
