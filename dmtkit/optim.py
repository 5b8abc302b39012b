"""Schedules and averages, thin over torch's own: SGD, cosine, the γ ramp, EMA."""

import math

import torch
from torch import nn


def gamma_ramp(step: int, steps: int) -> float:
    """The share of γ_max at `step` of `steps`: exp(−5 (1 − t/T)²), rising from e⁻⁵ to 1 (method.md §5.1).

    A student that starts from nothing has opinions worth little at first.

    >>> round(gamma_ramp(0, 100), 4), gamma_ramp(100, 100)
    (0.0067, 1.0)
    """
    return math.exp(-5 * (1 - step / steps) ** 2)


def sgd(model: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD with the recipe's momentum and weight decay; fused where the device has it."""
    fused = next(model.parameters()).is_cuda
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused)


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """From the initial learning rate to 0 along half a cosine over `steps` (written in closed form: resumable)."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: (1 + math.cos(math.pi * t / steps)) / 2)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """A true EMA of weights and BatchNorm statistics: decay · average + (1 − decay) · model (method.md §8).

    torch's own AveragedModel reads its counter back from the device in every step; this waits for nothing.

    >>> average, model = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> update_average(average, model, decay=0.0)
    >>> bool(average.weight == model.weight)
    True
    """
    ours, theirs = average.state_dict(keep_vars=False), model.state_dict(keep_vars=False)
    names = [name for name, value in ours.items() if value.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in names], [theirs[name] for name in names], 1 - decay)
    for name in ours.keys() - names:  # counters
        ours[name].copy_(theirs[name])
