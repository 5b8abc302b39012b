"""What all figures share: keeping them in the run folder, tables in colours, and saying why there is nothing."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtkit.results.style import as_text
from dmtkit.runs.run import Run


def keep(run: Run, name: str, drawn: "Axes | Figure | np.ndarray") -> None:
    """Store a figure as `<run>/figures/<name>.png`, as well as showing it."""
    first = drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn
    figure: Any = first if isinstance(first, Figure) else first.get_figure(root=True)
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=110)


def heat(
    ax: Axes, values: Any, columns: Sequence[str], rows: Sequence[str], top: float = 100, fmt: str = ".0f", **more: Any
) -> None:
    """A table of numbers from 0 to `top`, each written in a cell of its colour; empty where a file has null."""
    import seaborn as sns

    options = {"annot": True, "cmap": "cividis", "vmin": 0, "vmax": top, "annot_kws": {"fontsize": 9}, **more}
    names = {"xticklabels": [*map(as_text, columns)], "yticklabels": [*map(as_text, rows)]}
    sns.heatmap(np.array(values, float), fmt=fmt, ax=ax, **names, **options)
    plt.setp(ax.get_xticklabels(), rotation=40, ha="right")
    ax.tick_params(axis="y", rotation=0)


def nothing(ax: Axes, reason: str) -> Axes:
    """Say why there is nothing to draw."""
    ax.clear()
    ax.text(0.5, 0.5, reason, ha="center", va="center", transform=ax.transAxes)
    ax.axis("off")
    return ax
