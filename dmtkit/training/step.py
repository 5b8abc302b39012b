"""One training step's loss: what is drawn on the host, then the method's own function, compiled for those who ask for it."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from dmtkit.data.batches import Batch
from dmtkit.losses.dynamic import gamma_ramp
from dmtkit.methods.given import Mixed, Nets, Now
from dmtkit.methods.method import Method, Step
from dmtkit.seeds import derive
from dmtkit.sums import join_rows, total


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


def compute(
    method: Method,
    modules: Mapping[str, nn.Module],
    batch: Batch,
    recipe: Recipe,
    step: int,
    memory: Mapping[str, Tensor],
) -> Step:
    """What a method makes of a batch at a step; nothing here waits for the device."""
    device, number = batch.images.device, cast(Callable[[float], float | Tensor], float)
    if recipe.compile:  # what changes from step to step and is no tensor would be compiled in, anew every time
        number = partial(torch.full, (), device=device, dtype=torch.float32)
    mix = None
    if batch.mixed is not None and batch.partner is not None:
        everyones = partial(join_rows, count=len(batch.partner))
        mix = Mixed(batch.mixed, number(batch.lam), batch.partner, batch.rows, everyones)
    gamma1, gamma2 = recipe.gammas(step)
    gammas = number(gamma1), number(gamma2)
    now = Now(number(step), recipe.steps, *gammas, recipe.online_threshold, mix, memory, total=total)
    drawn = method.draws(replace(now, seed=derive(recipe.seed, "draws", step)), batch.unlabeled)
    now = replace(now, drawn={name: value[batch.rows].to(device, non_blocking=True) for name, value in drawn.items()})
    nets = Nets(modules, recipe.precision)
    if recipe.compile:
        return compiled(method)(nets, replace(batch, names=(), lam=math.nan), now)
    return method.losses(nets, batch, now)


@cache
def compiled(method: Method) -> Callable[[Nets, Batch, Now], Step]:
    """A method's losses, compiled when they are first computed."""
    torch._dynamo.config.recompile_limit = 64  # batches with and without truth, tasks, networks
    return torch.compile(method.losses, dynamic=False)


def can_compile(
    method: Method,
    modules: Mapping[str, nn.Module],
    batch: Batch,
    recipe: Recipe,
    memory: Mapping[str, Tensor],
    note: Callable[[str], None],
) -> bool:
    """Whether a step can be compiled here, tried on copies of the networks; `note` is told why it cannot."""
    if batch.rows != slice(None):
        note("compile: is for one process; several train without")
        return False
    if len([*method.nets, *method.helpers]) > 1:  # in one graph they would be differentiated as one
        note(f"compile: {method.name} trains several networks, which is done without")
        return False
    try:
        copies = {name: copy.deepcopy(module).train() for name, module in modules.items()}
        tried = compute(method, copies, batch, recipe, 0, memory)
        for loss in tried.losses.values():
            loss.backward()
        return True
    except Exception as error:  # compilers fail in a hundred ways, and training can do without
        reason = next(iter(str(error).strip().splitlines()), "")
        note(f"compile: torch.compile failed here ({type(error).__name__}: {reason}); training goes on without")
        return False
