"""The live view of training: curves that grow below the cell that trains, where somebody sees them."""

import os
import time
import warnings
from base64 import b64encode
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dmtkit.config import Config
from dmtkit.registry import METHODS, TASK_FACTS
from dmtkit.results.style import CASE_COLOURS, CASE_HATCHES, CASE_TITLES, METHOD_COLOURS
from dmtkit.viewer.bundle import STATIC, bundle
from dmtkit.viewer.pace import Pace, Progress
from dmtkit.viewer.tail import Tail, measured, points

SWITCH = "DMTKIT_LIVE"  # an environment variable: 1 for the view wherever there is a kernel, 0 for none


class LiveView(anywidget.AnyWidget):
    """What the browser draws; new points come as messages, the traits hold all of them for a view that opens later."""

    _esm = bundle(STATIC / "live" / "live.mjs")
    _css = (STATIC / "live" / "live.css").read_text(encoding="utf-8")
    setup = traitlets.Dict().tag(sync=True)
    points: traitlets.List = traitlets.List().tag(sync=True)
    tests: traitlets.List = traitlets.List().tag(sync=True)
    status = traitlets.Dict().tag(sync=True)


class Live:
    """Called after every training step; looks at the log and tells the browser once in `every` seconds.

    Whatever goes wrong here is said once, and from then on `otherwise`, another such callback, is called instead.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        otherwise: Callable[[Progress], None],
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        show: Callable[[Any], Any] | None = None,
    ) -> None:
        self.folder, self.otherwise, self.every = folder, otherwise, every
        self.config, self.clock, self.show = config, clock, show or _display
        self.tail, self.pace = Tail(folder / "metrics.jsonl"), Pace()
        self.offsets: dict[tuple[str, int, str], tuple[int, int]] = {}
        self.tested: set[tuple[str, int]] = set()
        self.view: LiveView | None = None
        self.place: Any = None
        self.progress: Progress | None = None
        self.failed = False
        self._due = float("-inf")

    def __call__(self, progress: Progress) -> None:
        """Take a report of progress."""
        if self.failed:
            return self.otherwise(progress)
        now = self.clock()
        self.progress = progress
        self.pace.note(progress, now)
        ends = progress.phase_step == progress.phase_steps != 0  # what follows may take long: show where it stands
        if now >= self._due or ends:
            self._guarded(lambda: self.tell("training"))
            self._due = self.clock() + self.every

    def close(self, state: str) -> None:
        """Show the last points, then leave a picture in the view's place: it needs no kernel and survives in the file."""
        if self.progress is not None and not self.failed:
            self._guarded(lambda: self._leave(state))

    def tell(self, state: str) -> None:
        """Send what is new; the first time, show the view with all there is."""
        void, records = self.tail.new()
        if void:
            self.offsets.clear()
            self.tested.clear()
        news = points(records, self.offsets)
        tests = measured(self.folder, self.offsets, self.tested)
        status = self.status(state)
        if self.view is None:
            setup = make_setup(self.config, self.every)
            self.view = LiveView(setup=setup, points=news, tests=tests, status=status)
            self.place = self.show(self.view)
            return
        # The traits change in place, so that nothing is sent twice: a page that is opened later asks for them.
        if void:
            self.view.points.clear()
            self.view.tests.clear()
        self.view.points.extend(news)
        self.view.tests.extend(tests)
        self.view.status.clear()
        self.view.status.update(status)
        self.view.send({"kind": "news", "void": void, "points": news, "tests": tests, "status": status})

    def status(self, state: str) -> dict[str, Any]:
        """Where the run is, in numbers."""
        progress = self.progress
        assert progress is not None
        return {
            "state": state,
            **{name: getattr(progress, name) for name in ("method", "phase", "model", "step", "steps")},
            **{name: getattr(progress, name) for name in ("phase_step", "phase_steps")},
            "phase_left": self.pace.phase_left(progress),
            "left": self.pace.run_left(progress),
        }

    def _leave(self, state: str) -> None:
        self.tell(state)
        if self.view is None or self.place is None:
            return
        import matplotlib.pyplot as plt

        from dmtkit.results.plots.live import describe, plot_live

        figure, buffer = plot_live(self.view.points, self.view.tests, self.view.setup), BytesIO()
        figure.savefig(buffer, dpi=100, format="png")
        plt.close(figure)
        text = describe(self.view.points, self.view.tests, self.view.setup)
        picture = {"image/png": b64encode(buffer.getvalue()).decode(), "text/plain": text}
        self.place.update(picture, raw=True, metadata={"image/png": {"alt": text}})
        print(text)  # JupyterLab has no place for a picture's description

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a view is never worth a run
            self.failed = True
            warnings.warn(f"the live view stopped ({type(error).__name__}: {error}); training goes on", stacklevel=4)


def make_setup(config: Config, every: float = 1.0) -> dict[str, Any]:
    """What the browser must know beside the points: names, colours, and what the metric is called."""
    return {
        "metric": TASK_FACTS[config.task].label,
        "held_out": bool(getattr(config, "val", 0)),
        "two_models": len(TASK_FACTS[config.task].models) > 1,
        "titles": {name: METHODS[name].title for name in config.methods},
        "colours": METHOD_COLOURS,
        "cases": [
            {"key": key, "title": CASE_TITLES[key], "colour": colour, "hatch": CASE_HATCHES[key]}
            for key, colour in CASE_COLOURS.items()
        ],
        "every": every,
    }


def wanted(live: bool | None = None) -> bool:
    """Whether training is to be shown live: `live` if given, else DMTKIT_LIVE, else whether a person sees this kernel."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:  # no notebook
        return False
    if live is not None:
        return live
    if os.environ.get(SWITCH) in ("0", "1"):
        return os.environ[SWITCH] == "1"
    request = kernel.get_parent("shell") or {}
    return has_front_end(os.environ, shell.user_ns, request.get("metadata", {}))


def has_front_end(environ: Mapping[str, str], names: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Whether JupyterLab, Notebook or VS Code asked for the cell: papermill may inherit a variable, but sends no cell's id.

    >>> has_front_end({"JPY_SESSION_NAME": "a.ipynb"}, {}, {"cellId": "3f"})
    True
    >>> has_front_end({"JPY_SESSION_NAME": "a.ipynb"}, {}, {})
    False
    >>> has_front_end({}, {"__vsc_ipynb_file__": "a.ipynb"}, {})
    True
    """
    return "__vsc_ipynb_file__" in names or ("JPY_SESSION_NAME" in environ and "cellId" in request)


def _display(view: LiveView) -> Any:
    from IPython.display import display

    return display(view, display_id=True)
