"""Schedules and averages, thin over torch's own: cosine and poly, EMA."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn


def schedule(
    name: Literal["cosine", "poly"], optimizer: torch.optim.Optimizer, steps: int, power: float = 0.9
) -> torch.optim.lr_scheduler.LRScheduler:
    """From the initial learning rate to 0 over `steps`: along half a cosine, or as (1 − t/T)^power (§6).

    Both in closed form, so that a resumed run has the same bits.
    """
    rate: dict[str, Callable[[int], float]] = {
        "cosine": lambda t: (1 + math.cos(math.pi * t / steps)) / 2,
        "poly": lambda t: max(0.0, 1 - t / steps) ** power,
    }
    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate[name])


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
