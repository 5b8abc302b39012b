"""How long training will take, from the steps that this process has done itself."""

from dataclasses import dataclass
from typing import Any

Progress = Any  # what dmtkit.training reports; naming it would load torch
ENOUGH_STEPS, ENOUGH_SECONDS = 5, 2.0  # before that, no estimate is better than a wild one


@dataclass
class Pace:
    """Seconds left, of the phase and of the run. Steps that were found done, of an earlier start, do not count.

    The phase's estimate rests on its own steps; the run's on all steps and all time so far, labelling and tests included.
    """

    began: float | None = None
    now: float = 0.0
    trained: int = 0
    _phase: tuple[str, int, str] = ("", -1, "")
    _phase_began: float = 0.0
    _first: int = 0
    _last: int = 0

    def note(self, progress: Progress, now: float) -> None:
        """Take a report of progress at a time in seconds."""
        self.began = now if self.began is None else self.began
        self.now = now
        if not progress.phase_steps:  # a phase is complete, whoever trained it
            return
        phase = progress.method, progress.phase, progress.model
        if phase != self._phase:
            self._phase, self._phase_began, self._first = phase, now, progress.phase_step
            self._last = progress.phase_step - 1
        self.trained += progress.phase_step - self._last
        self._last = progress.phase_step

    def phase_left(self, progress: Progress) -> float | None:
        """Seconds until the phase's last step; None while it is too early to say."""
        done, seconds = self._last - self._first, self.now - self._phase_began
        return _left(progress.phase_steps - progress.phase_step, done, seconds) if progress.phase_steps else None

    def run_left(self, progress: Progress) -> float | None:
        """Seconds until the run's last step; None while it is too early to say."""
        return _left(progress.steps - progress.step, self.trained, self.now - (self.began or 0))


def _left(missing: int, done: int, seconds: float) -> float | None:
    """The time that the missing steps take at the pace of those done.

    >>> _left(100, 50, 10.0), _left(100, 2, 10.0)
    (20.0, None)
    """
    return missing * seconds / done if done >= ENOUGH_STEPS and seconds >= ENOUGH_SECONDS else None
