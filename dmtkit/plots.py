"""Every figure of the experiment notebooks: pure functions of a run (or of data) that return their Axes."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.metrics import CASES, reliability
from dmtkit.runs import Run
from dmtkit.style import CASE_COLOURS, CASE_HATCHES, CASE_TITLES, method_style

if TYPE_CHECKING:
    import pandas as pd

    from dmtkit.data import Data


def plot_split(data: "Data", per_class: int = 8) -> Figure:
    """The labeled images, a row a class, beside the size of each part of the data."""
    rows = min(len(data.classes), 10)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 0.42 * rows + 1), width_ratios=[2, 1])
    columns = per_class if len(data.labeled) >= per_class * rows else max(1, len(data.labeled) // rows)
    labels = data.labeled.labels.cpu().numpy()
    pixels = data.labeled.pixels.cpu().numpy()
    height, width = pixels.shape[2:]
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, pixels.shape[1]), 255, np.uint8)
    for row in range(rows):
        for column, index in enumerate(np.flatnonzero(labels == row)[:columns]):
            top, start = row * (height + 1), column * (width + 1)
            sheet[top : top + height, start : start + width] = pixels[index].transpose(1, 2, 0)
    left.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    left.set_yticks([row * (height + 1) + height / 2 for row in range(rows)], data.classes[:rows])
    left.set_xticks([])
    left.set_title(f"{len(data.labeled)} labeled images" + (f" ({columns} a class shown)" if columns > 1 else ""))
    left.grid(False)
    parts = {"labeled X": data.labeled, "unlabeled U": data.unlabeled, "validation": data.val, "test": data.test}
    bars = right.barh(list(parts), [len(part) for part in parts.values()], color="#0072B2")
    right.bar_label(bars, fmt="{:,.0f}", padding=3)
    right.invert_yaxis()
    right.set_xscale("symlog")
    right.margins(x=0.25)
    right.set_xlabel("images (logarithmic scale)")
    right.set_title("What the methods may use")
    return figure


def plot_phases(run: Run, ax: Axes | None = None) -> Axes:
    """Test accuracy after every phase of every method; phase 0 is the supervised baseline."""
    ax = ax or plt.subplots(figsize=(7, 4))[1]
    base = run.phases("supervised")
    start = base[0].summary["accuracy"] if base else None
    for position, name in enumerate(run.methods):
        values = [phase.summary["accuracy"] for phase in run.phases(name)]
        style = method_style(name, position)
        if name in ("supervised", "oracle"):
            ax.axhline(values[0], label=f"{name}: {values[0]:.1f}", ls="--", color=style["color"])
            continue
        numbers = list(range(1, len(values) + 1))
        if start is not None:
            numbers, values = [0, *numbers], [start, *values]
        ax.plot(numbers, values, label=f"{name}: {values[-1]:.1f}", **style)
        ax.set_xticks(numbers)
    ax.set(xlabel="phase", ylabel="test accuracy (%)", title="Accuracy after every phase")
    ax.legend(title="method: last phase")
    return ax


def plot_curves(run: Run, ax: Axes | None = None) -> Axes:
    """Training loss over the steps of each method's phases; dotted lines separate phases."""
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    for position, name in enumerate(run.methods):
        style = method_style(name, position)
        table = _cumulative(run, name)
        ax.plot(table["x"], table["loss"], label=name, color=style["color"])
        if table["phase"].nunique() > 1:
            for edge in table.groupby("phase")["x"].max()[:-1]:
                ax.axvline(edge, ls=":", lw=1, color=style["color"])
    ax.set(xlabel="training step of the method", ylabel="loss (weighted)", title="Training loss")
    ax.legend()
    return ax


def plot_cases(run: Run, method: str = "dmt", ax: Axes | None = None) -> Axes:
    """Shares of the three cases (stacked) and the mean weight while a method trains, phase after phase."""
    ax = ax or plt.subplots(figsize=(10, 4))[1]
    table = _cumulative(run, method)
    if "share_agree" not in table:
        return _nothing(ax, f"{method} weighs all labels alike: no cases were recorded")
    shares = [table[f"share_{case}"].to_numpy() for case in CASES]
    areas = ax.stackplot(table["x"], shares, labels=[CASE_TITLES[c] for c in CASES], alpha=0.85,
                         colors=[CASE_COLOURS[c] for c in CASES])  # fmt: skip
    for area, case in zip(areas, CASES, strict=True):
        area.set(hatch=CASE_HATCHES[case], edgecolor="white", linewidth=0)
    ax.plot(table["x"], table["mean_weight"], color="black", lw=2, label="mean weight w")
    for number, group in table.groupby("phase"):
        ax.axvline(group["x"].max(), color="white", lw=2)
        ax.text(group["x"].mean(), 1.02, f"phase {number}", ha="center", transform=ax.get_xaxis_transform())
    ax.set(xlabel="training step of the method", ylabel="share of pseudo labels; weight", ylim=(0, 1))
    ax.set_title(f"{method}: the three cases while training", pad=22)
    ax.margins(x=0)
    ax.figure.legend(*ax.get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return ax


def plot_case_accuracy(run: Run, method: str = "dmt", ax: Axes | None = None) -> Axes:
    """How often the pseudo labels of each case are right, while a method trains; needs known truth."""
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    table = _cumulative(run, method)
    lines = {"agree": "-", "negative": "--", "positive": ":"}
    columns = [case for case in CASES if f"accuracy_{case}" in table]
    if not columns:
        return _nothing(ax, "the truth of the unlabeled images is not known, or all labels weigh alike")
    for case in columns:
        ax.plot(table["x"], table[f"accuracy_{case}"], color=CASE_COLOURS[case], ls=lines[case], lw=2,
                label=CASE_TITLES[case])  # fmt: skip
    for edge in table.groupby("phase")["x"].max()[:-1]:
        ax.axvline(edge, color="grey", lw=1)
    ax.set(xlabel="training step of the method", ylabel="right pseudo labels (%)", ylim=(-3, 103))
    ax.set_title(f"{method}: accuracy of the pseudo labels within each case")
    ax.legend(loc="lower left", ncol=3)
    return ax


def plot_reliability(run: Run, axes: "np.ndarray | None" = None) -> "np.ndarray":
    """Reliability diagram of every method on the test images: accuracy against confidence."""
    names = run.methods
    axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.8), squeeze=False)[1][0] if axes is None else axes
    for position, (ax, name) in enumerate(zip(axes, names, strict=True)):
        arrays = run.phases(name)[-1].arrays("test")
        found = reliability(arrays["level"] / 65535, arrays["label"] == arrays["truth"])
        seen = found.count > 0
        style = method_style(name, position)
        ax.plot([0, 1], [0, 1], ls="--", color="grey", lw=1, label="perfect")
        sizes = 20 + 380 * found.count[seen] / found.count.max()
        ax.plot(found.confidence[seen], found.accuracy[seen], color=style["color"], lw=1)
        ax.scatter(found.confidence[seen], found.accuracy[seen], s=sizes, color=style["color"], alpha=0.6)
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal", xlabel="confidence", title=name)
        ax.text(0.03, 0.94, f"calibration error {100 * found.error:.1f} %", transform=ax.transAxes, fontsize=10)
    axes[0].set_ylabel("accuracy")
    return axes


def plot_extremes(run: Run, method: str = "dmt", phase: int = -1, count: int = 10) -> Figure:
    """The kept pseudo labels of highest and of lowest weight: image, y_A (c_A), y_B (c_B), w and case."""
    chosen = run.phases(method)[phase]
    rows = chosen.arrays("samples")
    kept = np.flatnonzero(rows["kept"])
    order = kept[np.lexsort((rows["p_B"][kept], rows["weight"][kept]))]
    lowest, highest = order[:count], order[::-1][:count]
    figure, axes = plt.subplots(2, count, figsize=(1.35 * count, 5.2))
    for title, indices, line in zip(("lowest weights", "highest weights"), (lowest, highest), axes, strict=True):
        for ax in line:
            ax.axis("off")
        for ax, index in zip(line, indices, strict=False):
            _show_sample(ax, rows, int(index), run.classes)
        line[0].text(-0.05, 1.55, f"{method}, {chosen.folder.name.replace('_', ' ')}: {title}",
                     transform=line[0].transAxes, fontweight="bold")  # fmt: skip
    return figure


def _show_sample(ax: Axes, rows: dict[str, np.ndarray], index: int, classes: list[str]) -> None:
    image = rows["pixels"][index].transpose(1, 2, 0).squeeze()
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    case = CASES[int(rows["case"][index])]
    label, answer = int(rows["y_A"][index]), int(rows["y_B"][index])
    wrong = "truth" in rows and int(rows["truth"][index]) != label
    lines = [
        f"$y_A$ {classes[label][:9]}  {rows['c_A'][index]:.2f}",
        f"$y_B$ {classes[answer][:9]}  {rows['c_B'][index]:.2f}",
        f"$w$ {rows['weight'][index]:.2f}",
    ]
    if wrong:
        lines.append(f"truth {classes[int(rows['truth'][index])][:9]} ✗")
    ax.text(0.5, -0.06, "\n".join(lines), transform=ax.transAxes, ha="center", va="top", fontsize=8.5)
    short = {"agree": "agree", "negative": "neg. dis.", "positive": "pos. dis."}[case]
    ax.set_title(short, fontsize=9, color=CASE_COLOURS[case], fontweight="bold")


def _cumulative(run: Run, method: str) -> "pd.DataFrame":
    """The log of one method with `x`, its training steps counted through all phases."""
    table = run.metrics[run.metrics["method"] == method].dropna(axis=1, how="all")
    lengths = table.groupby("phase")["steps"].max()
    offsets = lengths.cumsum() - lengths
    return table.assign(x=table["step"] + table["phase"].map(offsets))


def _nothing(ax: Axes, reason: str) -> Axes:
    ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes)
    ax.axis("off")
    return ax
