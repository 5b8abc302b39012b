"""Figures of the iterations: what a share α keeps, class by class; rules of labelling; samples for A and B; echoes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.results.plots.maps import paint, show
from dmtkit.results.style import VOID_COLOUR, class_colours, method_style
from dmtkit.teach.keep_rules import accuracy_by_ratio, keep, rules

if TYPE_CHECKING:
    import pandas as pd

    from dmtkit.data.splits import Sampling
    from dmtkit.labels.store import Kept
    from dmtkit.teach.pixel_labels import Labels

BALANCED: dict[str, Any] = {"color": "#0072B2", "ls": "-"}
GLOBAL: dict[str, Any] = {"color": "#D55E00", "ls": "--"}


def plot_kept_accuracy(labels: "Labels", ratios: Sequence[float], ax: Axes | None = None) -> Axes:
    """How many of the kept labels are right for every α, kept class by class; the run's own shares are marked."""
    ax = ax or plt.subplots(figsize=(7.5, 3.8))[1]
    steps = np.linspace(0.01, 1, 100)
    ax.plot(100 * steps, 100 * _accuracy(labels, steps), label="kept class by class", **BALANCED)
    own = 100 * _accuracy(labels, np.array(ratios))
    ax.plot(100 * np.array(ratios), own, "o", color=BALANCED["color"], label="the phases' shares")
    for number, (ratio, value) in enumerate(zip(ratios, own, strict=True), start=1):
        ax.annotate(
            f"phase {number}: {value:.1f} %",
            (100 * ratio, value),
            (0, 9),
            textcoords="offset points",
            fontsize=9,
            ha="right" if ratio > 0.8 else "center",
        )
    ax.set(xlabel="labels kept, α (%)", ylabel="kept labels that are right (%)", xlim=(0, 102))
    ax.margins(y=0.18)
    ax.set_title("How good the labels are that α keeps")
    ax.legend(loc="lower left")
    return ax


def plot_class_thresholds(histogram: np.ndarray, classes: Sequence[str], ratio: float, ax: Axes | None = None) -> Axes:
    """Every class's threshold for each α: the least confidence that keeps the share α of its labels."""
    ax = ax or plt.subplots(figsize=(8, 4.2))[1]
    steps = np.linspace(0.02, 1, 50)
    lines = np.array([keep(histogram, step).threshold for step in steps])
    colours, styles = class_colours(classes), ("-", "--", "-.", ":")
    for number, name in enumerate(classes):
        if np.isfinite(lines[:, number]).any():
            ax.plot(100 * steps, lines[:, number], color=colours[number], ls=styles[number % 4], lw=1.8, label=name)
    ax.axvline(100 * ratio, color="black", lw=1, ls=":")
    ax.set(xlabel="labels kept of every class, α (%)", ylabel="threshold on $c_A$", xlim=(0, 100), ylim=(0, 1.02))
    ax.set_title("Each class has a threshold of its own")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return ax


def plot_kept_pixels(
    images: Sequence[np.ndarray], kept: "Kept", positions: Sequence[int], classes: Sequence[str], ratio: float
) -> Figure:
    """The labels of some images before and after the share α of every class is kept, beside the classes' thresholds.

    `kept` holds the labels kept at `ratio`; `images` are those at `positions`.
    """
    count = len(positions)
    figure = plt.figure(figsize=(2.1 * count + 4.6, 6.2))
    grid = figure.add_gridspec(3, count + 2)
    colours = class_colours(classes)
    names = ("image", "$y_A$", f"kept, α = {ratio:.2f}")
    for column, position in enumerate(positions):
        pictures = (images[column], paint(kept.store.label(position), colours), paint(kept.kept(position)[0], colours))
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True)):
            ax = figure.add_subplot(grid[row, column])
            show(ax, picture)
            ax.set_ylabel(name if column == 0 else "")
    ax = figure.add_subplot(grid[:, count:])
    threshold = kept.thresholds.confidence
    bars = ax.barh(range(len(classes)), np.nan_to_num(threshold), color=colours, edgecolor="black", lw=0.5)
    ax.bar_label(bars, ["never predicted" if np.isnan(t) else f"{t:.3f}" for t in threshold], padding=3, fontsize=9)
    ax.set_yticks(range(len(classes)), classes)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.25), xlabel="threshold on $c_A$", title="Thresholds")
    ax.set_xticks([0, 0.5, 1])
    ax.grid(False, axis="y")
    figure.legend(handles=[Patch(color=VOID_COLOUR, label="not kept: counts nowhere")], loc="outside lower left")
    return figure


def plot_balance(histogram: np.ndarray, classes: Sequence[str], ratio: float, ax: Axes | None = None) -> Axes:
    """What share of each class's labels is kept: one threshold for all classes beside one for each; α is the dotted line."""
    ax = ax or plt.subplots(figsize=(9, 3.6))[1]
    for side, balanced, name, style, hatch in (
        (-1, False, "one threshold for all classes", GLOBAL, "//"),
        (1, True, "a threshold for every class", BALANCED, ""),
    ):
        share = 100 * keep(histogram, ratio, balanced).share
        bars = ax.bar(
            np.arange(len(classes)) + 0.21 * side,
            np.nan_to_num(share),
            0.4,
            label=name,
            color=style["color"],
            hatch=hatch,
            edgecolor="white",
        )
        ax.bar_label(bars, [f"{v:.0f}" if np.isfinite(v) else "–" for v in share], fontsize=9)
    ax.axhline(100 * ratio, color="black", ls=":", lw=1)
    ax.set_xticks(range(len(classes)), classes)
    ax.set(
        xlabel="class that the label says", ylabel="kept (%)", title=f"What is kept of every class at α = {ratio:.2f}"
    )
    ax.margins(y=0.12)
    ax.legend(ncol=2, loc="lower center", bbox_to_anchor=(0.5, 1.08))
    ax.grid(False, axis="x")
    return ax


def plot_label_rules(threshold: Sequence[float], names: Sequence[str] = ("a", "b", "c"), side: int = 240) -> Figure:
    """Every softmax over three classes, as a triangle: what `argmax` and what `normalized` make of it; grey is not kept.

    A corner is certainty; `threshold` holds those of the three classes.
    """
    if len(threshold) != 3:
        raise ValueError(f"threshold: found {len(threshold)} values, expected three, one a class")
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, np.sqrt(3) / 2, side))
    top = y / (np.sqrt(3) / 2)
    right = x - top / 2
    points = np.stack([1 - right - top, right, top], -1)
    inside = (points >= 0).all(-1)
    found = rules(points[inside].astype(np.float32), np.array(threshold))
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.5))
    colours, hatches = ["#ffffff", VOID_COLOUR, "#0072B2", "#E69F00", "#009E73"], ("", "//", "..")
    for ax, (name, label) in zip(axes, found.items(), strict=True):
        canvas = np.zeros(inside.shape, int)
        canvas[inside] = label + 2
        ax.imshow(
            canvas,
            origin="lower",
            extent=(0, 1, 0, np.sqrt(3) / 2),
            cmap=ListedColormap(colours),
            vmin=0,
            vmax=4,
            interpolation="nearest",
        )
        for number, hatch in enumerate(hatches):
            if hatch and (label == number).any():
                ax.contourf(x, y, canvas == number + 2, levels=[0.5, 1.5], colors="none", hatches=[hatch])
        for start, end in (((0.5, 0), (0.5, 0.2887)), ((0.25, 0.433), (0.5, 0.2887)), ((0.75, 0.433), (0.5, 0.2887))):
            ax.plot(*zip(start, end, strict=True), color="black", lw=1, ls="--")
        ax.plot([0, 1, 0.5, 0], [0, 0, np.sqrt(3) / 2, 0], color="black", lw=1)
        for (at_x, at_y), corner, least in zip(
            ((-0.02, -0.04), (1.02, -0.04), (0.5, 0.9)), names, threshold, strict=True
        ):
            ax.text(
                at_x,
                at_y,
                f"{corner} certain\n(threshold {least:.2f})",
                ha="center",
                fontsize=9,
                va="bottom" if at_y > 0 else "top",
            )
        ax.set(title=name, xlim=(-0.15, 1.15), ylim=(-0.17, 1.05))
        ax.axis("off")
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=f"labeled {name}")
        for name, colour, hatch in zip(names, colours[2:], hatches, strict=True)
    ]
    handles.append(Patch(color=VOID_COLOUR, label="not kept"))
    figure.legend(handles=handles, ncol=4, loc="outside lower center")
    return figure


def plot_sampling(sampling: "Sampling", ax: Axes | None = None) -> Axes:
    """Which of the labeled images, in their shuffled order, each model sees first; both see the middle ones."""
    ax = ax or plt.subplots(figsize=(9, 2.3))[1]
    left, right = set(sampling.left), set(sampling.right)
    common, first, last = len(left & right), len(left - right), len(right - left)
    both: dict[str, Any] = {"facecolor": "#0072B2"}
    one: dict[str, Any] = {"facecolor": "#E69F00", "hatch": "//"}
    for row, blocks in enumerate(
        (((0, first, one), (first, common, both)), ((first, common, both), (first + common, last, one)))
    ):
        for start, length, style in blocks:
            ax.broken_barh([(start, length)], (row + 0.1, 0.8), edgecolor="white", lw=2, **style)
            ax.text(
                start + length / 2,
                row + 0.5,
                str(length),
                ha="center",
                va="center",
                fontsize=11,
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
            )
    handles = [Patch(label="seen by both", **both), Patch(label="seen by one", edgecolor="white", **one)]
    ax.set_yticks([0.5, 1.5], ["A sees", "B sees"])
    ax.set(xlim=(0, first + common + last), ylim=(2, 0), xlabel="labeled images, shuffled")
    ax.grid(False)
    ax.legend(handles=handles, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def plot_repeated(shares: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """How many of A's wrong labels come back: for each model that could label for A, the share, 0–1, that it repeats."""
    ax = ax or plt.subplots(figsize=(8, 0.9 + 0.55 * len(shares)))[1]
    values = [100 * np.nan_to_num(value) for value in shares.values()]
    bars = ax.barh(range(len(shares)), values, color="#0072B2", height=0.6)
    ax.bar_label(
        bars, [f"{100 * value:.1f} %" if np.isfinite(value) else "none" for value in shares.values()], padding=4
    )
    ax.set_yticks(range(len(shares)), list(shares))
    ax.set(xlim=(0, 112), ylim=(len(shares) - 0.4, -0.6), xlabel="A's wrong labels that come back unchanged (%)")
    ax.set_xticks(range(0, 101, 25))
    ax.grid(False, axis="y")
    return ax


def plot_label_progress(table: "pd.DataFrame", axes: "np.ndarray | None" = None) -> "np.ndarray":
    """Label quality over the phases, a line a method: all labels of the teacher as the phase starts, and the kept ones.

    `table` has the columns method, phase, all and kept; both in percent of right labels.
    """
    axes = plt.subplots(1, 2, figsize=(10.5, 3.7))[1] if axes is None else axes
    titles = {"all": "All labels of the teacher", "kept": "Labels that the phase keeps"}
    for ax, (column, title) in zip(axes, titles.items(), strict=True):
        for position, (method, rows) in enumerate(table.groupby("method", sort=False)):
            ax.plot(rows["phase"], rows[column], label=method, lw=2, **method_style(str(method).split()[0], position))
        ax.set_xticks(sorted(table["phase"].unique()))
        ax.set(xlabel="phase", ylabel="right labels (%)", title=title)
        ax.legend()
    return axes


def _accuracy(labels: "Labels", ratios: np.ndarray) -> np.ndarray:
    return accuracy_by_ratio(labels.label, labels.confidence, labels.wrong, ratios)
