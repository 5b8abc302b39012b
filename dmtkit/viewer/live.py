"""How training goes, below the cell that trains: a line with the time left and, where somebody looks, curves that grow."""

import os
import time
import warnings
from pathlib import Path
from typing import Any

from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from IPython.display import Image, display
from tqdm.std import tqdm

from dmtkit.runs.run import Run

SWITCH = "DMTKIT_LIVE"  # an environment variable: 1 for curves wherever there is a kernel, 0 for none
LINE, FIGURE = 0.5, 2.0  # seconds at least from one to the next
RARELY = 10  # times as long as a figure takes to draw, training is left alone


class Live:
    """Takes reports of progress. Line and figure are outputs that are updated: the notebook's file keeps the last of each.

    Whatever goes wrong here is said once, and from then on `otherwise` takes the reports.
    """

    def __init__(self, folder: Path, otherwise: Any, curves: bool = True) -> None:
        self.folder, self.otherwise, self.curves, self.failed = folder, otherwise, curves, False
        self.handles: dict[str, Any] = {}
        self.progress: Any = None
        self.began = time.monotonic()
        self.line_due = self.figure_due = 0.0
        self.first = self.drawn = 0  # the step that this process began with; the size of the log that is drawn

    def __call__(self, progress: Any) -> None:
        """Take a report of progress."""
        if self.failed:
            return self.otherwise(progress)
        self.first = progress.step if self.progress is None else self.first
        self.progress = progress
        self._show()

    def close(self) -> None:
        """Leave line and figure as the run ended."""
        self.line_due, self.figure_due, self.drawn = 0.0, 0.0, 0
        if self.failed:
            self.otherwise.close()
        elif self.progress is not None:
            self._show()

    def _show(self) -> None:
        try:
            if time.monotonic() >= self.line_due:
                self._put("line", {"text/plain": self.line()}, raw=True)
                self.line_due = time.monotonic() + LINE
            log = self.folder / "metrics.jsonl"
            if self.curves and not self.handles.get("figure"):
                import dmtkit.results.plots.training  # noqa: F401  whose seconds are none of drawing
            size = log.stat().st_size if self.curves and log.is_file() else 0
            if size and size != self.drawn and (start := time.monotonic()) >= self.figure_due:
                self._put("figure", self.figure())
                self.drawn, took = size, time.monotonic() - start
                self.figure_due = start + took + max(FIGURE, RARELY * took)
        except Exception as error:  # a view is never worth a run
            self.failed = True
            warnings.warn(f"the live view stopped ({type(error).__name__}: {error}); training goes on", stacklevel=3)

    def _put(self, name: str, content: Any, **options: Any) -> None:
        if name in self.handles:
            self.handles[name].update(content, **options)
        else:
            self.handles[name] = display(content, display_id=True, **options)

    def line(self) -> str:
        """Where the run is: method and phase, a bar, and the time left."""
        now = self.progress
        prefix = f"{now.method}, phase {now.phase}" + (f", {now.model}" if now.model else "")
        seconds, look = time.monotonic() - self.began, dict[str, Any](ncols=100, unit="step")
        return tqdm.format_meter(now.step, now.steps, seconds, prefix=prefix, initial=self.first, **look)

    def figure(self) -> Image:
        """The curves of what is logged so far, as a picture."""
        import matplotlib.pyplot as plt

        from dmtkit.results.plots.training import plot_live

        run = Run(self.folder)
        figure = plot_live(run)
        picture = print_figure(figure, dpi=80, bbox_inches=None)
        plt.close(figure)
        return Image(picture, alt=f"Training so far: loss, test {run.task.label}, shares of the three cases")


def wanted(live: bool | None = None) -> bool:
    """Whether to draw curves: `live` if given, else DMTKIT_LIVE, else whether a person sees this kernel.

    JupyterLab, Notebook and VS Code tell of themselves; papermill may inherit their variable, but sends no cell's id.
    """
    shell = get_ipython()
    if getattr(shell, "kernel", None) is None:  # a script has nowhere to show it
        return False
    if live is None and os.environ.get(SWITCH) in ("0", "1"):
        live = os.environ[SWITCH] == "1"
    asked = (shell.kernel.get_parent("shell") or {}).get("metadata", {})
    seen = "__vsc_ipynb_file__" in shell.user_ns or ("JPY_SESSION_NAME" in os.environ and "cellId" in asked)
    return seen if live is None else live
