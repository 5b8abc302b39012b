"""Figures of many runs, of the same numbers as their tables: methods over seeds and splits, progress over phases, paired differences."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from dmtkit.results.plots.common import nothing
from dmtkit.results.style import method_style, title
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.experiment import FEW_PAIRS, methods_table, phases_table, signed, trained_once
from dmtkit.results.tables.statistics import paired_differences

BELOW = 0.25  # of a row: where the mean stands, so that it hides no point
LEVEL = ("--", ":", "-.")
PUBLISHED: dict[str, Any] = {"marker": "|", "markersize": 20, "markeredgewidth": 3, "color": "#444444", "ls": ""}


def plot_methods(collected: Collected, experiment: str, ax: Axes | None = None) -> Axes:
    """Every method's test metric: a point a seed and split, beside them mean ± sd; published ones as an upright line."""
    runs, table = collected.of(experiment), methods_table(collected, experiment).tidy
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * len(table)))[1]
    row: Any
    for row in table.itertuples():
        at, style = row.Index, method_style(row.method, row.Index)
        sd = f" ± {row.sd:.2f}" if row.n > 1 else ""
        _points(ax, runs.loc[runs["method"] == row.method, "value"], at, style, f"{row.mean:.2f}{sd}  n={row.n}")
        ax.errorbar(row.mean, at + BELOW, xerr=np.nan_to_num(row.sd), capsize=4, ms=8, lw=2, **style)
        if pd.notna(row.published):
            (mark,) = ax.plot(row.published, at, **PUBLISHED)
            ax.legend([mark], ["published"], loc="lower right", bbox_to_anchor=(1.3, 1), markerscale=0.6)
    _rows(ax, table["method"])
    ax.set_xlabel(f"test {collected.label(experiment)} (%)")
    ax.set_title(f"{experiment}: every seed and split, mean ± sd", loc="left")
    return ax


def plot_progress(collected: Collected, experiment: str, ax: Axes | None = None) -> Axes:
    """Mean ± sd of the test metric after every phase, a line a method; phase 0 is the supervised baseline.

    Methods without phases (the oracle, online self-training) are level lines.
    """
    ax = ax or plt.subplots(figsize=(8.5, 4.6))[1]
    table = phases_table(collected, experiment).tidy
    if table.empty:
        return nothing(ax, "these runs tell of no phases")
    once, measured = trained_once(table), set(table["method"])
    moving = [name for name in collected.methods(experiment) if name in measured and name not in once]
    for position, name in enumerate(collected.methods(experiment)):
        style, rows = method_style(name, position), table[table["method"] == name]
        numbers, means, sds = rows[["phase", "mean", "sd"]].fillna(0).to_numpy().T
        if name in once:
            line = {"ls": LEVEL[once.index(name) % len(LEVEL)], "color": style["color"], "lw": 1.5}
            ax.axhline(means[-1], label=title(name), **line)
        elif name in moving:
            aside = moving.index(name) - (len(moving) - 1) / 2  # so that bars of sd do not hide each other
            at = numbers + 0.03 * aside
            ax.errorbar(at, means, sds, label=title(name), capsize=3, lw=1.8, ms=7, **style)
    ax.set_xticks(range(int(table["phase"].max()) + 1) if moving else [])
    ax.set(xlabel="phase", ylabel=f"test {collected.label(experiment)} (%)")
    ax.set_title(f"{experiment}: test {collected.label(experiment)} after every phase, mean ± sd", loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_paired(collected: Collected, experiment: str, reference: str = "supervised", ax: Axes | None = None) -> Axes:
    """Differences to `reference` of the same seed and split, their mean and its 95 % bootstrap interval."""
    runs, table = collected.of(experiment), methods_table(collected, experiment, reference).tidy
    table = table[table["pairs"] > 0].reset_index(names="position")
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * max(len(table), 2)))[1]
    if table.empty:
        return nothing(ax, f"{experiment}: no other method was measured on the seeds and splits of {title(reference)}")
    row: Any
    for row in table.itertuples():
        at, style = row.Index, method_style(row.method, row.position)
        words = f"{signed(row.difference)}  n={row.pairs}"
        if row.pairs > 1:
            words += f"  [{signed(row.low)}, {signed(row.high)}]"
            ax.plot([row.low, row.high], [at + BELOW] * 2, color=style["color"], lw=2, marker="|", ms=9)
        _points(ax, paired_differences(runs, row.method, reference), at, style, words)
        ax.plot(row.difference, at + BELOW, ms=8, ls="", **style)
    ax.axvline(0, color="black", lw=1)
    _rows(ax, table["method"])
    few = f"\nintervals of fewer than {FEW_PAIRS} pairs are too narrow" * bool(table["pairs"].min() < FEW_PAIRS)
    ax.set_xlabel(f"difference in test {collected.label(experiment)} to {title(reference)} (points){few}")
    ax.set_title(f"{experiment}: paired differences, mean and its 95 % interval", loc="left")
    return ax


def _points(ax: Axes, values: Any, row: int, style: dict[str, Any], words: str) -> None:
    """The values of a row as points, and words at its end."""
    ax.plot(values, np.full(len(values), row), ".", color=style["color"], alpha=0.5, ms=9)
    ax.text(1.02, row, words, va="center", transform=ax.get_yaxis_transform())


def _rows(ax: Axes, methods: pd.Series) -> None:
    """A row a method, from above."""
    ax.set_yticks(range(len(methods)), [title(name) for name in methods])
    ax.set(ylabel="", ylim=(len(methods) - 0.4, -0.6))
    ax.grid(False, axis="y")
