"""Figures of single opinions: a teacher's and a student's logits, the gradient that follows, the rules compared."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from dmtkit.results.style import CASE_COLOURS, CASE_TITLES, METHOD_COLOURS

TEACHER, STUDENT = "#0072B2", "#CC79A7"
RULE_STYLES = {
    "uniform": (METHOD_COLOURS["oracle"], ""),
    "naive": (METHOD_COLOURS["dmt_naive"], "\\\\"),
    "dynamic": (METHOD_COLOURS["dmt"], ""),
    "flip": (METHOD_COLOURS["dmt_flip"], ".."),
}


def plot_opinions(
    teacher: Sequence[float] = (2.0, 0.5, 0.0),
    student: Sequence[float] = (0.5, 1.2, 0.0),
    gamma1: float = 3,
    gamma2: float = 3,
    classes: Sequence[str] = ("cat", "dog", "fox"),
) -> Figure:
    """What a teacher and a student say of one image, and the gradient of the weighted and the unweighted loss."""
    from dmtkit.teach.loss_by_hand import take_apart

    found = take_apart(teacher, student, gamma1, gamma2)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.1))
    x = np.arange(len(classes))
    pairs = (("teacher A", found.teacher, TEACHER, "", -0.2), ("student B", found.student, STUDENT, "//", 0.2))
    for name, values, colour, hatch, shift in pairs:
        bars = left.bar(x + shift, values, 0.38, color=colour, hatch=hatch, edgecolor="white", label=name)
        left.bar_label(bars, fmt="%.2f", fontsize=9.5, padding=1)
    left.set(ylim=(0, 1.16), ylabel="probability", yticks=np.linspace(0, 1, 5))
    top = f"$y_A$ = {classes[found.label]}, $c_A$ = {found.confidence:.2f}, $p_B$ = {found.p:.2f}"
    left.set_title(top, fontsize=11)
    colour = CASE_COLOURS[found.case]
    for values, fill, hatch, shift, name in (
        (found.plain, "0.8", "..", -0.2, "weight 1"),
        (found.gradient, colour, "", 0.2, f"weight {found.weight:.2f}"),
    ):
        bars = right.bar(x + shift, values, 0.38, color=fill, hatch=hatch, edgecolor="white", label=name)
        right.bar_label(bars, fmt="%+.2f", fontsize=9.5, padding=1)
    right.axhline(0, color="black", lw=1)
    right.set(ylim=(-1.16, 1.16), ylabel="∂ loss / ∂ student's logit")
    right.set_title(f"{CASE_TITLES[found.case]}: w = {found.weight:.3f}", fontsize=11)
    for ax, place in ((left, "upper right"), (right, "lower right")):
        ax.set_xticks(x, list(classes))
        ax.grid(False, axis="x")
        ax.legend(loc=place, ncol=2, fontsize=9.5)
    return figure


def plot_rules(gamma: float = 3) -> Figure:
    """The weights that four rules give to the same four labels; above a bar, where `flip` learns another class."""
    from dmtkit.teach.loss_by_hand import rule_table

    table = rule_table(gamma)
    figure, ax = plt.subplots(figsize=(10.4, 3.9))
    x, width = np.arange(len(table)), 0.2
    for place, (rule, (colour, hatch)) in enumerate(RULE_STYLES.items()):
        bars = ax.bar(
            x + (place - 1.5) * width,
            table[rule],
            width * 0.94,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=rule,
        )
        flipped = [rule == "flip" and learns == "y_B" for learns in table["flip learns"]]
        texts = [f"{w:.2g}" + "\nlearns $y_B$" * other for w, other in zip(table[rule], flipped, strict=True)]
        ax.bar_label(bars, texts, fontsize=9, padding=1)
    ticks = [f"{name}\n({CASE_TITLES[case]})" for name, case in zip(table.index, table["case"], strict=True)]
    ax.set_xticks(x, ticks)
    ax.set(
        ylabel="weight", ylim=(0, 1.2), yticks=np.linspace(0, 1, 5), title=f"Four rules, the same labels, γ = {gamma:g}"
    )
    ax.grid(False, axis="x")
    figure.legend(*ax.get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return figure
