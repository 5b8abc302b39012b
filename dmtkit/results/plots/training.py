"""Figures of training, for either task: curves, results after every phase, the three cases over time."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.results.plots.common import nothing
from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, CASES, MODEL_LINES, case_title, method_style
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import Run


def plot_phases(run: Run, ax: Axes | None = None) -> Axes:
    """The test metric after every phase of every method; phase 0 is the supervised baseline, drawn as a level.

    Of two models A is drawn solid, B dashed and their mean dotted.
    """
    ax = ax or plt.subplots(figsize=(7.5, 4.2))[1]
    start = scores(run.phases("supervised")[0]) if run.phases("supervised") else {}
    if not start and not run.methods:
        return nothing(ax, "no phase is complete yet")
    ax.set_xticks([])  # of levels alone, such as the oracle's
    if "supervised" not in run.methods and start:
        first = next(iter(start.values()))
        ax.axhline(first, label=f"phase 0: {first:.1f}", lw=1, color=method_style("supervised")["color"])
    for position, name in enumerate(run.methods):
        style = method_style(name, position)
        measured = [scores(phase) for phase in run.phases(name)]
        for model in measured[-1]:
            values = [score[model] for score in measured]
            label = f"{name} {model}".strip() + f": {values[-1]:.1f}"
            line = MODEL_LINES.get(model, "-")
            if len(values) == 1:  # no phases to compare: a level
                ax.axhline(values[0], label=label, ls=line, lw=1, color=style["color"])
                continue
            numbers = list(range(1, len(values) + 1))
            if model in start:
                numbers, values = [0, *numbers], [start[model], *values]
            ax.plot(numbers, values, label=label, ls=line, **style)
            ax.set_xticks(numbers)
    phases = len(ax.get_xticks()) > 0
    title = f"Test {run.task.label}" + " after every phase" * phases
    ax.set(xlabel="phase" if phases else "", ylabel=f"test {run.task.label} (%)", title=title)
    ax.legend(title="last phase", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def scores(phase: Phase) -> dict[str, float]:
    """A finished phase's test metric in percent, by model; the one model of classification has no name."""
    summary = phase.summary
    return summary["miou"] if "miou" in summary else {"": summary["accuracy"]}


def plot_curves(run: Run, ax: Axes | None = None) -> Axes:
    """Training loss over the steps of each method's phases, finished or not; dotted lines separate phases."""
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    logged = set(run.metrics["method"])
    for position, name in enumerate(name for name in run.config.methods if name in logged):
        colour = method_style(name, position)["color"]
        table = _log(run, name, run.task.first)
        _lines(ax, table, table["loss"], label=name, color=colour)
        _edges(ax, table, ls=":", color=colour)
    ax.set(xlabel="training step of the method", ylabel="loss (weighted)", title="Training loss")
    ax.legend()
    return ax


def plot_cases(run: Run, method: str = "dmt", ax: Axes | None = None, model: str = "") -> Axes:
    """Shares of the three cases (stacked) and the mean weight while a method trains, phase after phase."""
    ax = ax or plt.subplots(figsize=(10, 4))[1]
    table = _log(run, method, model)
    if "share_agree" not in table:
        return nothing(ax, f"{method} weighs all labels alike: no cases were recorded")
    for number, group in table.groupby("phase"):
        shares = [group[f"share_{case}"].to_numpy() for case in CASES]
        areas = ax.stackplot(group["x"], shares, alpha=0.85, colors=[CASE_COLOURS[case] for case in CASES])
        for area, case in zip(areas, CASES, strict=True):
            area.set(hatch=CASE_HATCHES[case], edgecolor="white", linewidth=0)
            area.set_label(case_title(case, run.method(method).rule) if number == table["phase"].min() else None)
        ax.text(group["x"].mean(), 1.02, f"phase {number}", ha="center", transform=ax.get_xaxis_transform())
    _lines(ax, table, table["mean_weight"], color="black", lw=2, label="mean weight w")
    ax.set(xlabel="training step of the method", ylabel="share of pseudo labels; weight", ylim=(0, 1))
    ax.set_title(f"{_whose(method, model)}: the three cases while training", pad=22)
    ax.margins(x=0)
    ax.figure.legend(*ax.get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return ax


def plot_case_accuracy(
    run: Run, method: str = "dmt", ax: Axes | None = None, at_least: int = 30, model: str = ""
) -> Axes:
    """How often the pseudo labels of each case are right, while a method trains; needs known truth.

    Points that rest on fewer than `at_least` labels are left out.
    """
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    table = _log(run, method, model)
    if not any(f"accuracy_{case}" in table for case in CASES):
        return nothing(ax, "the truth of the unlabeled images is not known, or all labels weigh alike")
    for case, line in zip(CASES, ("-", "--", ":"), strict=True):
        if f"accuracy_{case}" in table:
            values = table[f"accuracy_{case}"].where(table[f"share_{case}"] * table["count"] >= at_least)
            style = {"color": CASE_COLOURS[case], "ls": line, "lw": 2, "marker": "."}
            _lines(ax, table, values, label=case_title(case, run.method(method).rule), **style)
    _edges(ax, table, color="grey")
    ax.set(xlabel="training step of the method", ylabel="right pseudo labels (%)", ylim=(-3, 103))
    ax.set_title(f"{_whose(method, model)}: accuracy of the pseudo labels within each case")
    ax.legend(loc="lower left", ncol=3)
    return ax


def plot_live(run: Run) -> Figure:
    """A run that trains: loss, test metric after every phase, and the three cases of the method under way."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
    last = run.metrics.iloc[-1]
    plot_curves(run, axes[0])
    plot_phases(run, axes[1])
    plot_cases(run, last["method"], axes[2], last["model"] if run.task.first else "")
    axes[2].set_title(f"The three cases: {last['method']}", pad=22)
    return figure


def _log(run: Run, method: str, model: str) -> pd.DataFrame:
    """The log of one method (of one of its models) with `x`, its training steps counted through all phases."""
    table = run.metrics[run.metrics["method"] == method]
    table = (table[table["model"] == model] if model else table).dropna(axis=1, how="all")
    lengths = table.groupby("phase")["steps"].max()
    return table.assign(x=table["step"] + table["phase"].map(lengths.cumsum() - lengths))


def _lines(ax: Axes, table: pd.DataFrame, values: pd.Series, label: str, **style: Any) -> None:
    """One line a phase, not joined: every phase starts a new model."""
    for number, group in table.groupby("phase"):
        first = number == table["phase"].min()
        ax.plot(group["x"], values.loc[group.index], label=label if first else None, **style)


def _edges(ax: Axes, table: pd.DataFrame, **style: Any) -> None:
    """A line between phases."""
    for edge in table.groupby("phase")["x"].max()[:-1]:
        ax.axvline(edge, lw=1, **style)


def _whose(method: str, model: str) -> str:
    return f"{method}, model {model}" if model else method
