"""What a notebook needs beside the library: a progress bar around training, errors without a traceback."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any

from dmtkit.config import Config
from dmtkit.errors import DmtkitError
from dmtkit.experiment import run_methods
from dmtkit.phases import Progress
from dmtkit.runs import Run


class Bar:
    """A progress bar over all training steps of a run, showing the method and phase under way."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Move the bar to where the run is."""
        from tqdm.auto import tqdm

        if self._bar is None:
            self._bar = tqdm(total=progress.steps, initial=progress.step, unit="step", mininterval=0.5)
        description = f"{progress.method}, phase {progress.phase}" + (f", {progress.model}" if progress.model else "")
        if self._bar.desc != f"{description}: ":
            self._bar.set_description(description)
        self._bar.update(progress.step - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def train(config: Config, data: Any = None, output_dir: str | Path | None = None) -> Run:
    """Run all methods of `config` with a progress bar, or open the run if it is finished.

    Interrupt it and run the cell again: it goes on where it stopped.
    """
    bar = Bar()
    started = time.monotonic()
    try:
        run = run_methods(config, data, output_dir, progress=bar)
    finally:
        bar.close()
    print(f"{run.path}: finished ({run.done['seconds']:.0f} s of computing, {time.monotonic() - started:.0f} s now)")
    return run


def short_errors() -> None:
    """Show a DmtkitError as its message alone: bad input should not look like a crash of the notebook."""
    try:
        from IPython import get_ipython

        shell = get_ipython()
    except ImportError:
        return
    if shell is not None:
        shell.set_custom_exc((DmtkitError,), _show)


def _show(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> list[str]:
    lines = [f"{kind.__name__}: {error}"]
    shell._showtraceback(kind, error, lines)  # as an error, so that papermill stops
    return lines
