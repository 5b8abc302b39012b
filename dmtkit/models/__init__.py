"""Networks: `build(name, …)` gives a module that maps images "n c h w" to logits "n k", or "n k h w" for pixels."""

import re
from collections.abc import Sequence

from torch import nn

from dmtkit.errors import ConfigError
from dmtkit.models.wide_resnet import WideResNet

__all__ = ["WideResNet", "build"]

PAPER_RATES = (6, 12, 18, 24)  # of the DeepLab-v2 paper; the published DMT numbers used 6, 12


def build(name: str, channels: int, classes: int, aspp_rates: Sequence[int] = PAPER_RATES) -> nn.Module:
    """Build the network that `name` describes: `wrn-<depth>-<width>`, the depth being 6n + 4, or `deeplab-<backbone>`.

    >>> sum(p.numel() for p in build("wrn-28-2", channels=3, classes=10).parameters())
    1467610
    """
    if name.startswith("deeplab-"):
        from dmtkit.models.deeplab import DeepLab  # imports torchvision, which takes a second

        return DeepLab(name.removeprefix("deeplab-"), classes, aspp_rates)
    match = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if not match or int(match[1]) % 6 != 4 or not 10 <= int(match[1]) <= 202 or not 1 <= int(match[2]) <= 32:
        raise ConfigError(
            f"model: found {name!r}, expected wrn-<depth>-<width> with depth 10, 16, 22, 28, … (6n + 4) "
            "and width 1 to 32, such as wrn-28-2, or, for segmentation, deeplab-resnet101, deeplab-resnet50, "
            "deeplab-resnet18 or deeplab-tiny"
        )
    return WideResNet(int(match[1]), int(match[2]), channels, classes)
