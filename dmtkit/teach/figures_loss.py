"""Figures of the dynamic loss itself: the weight over all opinions, what γ does, the normalisation, the γ ramp."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, VOID_COLOUR, WEIGHT_MAP

BOX: dict[str, Any] = {"frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.85}
LINES: tuple[dict[str, Any], ...] = (
    {"color": "#000000", "ls": "-"},
    {"color": "#0072B2", "ls": "--"},
    {"color": "#D55E00", "ls": "-."},
    {"color": "#009E73", "ls": ":"},
    {"color": "#CC79A7", "ls": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "#E69F00", "ls": (0, (1, 1))},
)


def plot_weight_surface(confidence: float = 0.7, gamma1: float = 3, gamma2: float = 3, classes: int = 3) -> Figure:
    """The weight of a label over the student's confidence and its probability of the label, and the cases as regions.

    The teacher's confidence is given. White is impossible: no probabilities of so many classes are like that.
    """
    from dmtkit.teach.loss_by_hand import agreement_weights, disagreement_weights, weight_surface

    confidence = max(confidence, 1 / classes)  # nobody's best class can have less
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.5), width_ratios=(1.25, 1))
    surface = weight_surface(confidence, gamma1, gamma2, classes)
    drawn = left.pcolormesh(
        surface.student_confidence,
        surface.p,
        surface.weight,
        cmap=WEIGHT_MAP,
        vmin=0,
        vmax=1,
        shading="nearest",
        rasterized=True,
    )
    regions = disagreement_regions(confidence, classes)
    for case, corners in regions.items() if classes > 2 else ():
        if len(corners):
            left.add_patch(Polygon(corners, fill=False, edgecolor=CASE_COLOURS[case], lw=2.2, zorder=5))
        if case == "positive" and len(corners):
            left.add_patch(Polygon(corners, fill=False, edgecolor="white", hatch="xx", lw=0, zorder=4))
    c_b = np.linspace(1 / classes, 1, 121)
    _weight_line(left, c_b, c_b, lambda x, _: agreement_weights(x, gamma1), CASE_COLOURS["agree"])
    if classes == 2:  # p_B = 1 − c_B is all that disagreement can be
        for case, part in {"negative": c_b[c_b <= confidence], "positive": c_b[c_b > confidence]}.items():
            _weight_line(
                left, part, 1 - part, lambda x, y: disagreement_weights(x, y, confidence, gamma2), CASE_COLOURS[case]
            )
    left.axvline(confidence, color="0.25", ls="--", lw=1.6)
    left.text(confidence, 1.02, "$c_A$", ha="center", transform=left.get_xaxis_transform())
    texts = {
        "agree": "agreement: the diagonal",
        "negative": "negative disagreement",
        "positive": "positive dis., w = 0",
    }
    handles = [
        Patch(
            facecolor="#33466b" if case == "positive" else "none",
            edgecolor=colour,
            lw=2.2,
            label=texts[case],
            hatch=CASE_HATCHES["positive"] if case == "positive" else "",
        )
        for case, colour in CASE_COLOURS.items()
    ]
    left.legend(handles=handles, loc="upper left", fontsize=9, handlelength=1.5, **BOX)
    left.set(
        xlim=(0, 1.02),
        ylim=(-0.02, 1.02),
        xlabel="$c_B$, the student's confidence",
        ylabel="$p_B$, its probability of the label",
    )
    left.set_title(f"Weight of every possible opinion, {classes} classes", pad=20)
    figure.colorbar(drawn, ax=left, label="weight $w$", fraction=0.05)
    plot_weight_section(confidence, gamma1, gamma2, classes, right)
    return figure


def disagreement_regions(confidence: float, classes: int) -> dict[str, np.ndarray]:
    """The corners of the two disagreements in the plane of c_B and p_B, parted at c_A; none where a case is impossible.

    >>> {case: len(corners) for case, corners in disagreement_regions(0.7, 3).items()}
    {'negative': 84, 'positive': 82}
    """
    from dmtkit.teach.loss_by_hand import disagreement_range

    parts = {"negative": (1 / classes, min(confidence, 1)), "positive": (max(confidence, 1 / classes), 1)}
    found = {}
    for case, (start, end) in parts.items():
        c_b = np.unique(
            np.concatenate(
                [np.linspace(start, end, 41), [x for x in (0.5, 1 / max(classes - 1, 1)) if start < x < end]]
            )
        )
        low, high = disagreement_range(c_b, classes)
        corners = np.concatenate([np.stack([c_b, high], 1), np.stack([c_b, low], 1)[::-1]])
        found[case] = corners if start < end else corners[:0]
    return found


def plot_weight_section(
    confidence: float = 0.7, gamma1: float = 3, gamma2: float = 3, classes: int = 3, ax: Axes | None = None
) -> Axes:
    """The weights that are possible at each confidence of the student: a line in agreement, a band in disagreement."""
    from dmtkit.teach.loss_by_hand import agreement_weights, disagreement_range, disagreement_weights

    ax = ax or plt.subplots(figsize=(5.5, 4.2))[1]
    c_b = np.linspace(1 / classes, 1, 241)
    ax.plot(c_b, agreement_weights(c_b, gamma1), color=CASE_COLOURS["agree"], lw=2.5, label="agreement")
    below, above = c_b[c_b <= confidence], c_b[c_b > confidence]
    if len(below):
        low, high = (disagreement_weights(below, p, confidence, gamma2) for p in disagreement_range(below, classes))
        ax.fill_between(
            below,
            low,
            high,
            facecolor=CASE_COLOURS["negative"],
            hatch=CASE_HATCHES["negative"],
            edgecolor="white",
            lw=0,
            label="negative disagreement",
        )
        ax.plot(below, high, color=CASE_COLOURS["negative"], lw=1.5, ls="--")
    if len(above):
        ax.plot(
            above,
            np.zeros_like(above),
            color=CASE_COLOURS["positive"],
            lw=4,
            ls=":",
            label="positive disagreement",
            clip_on=False,
        )
    ax.axvline(confidence, color="0.25", ls="--", lw=1.6)
    ax.text(confidence, 1.02, "$c_A$", ha="center", transform=ax.get_xaxis_transform())
    ax.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="$c_B$, the student's confidence", ylabel="weight $w$")
    ax.set_title("The same, seen from the side", pad=20)
    ax.legend(loc="upper left", fontsize=9, **BOX)
    return ax


def _weight_line(ax: Axes, x: np.ndarray, y: np.ndarray, weight: Callable[..., np.ndarray], edge: str) -> None:
    """A line in the colours of its weights with an edge in the colour of its case: a case that is no area."""
    points = np.stack([x, y], 1)
    line = LineCollection(
        list(np.stack([points[:-1], points[1:]], 1)), cmap=WEIGHT_MAP, lw=7, capstyle="projecting", zorder=7
    )
    line.set_array(weight((x[:-1] + x[1:]) / 2, (y[:-1] + y[1:]) / 2))
    line.set_clim(0, 1)
    ax.plot(x, y, color=edge, lw=11, solid_capstyle="butt", zorder=6)
    ax.add_collection(line)


def plot_gammas(gammas: Sequence[float] = (0, 1, 3, 5, 8), p: float | None = None) -> Figure:
    """The weight p^γ and the pull on the label's logit, p^γ (1 − p), against p, for several γ; `p` marks a place."""
    figure, axes = plt.subplots(1, 2, figsize=(10.4, 3.9))
    grid = np.linspace(0, 1, 201)
    titles = ("Weight: $p_B^{\\,\\gamma}$", "Pull on the label's logit: $p_B^{\\,\\gamma}\\,(1 - p_B)$")
    for gamma, style in zip(gammas, LINES * (1 + len(gammas) // len(LINES)), strict=False):
        for ax, factor in zip(axes, (np.ones_like(grid), 1 - grid), strict=True):
            ax.plot(grid, grid**gamma * factor, lw=2, label=f"γ = {gamma:g}", **style)
            if p is not None:
                ax.plot(p, p**gamma * (1 if ax is axes[0] else 1 - p), "o", color=style["color"])
    for ax, title in zip(axes, titles, strict=True):
        ax.axvline(0.5, color="0.6", lw=1)
        ax.set(xlabel="$p_B$, the student's probability of the label", title=title, xlim=(0, 1), ylim=(-0.02, 1.04))
        ax.text(0.49, 1.0, "disagreement\npossible", ha="right", va="top", fontsize=8.5, color="0.35")
        ax.text(0.51, 1.0, "agreement\nfor certain", ha="left", va="top", fontsize=8.5, color="0.35")
    axes[0].set_ylabel("size")
    figure.legend(*axes[0].get_legend_handles_labels(), ncol=len(gammas), loc="outside lower center")
    return figure


def plot_normalisation(gamma: float = 3, classes: int = 3) -> Axes:
    """The gradient of a batch against how far its students agree: divided by the number of labels, and by Σ w instead."""
    from dmtkit.teach.loss_by_hand import gradient_sizes

    grid = np.linspace(0.02, 0.99, 33)
    sizes = gradient_sizes(grid, gamma, classes)
    ax = plt.subplots(figsize=(7.4, 3.9))[1]
    names = {"count": "divided by the number of labels (DMT)", "weights": "divided by Σ w (not DMT)"}
    for (name, text), style in zip(names.items(), LINES[1:3], strict=True):
        ax.plot(grid, sizes[name], lw=2.5, label=text, **style)
    ax.set(
        xlabel="$p_B$ of every label in the batch",
        ylabel="length of the gradient\n(student's logits)",
        xlim=(0, 1),
        ylim=(0, None),
        title=f"How hard one batch pulls, γ = {gamma:g}",
    )
    ax.legend(loc="upper right")
    return ax


def plot_gamma_ramp(gamma_max: float = 4, steps: int = 1000, p: Sequence[float] = (0.25, 0.5, 0.75)) -> Figure:
    """γ against the training step, γ_max·exp(−5(1 − t/T)²), and the weights that it gives labels of some p_B."""
    from dmtkit.losses.dynamic import gamma_ramp

    t = np.linspace(0, steps, 201)
    gamma = gamma_max * np.array([gamma_ramp(step, steps) for step in t])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 3.7))
    left.plot(t, gamma, lw=2.5, color=LINES[1]["color"])
    left.axhline(gamma_max, color="0.5", lw=1, ls="--")
    left.set(ylabel="γ", title="The exponent grows", ylim=(0, 1.1 * max(gamma_max, 0.1)))
    left.text(0.01 * steps, gamma_max, f"γ max = {gamma_max:g}", va="bottom", fontsize=9.5)
    for share, style in zip(p, LINES, strict=False):
        right.plot(t, share**gamma, lw=2.2, label=f"$p_B$ = {share:g}", **style)
    right.set(ylabel="weight $p_B^{\\,\\gamma(t)}$", title="so low agreement costs more and more", ylim=(-0.02, 1.06))
    right.legend(loc="lower left")
    for ax in (left, right):
        ax.set(xlabel=f"training step t of T = {steps:,}", xlim=(0, steps))
    return figure


def plot_made_labels(gamma1: float = 3, gamma2: float = 3) -> Figure:
    """A made-up label map: the teacher's labels, the student's word, the three cases and the weight of every pixel."""
    from dmtkit.results.plots.maps import draw_cases
    from dmtkit.teach.loss_by_hand import made_label_map

    made = made_label_map(gamma1, gamma2)
    figure, axes = plt.subplots(1, 4, figsize=(10.4, 3.3))
    label = made.pseudo_label[0].numpy()
    for ax, mask, title in (
        (axes[0], label, "teacher's label $y_A$"),
        (axes[1], made.prediction, "student's word $y_B$"),
    ):
        ax.imshow(np.ma.masked_equal(mask, 255), cmap="Blues", vmin=-0.2, vmax=1.4, interpolation="nearest")
        ax.set_title(title, fontsize=11)
    draw_cases(axes[2], made.case)
    axes[2].set_title("case", fontsize=11)
    drawn = axes[3].imshow(np.ma.masked_invalid(made.weight), cmap=WEIGHT_MAP, vmin=0, vmax=1, interpolation="nearest")
    axes[3].set_title("weight $w$", fontsize=11)
    for ax in axes:
        ax.set(xticks=[], yticks=[], facecolor=VOID_COLOUR)
        ax.grid(False)
    figure.colorbar(drawn, ax=axes[3], fraction=0.05)
    names = {"agree": "agreement", "negative": "negative disagreement", "positive": "positive disagreement"}
    handles = [
        Patch(facecolor=CASE_COLOURS[c], hatch=CASE_HATCHES[c], edgecolor="white", label=names[c]) for c in names
    ]
    handles.append(Patch(facecolor=VOID_COLOUR, label="ignored (255)"))
    figure.legend(handles=handles, loc="outside lower center", ncol=4, fontsize=9.5)
    return figure
