"""Pictures of segmentation: images with their classes, and weight maps beside what explains them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.losses.levels import TOP
from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, VOID_COLOUR, WEIGHT_MAP, as_text, case_title, class_colours
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import Run

if TYPE_CHECKING:
    from dmtkit.data.segmentation import Scenes

VOID = 255
COLUMNS = ("image", "truth", "$y_A$, kept", "$y_B$", "case", "weight $w$")


def plot_scenes(data: "Scenes", count: int = 6) -> Figure:
    """A few labeled images above their masks."""
    count = min(count, len(data.labeled))
    figure, axes = plt.subplots(2, count, figsize=(1.75 * count, 4.3), squeeze=False)
    masks = [data.labeled.mask(position) for position in range(count)]
    for position, mask in enumerate(masks):
        show(axes[0, position], data.labeled.image(position))
        show(axes[1, position], paint(mask, class_colours(data.classes)))
    axes[0, 0].set_ylabel("image")
    axes[1, 0].set_ylabel("mask")
    figure.suptitle(f"{count} of {len(data.labeled):,} labeled images", fontweight="bold")
    _class_legend(figure, data.classes, masks)
    return figure


def plot_weight_maps(
    run: Run,
    method: str = "dmt",
    model: str = "B",
    sample: int = 0,
    time: str = "middle",
    phases: Sequence[int] | None = None,
) -> Figure:
    """One unlabeled image through the phases, a row each: truth, y_A, y_B, the three cases, and the weight of every pixel.

    `model` is the student, `time` the moment of its phase (start, middle or end), `sample` one of those kept.
    """
    rows = [phase for phase in run.phases(method) if phases is None or phase.number in phases]
    colours, facts, masks = class_colours(run.classes), run.method(method), []
    figure, axes = plt.subplots(len(rows), len(COLUMNS), figsize=(11.2, 1.95 * len(rows) + 1.1), squeeze=False)
    for phase, line in zip(rows, axes, strict=True):
        maps = sample_maps(phase.model_folder(model), sample, time)
        masks += [maps["truth"], maps["y_A"]]
        show(line[0], maps["image"])
        for ax, name in zip(line[1:4], ("truth", "y_A", "y_B"), strict=True):
            show(ax, paint(maps[name], colours))
        draw_cases(line[4], maps["case"])
        weights = np.ma.masked_invalid(maps["w"])
        drawn = line[5].imshow(weights, cmap=WEIGHT_MAP, vmin=0, vmax=1, interpolation="nearest")
        frame(line[5])
        line[5].set_facecolor(VOID_COLOUR)
        line[0].set_ylabel(f"phase {phase.number}")
    for ax, title in zip(axes[0], COLUMNS, strict=True):
        ax.set_title(title, fontsize=11)
    figure.colorbar(drawn, ax=axes[:, 5].tolist(), fraction=0.05, label="weight")
    teacher = run.task.teacher(model, facts.teacher)
    figure.suptitle(f"{method}: labels of model {teacher} as {model} weighs them, {time} of each phase", weight="bold")
    cases = [
        Patch(facecolor=colour, hatch=CASE_HATCHES[case], edgecolor="white", label=case_title(case, facts.rule))
        for case, colour in CASE_COLOURS.items()
    ]
    _class_legend(figure, run.classes, masks, [*cases, Patch(facecolor=VOID_COLOUR, label="no label kept")])
    return figure


def sample_maps(phase: Phase, sample: int, time: str) -> dict[str, np.ndarray]:
    """What is known of one kept sample: image, truth, y_A (255 where not kept), y_B, case (255 likewise), w (NaN likewise)."""
    stored = {**phase.arrays(f"probe_{time}"), **(fixed := phase.arrays("samples"))}
    positions = sorted({int(name.split("/")[0]) for name in fixed})
    place = positions[sample % len(positions)]
    names = ("image", "truth", "kept", "y_A", "y_B", "c_A", "c_B", "w")
    image, truth, kept, y_a, y_b, c_a, c_b, w = (stored[f"{place}/{name}"] for name in names)
    case = np.where(y_a == y_b, 0, np.where(c_b > c_a, 2, 1))
    maps = {"image": image, "truth": truth, "y_A": np.where(kept, y_a, VOID), "y_B": y_b}
    return maps | {"case": np.where(kept, case, VOID), "w": np.where(kept, w / TOP, np.nan)}


def draw_cases(ax: Axes, case: np.ndarray) -> None:
    """The three cases in their colours, disagreements hatched as well: colour is never alone."""
    colours = ListedColormap(list(CASE_COLOURS.values()))
    ax.imshow(np.ma.masked_equal(case, VOID), cmap=colours, vmin=0, vmax=2, interpolation="nearest")
    for number, hatch in enumerate(CASE_HATCHES.values()):
        if hatch and (case == number).any():
            ax.contourf(case == number, levels=[0.5, 1.5], colors="none", hatches=[hatch])
    frame(ax)
    ax.set_facecolor(VOID_COLOUR)


def paint(mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A mask in the colours of its classes, void in grey."""
    table = np.tile(np.array(to_rgb(VOID_COLOUR)), (256, 1))
    table[: len(colours)] = colours
    return table[mask]


def show(ax: Axes, pixels: np.ndarray) -> None:
    """Draw an image "h w c" pixel by pixel, grey where there is one channel, without axes."""
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    frame(ax)


def frame(ax: Axes) -> None:
    """A picture has no ticks and no grid."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def _class_legend(
    figure: Figure, classes: Sequence[str], masks: Sequence[np.ndarray], more: Sequence[Patch] = ()
) -> None:
    """The classes that occur in masks, below the figure."""
    seen = sorted(set(np.concatenate([np.unique(mask) for mask in masks]).tolist()))
    colours = class_colours(classes)
    handles = [Patch(color=colours[number], label=as_text(classes[number])) for number in seen if number < len(classes)]
    handles += list(more) or [Patch(color=VOID_COLOUR, label="void")] * (VOID in seen)
    figure.legend(handles=handles, loc="outside lower center", ncol=min(8, len(handles)), fontsize=9)
