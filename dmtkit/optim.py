"""Schedules and averages, thin over torch's own: SGD, cosine, the γ ramp, EMA."""

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


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


def exponential_average(model: nn.Module, decay: float) -> AveragedModel:
    """A true EMA of weights and BatchNorm statistics: decay · average + (1 − decay) · model (method.md §8).

    >>> ema = exponential_average(nn.Linear(1, 1), 0.9)
    """
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
