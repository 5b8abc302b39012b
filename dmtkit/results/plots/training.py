"""Figures of training, for either task: curves, results after every phase, the three cases over time."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from dmtkit.metrics.cases import CASES
from dmtkit.results.plots.common import broken, cumulative, nothing
from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, METHOD_COLOURS, MODEL_LINES, case_title, method_style
from dmtkit.runs.run import Phase, Run


def plot_phases(run: Run, ax: Axes | None = None) -> Axes:
    """The test metric after every phase of every method; phase 0 is the supervised baseline, drawn as a level.

    Of two models A is drawn solid, B dashed and their mean dotted.
    """
    ax = ax or plt.subplots(figsize=(7.5, 4.2))[1]
    measure = run.task
    start = scores(run.phases("supervised")[0]) if run.phases("supervised") else {}
    ax.set_xticks([])  # of levels alone, such as the oracle's
    if "supervised" not in run.methods and start:
        first = next(iter(start.values()))
        ax.axhline(first, label=f"phase 0: {first:.1f}", lw=1, color=METHOD_COLOURS["supervised"])
    for position, name in enumerate(run.methods):
        style = method_style(name, position)
        found = [scores(phase) for phase in run.phases(name)]
        for model in found[-1]:
            values = [score[model] for score in found]
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
    title = f"Test {measure.label}" + " after every phase" * phases
    ax.set(xlabel="phase" if phases else "", ylabel=f"test {measure.label} (%)", title=title)
    ax.legend(title="last phase", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def scores(phase: Phase) -> dict[str, float]:
    """A finished phase's test metric in percent, by model; the one model of classification has no name."""
    summary = phase.summary
    return summary["miou"] if "miou" in summary else {"": summary["accuracy"]}


def plot_curves(run: Run, ax: Axes | None = None) -> Axes:
    """Training loss over the steps of each method's phases; dotted lines separate phases."""
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    for position, name in enumerate(run.methods):
        style = method_style(name, position)
        table = cumulative(run, name, run.task.first)
        broken(ax, table, table["loss"], label=name, color=style["color"])
        for edge in table.groupby("phase")["x"].max()[:-1]:
            ax.axvline(edge, ls=":", lw=1, color=style["color"])
    ax.set(xlabel="training step of the method", ylabel="loss (weighted)", title="Training loss")
    ax.legend()
    return ax


def plot_cases(run: Run, method: str = "dmt", ax: Axes | None = None, model: str = "") -> Axes:
    """Shares of the three cases (stacked) and the mean weight while a method trains, phase after phase."""
    ax = ax or plt.subplots(figsize=(10, 4))[1]
    table = cumulative(run, method, model)
    if "share_agree" not in table:
        return nothing(ax, f"{method} weighs all labels alike: no cases were recorded")
    for number, group in table.groupby("phase"):
        shares = [group[f"share_{case}"].to_numpy() for case in CASES]
        areas = ax.stackplot(group["x"], shares, alpha=0.85, colors=[CASE_COLOURS[c] for c in CASES])
        for area, case in zip(areas, CASES, strict=True):
            area.set(hatch=CASE_HATCHES[case], edgecolor="white", linewidth=0)
            area.set_label(case_title(case, method) if number == table["phase"].min() else None)
        ax.text(group["x"].mean(), 1.02, f"phase {number}", ha="center", transform=ax.get_xaxis_transform())
    broken(ax, table, table["mean_weight"], color="black", lw=2, label="mean weight w")
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
    table = cumulative(run, method, model)
    lines = {"agree": "-", "negative": "--", "positive": ":"}
    columns = [case for case in CASES if f"accuracy_{case}" in table]
    if not columns:
        return nothing(ax, "the truth of the unlabeled images is not known, or all labels weigh alike")
    for case in columns:
        seen = table[f"share_{case}"] * table["count"] >= at_least
        values = table[f"accuracy_{case}"].where(seen)
        broken(
            ax,
            table,
            values,
            color=CASE_COLOURS[case],
            ls=lines[case],
            lw=2,
            marker=".",
            label=case_title(case, method),
        )
    for edge in table.groupby("phase")["x"].max()[:-1]:
        ax.axvline(edge, color="grey", lw=1)
    ax.set(xlabel="training step of the method", ylabel="right pseudo labels (%)", ylim=(-3, 103))
    ax.set_title(f"{_whose(method, model)}: accuracy of the pseudo labels within each case")
    ax.legend(loc="lower left", ncol=3)
    return ax


def _whose(method: str, model: str) -> str:
    return f"{method}, model {model}" if model else method
