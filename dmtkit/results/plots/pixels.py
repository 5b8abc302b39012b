"""Figures of segmentation's numbers: classes, kept shares, label quality, the search for wrong labels, confusion."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from dmtkit.results.plots.common import heat, nothing
from dmtkit.results.style import CASES, SCORE_STYLES, as_text
from dmtkit.results.tables.one_run import error_table
from dmtkit.runs.run import Run

if TYPE_CHECKING:
    from dmtkit.data.segmentation import Scenes


def plot_class_frequencies(data: "Scenes", ax: Axes | None = None) -> Axes:
    """The share of pixels that each class has, in X and, where the truth is known, in U and in the test images."""
    ax = ax or plt.subplots(figsize=(9.5, 3.4))[1]
    parts = {"labeled X": data.labeled, "unlabeled U (truth)": data.unlabeled, "test": data.test}
    if not data.truth_known:
        parts.pop("unlabeled U (truth)")
    counts = {f"{name}: {len(part):,} images": data.class_counts(part)[:-1] for name, part in parts.items()}
    shares = pd.DataFrame({name: 100 * each / max(each.sum(), 1) for name, each in counts.items()}, data.classes)
    shares.rename(as_text).plot.bar(ax=ax, color=["#0072B2", "#E69F00", "#999999"], edgecolor="white", width=0.8, rot=0)
    for bars, hatch in zip(ax.containers, ("", "//", ".."), strict=False):
        plt.setp(list(bars), hatch=hatch)
    if len(shares) > 8:
        plt.setp(ax.get_xticklabels(), rotation=35, ha="right")
    ax.set(yscale="log", ylabel="share of pixels (%)", title="How frequent each class is")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend()
    ax.grid(False, axis="x")
    return ax


def plot_class_iou(run: Run, ax: Axes | None = None) -> Axes:
    """IoU of every class, for each method's last phase and, where two models were trained, for both and their mean."""
    last = {method: run.phases(method)[-1].summary["iou"] for method in run.methods}
    table = {f"{method} {model}": values for method, models in last.items() for model, values in models.items()}
    values = np.array(list(table.values()), float)
    values = np.concatenate([values, np.nanmean(values, 1, keepdims=True)], 1)
    ax = ax or plt.subplots(figsize=(1.6 + 0.75 * values.shape[1], 0.9 + 0.42 * len(values)))[1]
    heat(ax, values, [*run.classes, "mean"], list(table), cbar_kws={"label": "IoU (%)"})
    ax.axvline(values.shape[1] - 1, color="white", lw=3)
    ax.set_title("IoU of every class on the test images (%)")
    return ax


def plot_kept_shares(run: Run, method: str = "dmt", model: str = "B") -> Figure:
    """Per phase and class the share of the teacher's labels that is kept, and the confidence that it takes."""
    phases = [phase.model_folder(model) for phase in run.phases(method)]
    rows = [f"phase {phase.number}" for phase in phases]
    size = (2.2 + 0.72 * len(run.classes), 1.9 + 0.62 * len(phases))
    figure, (above, below) = plt.subplots(2, 1, figsize=size, sharex=True)
    heat(above, 100 * np.array([phase.summary["kept_share"] for phase in phases], float), run.classes, rows)
    heat(below, [phase.summary["threshold"] for phase in phases], run.classes, rows, top=1, fmt=".2f")
    whose = f"{method}, labels that {model} learns"
    above.set_title(f"{whose}: kept share of the class's pixels (%)", fontsize=11)
    below.set_title(f"{whose}: threshold: least confidence kept", fontsize=11)
    return figure


def plot_label_quality(run: Run, method: str = "dmt", model: str = "B", phase: int = -1) -> Figure:
    """Per case and class, how many pseudo labels of a phase (the last) are right, and how much of the class they give."""
    chosen = run.phases(method)[phase - 1 if phase > 0 else phase]
    cells = pd.DataFrame(chosen.model_folder(model).summary["cases"])
    rows = ["agreement", "neg. disagreement", "pos. disagreement", "all kept labels"]
    classes = [*run.classes, "all"]
    figure, axes = plt.subplots(2, 1, figsize=(2.6 + 0.75 * len(classes), 5.4), sharex=True)
    for ax, name in zip(axes, ("precision", "recall"), strict=True):
        if name not in cells:
            nothing(ax, f"{name}: the truth of the unlabeled images is not known")
            continue
        values = cells.pivot(index="case", columns="class", values=name)
        heat(ax, values.reindex([*CASES, "all"], columns=classes), classes, rows)
        ax.set_title(f"{name} of the labels that {model} learned in phase {chosen.number} of {method} (%)", fontsize=11)
    return figure


def plot_error_search(run: Run, method: str = "dmt", model: str = "B", ax: Axes | None = None) -> Axes:
    """How well low scores find wrong labels (AUROC) at the start, the middle and the end of every phase."""
    ax = ax or plt.subplots(figsize=(9.5, 3.8))[1]
    table = error_table(run, method, model)[list(SCORE_STYLES)].astype(float)
    known = table.to_numpy()[table.notna()]
    if not known.size:
        return nothing(ax, "the truth of the unlabeled images is not known, or no kept label is wrong")
    places = [phase + {"start": 0, "middle": 0.35, "end": 0.7}[time] for phase, time in table.index]
    for score, style in SCORE_STYLES.items():
        ax.plot([], label=f"low ${score}$", **style)
        for _, values in table[score].set_axis(places).groupby(np.floor(places)):
            ax.plot(values, **style)
    ax.axhline(0.5, color="grey", lw=1, ls=":")
    ax.set_ylim(max(0, known.min() - 0.02), min(1.005, known.max() + 0.02))
    ticks = [f"{time}\nphase {phase}" if time == "middle" else time for phase, time in table.index]
    ax.set_xticks(places, ticks, fontsize=9)
    ax.set(ylabel="AUROC (0.5 is chance)", title=f"{method}, model {model}: wrong labels found by low scores")
    ax.legend(ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return ax


def plot_roc(run: Run, method: str = "dmt", model: str = "B", phase: int = 1) -> Figure:
    """ROC curves of the search for wrong labels at the start, the middle and the end of one phase."""
    folder = run.phases(method)[phase - 1].model_folder(model)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.1), sharey=True)
    for ax, time in zip(axes, ("start", "middle", "end"), strict=True):
        arrays = folder.arrays(f"probe_{time}")
        for (score, style), area in zip(SCORE_STYLES.items(), arrays["auroc"], strict=True):
            if np.isfinite(area):
                ax.plot(*arrays[f"roc/{score}"], label=f"${score}$: {area:.3f}", **{**style, "marker": ""})
        ax.plot([0, 1], [0, 1], color="grey", lw=1, ls=":")
        ax.set(
            xlabel="right labels flagged", title=f"{time} of phase {phase}", aspect="equal", xlim=(0, 1), ylim=(0, 1.01)
        )
        if ax.get_legend_handles_labels()[0]:
            ax.legend(title="low …: AUROC", loc="lower right", fontsize=9)
    axes[0].set_ylabel("wrong labels found")
    figure.suptitle(f"{method}, model {model}: flag the labels with the lowest score", fontweight="bold")
    return figure


def plot_confusion(run: Run, method: str = "dmt", model: str = "A") -> Axes:
    """What each true class is taken for on the test images, in percent of its pixels, after the last phase."""
    counts = run.phases(method)[-1].arrays("confusion")[model]
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 1.6 + 0.5 * len(share)
    ax = plt.subplots(figsize=(side + 1, side))[1]
    heat(ax, share, run.classes, run.classes, annot=len(share) <= 12, cbar_kws={"label": "% of the true class"})
    ax.set(xlabel="predicted", ylabel="true", title=f"Confusion of {method}, model {model} (%)")
    return ax
