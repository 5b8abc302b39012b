"""Figures of a run's labels: bars for any small table, where the wrong labels are, what a threshold and a share α keep."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.data.segmentation import Scenes
from dmtkit.losses.levels import TOP
from dmtkit.metrics.scores import reliability
from dmtkit.results.plots.common import nothing
from dmtkit.results.plots.maps import frame, paint, show
from dmtkit.results.style import SCORE_STYLES, VOID_COLOUR, WEIGHT_MAP, as_text, class_colours
from dmtkit.runs.run import Run
from dmtkit.tasks.probes import probed
from dmtkit.teach.pixel_labels import keep, store_of

BARS = (("#0072B2", ""), ("#E69F00", "//"), ("#999999", ".."), ("#CC79A7", "xx"))
RIGHT, WRONG = BARS[0], BARS[3]
SURE = 0.9
KINDS = {
    "right": ("#e6e6e6", ""),
    f"wrong, $c_A$ < {SURE}": ("#56B4E9", "//"),
    f"wrong, $c_A$ ≥ {SURE}": ("#0072B2", "xx"),
}
WHERE = {
    "right, and both agree": ("#e6e6e6", ""),
    "wrong, and B disagrees: found": ("#CC79A7", "//"),
    "wrong, but B agrees: missed": ("#000000", ""),
    "right, but B disagrees: false alarm": ("#F0E442", ".."),
}


def plot_bars(
    table: pd.DataFrame | pd.Series,
    ax: Axes | None = None,
    form: str = ".1f",
    styles: Sequence[tuple[str, str]] = BARS,
    **settings: Any,
) -> Axes:
    """A table as bars: a group a row, a colour and a hatch a column, and the value on each (a dash where there is none)."""
    ax, table = ax or plt.subplots(figsize=(9, 3.4))[1], pd.DataFrame(table)
    table.plot.bar(ax=ax, color=[colour for colour, _ in styles], edgecolor="white", width=0.8, rot=0, legend=False)
    for bars, (_, hatch), (_, values) in zip(ax.containers, styles, table.items(), strict=False):
        plt.setp(list(bars), hatch=hatch)
        ax.bar_label(bars, [f"{v:{form}}" if np.isfinite(v) else "–" for v in values], fontsize=9, padding=1)  # type: ignore[arg-type]
    ax.margins(y=0.12)
    ax.grid(False, axis="x")
    if table.shape[1] > 1:
        ax.legend(ncol=table.shape[1], loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9.5)
    ax.set_title(settings.pop("title", ""), fontsize=11, pad=26 if table.shape[1] > 1 else None)
    ax.set(**{"xlabel": "", **settings})
    return ax


def plot_wrong_labels(run: Run, ask_b: bool = False, samples: Sequence[int] = (0, 1, 2)) -> Figure:
    """Unlabeled images, a row each: truth, A's first labels, and which are wrong; beside their confidence, or what B says.

    B is the student of DMT's first phase as it starts.
    """
    folder, kinds = run.phases("dmt")[0].model_folder("B"), WHERE if ask_b else KINDS
    arrays, colours = folder.arrays("samples") | folder.arrays("probe_start"), class_colours(run.classes)
    positions = sorted({int(name.split("/")[0]) for name in arrays if name[0].isdigit()})
    figure, axes = plt.subplots(len(samples), 5, figsize=(10.4, 2.05 * len(samples) + 1.2), squeeze=False)
    for line, sample in zip(axes, samples, strict=True):
        place, names = positions[sample % len(positions)], ("image", "truth", "y_A", "c_A", "y_B")
        image, truth, label, level, other = (arrays[f"{place}/{name}"] for name in names)
        pictures = [
            image,
            paint(truth, colours),
            paint(label, colours),
            paint(other, colours) if ask_b else level / TOP,
        ]
        wrong, differ = (label != truth) & (truth < len(run.classes)), label != other
        kind = np.where(wrong, 2 - differ, 3 * differ) if ask_b else wrong * (1 + (level >= SURE * TOP))
        shown = [ax.imshow(picture, WEIGHT_MAP, vmin=0, vmax=1) for ax, picture in zip(line, pictures, strict=False)]
        line[4].imshow(kind, ListedColormap([colour for colour, _ in kinds.values()]), vmin=0, vmax=len(kinds) - 1)
        for number, (_, hatch) in enumerate(kinds.values()):
            if hatch and (kind == number).any():
                line[4].contourf(kind == number, levels=[0.5, 1.5], colors="none", hatches=[hatch])
        for ax in line:
            frame(ax)
    if not ask_b:
        figure.colorbar(shown[3], ax=axes[:, 3].tolist(), fraction=0.05)
    titles = ("image", "truth", "labels of A", "labels of B" if ask_b else "A's confidence $c_A$", "A's wrong labels")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    handles = [Patch(color=colour, label=as_text(name)) for colour, name in zip(colours, run.classes, strict=True)]
    handles += [Patch(facecolor=c, hatch=h, edgecolor="white", label=name) for name, (c, h) in kinds.items()]
    figure.legend(handles=handles, loc="outside lower center", ncol=5, fontsize=9)
    return figure


def plot_calibration(labels: pd.DataFrame, bins: int = 10) -> Figure:
    """A model's accuracy on U against its confidence, and in which part of the confidence its wrong labels lie."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
    bars = reliability(labels["confidence"].to_numpy(), ~labels["wrong"].to_numpy(), bins)
    left.plot([0, 1], [0, 1], ls="--", color="grey", lw=1, label="perfect calibration")
    left.plot(bars.confidence, bars.accuracy, lw=1)
    left.scatter(bars.confidence, bars.accuracy, s=20 + 380 * bars.count / bars.count.max(), alpha=0.6)
    left.set(xlim=(0, 1.08), ylim=(0, 1.08), aspect="equal", xlabel="confidence $c_A$", ylabel="accuracy of the labels")
    said, kept = 100 * labels["confidence"].mean(), 100 * (1 - labels["wrong"].mean())
    title = f"Says {said:.1f} %, is right in {kept:.1f} %;\ncalibration error {100 * bars.error:.1f} %"
    left.set_title(title, fontsize=11)
    left.legend(loc="upper left", fontsize=9)
    share = 100 * bars.count * np.nan_to_num(1 - bars.accuracy) / bars.count.sum()
    rows = pd.Series(share, [f"{(number + 1) / bins:g}" for number in range(bins)])
    plot_bars(rows, right, styles=(WRONG,), xlabel="confidence $c_A$ up to", ylabel="wrong labels (% of all labels)")
    right.set_title("Where the wrong labels are")
    return figure


def plot_filter(labels: pd.DataFrame, threshold: float = 0.9) -> Axes:
    """What a threshold on the model's own confidence does: wrong labels that it keeps, right ones that it drops."""
    ax = plt.subplots(figsize=(8, 3.8))[1]
    steps = np.concatenate([np.linspace(0, 0.95, 39), np.linspace(0.96, 1, 9), [threshold]])
    names = {"wrong labels that are kept": (True, WRONG, "-"), "right labels that are dropped": (False, RIGHT, "--")}
    for name, (wrong, (colour, _), line) in names.items():
        confidence = np.sort(labels["confidence"][labels["wrong"] == wrong])
        dropped = 100 * np.searchsorted(confidence, steps) / max(len(confidence), 1)
        share = 100 - dropped if wrong else dropped
        ax.plot(steps[:-1], share[:-1], color=colour, ls=line, label=f"{name}: {share[-1]:.1f} %")
    ax.axvline(threshold, color="black", lw=1, ls=":")
    ax.set(xlabel="threshold on $c_A$", ylabel="% of the wrong, of the right labels", xlim=(0, 1.005), ylim=(0, 105))
    ax.legend(title=f"at a threshold of {threshold:.3g}", loc="center left", fontsize=9)
    return ax


def plot_errors_found(
    curves: Mapping[str, Mapping[str, np.ndarray]], share: float = 0.1, scores: Sequence[str] = ("w", "p_B", "c_A")
) -> Figure:
    """Wrong labels found against labels reviewed, the most suspicious first, at each time; `share` marks a budget."""
    figure, axes = plt.subplots(1, len(curves), figsize=(3.6 * len(curves) + 0.4, 4.2), sharey=True, squeeze=False)
    grey: dict[str, Any] = {"color": "#999999", "lw": 1}
    for ax, (time, found) in zip(axes[0], curves.items(), strict=True):
        ax.set(xlabel="labels reviewed (%)", title=time, xlim=(0, 100), ylim=(0, 103), aspect="equal")
        if not np.isfinite(found["perfect"]).all():
            nothing(ax, "no kept label is wrong:\nnothing to find")
            continue
        lines = {"perfect": (found["perfect"], {"ls": (0, (5, 1)), **grey})}
        lines |= {f"${score}$": (found[score], SCORE_STYLES[score] | {"marker": ""}) for score in scores}
        lines |= {"random": (np.array([[0, 1], [0, 1]]), {"ls": ":", **grey})}
        for name, (curve, style) in lines.items():
            ax.plot(*100 * curve, label=f"{name}: {100 * np.interp(share, *curve):.0f} %", **style)
        ax.axvline(100 * share, color="black", lw=0.8)
        ax.legend(title=f"found in the first {100 * share:.0f} %", loc="lower right", fontsize=9, title_fontsize=9)
    axes[0, 0].set_ylabel("wrong labels found (%)")
    return figure


def plot_kept_pixels(run: Run, data: Scenes, alpha: float, model: str = "A", count: int = 3) -> Figure:
    """A model's first labels of some images, before and after the share α of every class is kept, and the thresholds it takes."""
    kept = keep(store_of(run, "dmt", 0, model), alpha)
    figure = plt.figure(figsize=(2.1 * count + 4.6, 6.2))
    grid, colours = figure.add_gridspec(3, count + 2), class_colours(run.classes)
    for column, position in enumerate(probed(run.config.seed, len(data.unlabeled))[:count]):
        masks = {"$y_A$": kept.store.label(position), f"kept, α = {alpha:.2f}": kept.kept(position)[0]}
        pictures = {"image": data.unlabeled.image(position)} | {n: paint(m, colours) for n, m in masks.items()}
        for row, (name, picture) in enumerate(pictures.items()):
            ax = figure.add_subplot(grid[row, column])
            show(ax, picture)
            ax.set_ylabel(name if column == 0 else "")
    ax, threshold = figure.add_subplot(grid[:, count:]), kept.thresholds.confidence
    bars = ax.barh(range(len(threshold)), np.nan_to_num(threshold), color=colours, edgecolor="black", lw=0.5)
    ax.bar_label(bars, ["never predicted" if np.isnan(t) else f"{t:.3f}" for t in threshold], padding=3, fontsize=9)
    ax.set_yticks(range(len(threshold)), [*map(as_text, run.classes)])
    ax.set(xlim=(0, 1.25), xlabel="threshold on $c_A$", title="Thresholds", xticks=[0, 0.5, 1])
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    figure.legend(handles=[Patch(color=VOID_COLOUR, label="not kept: counts nowhere")], loc="outside lower left")
    return figure
