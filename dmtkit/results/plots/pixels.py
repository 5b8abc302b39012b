"""Figures of segmentation's numbers: classes, kept shares, label quality, the search for wrong labels, confusion."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from dmtkit.metrics.cases import CASES
from dmtkit.results.plots.common import nothing
from dmtkit.results.style import SCORE_STYLES
from dmtkit.runs.run import Run

if TYPE_CHECKING:
    from dmtkit.data.segmentation import Scenes

TIMES = ("start", "middle", "end")


def plot_class_frequencies(data: "Scenes", ax: Axes | None = None) -> Axes:
    """The share of pixels that each class has, in X and, where the truth is known, in U and in the test images."""
    ax = ax or plt.subplots(figsize=(9.5, 3.4))[1]
    parts = {"labeled X": data.labeled, "unlabeled U (truth)": data.unlabeled, "test": data.test}
    if not data.truth_known:
        parts.pop("unlabeled U (truth)")
    k, width = len(data.classes), 0.8 / len(parts)
    styles = zip(parts.items(), ("#0072B2", "#E69F00", "#999999"), ("", "//", ".."), strict=False)
    for number, ((name, part), colour, hatch) in enumerate(styles):
        counts = data.class_counts(part)[:-1]
        share = 100 * counts / max(counts.sum(), 1)
        ax.bar(
            np.arange(k) + number * width,
            share,
            width,
            label=f"{name}: {len(part):,} images",
            color=colour,
            hatch=hatch,
            edgecolor="white",
        )
    ax.set_xticks(
        np.arange(k) + 0.4 - width / 2, data.classes, rotation=35 if k > 8 else 0, ha="right" if k > 8 else "center"
    )
    ax.set(yscale="log", ylabel="share of pixels (%)", title="How frequent each class is")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend()
    ax.grid(False, axis="x")
    return ax


def plot_class_iou(run: Run, ax: Axes | None = None) -> Axes:
    """IoU of every class, for each method's last phase and, where two models were trained, for both and their mean."""
    import seaborn as sns

    rows, names = [], []
    for method in run.methods:
        for model, values in run.phases(method)[-1].summary["iou"].items():
            rows.append([np.nan if v is None else v for v in values])
            names.append(f"{method} {model}")
    table = np.array(rows)
    table = np.concatenate([table, np.nanmean(table, 1, keepdims=True)], 1)
    ax = ax or plt.subplots(figsize=(1.6 + 0.75 * table.shape[1], 0.9 + 0.42 * len(rows)))[1]
    sns.heatmap(
        table,
        annot=True,
        fmt=".0f",
        cmap="cividis",
        vmin=0,
        vmax=100,
        ax=ax,
        xticklabels=[*run.classes, "mean"],
        yticklabels=names,
        cbar_kws={"label": "IoU (%)"},
    )
    ax.axvline(table.shape[1] - 1, color="white", lw=3)
    ax.set_title("IoU of every class on the test images (%)")
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    return ax


def plot_kept_shares(run: Run, method: str = "dmt", model: str = "B") -> Figure:
    """Per phase and class the share of the teacher's labels that is kept, and the confidence that it takes."""
    import seaborn as sns

    phases = [phase.model_folder(model) for phase in run.phases(method)]
    tables = {
        "kept share of the class's pixels (%)": ("kept_share", 100, ".0f"),
        "threshold: least confidence kept": ("threshold", 1, ".2f"),
    }
    k = len(run.classes)
    figure, axes = plt.subplots(2, 1, figsize=(2.2 + 0.72 * k, 1.9 + 0.62 * len(phases)), sharex=True)
    for ax, (title, (name, scale, form)) in zip(axes, tables.items(), strict=True):
        values = np.array([[np.nan if v is None else scale * v for v in p.summary[name]] for p in phases])
        sns.heatmap(
            values,
            annot=True,
            fmt=form,
            cmap="cividis",
            vmin=0,
            vmax=scale,
            ax=ax,
            xticklabels=run.classes,
            yticklabels=[f"phase {p.number}" for p in phases],
            annot_kws={"fontsize": 9},
        )
        ax.set_title(f"{method}, labels that {model} learns: {title}", fontsize=11)
        ax.tick_params(axis="y", rotation=0)
    plt.setp(axes[1].get_xticklabels(), rotation=40, ha="right")
    return figure


def plot_label_quality(run: Run, method: str = "dmt", model: str = "B", phase: int = -1) -> Figure:
    """Per case and class, how many pseudo labels of a phase (the last) are right, and how much of the class they give."""
    import seaborn as sns

    chosen = run.phases(method)[phase - 1 if phase > 0 else phase]
    rows = chosen.model_folder(model).summary["cases"]
    order, classes = (*CASES, "all"), [*run.classes, "all"]
    titles = {
        "agree": "agreement",
        "negative": "neg. disagreement",
        "positive": "pos. disagreement",
        "all": "all kept labels",
    }
    figure, axes = plt.subplots(2, 1, figsize=(2.6 + 0.75 * len(classes), 5.4), sharex=True)
    for ax, name in zip(axes, ("precision", "recall"), strict=True):
        found = {(row["case"], row["class"]): row.get(name, np.nan) for row in rows}
        values = np.array([[found.get((case, c), np.nan) for c in classes] for case in order], float)
        if np.isnan(values).all():
            nothing(ax, f"{name}: the truth of the unlabeled images is not known")
            continue
        sns.heatmap(
            values,
            annot=True,
            fmt=".0f",
            cmap="cividis",
            vmin=0,
            vmax=100,
            ax=ax,
            xticklabels=classes,
            yticklabels=[titles[case] for case in order],
        )
        ax.set_title(f"{name} of the labels that {model} learned in phase {chosen.number} of {method} (%)", fontsize=11)
        ax.tick_params(axis="y", rotation=0)
    plt.setp(axes[1].get_xticklabels(), rotation=40, ha="right")
    return figure


def plot_error_search(run: Run, method: str = "dmt", model: str = "B", ax: Axes | None = None) -> Axes:
    """How well low scores find wrong labels (AUROC) at the start, the middle and the end of every phase."""
    ax = ax or plt.subplots(figsize=(9.5, 3.8))[1]
    phases = [phase.model_folder(model) for phase in run.phases(method)]
    x = np.array([[p.number + shift for shift in (0, 0.35, 0.7)] for p in phases])
    seen: list[float] = []
    for score, style in SCORE_STYLES.items():
        values = np.array(
            [[np.nan if (v := p.summary["auroc"][t][score]) is None else v for t in TIMES] for p in phases]
        )
        seen += values[np.isfinite(values)].tolist()
        for row, (xs, ys) in enumerate(zip(x, values, strict=True)):
            ax.plot(xs, ys, label=f"low ${score}$" if row == 0 else None, **style)
    if not seen:
        ax.clear()
        return nothing(ax, "the truth of the unlabeled images is not known, or no kept label is wrong")
    ax.axhline(0.5, color="grey", lw=1, ls=":")
    ax.set_ylim(max(0, min(seen) - 0.02), min(1.005, max(seen) + 0.02))
    ax.set_xticks(
        x.ravel(), [f"{t}\nphase {p.number}" if t == "middle" else t for p in phases for t in TIMES], fontsize=9
    )
    ax.set(ylabel="AUROC (0.5 is chance)", title=f"{method}, model {model}: wrong labels found by low scores")
    ax.legend(ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return ax


def plot_roc(run: Run, method: str = "dmt", model: str = "B", phase: int = 1) -> Figure:
    """ROC curves of the search for wrong labels at the start, the middle and the end of one phase."""
    folder = run.phases(method)[phase - 1].model_folder(model)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.1), sharey=True)
    for ax, time in zip(axes, TIMES, strict=True):
        arrays = folder.arrays(f"probe_{time}")
        for (score, style), area in zip(SCORE_STYLES.items(), arrays["auroc"], strict=True):
            curve = arrays[f"roc/{score}"]
            line = {key: value for key, value in style.items() if key != "marker"}
            if np.isfinite(area):
                ax.plot(*curve, label=f"${score}$: {area:.3f}", **line)
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
    import seaborn as sns

    counts = run.phases(method)[-1].arrays("confusion")[model]
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 1.6 + 0.5 * len(share)
    ax = plt.subplots(figsize=(side + 1, side))[1]
    sns.heatmap(
        share,
        annot=len(share) <= 12,
        fmt=".0f",
        cmap="cividis",
        vmin=0,
        vmax=100,
        ax=ax,
        xticklabels=run.classes,
        yticklabels=run.classes,
        annot_kws={"fontsize": 9},
        cbar_kws={"label": "% of the true class"},
    )
    ax.set(xlabel="predicted", ylabel="true", title=f"Confusion of {method}, model {model} (%)")
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    ax.tick_params(axis="y", rotation=0)
    return ax
