"""What became of a run of a batch."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["done", "skipped", "failed", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """The end of one run: how it ended, how long it took here, and, if it failed, why and what its log said last."""

    name: str
    state: State
    seconds: float = 0.0
    message: str = ""
    tail: str = field(default="", repr=False)

    @property
    def good(self) -> bool:
        """Whether the run is finished now, whoever ran it."""
        return self.state in ("done", "skipped")
