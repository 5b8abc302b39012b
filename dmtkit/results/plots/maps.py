"""Pictures of segmentation: images with their classes, and weight maps beside what explains them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, VOID_COLOUR, WEIGHT_MAP, case_title, class_colours
from dmtkit.runs.run import Run

if TYPE_CHECKING:
    from dmtkit.data.segmentation import Scenes

VOID = 255
COLUMNS = ("image", "truth", "$y_A$, kept", "$y_B$", "case", "weight $w$")


def plot_scenes(data: "Scenes", count: int = 6) -> Figure:
    """A few labeled images above their masks."""
    count = min(count, len(data.labeled))
    figure, axes = plt.subplots(2, count, figsize=(1.75 * count, 4.3), squeeze=False)
    colours = class_colours(data.classes)
    seen: set[int] = set()
    for column in range(count):
        mask = data.labeled.mask(column)
        show(axes[0, column], data.labeled.image(column))
        show(axes[1, column], paint(mask, colours))
        seen |= set(np.unique(mask).tolist())
    axes[0, 0].set_ylabel("image")
    axes[1, 0].set_ylabel("mask")
    figure.suptitle(f"{count} of {len(data.labeled):,} labeled images", fontweight="bold")
    _class_legend(figure, data.classes, colours, sorted(seen))
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
    colours = class_colours(run.classes)
    figure, axes = plt.subplots(len(rows), len(COLUMNS), figsize=(11.2, 1.95 * len(rows) + 1.1), squeeze=False)
    seen: set[int] = set()
    drawn: Any = None
    for phase, line in zip(rows, axes, strict=True):
        maps = sample_maps(phase.model_folder(model), sample, time)
        seen |= set(np.unique(maps["truth"]).tolist()) | set(np.unique(maps["y_A"]).tolist())
        show(line[0], maps["image"])
        for ax, name in zip(line[1:4], ("truth", "y_A", "y_B"), strict=True):
            show(ax, paint(maps[name], colours))
        draw_cases(line[4], maps["case"])
        drawn = line[5].imshow(
            np.ma.masked_invalid(maps["w"]), cmap=WEIGHT_MAP, vmin=0, vmax=1, interpolation="nearest"
        )
        frame(line[5])
        line[5].set_facecolor(VOID_COLOUR)
        line[0].set_ylabel(f"phase {phase.number}")
    for ax, title in zip(axes[0], COLUMNS, strict=True):
        ax.set_title(title, fontsize=11)
    figure.colorbar(drawn, ax=axes[:, 5].tolist(), fraction=0.05, label="weight")
    teacher = run.task.teacher(model, run.method(method).teacher)
    figure.suptitle(
        f"{method}: labels of model {teacher} as {model} weighs them, {time} of each phase", fontweight="bold"
    )
    cases = [
        Patch(facecolor=CASE_COLOURS[c], hatch=CASE_HATCHES[c], edgecolor="white", label=case_title(c, method))
        for c in CASE_COLOURS
    ]
    cases.append(Patch(facecolor=VOID_COLOUR, label="no label kept"))
    _class_legend(figure, run.classes, colours, sorted(seen), cases)
    return figure


def sample_maps(phase: Any, sample: int, time: str) -> dict[str, np.ndarray]:
    """What is known of one kept sample: image, truth, y_A (255 where not kept), y_B, case (255 likewise), w (NaN likewise)."""
    fixed, asked = phase.arrays("samples"), phase.arrays(f"probe_{time}")
    positions = sorted({int(name.split("/")[0]) for name in fixed})
    place = positions[sample % len(positions)]

    def stored(name: str) -> np.ndarray:
        return (fixed if f"{place}/{name}" in fixed else asked)[f"{place}/{name}"]

    kept, y_a, y_b = stored("kept"), stored("y_A"), stored("y_B")
    case = np.where(y_a == y_b, 0, np.where(stored("c_B") > stored("c_A"), 2, 1))
    return {
        "image": stored("image"),
        "truth": stored("truth"),
        "y_A": np.where(kept, y_a, VOID),
        "y_B": y_b,
        "case": np.where(kept, case, VOID),
        "w": np.where(kept, stored("w") / 65535, np.nan),
    }


def draw_cases(ax: Axes, case: np.ndarray) -> None:
    """The three cases in their colours, disagreements hatched as well: colour is never alone."""
    colours = ListedColormap(list(CASE_COLOURS.values()))
    ax.imshow(np.ma.masked_equal(case, VOID), cmap=colours, vmin=0, vmax=2, interpolation="nearest")
    for number, name in enumerate(CASE_COLOURS):
        if CASE_HATCHES[name] and (case == number).any():
            ax.contourf(case == number, levels=[0.5, 1.5], colors="none", hatches=[CASE_HATCHES[name]])
    frame(ax)
    ax.set_facecolor(VOID_COLOUR)


def paint(mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A mask in the colours of its classes, void in grey."""
    table = np.tile(np.array(plt.matplotlib.colors.to_rgb(VOID_COLOUR)), (256, 1))  # type: ignore[attr-defined]
    table[: len(colours)] = colours
    return table[mask]


def show(ax: Axes, pixels: np.ndarray) -> None:
    """Draw an image pixel by pixel, without axes."""
    ax.imshow(pixels, interpolation="nearest")
    frame(ax)


def frame(ax: Axes) -> None:
    """A picture has no ticks and no grid."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def _class_legend(
    figure: Figure, classes: Sequence[str], colours: np.ndarray, seen: list[int], more: Sequence[Patch] = ()
) -> None:
    """The classes that occur, below the figure."""
    handles = [Patch(color=colours[c], label=classes[c]) for c in seen if c < len(classes)]
    if VOID in seen and not more:
        handles.append(Patch(color=VOID_COLOUR, label="void"))
    figure.legend(
        handles=[*handles, *more], loc="outside lower center", ncol=min(8, len(handles) + len(more)), fontsize=9
    )
