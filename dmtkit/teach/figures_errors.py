"""Figures of the search for wrong labels: where they are, what confidence and disagreement tell of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.metrics.scores import reliability
from dmtkit.results.plots.common import nothing
from dmtkit.results.plots.maps import frame, paint, show
from dmtkit.results.style import SCORE_STYLES, WEIGHT_MAP, class_colours, method_style
from dmtkit.runs.run import Run
from dmtkit.teach.error_review import Agreement, Review, filtered, perfect

if TYPE_CHECKING:
    from dmtkit.teach.pixel_labels import Labels

RIGHT, UNSURE, SURE = "#e6e6e6", "#E69F00", "#0072B2"  # right labels; wrong ones of low and of high confidence
KINDS: dict[str, tuple[str, str]] = {"right": (RIGHT, ""), "unsure": (UNSURE, "//"), "sure": (SURE, "xx")}
WHERE: dict[str, tuple[str, str]] = {
    "right, and both agree": (RIGHT, ""),
    "wrong, and B disagrees: found": ("#009E73", ""),
    "wrong, but B agrees: missed": ("#D55E00", "xx"),
    "right, but B disagrees: false alarm": ("#56B4E9", "//"),
}


def plot_wrong_labels(
    run: Run, method: str = "dmt", model: str = "B", samples: Sequence[int] = (0, 1, 2), sure: float = 0.9
) -> Figure:
    """Unlabeled images, a row each: truth, the first phase's pseudo labels, their confidence, and which of them are wrong."""
    arrays = run.phases(method)[0].model_folder(model).arrays("samples")
    colours, places = class_colours(run.classes), _places(arrays, samples)
    figure, axes = plt.subplots(len(places), 5, figsize=(10.4, 2.05 * len(places) + 1), squeeze=False)
    drawn: Any = None
    seen: set[int] = set()
    for line, place in zip(axes, places, strict=True):
        image, truth, label, level = (arrays[f"{place}/{name}"] for name in ("image", "truth", "y_A", "c_A"))
        seen |= set(np.unique(truth).tolist()) | set(np.unique(label).tolist())
        show(line[0], image)
        show(line[1], paint(truth, colours))
        show(line[2], paint(label, colours))
        drawn = line[3].imshow(level / 65535, cmap=WEIGHT_MAP, vmin=0, vmax=1, interpolation="nearest")
        frame(line[3])
        wrong = (label != truth) & (truth < len(run.classes))
        _draw_kinds(line[4], np.where(wrong, 1 + (level / 65535 >= sure), 0), list(KINDS.values()))
    titles = ("image", "truth", "pseudo label $y_A$", "confidence $c_A$", "wrong labels")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    figure.colorbar(drawn, ax=axes[:, 3].tolist(), fraction=0.05)
    kinds = [_patch(KINDS["unsure"], f"wrong, $c_A$ < {sure:g}"), _patch(KINDS["sure"], f"wrong, $c_A$ ≥ {sure:g}")]
    handles = [Patch(color=colours[c], label=run.classes[c]) for c in sorted(seen) if c < len(run.classes)]
    figure.legend(handles=[*handles, *kinds], loc="outside lower center", ncol=min(8, len(handles) + 2), fontsize=9)
    return figure


def plot_class_errors(labels: "Labels", classes: Sequence[str], ax: Axes | None = None) -> Axes:
    """For every class, how many of the labels that say it are wrong; the dashed line is that of all labels."""
    ax = ax or plt.subplots(figsize=(9, 3.2))[1]
    chosen = [labels.of_class(number) for number in range(len(classes))]
    rates = [100 * c.wrong.mean() if len(c.label) else np.nan for c in chosen]
    bars = ax.bar(range(len(classes)), np.nan_to_num(rates), color="#0072B2")
    ax.bar_label(bars, [f"{rate:.0f}" if np.isfinite(rate) else "never\npredicted" for rate in rates], fontsize=9)
    overall = 100 * labels.wrong.mean()
    ax.axhline(overall, color="black", ls="--", lw=1, label=f"all labels: {overall:.1f} %")
    ax.set_xticks(range(len(classes)), classes)
    ax.set(xlabel="class that the label says", ylabel="wrong labels (%)", ylim=(0, max(np.nanmax(rates) * 1.15, 1)))
    ax.set_title("How many labels of each class are wrong")
    ax.legend()
    ax.grid(False, axis="x")
    return ax


def plot_calibration(labels: "Labels", bins: int = 10) -> Figure:
    """A model's accuracy on U against its confidence, and in which part of the confidence its wrong labels lie."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9))
    found = reliability(labels.confidence, ~labels.wrong, bins)
    seen = found.count > 0
    left.plot([0, 1], [0, 1], ls="--", color="grey", lw=1, label="perfect calibration")
    sizes = 20 + 380 * found.count[seen] / found.count.max()
    left.plot(found.confidence[seen], found.accuracy[seen], color="#0072B2", lw=1)
    left.scatter(found.confidence[seen], found.accuracy[seen], s=sizes, color="#0072B2", alpha=0.6)
    left.set(xlim=(0, 1.08), ylim=(0, 1.08), aspect="equal", xlabel="confidence $c_A$", ylabel="accuracy of the labels")
    left.set_title(f"Calibration error {100 * found.error:.1f} %")
    left.legend(loc="upper left", fontsize=9)
    share = 100 * found.count * np.nan_to_num(1 - found.accuracy) / max(found.count.sum(), 1)
    bars = right.bar((np.arange(bins) + 0.5) / bins, share, 0.9 / bins, color="#D55E00", hatch="//", edgecolor="white")
    right.bar_label(bars, [f"{value:.1f}" for value in share], fontsize=9)
    right.set(xlabel="confidence $c_A$", ylabel="wrong labels (% of all labels)", xlim=(0, 1))
    right.set_title("Where the wrong labels are")
    right.grid(False, axis="x")
    return figure


def plot_filter(labels: "Labels", threshold: float = 0.9) -> Figure:
    """What a threshold on the model's own confidence keeps and drops; and the same for every threshold."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), width_ratios=[1, 1.25])
    share = filtered(labels.confidence, labels.wrong, threshold)
    for row, side in enumerate(("kept", "dropped")):
        good, bad = 100 * share[f"{side} right"], 100 * share[f"{side} wrong"]
        left.barh(row, good, color="#009E73", label=None if row else "right")
        left.barh(row, bad, left=good, color="#D55E00", hatch="xx", edgecolor="white", label=None if row else "wrong")
        left.text(good + bad + 2, row, f"{good:.1f} % right\n{bad:.1f} % wrong", va="center", fontsize=10)
    left.set_yticks([0, 1], [f"kept\n$c_A$ ≥ {threshold:.3g}", f"dropped\n$c_A$ < {threshold:.3g}"])
    left.set(xlim=(0, 135), xlabel="labels (%)", ylim=(1.7, -0.6), title="At this threshold")
    left.set_xticks(range(0, 101, 25))
    left.legend(ncol=2, loc="lower right", fontsize=9)
    left.grid(False, axis="y")
    steps = np.concatenate([np.linspace(0, 0.95, 39), np.linspace(0.96, 1, 9)])
    found = [filtered(labels.confidence, labels.wrong, step) for step in steps]
    wrong, good = max(labels.wrong.mean(), 1e-12), max(1 - labels.wrong.mean(), 1e-12)
    right.plot(
        steps, [100 * f["kept wrong"] / wrong for f in found], color="#D55E00", label="wrong labels that are kept"
    )
    right.plot(
        steps,
        [100 * f["dropped right"] / good for f in found],
        color="#009E73",
        ls="--",
        label="right labels that are dropped",
    )
    right.axvline(threshold, color="black", lw=1, ls=":")
    right.set(xlabel="threshold on $c_A$", ylabel="%", xlim=(0, 1.005), ylim=(0, 105), title="At every threshold")
    right.legend(loc="center left", fontsize=9)
    return figure


def plot_agreement(found: Mapping[str, Agreement], ax: Axes | None = None) -> Axes:
    """How many labels are wrong: all, those that the other model agrees with, those that it contradicts; a group a pair."""
    ax = ax or plt.subplots(figsize=(9, 0.9 + 1.25 * len(found)))[1]
    styles = (
        ("all labels", "#999999", ""),
        ("the other agrees", "#009E73", ""),
        ("the other disagrees", "#E69F00", "//"),
    )
    for row, pair in enumerate(found.values()):
        shares = (1.0, pair.agree, 1 - pair.agree)
        rates = (pair.error, pair.error_agree, pair.error_disagree)
        for place, (rate, share, (name, colour, hatch)) in enumerate(zip(rates, shares, styles, strict=True)):
            y = row + 0.27 * (place - 1)
            ax.barh(
                y,
                100 * np.nan_to_num(rate),
                0.25,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                label=None if row else name,
            )
            words = f"{100 * rate:.1f} %" if np.isfinite(rate) else "none"
            ax.text(
                100 * np.nan_to_num(rate) + 1,
                y,
                f"{words} wrong  ({100 * share:.1f} % of the labels)",
                va="center",
                fontsize=9,
            )
    ax.set_yticks(range(len(found)), list(found))
    ax.set(xlim=(0, 138), ylim=(len(found) - 0.4, -0.6), xlabel="wrong labels (%)")
    ax.set_xticks(range(0, 101, 20))
    ax.legend(ncol=3, loc="upper center", bbox_to_anchor=(0.4, 1.0 + 0.16 * 3 / (0.9 + len(found))), fontsize=10)
    ax.grid(False, axis="y")
    return ax


def plot_disagreement(run: Run, method: str = "dmt", model: str = "B", samples: Sequence[int] = (0, 1, 2)) -> Figure:
    """Unlabeled images, a row each: truth, the labels of the teacher, those of the student as the first phase starts,
    and which errors their disagreement marks."""
    folder = run.phases(method)[0].model_folder(model)
    arrays, asked = folder.arrays("samples"), folder.arrays("probe_start")
    colours, places = class_colours(run.classes), _places(arrays, samples)
    figure, axes = plt.subplots(len(places), 5, figsize=(10.4, 2.05 * len(places) + 1), squeeze=False)
    for line, place in zip(axes, places, strict=True):
        image, truth, label = (arrays[f"{place}/{name}"] for name in ("image", "truth", "y_A"))
        other = asked[f"{place}/y_B"]
        show(line[0], image)
        for ax, mask in zip(line[1:4], (truth, label, other), strict=True):
            show(ax, paint(mask, colours))
        wrong, differ = (label != truth) & (truth < len(run.classes)), label != other
        _draw_kinds(line[4], np.where(wrong, np.where(differ, 1, 2), np.where(differ, 3, 0)), list(WHERE.values()))
    titles = ("image", "truth", "labels of A", "labels of B", "A's errors, and B")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    handles = [_patch(style, name) for name, style in WHERE.items()]
    figure.legend(handles=handles, loc="outside lower center", ncol=2, fontsize=9)
    return figure


def plot_errors_found(
    curves: Mapping[str, Mapping[str, Review]],
    error_rate: float,
    share: float = 0.1,
    scores: Sequence[str] = ("w", "p_B", "c_A"),
) -> Figure:
    """Wrong labels found against labels reviewed, the most suspicious first, at each time; `share` marks a budget."""
    figure, axes = plt.subplots(1, len(curves), figsize=(3.6 * len(curves) + 0.4, 4.2), sharey=True, squeeze=False)
    for ax, (time, found) in zip(axes[0], curves.items(), strict=True):
        ax.set(xlabel="labels reviewed (%)", title=time, xlim=(0, 100), ylim=(0, 103), aspect="equal")
        if not np.isfinite(error_rate) or not error_rate:
            nothing(ax, "no kept label is wrong:\nnothing to find")
            continue
        best = perfect(error_rate)
        ax.plot(
            100 * best.reviewed,
            100 * best.found,
            color="#999999",
            lw=1,
            ls=(0, (5, 1)),
            label=f"perfect: {100 * best.at(share):.0f} %",
        )
        for score in scores:
            style = {key: value for key, value in SCORE_STYLES[score].items() if key != "marker"}
            review = found[score]
            ax.plot(
                100 * review.reviewed, 100 * review.found, label=f"${score}$: {100 * review.at(share):.0f} %", **style
            )
        ax.plot([0, 100], [0, 100], color="#999999", lw=1, ls=":", label=f"random: {100 * share:.0f} %")
        ax.axvline(100 * share, color="black", lw=0.8)
        ax.legend(title=f"found in the first {100 * share:.0f} %", loc="lower right", fontsize=9, title_fontsize=9)
    axes[0, 0].set_ylabel("wrong labels found (%)")
    return figure


def plot_contradicted(rates: Mapping[str, Mapping[tuple[int, str], float]], ax: Axes | None = None) -> Axes:
    """How often students contradict the labels they were given: per method a share, 0–1, for phases and times in them."""
    ax = ax or plt.subplots(figsize=(8.5, 3.6))[1]
    moments = list(dict.fromkeys(moment for points in rates.values() for moment in points))
    for position, (method, points) in enumerate(rates.items()):
        for number in dict.fromkeys(phase for phase, _ in points):  # a line a phase: its labels are new
            own = {moments.index(moment): 100 * value for moment, value in points.items() if moment[0] == number}
            ax.plot(
                *zip(*own.items(), strict=True),
                lw=2,
                label=None if ax.get_lines() and number > 1 else method,
                **method_style(method, position),
            )
    ax.set_xticks(range(len(moments)), [f"{time}\nphase {n}" if time == "middle" else time for n, time in moments])
    ax.set(ylabel="labels contradicted (%)", ylim=(-0.5, None))
    ax.set_title("How often the student contradicts its labels")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _places(arrays: Mapping[str, np.ndarray], samples: Sequence[int]) -> list[int]:
    positions = sorted({int(name.split("/")[0]) for name in arrays})
    return [positions[sample % len(positions)] for sample in samples]


def _draw_kinds(ax: Axes, kind: np.ndarray, styles: Sequence[tuple[str, str]]) -> None:
    """A map of numbered kinds in their colours and hatches."""
    ax.imshow(
        kind,
        cmap=ListedColormap([colour for colour, _ in styles]),
        vmin=0,
        vmax=len(styles) - 1,
        interpolation="nearest",
    )
    for number, (_, hatch) in enumerate(styles):
        if hatch and (kind == number).any():
            ax.contourf(kind == number, levels=[0.5, 1.5], colors="none", hatches=[hatch])
    frame(ax)


def _patch(style: tuple[str, str], name: str) -> Patch:
    return Patch(facecolor=style[0], hatch=style[1], edgecolor="white", label=name)
