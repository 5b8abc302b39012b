"""Figures of many runs: methods over seeds and splits, progress over phases, paired differences."""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dmtkit.registry import TASK_FACTS
from dmtkit.results.plots.common import nothing
from dmtkit.results.style import method_style
from dmtkit.results.tables.names import title
from dmtkit.results.tables.statistics import bootstrap_interval, paired_differences, spread
from dmtkit.results.tables.tables import FEW_PAIRS, progress, signed, trained_once
from dmtkit.runs.published import published

if TYPE_CHECKING:
    from dmtkit.results.tables.collect import Collected

BELOW = 0.25  # of a row: where the mean stands, so that it hides no point
LEVEL = ("--", ":", "-.")
PUBLISHED: dict[str, Any] = {"marker": "|", "markersize": 20, "markeredgewidth": 3, "color": "#444444", "ls": ""}


def plot_methods(collected: "Collected", experiment: str, ax: Axes | None = None) -> Axes:
    """Every method's test metric: a point a seed and split, beside them mean ± sd; published ones as an upright line."""
    import seaborn as sns

    runs, methods = collected.of(experiment), collected.methods(experiment)
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * len(methods)))[1]
    measure = TASK_FACTS[runs["task"].iloc[0]].label
    styles = {name: method_style(name, position) for position, name in enumerate(methods)}
    colours = {name: style["color"] for name, style in styles.items()}
    sns.stripplot(
        runs,
        x="value",
        y="method",
        hue="method",
        order=methods,
        hue_order=methods,
        palette=colours,
        alpha=0.5,
        size=5,
        jitter=False,
        legend=False,
        ax=ax,
    )
    known = published(runs["published"].max()).dropna(subset="method").set_index("method")["value"]
    for row, name in enumerate(methods):
        found = spread(runs.loc[runs["method"] == name, "value"])
        ax.errorbar(found.mean, row + BELOW, xerr=np.nan_to_num(found.sd), capsize=4, ms=8, lw=2, **styles[name])
        ax.text(
            1.02,
            row,
            f"{found.mean:.2f}" + (f" ± {found.sd:.2f}" if found.n > 1 else "") + f"  n={found.n}",
            va="center",
            transform=ax.get_yaxis_transform(),
        )
        if name in known.index:
            ax.plot(known[name], row, label="published", **PUBLISHED)
    ax.set_yticks(range(len(methods)), [title(name) for name in methods])
    ax.set(xlabel=f"test {measure} (%)", ylabel="", ylim=(len(methods) - 0.4, -0.6))
    ax.set_title(f"{experiment}: every seed and split, mean ± sd", loc="left")
    _legend_once(ax)
    return ax


def plot_progress(collected: "Collected", experiment: str, ax: Axes | None = None) -> Axes:
    """Mean ± sd of the test metric after every phase, a line a method; phase 0 is the supervised baseline.

    Methods without phases (the oracle, online self-training) are level lines.
    """
    ax = ax or plt.subplots(figsize=(8.5, 4.6))[1]
    steps = progress(collected, experiment)
    measure = TASK_FACTS[collected.of(experiment)["task"].iloc[0]].label
    methods, once = collected.methods(experiment), trained_once(steps)
    if steps.empty:
        return nothing(ax, "these runs tell of no phases")
    moved = [name for name in methods if name not in once]
    for position, name in enumerate(methods):
        style, rows = method_style(name, position), steps[steps["method"] == name]
        if rows.empty:
            continue
        if name in once:
            mean = rows.loc[rows["phase"] == rows["phase"].max(), "value"].mean()
            ax.axhline(mean, label=title(name), lw=1.5, ls=LEVEL[once.index(name) % len(LEVEL)], color=style["color"])
            continue
        found = rows.groupby("phase")["value"].apply(lambda values: spread(values)).apply(lambda s: s[:2])
        means, sds = np.array(found.tolist()).T
        shift = 0.03 * (moved.index(name) - (len(moved) - 1) / 2)  # so that bars of sd do not hide each other
        ax.errorbar(
            found.index + shift, means, yerr=np.nan_to_num(sds), label=title(name), capsize=3, lw=1.8, ms=7, **style
        )
    ax.set_xticks(range(int(steps["phase"].max()) + 1) if moved else [])
    ax.set(xlabel="phase", ylabel=f"test {measure} (%)")
    ax.set_title(f"{experiment}: test {measure} after every phase, mean ± sd", loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_paired(collected: "Collected", experiment: str, reference: str = "supervised", ax: Axes | None = None) -> Axes:
    """Differences to `reference` of the same seed and split, their mean and its 95 % bootstrap interval."""
    runs = collected.of(experiment)
    pairs = {
        name: paired_differences(runs, name, reference) for name in collected.methods(experiment) if name != reference
    }
    pairs = {name: values for name, values in pairs.items() if len(values)}
    ax = ax or plt.subplots(figsize=(8, 1.6 + 0.5 * max(len(pairs), 2)))[1]
    if not pairs:
        return nothing(ax, f"{experiment}: no other method was measured on the seeds and splits of {title(reference)}")
    measure = TASK_FACTS[runs["task"].iloc[0]].label
    everywhere = collected.methods(experiment)
    for row, (name, values) in enumerate(pairs.items()):
        style = method_style(name, everywhere.index(name))
        mean = values.mean()
        low, high = bootstrap_interval(values)
        ax.plot(values, np.full(len(values), row), ".", color=style["color"], alpha=0.5, ms=9)
        if len(values) > 1:
            ax.plot([low, high], [row + BELOW] * 2, color=style["color"], lw=2, marker="|", ms=9)
        ax.plot(mean, row + BELOW, ms=8, ls="", **style)
        words = f"{signed(mean)}  n={len(values)}" + (f"  [{signed(low)}, {signed(high)}]" if len(values) > 1 else "")
        ax.text(1.02, row, words, va="center", transform=ax.get_yaxis_transform())
    ax.axvline(0, color="black", lw=1)
    ax.grid(False, axis="y")
    few = min(map(len, pairs.values())) < FEW_PAIRS
    ax.set_yticks(range(len(pairs)), [title(name) for name in pairs])
    ax.set(
        xlabel=f"difference in test {measure} to {title(reference)} (points)"
        + f"\nintervals of fewer than {FEW_PAIRS} pairs are too narrow" * few,
        ylabel="",
        ylim=(len(pairs) - 0.4, -0.6),
    )
    ax.set_title(f"{experiment}: paired differences, mean and its 95 % interval", loc="left")
    return ax


def _legend_once(ax: Axes) -> None:
    """One entry for what is drawn several times."""
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if handles:
        ax.legend(handles.values(), handles.keys(), loc="lower right", bbox_to_anchor=(1.3, 1), markerscale=0.6)
