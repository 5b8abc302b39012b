"""The live view of training as a static figure: what is left in a notebook when training is over."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.results.plots.common import nothing
from dmtkit.results.style import MODEL_LINES

Point = Mapping[str, Any]


def plot_live(points: Sequence[Point], tests: Sequence[Point], setup: Mapping[str, Any]) -> Figure:
    """Loss, held-out and test metric, shares of the three cases and mean weight, over all phases one after another.

    `points` are log points with their step `x`, `tests` the test metric at the ends of phases, `setup` names and colours.
    """
    figure, axes = plt.subplots(2, 2, figsize=(10, 4.6), sharex=True, layout="constrained")
    loss, metric, cases, weight = axes.flat
    parts = [list(part) for _, part in groupby(points, key=lambda p: (p["method"], p["phase"], p["model"]))]
    for part in parts:
        style = {
            "color": setup["colours"].get(part[0]["method"], "#56B4E9"),
            "ls": MODEL_LINES.get(part[0]["model"], "-"),
        }
        _line(loss, part, "loss", **style)
        _line(metric, part, "val", **style)
        _line(weight, part, "mean_weight", **style)
        _shares(cases, part, setup["cases"])
    for test in tests:
        metric.plot(test["x"], test["value"], "o", ms=4, color=setup["colours"].get(test["method"], "#56B4E9"))
    loss.set(title="Loss (weighted)", ylim=(0, None))
    held_out = "Held-out (line) and test" if any("val" in point for point in points) else "Test"
    metric.set_title(f"{held_out} {setup['metric']} in % (dots)")
    cases.set(title="Shares of the three cases", ylim=(0, 1), xlabel="training step, all phases in a row")
    weight.set(title="Mean weight w", ylim=(0, 1.02), xlabel="training step, all phases in a row")
    for ax in axes.flat:
        _bands(ax, parts)
    if not parts:
        nothing(loss, "nothing was logged")
    for method in dict.fromkeys(part[0]["method"] for part in parts):
        loss.plot([], [], color=setup["colours"].get(method, "#56B4E9"), label=method)
    if any(part[0]["model"] == "B" for part in parts):
        loss.plot([], [], color="0.3", ls=MODEL_LINES["B"], label="model B")
    named = [pair for ax in (loss, cases) for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    if named:
        figure.legend(*zip(*named, strict=True), ncol=8, loc="outside lower center", fontsize=9, columnspacing=1.2)
    return figure


def describe(points: Sequence[Point], tests: Sequence[Point], setup: Mapping[str, Any]) -> str:
    """The figure in words.

    >>> point = {"method": "dmt", "phase": 1, "model": "", "x": 10, "loss": 0.5}
    >>> describe([point], [], {"metric": "accuracy"})
    'Curves of training: 10 steps of dmt. Last loss 0.500 (dmt).'
    """
    if not points:
        return "Curves of training: nothing was logged yet."
    methods = list(dict.fromkeys(point["method"] for point in points))
    text = f"Curves of training: {points[-1]['x']} steps of {', '.join(methods)}. "
    text += f"Last loss {points[-1]['loss']:.3f} ({points[-1]['method']})."
    last = {test["method"]: test["value"] for test in tests}
    if last:
        text += f" Test {setup['metric']}: " + ", ".join(f"{name} {value:.1f} %" for name, value in last.items()) + "."
    return text


def _line(ax: Axes, part: Sequence[Point], key: str, **style: Any) -> None:
    found = [(point["x"], point[key]) for point in part if key in point]
    if found:
        ax.plot(*zip(*found, strict=True), lw=1.4, **style)


def _shares(ax: Axes, part: Sequence[Point], cases: Sequence[Mapping[str, Any]]) -> None:
    """Stacked shares of one phase; the legend gets each case once."""
    found = [point for point in part if f"share_{cases[0]['key']}" in point]
    if not found:
        return
    shares = np.array([[point.get(f"share_{case['key']}", 0.0) for point in found] for case in cases])
    areas = ax.stackplot([point["x"] for point in found], shares, colors=[case["colour"] for case in cases], alpha=0.85)
    known = ax.get_legend_handles_labels()[1]
    for area, case in zip(areas, cases, strict=True):
        area.set(hatch=case["hatch"], edgecolor="white", linewidth=0)
        area.set_label(None if case["title"] in known else case["title"])


def _bands(ax: Axes, parts: Sequence[Sequence[Point]]) -> None:
    """A line where another method begins, with its name, unless it would be too narrow to read."""
    end = max((part[-1]["x"] for part in parts), default=1)
    ax.set_xlim(0, 1.01 * end)
    for method, group in groupby(parts, key=lambda part: part[0]["method"]):
        found = list(group)
        start = found[0][0]["x"] - found[0][0]["step"]
        if start:
            ax.axvline(start, color="0.5", lw=0.8)
        if (found[-1][-1]["x"] - start) / end > 0.022 * len(method):
            ax.text(
                start + 0.01 * end,
                0.97,
                method,
                transform=ax.get_xaxis_transform(),
                fontsize=8,
                va="top",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
            )
