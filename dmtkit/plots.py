"""Every figure of the experiment notebooks: pure functions of a run (or of data) that return their Axes."""

from typing import TYPE_CHECKING, Any

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


def keep(run: Run, name: str, drawn: "Axes | Figure | np.ndarray") -> None:
    """Store a figure as `<run>/figures/<name>.png`, as well as showing it."""
    first = drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn
    figure: Any = first if isinstance(first, Figure) else first.get_figure(root=True)
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=110)


def plot_split(data: "Data", per_class: int = 8) -> Figure:
    """A few labeled images of every class, above the size of each part of the data."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 5.4), height_ratios=[1.2, 1])
    classes = min(len(data.classes), 10)
    in_rows = classes < 5  # few classes: one a row, else one a column
    shown = min(12 if in_rows else per_class, max(1, len(data.labeled) // len(data.classes)))
    labels, pixels = data.labeled.labels.cpu().numpy(), data.labeled.pixels.cpu().numpy()
    chosen = [np.flatnonzero(labels == number)[:shown] for number in range(classes)]
    _image(top, _contact_sheet([pixels[indices] for indices in chosen], shown, in_rows))
    step = pixels.shape[2 if in_rows else 3] + 1
    names = [name[:10] for name in data.classes[:classes]]
    (top.set_yticks if in_rows else top.set_xticks)([step * (i + 0.5) for i in range(classes)], names)
    (top.set_xticks if in_rows else top.set_yticks)([])
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
    channels, height, width = groups[0].shape[1:]
    rows, columns = (len(groups), shown) if in_rows else (shown, len(groups))
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 255, np.uint8)
    for number, group in enumerate(groups):
        for index, image in enumerate(group):
            row, column = (number, index) if in_rows else (index, number)
            y, x = row * (height + 1), column * (width + 1)
            sheet[y : y + height, x : x + width] = image.transpose(1, 2, 0)
    return sheet


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
        _broken(ax, table, table["loss"], label=name, color=style["color"])
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
    for number, group in table.groupby("phase"):
        shares = [group[f"share_{case}"].to_numpy() for case in CASES]
        areas = ax.stackplot(group["x"], shares, alpha=0.85, colors=[CASE_COLOURS[c] for c in CASES])
        for area, case in zip(areas, CASES, strict=True):
            area.set(hatch=CASE_HATCHES[case], edgecolor="white", linewidth=0)
            area.set_label(CASE_TITLES[case] if number == table["phase"].min() else None)
        ax.text(group["x"].mean(), 1.02, f"phase {number}", ha="center", transform=ax.get_xaxis_transform())
    _broken(ax, table, table["mean_weight"], color="black", lw=2, label="mean weight w")
    ax.set(xlabel="training step of the method", ylabel="share of pseudo labels; weight", ylim=(0, 1))
    ax.set_title(f"{method}: the three cases while training", pad=22)
    ax.margins(x=0)
    ax.figure.legend(*ax.get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return ax


def plot_case_accuracy(run: Run, method: str = "dmt", ax: Axes | None = None, at_least: int = 30) -> Axes:
    """How often the pseudo labels of each case are right, while a method trains; needs known truth.

    Points that rest on fewer than `at_least` labels are left out.
    """
    ax = ax or plt.subplots(figsize=(10, 3.5))[1]
    table = _cumulative(run, method)
    lines = {"agree": "-", "negative": "--", "positive": ":"}
    columns = [case for case in CASES if f"accuracy_{case}" in table]
    if not columns:
        return _nothing(ax, "the truth of the unlabeled images is not known, or all labels weigh alike")
    for case in columns:
        seen = table[f"share_{case}"] * table["count"] >= at_least
        values = table[f"accuracy_{case}"].where(seen)
        _broken(ax, table, values, color=CASE_COLOURS[case], ls=lines[case], lw=2, marker=".", label=CASE_TITLES[case])
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
        ax.set(xlim=(0, 1.08), ylim=(0, 1.08), aspect="equal", xlabel="confidence", title=name)
        ax.text(
            0.97, 0.04, f"calibration error {100 * found.error:.1f} %", transform=ax.transAxes, fontsize=10, ha="right"
        )
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
    _image(ax, rows["pixels"][index].transpose(1, 2, 0))
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


def _broken(ax: Axes, table: "pd.DataFrame", values: "pd.Series", label: str, **style: Any) -> None:
    """One line a phase, not joined: every phase starts a new model."""
    for number, group in table.groupby("phase"):
        first = number == table["phase"].min()
        ax.plot(group["x"], values.loc[group.index], label=label if first else None, **style)


def _image(ax: Axes, pixels: np.ndarray) -> None:
    """Draw uint8 pixels "h w c", grey where there is one channel."""
    ax.imshow(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=255,
              interpolation="nearest")  # fmt: skip
    ax.grid(False)


def _nothing(ax: Axes, reason: str) -> Axes:
    ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes)
    ax.axis("off")
    return ax
