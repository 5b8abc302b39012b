"""The method as diagrams: two models whose labels cross, a chain of models, one label's way to its weight."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, CASE_TITLES

MODELS: dict[str, dict[str, Any]] = {"A": {"color": "#0072B2"}, "B": {"color": "#8A3B73", "ls": (0, (4, 1.5))}}
GREY: dict[str, Any] = {"color": "#767676"}
RATIOS = (0.2, 0.4, 0.6, 0.8, 1.0)
WIDTH = 2.3  # of a phase


def plot_framework(ratios: Sequence[float] = RATIOS) -> Axes:
    """Segmentation: two models train side by side, and in every phase each learns the labels of the other.

    Grey: a model goes on from its own weights. Coloured: labels, of A for B and of B for A, as both were when the phase began.
    """
    ax = _phases(ratios, 2.5)
    for x in WIDTH * np.arange(len(ratios) + 1):
        for model, y, other, across in (("A", 1.6, "B", 0), ("B", 0, "A", 1.6)):
            _box(ax, x, y, f"model {model}", **MODELS[model])
            if x:
                _arrow(ax, (x - 1.65, y), (x - 0.68, y), **GREY)
                inward = 0.2 if across > y else -0.2
                _arrow(ax, (x - 1.65, across - inward), (x - 0.7, y + inward), **MODELS[other])
                _weighed(ax, x - 0.93, y + 0.24 * (across - y) + 0.52 * inward)
    _text(ax, -0.62, 0.8, "different\nstarting\nweights", fontsize=9.5, style="italic")
    return ax


def plot_chain(ratios: Sequence[float] = RATIOS) -> Axes:
    """Classification: in every phase a new model learns the labels of the one before it, which stays as it is."""
    ax = _phases(ratios, 0.9)
    for number in range(len(ratios) + 1):
        x, kind = WIDTH * number, "new" if number else "first"
        _box(ax, x, 0, f"model {number}\n({kind})", **MODELS["AB"[number % 2]])
        if number:
            _arrow(ax, (x - 1.65, 0), (x - 0.7, 0), **MODELS["BA"[number % 2]])
            _text(ax, x - 1.2, 0.2, "labels", fontsize=9.5)
            _weighed(ax, x - 0.95, -0.24)
    return ax


def plot_label_way() -> Axes:
    """How one pseudo label is used: the teacher's prediction, the student's, the case, the weight, the loss."""
    ax = _canvas((-1.3, 12.1), (-2.0, 2.0))
    _box(ax, 0, 0, "unlabeled\nimage or pixel", fill="#E4EEF6", **GREY)
    for side, text, says, style in (
        (1, "teacher\n(frozen)", "its class $y_A$\nhow sure: $c_A$", MODELS["A"]),
        (-1, "student\n(learns)", "its class $y_B$\nhow sure: $c_B$\nof $y_A$: $p_B$", MODELS["B"]),
    ):
        _arrow(ax, (0.5, 0.5 * side), (1.75, 1.35 * side), **GREY)
        _box(ax, 2.5, 1.35 * side, text, **style)
        _text(ax, 3.4, 1.35 * side, says, ha="left")
        _arrow(ax, (5.0, 0.95 * side), (5.85, 0.42 * side), **style)
    rules = {"agree": "$y_B = y_A$:   $w = p_B^{\\gamma_1}$"}
    rules["negative"] = "$y_B \\neq y_A$,  $c_B \\leq c_A$:   $w = p_B^{\\gamma_2}$"
    rules["positive"] = "$y_B \\neq y_A$,  $c_B > c_A$:   $w = 0$"
    for (case, rule), y in zip(rules.items(), (1.15, 0, -1.15), strict=True):
        look: Any = {"facecolor": CASE_COLOURS[case], "hatch": CASE_HATCHES[case], "edgecolor": "white"}
        ax.add_patch(Rectangle((5.95, y - 0.42), 0.34, 0.84, lw=0, **look))
        _text(ax, 6.42, y + 0.2, CASE_TITLES[case], ha="left", weight="bold")
        _text(ax, 6.42, y - 0.2, rule, ha="left")
    _arrow(ax, (9.6, 0), (10.3, 0), "#222222")
    _box(ax, 11.05, 0, "loss\n$w \\cdot$ CE", "#222222")
    _text(ax, 11.05, -0.9, "mean over the\nlabels that count", fontsize=9.5)
    return ax


def _phases(ratios: Sequence[float], top: float) -> Axes:
    """The phases in a row: their names, and how much of U's labels each keeps."""
    ax = _canvas((-1.35, WIDTH * len(ratios) + 1.05), (-1.55, top + 0.25))
    _text(ax, 0, top, "phase 0", weight="bold")
    _box(ax, 0, -1.1, "supervised:\nX alone", fill="#FFF3CC", fontsize=9.5, **GREY)
    for number, ratio in enumerate(ratios, start=1):
        x = WIDTH * number
        _text(ax, x, top, f"phase {number}", weight="bold")
        _text(ax, x, -0.83, f"α = {ratio:g} of U's labels", fontsize=9.5)
        for width, colour in ((1.4, "white"), (1.4 * ratio, "#9DBBD3")):
            ax.barh(-1.12, width, 0.24, left=x - 0.7, color=colour, edgecolor=GREY["color"], lw=1.2)
    return ax


def _canvas(x: tuple[float, float], y: tuple[float, float]) -> Axes:
    """An empty drawing; a unit is 0.7 inches wide and an inch high."""
    figure, ax = plt.subplots(figsize=(0.7 * (x[1] - x[0]), y[1] - y[0]), facecolor="white")
    ax.set(xlim=x, ylim=y)
    ax.axis("off")
    figure.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    return ax


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 10.5, "color": "#222222", "zorder": 5, **style})


def _box(ax: Axes, x: float, y: float, text: str, color: str, ls: Any = "-", fill: str = "white", **style: Any) -> None:
    box = {"boxstyle": "round,pad=0.7", "facecolor": fill, "edgecolor": color, "ls": ls, "lw": 2.2}
    _text(ax, x, y, text, bbox=box, **style)


def _weighed(ax: Axes, x: float, y: float) -> None:
    """The mark of weighing, where an arrow of labels arrives."""
    box = {"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": "#222222", "lw": 1.2}
    _text(ax, x, y, "w", fontsize=10, style="italic", weight="bold", bbox=box, zorder=6)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str, ls: Any = "-") -> None:
    for style in (
        {"arrowstyle": "-", "ls": ls, "lw": 2, "shrinkB": 8},
        {"arrowstyle": "-|>,head_length=7,head_width=3.6", "lw": 0, "shrinkB": 0, "mutation_scale": 1},  # never dashed
    ):
        ax.add_patch(FancyArrowPatch(start, end, color=color, shrinkA=0, zorder=2, **style))
