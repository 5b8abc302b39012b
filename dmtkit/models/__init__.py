"""Networks: `build(name, …)` gives a module that maps images "n c h w" to logits "n k"."""

import re

from torch import nn

from dmtkit.errors import ConfigError
from dmtkit.models.wide_resnet import WideResNet

__all__ = ["WideResNet", "build"]


def build(name: str, channels: int, classes: int) -> nn.Module:
    """Build the network that `name` describes: `wrn-<depth>-<width>`, the depth being 6n + 4.

    >>> sum(p.numel() for p in build("wrn-28-2", channels=3, classes=10).parameters())
    1467610
    """
    match = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if not match or int(match[1]) % 6 != 4 or not 10 <= int(match[1]) <= 202 or not 1 <= int(match[2]) <= 32:
        raise ConfigError(
            f"model: found {name!r}, expected wrn-<depth>-<width> with depth 10, 16, 22, 28, … (6n + 4) "
            "and width 1 to 32, such as wrn-28-2"
        )
    return WideResNet(int(match[1]), int(match[2]), channels, classes)
