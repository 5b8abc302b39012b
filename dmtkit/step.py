"""The loss of one training step, in the paper's order; and its compilation, for those who ask for it.

What is drawn on the host comes first, then one pure computation that waits for nothing and can be compiled.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor, nn

from dmtkit import team
from dmtkit.data.augment import Mix, draw_mix
from dmtkit.data.batches import Batch
from dmtkit.dynamic import Gamma, Rule, dynamic_cross_entropy, dynamic_weights, mixed_cross_entropy, statistics, trust
from dmtkit.optim import gamma_ramp
from dmtkit.seeds import generator


@dataclass(frozen=True)
class Recipe:
    """How one phase is trained: steps, optimiser, dynamic loss, mixup, what is kept, how often to log and save.

    `keeps` is the model that comes out: the `average` (EMA), the `last`, or the `best` on held-out images by `score`.
    """

    steps: int
    seed: int
    rule: Rule = "uniform"
    gamma1: float = 0.0
    gamma2: float = 0.0
    gamma_ramp: bool = True
    online_threshold: float = 0.9
    mixup: float = 0.0
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


def step_loss(model: nn.Module, batch: Batch, recipe: Recipe, step: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one step and its statistics: what is drawn on the host, then the computation, compiled or not."""
    device = batch.images.device
    gammas: tuple[Gamma, Gamma] = recipe.gammas(step)
    mix = None
    if recipe.mixup:
        mix = draw_mix(len(batch.images), recipe.mixup, generator(recipe.seed, "mixup", step), device)
    compute = loss_of
    if recipe.compile:  # what changes from step to step and is no tensor would be compiled in, anew every time
        number = partial(torch.full, (), device=device, dtype=torch.float32)
        gammas, mix = (number(gammas[0]), number(gammas[1])), mix and Mix(number(mix.lam), mix.partner)
        batch, compute = replace(batch, names=()), compiled()
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        return compute(model, batch, gammas, recipe.rule, recipe.online_threshold, mix)


def loss_of(
    model: nn.Module, batch: Batch, gammas: tuple[Gamma, Gamma], rule: Rule, threshold: float, mix: Mix | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and statistics of a batch, of this process's rows of it (method.md §3, §5.1), in the paper's order."""
    n, rows, own = len(batch.images), batch.rows, batch.own
    images = batch.images.contiguous(memory_format=torch.channels_last)
    if mix is None:
        return dynamic_cross_entropy(
            model(images[rows]), own.label, own.confidence, gamma1=gammas[0], gamma2=gammas[1],
            rule=rule, trusted=own.trusted, truth=own.truth, threshold=threshold, whole=team.total,
        )  # fmt: skip
    weight, label, stats = torch.ones_like(batch.confidence), batch.label, {}
    if rule != "uniform":  # weights are computed on the un-mixed batch, by one more forward pass
        with torch.no_grad():
            logits = model(images[rows])
        found = dynamic_weights(
            logits, own.label, own.confidence, gamma1=gammas[0], gamma2=gammas[1], rule=rule, threshold=threshold
        )
        weight, label, _ = trust(found, own.label, own.trusted)
        weight, label = team.joined(weight, n), team.joined(label, n)  # partners may be anyone's
        stats = statistics(found, own.trusted, own.truth)
    logits = model(mix(images, rows))
    return mixed_cross_entropy(logits, label, mix.partner, mix.lam, mix(weight, rows), rows), stats


@cache
def compiled() -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
    """`loss_of`, compiled when it is first called, for all models of one architecture."""
    torch._dynamo.config.recompile_limit = 64  # rules × batches with and without truth are more than the default 8
    return torch.compile(loss_of, dynamic=False)


def can_compile(model: nn.Module, batch: Batch, recipe: Recipe, note: Callable[[str], None]) -> bool:
    """Whether a step can be compiled here, tried on a copy of the model; `note` is told why it cannot."""
    if team.size() > 1:
        note("compile: is for one process; several train without")
        return False
    try:
        loss, _ = step_loss(copy.deepcopy(model).train(), batch, recipe, 0)
        loss.backward()
        return True
    except Exception as error:  # compilers fail in a hundred ways, and training can do without
        reason = next(iter(str(error).strip().splitlines()), "")
        note(f"compile: torch.compile failed here ({type(error).__name__}: {reason}); training goes on without")
        return False
