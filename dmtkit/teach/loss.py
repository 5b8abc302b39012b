"""The dynamic loss taken apart on made-up examples, and drawn: opinions, weights, what γ does, the normalisation, the ramp.

Everything here asks dmtkit.losses.dynamic, so that what is taught is what trains.
"""

from collections.abc import Sequence
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.losses.dynamic import DynamicWeights, Rule, dynamic_cross_entropy, dynamic_weights, gamma_ramp, weigh
from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, CASE_TITLES, WEIGHT_MAP
from dmtkit.teach.figures_labels import plot_bars

RULES: tuple[Rule, ...] = ("uniform", "naive", "dynamic", "flip")
# What the rules are compared on: the example in words, c_A, and the student's probabilities; y_A is class 0.
EXAMPLES: tuple[tuple[str, float, tuple[float, ...]], ...] = (
    ("both are sure of it", 0.95, (0.90, 0.07, 0.03)),
    ("agrees, but is unsure", 0.80, (0.50, 0.30, 0.20)),
    ("says another, less sure", 0.80, (0.30, 0.60, 0.10)),
    ("says another, more sure", 0.60, (0.20, 0.78, 0.02)),
)
LINES = [("#000000", "-"), ("#0072B2", "--"), ("#D55E00", "-."), ("#009E73", ":"), ("#CC79A7", (0, (5, 1, 1, 1, 1, 1)))]
CASES: dict[str, Any] = {
    c: {"facecolor": CASE_COLOURS[c], "hatch": CASE_HATCHES[c], "edgecolor": "white"} for c in CASE_COLOURS
}
LOGITS, CLASSES = ((2.0, 0.5, 0.0), (0.5, 1.2, 0.0)), ["cat", "dog", "fox"]


def take_apart(
    teacher: Sequence[float], student: Sequence[float], gamma1: float = 3, gamma2: float = 3, rule: Rule = "dynamic"
) -> SimpleNamespace:
    """What the dynamic loss makes of a teacher's and a student's logits.

    Gives both as probabilities (`teacher`, `student`), `label`, `confidence`, `p`, `case`, `weight` and `loss`; and, by
    autograd, the `gradient` with respect to the student's logits, and the same with weight 1 (`plain`).

    >>> anatomy = take_apart([2, 0, 0], [0, 1, 0], gamma1=1, gamma2=1)
    >>> anatomy.case, round(anatomy.weight, 3), anatomy.gradient.round(3).tolist()
    ('negative', 0.212, [-0.167, 0.122, 0.045])
    """
    opinion = torch.tensor([list(map(float, teacher))]).softmax(1)
    logits = torch.tensor([list(map(float, student))], requires_grad=True)
    probabilities = logits.detach().softmax(1)[0].numpy()
    confidence, label = opinion.max(1)
    gammas: Any = {"gamma1": gamma1, "gamma2": gamma2}
    weighed = dynamic_weights(logits, label, confidence, rule=rule, **gammas)
    losses = [dynamic_cross_entropy(logits, label, confidence, rule=r, **gammas)[0] for r in (rule, "uniform")]
    weighted, plain = (torch.autograd.grad(loss, logits)[0][0].double().numpy() for loss in losses)
    return SimpleNamespace(
        teacher=opinion[0].numpy(),
        student=probabilities,
        label=int(label),
        confidence=float(confidence),
        p=float(probabilities[int(label)]),
        case=str(case_names(weighed)[0]),
        weight=float(weighed.weight),
        loss=float(losses[0].detach()),
        gradient=weighted,
        plain=plain,
    )


def case_names(weighed: DynamicWeights) -> np.ndarray:
    """The case of every element: agree, negative or positive."""
    return np.select([weighed.agree.numpy(), weighed.negative.numpy()], ["agree", "negative"], "positive")


def weight_of(
    c_b: np.ndarray, p: np.ndarray, agrees: bool, confidence: float = 1, gamma1: float = 3, gamma2: float = 3
) -> np.ndarray:
    """The dynamic weights where students of confidence c_B give the teacher's class p_B, and all agree or all disagree.

    >>> weight_of(np.array([0.6, 0.8]), np.array([0.3, 0.2]), agrees=False, confidence=0.7, gamma2=1).tolist()
    [0.3, 0.0]
    """
    sure, share = (torch.as_tensor(np.asarray(values, float)) for values in (c_b, p))
    label = torch.zeros(sure.shape, dtype=torch.long)
    given = (label, torch.full_like(sure, confidence), label + (not agrees), sure, share.clamp(0, 1))
    return weigh(*given, gamma1=gamma1, gamma2=gamma2).weight.numpy()


def disagreement_range(c_b: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest p_B of a student that is sure of another class to c_B.

    >>> [bound.round(2).tolist() for bound in disagreement_range(np.array([0.4, 0.5, 0.9]), classes=3)]
    [[0.2, 0.0, 0.0], [0.4, 0.5, 0.1]]
    """
    return np.maximum(0, 1 - (classes - 1) * c_b), np.minimum(c_b, 1 - c_b)


def rule_table(gamma: float = 3) -> pd.DataFrame:
    """What every rule of the ablations makes of the same four labels: weights, and the class that `flip` learns.

    >>> rule_table(gamma=1)["naive"].round(2).tolist()
    [0.9, 0.5, 0.3, 0.2]
    """
    names, confidences, students = zip(*EXAMPLES, strict=True)
    given: Any = (torch.tensor(students).log(), torch.zeros(len(names), dtype=torch.long), torch.tensor(confidences))
    weighed = {rule: dynamic_weights(*given, gamma1=gamma, gamma2=gamma, rule=rule) for rule in RULES}
    table = pd.DataFrame({"c_A": confidences}, pd.Index(names, name="the student …"))
    table["c_B"], table["p_B"] = np.max(students, 1), np.array(students)[:, 0]
    table["case"] = case_names(weighed["dynamic"])
    for rule, weights in weighed.items():
        table[rule] = weights.weight.double().numpy()
    table["flip learns"] = np.where(weighed["flip"].label.numpy() == 0, "y_A", "y_B")
    return table


def plot_opinions(
    teacher: Sequence[float] = LOGITS[0], student: Sequence[float] = LOGITS[1], gamma1: float = 3, gamma2: float = 3
) -> Figure:
    """What a teacher and a student say of one image, and the gradient of the weighted and the unweighted loss."""
    parts = take_apart(teacher, student, gamma1, gamma2)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.1))
    opinions = pd.DataFrame({"teacher A": parts.teacher, "student B": parts.student}, CLASSES)
    title = f"$y_A$ = {CLASSES[parts.label]}, $c_A$ = {parts.confidence:.2f}, $p_B$ = {parts.p:.2f}"
    styles = (("#0072B2", ""), ("#CC79A7", "//"))
    plot_bars(opinions, left, ".2f", styles, ylim=(0, 1.1), ylabel="probability", title=title)
    gradients = pd.DataFrame({"weight 1": parts.plain, f"weight {parts.weight:.2f}": parts.gradient}, CLASSES)
    title = f"{CASE_TITLES[parts.case]}: w = {parts.weight:.3f}"
    styles = (("#cccccc", ".."), (CASE_COLOURS[parts.case], ""))
    plot_bars(gradients, right, "+.2f", styles, ylim=(-1.1, 1.1), ylabel="∂ loss / ∂ student's logit", title=title)
    return figure


def plot_weight_surface(confidence: float = 0.7, gamma1: float = 3, gamma2: float = 3, classes: int = 3) -> Figure:
    """The weight of a label over the student's confidence and its probability of the label, and the cases as regions.

    The teacher's confidence is given. White is impossible: no probabilities of so many classes are like that.
    Right, the same from the side: a line in agreement, a band in disagreement.
    """
    confidence = max(confidence, 1 / classes)  # nobody's best class can have less
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.5), width_ratios=(1.25, 1))
    c_b, p = np.meshgrid(np.linspace(0, 1, 241), np.linspace(0, 0.52, 126))
    low, high = disagreement_range(c_b, classes)
    possible = (p >= low - 0.012) & (p <= high + 0.012) & (c_b >= 1 / classes)  # of two classes a line remains
    weight = np.where(possible, weight_of(c_b, p, False, confidence, gamma2=gamma2), np.nan)
    drawn = left.pcolormesh(c_b, p, weight, cmap=WEIGHT_MAP, vmin=0, vmax=1, shading="nearest", rasterized=True)
    for case, side in {"negative": c_b <= confidence, "positive": c_b > confidence}.items():
        region = (possible & side).astype(float)
        if region.any():
            left.contour(c_b, p, region, [0.5], colors=CASE_COLOURS[case], linewidths=2.2)
            hatched = left.contourf(c_b, p, region, [0.5, 1.5], colors="none", hatches=["xx" * (case == "positive")])
            hatched.set(edgecolor="white", linewidth=0)
    edge = np.linspace(1 / classes, 1, 241)
    agree = weight_of(edge, edge, True, gamma1=gamma1)
    left.plot(edge, edge, color=CASE_COLOURS["agree"], lw=11, solid_capstyle="butt")
    left.scatter(edge, edge, c=agree, cmap=WEIGHT_MAP, vmin=0, vmax=1, s=45, zorder=3)
    left.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), ylabel="$p_B$, its probability of the label")
    left.set_title(f"Weight of every possible opinion, {classes} classes", pad=20)
    names = ("agreement: the diagonal", "negative disagreement", "positive dis., w = 0")
    boxes = [Patch(**look, label=name) for look, name in zip(CASES.values(), names, strict=True)]
    left.legend(handles=boxes, loc="upper left", fontsize=9)
    figure.colorbar(drawn, ax=left, label="weight $w$", fraction=0.05)
    right.plot(edge, agree, color=CASE_COLOURS["agree"], lw=2.5, label="agreement")
    low, high = (weight_of(edge, p, False, confidence, gamma2=gamma2) for p in disagreement_range(edge, classes))
    below, above = edge <= confidence, edge > confidence
    right.fill_between(edge[below], low[below], high[below], lw=0, **CASES["negative"], label=CASE_TITLES["negative"])
    right.plot(edge[below], high[below], color=CASE_COLOURS["negative"], ls="--")
    right.plot(edge[above], high[above], color=CASE_COLOURS["positive"], lw=4, ls=":", label=CASE_TITLES["positive"])
    right.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), ylabel="weight $w$")
    right.set_title("The same, seen from the side", pad=20)
    right.legend(loc="upper left", fontsize=9)
    for ax in (left, right):
        ax.axvline(confidence, color="0.25", ls="--", lw=1.6)
        ax.text(confidence, 1.02, "$c_A$", ha="center", transform=ax.get_xaxis_transform())
        ax.set_xlabel("$c_B$, the student's confidence")
    return figure


def plot_gammas(gammas: Sequence[float] = (0, 1, 3, 5, 8), p: float | None = None) -> Figure:
    """The weight p^γ and the pull on the label's logit, p^γ (1 − p), against p, for several γ; `p` marks a place."""
    figure, axes = plt.subplots(1, 2, figsize=(10.4, 3.9))
    grid = np.linspace(0, 1, 201)
    titles = ("Weight: $p_B^{\\,\\gamma}$", "Pull on the label's logit: $p_B^{\\,\\gamma}\\,(1 - p_B)$")
    for ax, title, pulls in zip(axes, titles, (False, True), strict=True):
        for gamma, (colour, line) in zip(gammas, cycle(LINES), strict=False):
            ax.plot(grid, grid**gamma * (1 - pulls * grid), lw=2, label=f"γ = {gamma:g}", color=colour, ls=line)
            if p is not None:
                ax.plot(p, p**gamma * (1 - pulls * p), "o", color=colour)
        ax.axvline(0.5, color="0.6", lw=1)
        ax.set(xlabel="$p_B$, the student's probability of the label", title=title, xlim=(0, 1), ylim=(-0.02, 1.04))
        for x, side, text in ((0.49, "right", "disagreement\npossible"), (0.51, "left", "agreement\nfor certain")):
            ax.text(x, 1.0, text, ha=side, va="top", fontsize=8.5, color="0.35")
    axes[0].set_ylabel("size")
    figure.legend(*axes[0].get_legend_handles_labels(), ncol=len(gammas), loc="outside lower center")
    return figure


def plot_normalisation(gamma: float = 3, classes: int = 3) -> Axes:
    """The gradient of a batch against how far its students agree: divided by the number of labels, and by Σ w instead.

    The other classes share equally what p_B leaves, and the teacher is certain, so that disagreement is negative.
    """
    p = torch.linspace(0.02, 0.99, 33).unsqueeze(1)
    logits = torch.cat([p, ((1 - p) / (classes - 1)).expand(-1, classes - 1)], 1).log().requires_grad_()
    teacher: Any = (torch.zeros(len(p), dtype=torch.long), torch.ones(len(p)))
    loss, _ = dynamic_cross_entropy(logits, *teacher, gamma1=gamma, gamma2=gamma)
    length = (torch.autograd.grad(loss, logits)[0] * len(p)).norm(dim=1)  # each row as a batch of its own
    sizes = {"divided by the number of labels (DMT)": length, "divided by Σ w (not DMT)": length / p[:, 0] ** gamma}
    ax = plt.subplots(figsize=(7.4, 3.9))[1]
    for (name, size), (colour, line) in zip(sizes.items(), LINES[1:3], strict=True):
        ax.plot(p[:, 0], size, lw=2.5, label=name, color=colour, ls=line)
    ax.set(xlabel="$p_B$ of every label in the batch", ylabel="length of the gradient\n(student's logits)")
    ax.set(xlim=(0, 1), ylim=(0, None), title=f"How hard one batch pulls, γ = {gamma:g}")
    ax.legend(loc="upper right")
    return ax


def plot_gamma_ramp(gamma_max: float = 4, steps: int = 1000, p: Sequence[float] = (0.25, 0.5, 0.75)) -> Figure:
    """γ against the training step, γ_max·exp(−5(1 − t/T)²), and the weights that it gives labels of some p_B."""
    t = np.linspace(0, steps, 201)
    gamma = gamma_max * np.array([gamma_ramp(step, steps) for step in t])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 3.7))
    left.plot(t, gamma, lw=2.5)
    left.axhline(gamma_max, color="0.5", lw=1, ls="--")
    left.set(ylabel="γ", title="The exponent grows", ylim=(0, 1.1 * max(gamma_max, 0.1)))
    left.text(0.01 * steps, gamma_max, f"γ max = {gamma_max:g}", va="bottom", fontsize=9.5)
    for share, (colour, line) in zip(p, LINES, strict=False):
        right.plot(t, share**gamma, lw=2.2, label=f"$p_B$ = {share:g}", color=colour, ls=line)
    right.set(ylabel="weight $p_B^{\\,\\gamma(t)}$", title="so low agreement costs more and more", ylim=(-0.02, 1.06))
    right.legend(loc="lower left")
    for ax in (left, right):
        ax.set(xlabel=f"training step t of T = {steps:,}", xlim=(0, steps))
    return figure
