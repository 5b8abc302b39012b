"""A progress bar over all training steps of a run."""

from typing import Any

from dmtkit.training.resume import Progress


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
