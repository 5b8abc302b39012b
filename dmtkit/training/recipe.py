"""How one phase is trained: what the settings and the task say of it, as one value."""

from dataclasses import dataclass
from typing import Literal

from dmtkit.losses.dynamic import gamma_ramp


@dataclass(frozen=True)
class Recipe:
    """How one phase is trained: steps, optimiser, γ, what is kept, how often to log and save.

    `keeps` is what comes out of every network: its `average` (EMA), the `last`, or the `best` on held-out images by `score`.
    """

    steps: int
    seed: int
    gamma1: float = 0.0
    gamma2: float = 0.0
    gamma_ramp: bool = True
    online_threshold: float = 0.9
    quiet_unlabeled: bool = False
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "poly"] = "cosine"
    poly_power: float = 0.9
    keeps: Literal["average", "last", "best"] = "last"
    ema_decay: float = 0.999
    score: str = ""
    precision: str = "fp32"
    compile: bool = False
    sync_batchnorm: bool = True
    log_points: int = 20
    checkpoint_seconds: float = 60.0

    def gammas(self, step: int) -> tuple[float, float]:
        """γ1 and γ2 at `step`."""
        ramp = gamma_ramp(step, self.steps) if self.gamma_ramp else 1.0
        return self.gamma1 * ramp, self.gamma2 * ramp
