"""Figures of classification: the split, calibration, the labels of highest and lowest weight."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.losses.levels import TOP
from dmtkit.metrics.scores import reliability
from dmtkit.results.plots.maps import show
from dmtkit.results.style import CASE_COLOURS, CASES, as_text, method_style
from dmtkit.runs.run import Run

if TYPE_CHECKING:
    from dmtkit.data import Data


def plot_split(data: "Data", per_class: int = 8) -> Figure:
    """A few labeled images of every class, above the size of each part of the data."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 5.4), height_ratios=[1.2, 1])
    classes = min(len(data.classes), 10)
    in_rows = classes < 5  # few classes: one a row, else one a column
    shown = min(12 if in_rows else per_class, max(1, len(data.labeled) // len(data.classes)))
    labels, pixels = data.labeled.labels.cpu().numpy(), data.labeled.pixels.cpu().numpy()
    chosen = [np.flatnonzero(labels == number)[:shown] for number in range(classes)]
    show(top, _contact_sheet([pixels[indices] for indices in chosen], shown, in_rows))
    step = pixels.shape[2 if in_rows else 3] + 1
    names = [as_text(name, 10) for name in data.classes[:classes]]
    (top.set_yticks if in_rows else top.set_xticks)([step * (i + 0.5) for i in range(classes)], names)
    top.set_title(f"{len(data.labeled):,} labeled images, {shown} of each class shown")
    parts = {"labeled X": data.labeled, "unlabeled U": data.unlabeled, "validation": data.val, "test": data.test}
    bars = bottom.barh(list(parts), [len(part) for part in parts.values()], color="#0072B2")
    bottom.bar_label(bars, labels=[f"{len(part):,}" for part in parts.values()], padding=4)
    bottom.invert_yaxis()
    bottom.set(xscale="log", xlim=(0.8, 6 * max(map(len, parts.values()))), xlabel="images (logarithmic scale)")
    bottom.grid(False, axis="y")
    bottom.set_title("What each part holds")
    return figure


def _contact_sheet(groups: list[np.ndarray], shown: int, in_rows: bool) -> np.ndarray:
    """Images "m c h w" of each group side by side, one group a row or a column, with white lines between."""
    _, channels, height, width = groups[0].shape
    sheet = np.full((len(groups), shown, height + 1, width + 1, channels), 255, np.uint8)
    for row, group in zip(sheet, groups, strict=True):
        row[: len(group), :height, :width] = group.transpose(0, 2, 3, 1)
    sheet = sheet if in_rows else sheet.swapaxes(0, 1)
    rows, columns = sheet.shape[:2]
    sheet = sheet.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), channels)
    return sheet[:-1, :-1]


def plot_reliability(run: Run) -> np.ndarray:
    """Reliability diagram of every method on the test images: accuracy against confidence."""
    names = run.methods
    axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.8), squeeze=False)[1][0]
    for position, (ax, name) in enumerate(zip(axes, names, strict=True)):
        arrays = run.phases(name)[-1].arrays("test")
        bins = reliability(arrays["level"] / TOP, arrays["label"] == arrays["truth"])
        seen, colour = bins.count > 0, method_style(name, position)["color"]
        ax.plot([0, 1], [0, 1], ls="--", color="grey", lw=1, label="perfect")
        ax.plot(bins.confidence[seen], bins.accuracy[seen], color=colour, lw=1)
        sizes = 20 + 380 * bins.count[seen] / bins.count.max()
        ax.scatter(bins.confidence[seen], bins.accuracy[seen], s=sizes, color=colour, alpha=0.6)
        ax.set(xlim=(0, 1.08), ylim=(0, 1.08), aspect="equal", xlabel="confidence", title=name)
        error = f"calibration error {100 * bins.error:.1f} %"
        ax.text(0.97, 0.04, error, transform=ax.transAxes, fontsize=10, ha="right")
    axes[0].set_ylabel("accuracy")
    return axes


def plot_extremes(run: Run, method: str = "dmt", phase: int = -1, count: int = 10) -> Figure:
    """The kept pseudo labels of highest and of lowest weight: image, y_A (c_A), y_B (c_B), w and case."""
    chosen = run.phases(method)[phase]
    rows = chosen.arrays("samples")
    kept = np.flatnonzero(rows["kept"])
    order = kept[np.lexsort((rows["p_B"][kept], rows["weight"][kept]))]
    lowest, highest = order[:count], order[::-1][:count]
    figure = plt.figure(figsize=(1.25 * count, 5.4))
    where = f"{method}, {chosen.folder.name.replace('_', ' ')}"
    parts = np.asarray(figure.subfigures(2, 1))
    for part, title, indices in zip(parts, ("lowest", "highest"), (lowest, highest), strict=True):
        part.suptitle(f"{where}: {title} weights", fontweight="bold")
        for ax in (axes := part.subplots(1, count)):
            ax.axis("off")
        for ax, index in zip(axes, indices, strict=False):
            _show_sample(ax, rows, int(index), run.classes)
    return figure


def _show_sample(ax: Axes, rows: dict[str, np.ndarray], index: int, classes: list[str]) -> None:
    row = {name: values[index] for name, values in rows.items()}
    show(ax, row["pixels"].transpose(1, 2, 0))
    lines = [f"${name}$ {as_text(classes[row[name]], 9)}  {row[name.replace('y', 'c')]:.2f}" for name in ("y_A", "y_B")]
    lines.append(f"$w$ {row['weight']:.2f}")
    if row.get("truth", row["y_A"]) != row["y_A"]:
        lines.append(f"truth {as_text(classes[row['truth']], 9)} ✗")
    ax.text(0.5, -0.06, "\n".join(lines), transform=ax.transAxes, ha="center", va="top", fontsize=8.5)
    case = CASES[row["case"]]
    short = {"agree": "agree", "negative": "neg. dis.", "positive": "pos. dis."}[case]
    ax.set_title(short, fontsize=9, color=CASE_COLOURS[case], fontweight="bold")
