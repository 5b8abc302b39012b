"""Networks: `build(name, …)` gives a module that maps images "n c h w" to logits "n k", or "n k h w" for pixels."""

import inspect
from collections.abc import Sequence

from torch import nn

from dmtkit.errors import ConfigError, unknown_name
from dmtkit.registry import MODELS

__all__ = ["build"]

EXPECTED = {
    "classification": "wrn-<depth>-<width> with depth 10, 16, 22, 28, … (6n + 4) and width 1 to 32, such as wrn-28-2",
    "segmentation": "deeplab-resnet101, deeplab-resnet50, deeplab-resnet18 or deeplab-tiny",
}
PAPER_RATES = (6, 12, 18, 24)  # of the DeepLab-v2 paper; the published DMT numbers used 6, 12


def build(name: str, channels: int, classes: int, aspp_rates: Sequence[int] = PAPER_RATES, task: str = "") -> nn.Module:
    """Build the network that `name` describes: `wrn-<depth>-<width>`, `deeplab-<backbone>`, or one that was registered.

    ConfigError where nothing of that name or family is registered, for the `task` if one is given.

    >>> sum(p.numel() for p in build("wrn-28-2", channels=3, classes=10).parameters())
    1467610
    """
    known = {each: registry for key, registry in MODELS.items() if task in ("", key) for each in registry}
    family = name if name in known else name.partition("-")[0]
    if family not in known:
        raise ConfigError(
            f"model: found {name!r}, expected {EXPECTED.get(task) or ', or '.join(EXPECTED.values())}, or a network of your "
            f"own ({unknown_name(family, list(known), 'model')})"
        )
    builder = known[family][family]
    given = {"name": name, "channels": channels, "classes": classes, "aspp_rates": aspp_rates}
    wanted = inspect.signature(builder).parameters
    return builder(**{word: value for word, value in given.items() if word in wanted})
