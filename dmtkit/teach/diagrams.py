"""The method as diagrams: two models whose labels cross, a chain of models, one label's way to its weight."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, CASE_TITLES

MODELS: dict[str, dict[str, Any]] = {"A": {"color": "#0072B2"}, "B": {"color": "#8A3B73", "ls": (0, (4, 1.5))}}
GREY: dict[str, Any] = {"color": "#767676"}
RATIOS = (0.2, 0.4, 0.6, 0.8, 1.0)
WIDTH = 2.3  # of a phase


def plot_framework(ratios: Sequence[float] = RATIOS) -> Axes:
    """Segmentation: two models train side by side, and in every phase each learns the labels of the other."""
    ax = _phases(ratios, 2.5)
    for before, x, _ in _steps(ratios):
        for model, y, other, across in (("A", 1.6, "B", 0), ("B", 0, "A", 1.6)):
            _box(ax, x, y, f"model {model}", **MODELS[model])
            if x:
                _arrow(ax, (before, y), (x - 0.62, y), **GREY)
                inward = 0.2 if across > y else -0.2
                _arrow(ax, (before, across - inward), (x - 0.66, y + inward), **MODELS[other])
                _weighed(ax, x - 0.66 + 0.24 * (before - x + 0.66), y + inward + 0.24 * (across - y - 2 * inward))
    _text(ax, -0.62, 0.8, "different\nstarting\nweights", fontsize=9.5, style="italic")
    words = (
        "Grey: a model goes on from its own weights. Coloured: A labels for B and B for A,\nboth as they were when the phase"
        " began. w: every label is weighed by the model\nthat learns it. In all phases both also learn from X."
    )
    _text(ax, -1.3, -1.7, words, fontsize=9.5, ha="left")
    return ax


def plot_chain(ratios: Sequence[float] = RATIOS) -> Axes:
    """Classification: in every phase a new model learns the labels of the one before it."""
    ax = _phases(ratios, 0.9)
    for before, x, number in _steps(ratios):
        _box(ax, x, 0, f"model {number}\n({'new' if number else 'first'})", **MODELS["AB"[number % 2]])
        if number:
            _arrow(ax, (before, 0), (x - 0.68, 0), **MODELS["BA"[number % 2]])
            _text(ax, (before + x) / 2 - 0.45, 0.2, "labels", fontsize=10)
            _weighed(ax, x - 0.86, -0.24)
    words = (
        "Every phase starts a new model from new random weights; the one before it labels for it, and stays as it is."
        "\nw: every label is weighed by the model that learns it. All of them also learn from X."
    )
    _text(ax, -1.0, -1.7, words, fontsize=9.5, ha="left")
    return ax


def plot_label_way() -> Axes:
    """How one pseudo label is used: the teacher's prediction, the student's, the case, the weight, the loss."""
    ax = _canvas((-1.3, 12.1), (-2.3, 2.0))
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
    _text(ax, -1.2, -2.1, "The weight is a number: no gradient flows through it.", ha="left", fontsize=9.5)
    return ax


def _steps(ratios: Sequence[float]) -> list[tuple[float, float, int]]:
    """Where the arrows to a phase begin, where it stands, and its number: all of up to four, or the first two and the last.

    >>> [number for _, _, number in _steps((0.2, 0.4, 0.6, 0.8, 1.0))]
    [0, 1, 2, 5]
    """
    numbers = [0, 1, 2, len(ratios)] if len(ratios) > 4 else range(len(ratios) + 1)
    places = {number: WIDTH * (place + (number > place)) for place, number in enumerate(numbers)}
    return [(places[n] - WIDTH + (0.2 if places[n] > WIDTH * n or n > 4 else 0.62), places[n], n) for n in numbers]


def _phases(ratios: Sequence[float], top: float) -> Axes:
    """The phases in a row: their names, how much of U's labels each keeps, and dots where some are left out."""
    steps = _steps(ratios)
    ax = _canvas((-1.35, steps[-1][1] + 1.05), (-2.0, top + 0.25))
    for _, x, number in steps:
        _text(ax, x, top, f"phase {number}", weight="bold")
        if number:
            for width, colour in ((1.4, "white"), (1.4 * ratios[number - 1], "#9DBBD3")):
                ax.add_patch(
                    Rectangle((x - 0.7, -1.24), width, 0.24, facecolor=colour, edgecolor=GREY["color"], lw=1.2)
                )
            _text(ax, x, -0.83, f"α = {ratios[number - 1]:g} of U's labels", fontsize=9.5)
    if steps[-1][2] > len(steps) - 1:
        for y in (0, 1.6)[: 1 + (top > 2)]:
            _text(ax, steps[-1][1] - WIDTH, y, "…", fontsize=20)
    _box(ax, 0, -1.1, "supervised:\nX alone", fill="#FFF3CC", fontsize=10, **GREY)
    return ax


def _canvas(x: tuple[float, float], y: tuple[float, float]) -> Axes:
    """An empty drawing; a unit is 0.8 inches wide and an inch high."""
    figure, ax = plt.subplots(figsize=(0.8 * (x[1] - x[0]), y[1] - y[0]), facecolor="white")
    ax.set(xlim=x, ylim=y)
    ax.axis("off")
    figure.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    return ax


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 10.5, "color": "#222222", "zorder": 5, **style})


def _box(ax: Axes, x: float, y: float, text: str, color: str, ls: Any = "-", fill: str = "white", **style: Any) -> None:
    box = {"boxstyle": "round,pad=0.8", "facecolor": fill, "edgecolor": color, "ls": ls, "lw": 2.2}
    _text(ax, x, y, text, bbox=box, **style)


def _weighed(ax: Axes, x: float, y: float) -> None:
    """The mark of weighing, where an arrow of labels arrives."""
    box = {"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": "#222222", "lw": 1.2}
    _text(ax, x, y, "w", fontsize=10, style="italic", weight="bold", bbox=box, zorder=6)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str, ls: Any = "-") -> None:
    shaft, head = (
        {"arrowstyle": "-", "ls": ls, "lw": 2, "shrinkB": 8},
        {"arrowstyle": "-|>,head_length=7,head_width=3.6"},
    )
    for part in (
        shaft,
        head | {"lw": 0, "shrinkB": 0, "mutation_scale": 1},
    ):  # a dashed shaft would dash the head's outline
        ax.add_patch(FancyArrowPatch(start, end, color=color, shrinkA=0, zorder=2, **part))
