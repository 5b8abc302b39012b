"""The method as diagrams: two models whose labels cross, a chain of models, one label's way to its weight."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES

INK, GREY = "#222222", "#767676"
MODELS: dict[str, dict[str, Any]] = {
    "A": {"color": "#0072B2", "ls": "-"},
    "B": {"color": "#8A3B73", "ls": (0, (4, 1.5))},
}
LABELED, UNLABELED = "#FFF3CC", "#E4EEF6"


def plot_framework(ratios: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0)) -> Axes:
    """Segmentation: two models train side by side, and in every phase each learns the labels of the other."""
    columns = _columns(ratios)
    step, ax = 2.3, _canvas(9.4, 4.6, (-1.35, 2.3 * (len(columns) - 1) + 1.05), (-1.95, 2.62))
    last = columns[0]
    for place, number in enumerate(columns):
        x, before = step * place, step * (place - 1)
        if number is None:
            for y in (0, 1.6):
                _text(ax, x, y, "…", size=20)
            continue
        _text(ax, x, 2.35, f"phase {number}", weight="bold")
        for model, y, other, across in (("A", 1.6, "B", 0), ("B", 0, "A", 1.6)):
            _box(ax, x, y, f"model {model}", edge=MODELS[model]["color"], ls=MODELS[model]["ls"])
            if number == 0:
                continue
            start = before + (0.2 if last is None else 0.62)
            _arrow(ax, (start, y), (x - 0.62, y), GREY, "-", lw=1.6)
            inward = -0.2 if y else 0.2
            begin, end = (start, across - inward), (x - 0.66, y + inward)
            _arrow(ax, begin, end, **MODELS[other], lw=2.2)
            _badge(ax, *(b + 0.76 * (e - b) for b, e in zip(begin, end, strict=True)))
        _share(ax, x, 0.0 if number == 0 else ratios[number - 1])
        last = number
    _box(ax, 0, -1.12, "supervised:\nX alone", width=1.5, height=0.56, fill=LABELED, edge=GREY, size=10)
    _text(ax, -0.62, 0.8, "different\nstarting\nweights", size=9.5, ha="center", style="italic")
    _text(
        ax,
        -1.3,
        -1.9,
        "Grey: a model goes on from its own weights. Coloured: A labels for B and B for A, both as they were"
        " when the phase began.\nw: every label is weighed by the model that learns it. In all phases both also learn from X.",
        size=9.5,
        ha="left",
        va="bottom",
    )
    return ax


def plot_chain(ratios: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0)) -> Axes:
    """Classification: in every phase a new model learns the labels of the one before it."""
    columns = _columns(ratios)
    step, ax = 2.3, _canvas(9.4, 3.2, (-1.05, 2.3 * (len(columns) - 1) + 1.05), (-1.95, 1.15))
    last = columns[0]
    for place, number in enumerate(columns):
        x, before = step * place, step * (place - 1)
        if number is None:
            _text(ax, x, 0, "…", size=20)
            last = None
            continue
        style = MODELS["AB"[number % 2]]
        _text(ax, x, 0.85, f"phase {number}", weight="bold")
        _box(
            ax,
            x,
            0,
            f"model {number}\n({'new' if number else 'first'})",
            edge=style["color"],
            ls=style["ls"],
            height=0.8,
        )
        if number:
            teacher = MODELS["AB"[(number - 1) % 2]]
            start = before + (0.2 if last is None else 0.62)
            _arrow(ax, (start, 0), (x - 0.68, 0), **teacher, lw=2.2)
            _text(ax, (start + x - 0.68) / 2 - 0.1, 0.2, "labels", size=10)
            _badge(ax, x - 0.86, -0.24)
        _share(ax, x, 0.0 if number == 0 else ratios[number - 1])
        last = number
    _box(ax, 0, -1.12, "supervised:\nX alone", width=1.5, height=0.56, fill=LABELED, edge=GREY, size=10)
    _text(
        ax,
        -1.0,
        -1.9,
        "Every phase starts a new model from new random weights; the one before it labels for it, and stays as it is."
        "\nw: every label is weighed by the model that learns it. All of them also learn from X.",
        size=9.5,
        ha="left",
        va="bottom",
    )
    return ax


def plot_label_way() -> Axes:
    """One pseudo label's way: the teacher's word, the student's word, the case, the weight, the loss."""
    ax = _canvas(9.4, 3.7, (-1.3, 12.1), (-2.35, 2.2))
    _box(ax, 0, 0, "unlabeled\nimage or pixel", width=1.9, height=0.9, fill=UNLABELED, edge=GREY, size=10)
    for y, text, said, style in (
        (1.35, "teacher\n(frozen)", "its class $y_A$\nhow sure: $c_A$", MODELS["A"]),
        (-1.35, "student\n(learns)", "its class $y_B$\nhow sure: $c_B$\nof $y_A$: $p_B$", MODELS["B"]),
    ):
        _arrow(ax, (0.5, 0.5 if y > 0 else -0.5), (1.62, y), GREY, "-", lw=1.6)
        _box(ax, 2.5, y, text, width=1.7, height=0.86, edge=style["color"], ls=style["ls"], size=10.5)
        _text(ax, 3.5, y, said, ha="left", size=10.5)
        _arrow(ax, (5.0, 0.95 if y > 0 else -0.95), (5.85, 0.42 if y > 0 else -0.42), **style, lw=2.2)
    cases = (
        ("agree", "$y_B = y_A$", "$w = p_B^{\\gamma_1}$"),
        ("negative", "$y_B \\neq y_A$,  $c_B \\leq c_A$", "$w = p_B^{\\gamma_2}$"),
        ("positive", "$y_B \\neq y_A$,  $c_B > c_A$", "$w = 0$"),
    )
    for (case, when, weight), y in zip(cases, (1.15, 0, -1.15), strict=True):
        ax.add_patch(
            Rectangle(
                (5.95, y - 0.42),
                0.34,
                0.84,
                facecolor=CASE_COLOURS[case],
                hatch=CASE_HATCHES[case],
                edgecolor="white",
                lw=0,
            )
        )
        name = {"agree": "agreement", "negative": "negative disagreement", "positive": "positive disagreement"}[case]
        _text(ax, 6.42, y + 0.2, name, ha="left", size=10.5, weight="bold")
        _text(ax, 6.42, y - 0.2, f"{when}:   {weight}", ha="left", size=10.5)
    _arrow(ax, (9.6, 0), (10.15, 0), INK, "-", lw=2.2)
    _box(ax, 11.05, 0, "loss\n$w \\cdot$ CE", width=1.6, height=0.9, edge=INK, size=11)
    _text(ax, 11.05, -0.98, "mean over the\nlabels that count", size=9.5)
    _text(ax, -1.2, -2.3, "The weight is a number: no gradient flows through it.", ha="left", va="bottom", size=9.5)
    return ax


def _columns(ratios: Sequence[float]) -> list[int | None]:
    """The phases that are drawn: all of three, or the first two, dots and the last.

    >>> _columns((0.3, 0.6, 1.0)), _columns((0.2, 0.4, 0.6, 0.8, 1.0))
    ([0, 1, 2, 3], [0, 1, 2, None, 5])
    """
    count = len(ratios)
    return list(range(count + 1)) if count <= 4 else [0, 1, 2, None, count]


def _canvas(width: float, height: float, x: tuple[float, float], y: tuple[float, float]) -> Axes:
    figure, ax = plt.subplots(figsize=(width, height), facecolor="white")
    ax.set(xlim=x, ylim=y)
    ax.axis("off")
    figure.set_layout_engine("none")
    ax.set_position((0.01, 0.01, 0.98, 0.98))
    return ax


def _box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    width: float = 1.2,
    height: float = 0.6,
    edge: str = INK,
    fill: str = "white",
    ls: Any = "-",
    size: float = 11,
) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=fill,
            edgecolor=edge,
            ls=ls,
            lw=2.2,
            zorder=3,
        )
    )
    _text(ax, x, y, text, size=size)


def _text(ax: Axes, x: float, y: float, text: str, *, size: float = 11, **style: Any) -> None:
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": size, "color": INK, "zorder": 5, **style})


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str, ls: Any, lw: float) -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-", color=color, ls=ls, lw=lw, shrinkA=0, shrinkB=8, zorder=2))
    # A head of its own: a dashed shaft would dash its outline too.
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>,head_length=7,head_width=3.6",
            color=color,
            lw=0,
            shrinkA=0,
            shrinkB=0,
            mutation_scale=1,
            zorder=2,
        )
    )


def _badge(ax: Axes, x: float, y: float) -> None:
    """The mark of weighing, where an arrow of labels arrives."""
    ax.text(
        x,
        y,
        "w",
        ha="center",
        va="center",
        fontsize=10,
        style="italic",
        weight="bold",
        color=INK,
        zorder=6,
        bbox={"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": INK, "lw": 1.2},
    )


def _share(ax: Axes, x: float, ratio: float) -> None:
    """How much of U's labels a phase keeps, as a bar and in words."""
    if not ratio:
        return
    ax.add_patch(Rectangle((x - 0.7, -1.24), 1.4, 0.24, facecolor="white", edgecolor=GREY, lw=1.2, zorder=3))
    ax.add_patch(Rectangle((x - 0.7, -1.24), 1.4 * ratio, 0.24, facecolor="#9DBBD3", edgecolor=GREY, lw=1.2, zorder=4))
    _text(ax, x, -0.83, f"α = {ratio:g} of U's labels", size=9.5)
