"""What all figures share: keeping them in the run folder, lines that break between phases, images."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd


def keep(run: Run, name: str, drawn: "Axes | Figure | np.ndarray") -> None:
    """Store a figure as `<run>/figures/<name>.png`, as well as showing it."""
    first = drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn
    figure: Any = first if isinstance(first, Figure) else first.get_figure(root=True)
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=110)


def cumulative(run: Run, method: str, model: str = "") -> "pd.DataFrame":
    """The log of one method (of one of its models) with `x`, its training steps counted through all phases."""
    table = run.metrics[run.metrics["method"] == method]
    if model:
        table = table[table["model"] == model]
    table = table.dropna(axis=1, how="all")
    lengths = table.groupby("phase")["steps"].max()
    offsets = lengths.cumsum() - lengths
    return table.assign(x=table["step"] + table["phase"].map(offsets))


def broken(ax: Axes, table: "pd.DataFrame", values: "pd.Series", label: str, **style: Any) -> None:
    """One line a phase, not joined: every phase starts a new model."""
    for number, group in table.groupby("phase"):
        first = number == table["phase"].min()
        ax.plot(group["x"], values.loc[group.index], label=label if first else None, **style)


def draw_image(ax: Axes, pixels: np.ndarray) -> None:
    """Draw uint8 pixels "h w c", grey where there is one channel."""
    ax.imshow(
        pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest"
    )
    ax.grid(False)


def nothing(ax: Axes, reason: str) -> Axes:
    """Say why there is nothing to draw."""
    ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes)
    ax.axis("off")
    return ax
