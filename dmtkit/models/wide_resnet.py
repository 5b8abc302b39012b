"""Wide residual networks, WRN-d-w (Zagoruyko & Komodakis, 2016, arXiv 1605.07146)."""

import re

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dmtkit.errors import ConfigError
from dmtkit.models import EXPECTED
from dmtkit.registry import model


class Block(nn.Module):
    """BN–ReLU–conv twice, added to the input (or to its 1×1 projection where the shape changes)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = inputs == outputs and stride == 1
        self.project = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Shapes: c inputs to d outputs, the sides divided by the stride."""
        active = F.relu(self.norm1(x), inplace=True)
        residual = self.conv2(F.relu(self.norm2(self.conv1(active)), inplace=True))
        return residual + (x if self.project is None else self.project(active))


class WideResNet(nn.Module):
    """Three groups of (depth − 4) / 6 blocks, 16, 32 and 64 times `width` channels wide.

    >>> WideResNet(10, 1, channels=1, classes=10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(self, depth: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        blocks = []
        inputs = 16
        for outputs, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for index in range((depth - 4) // 6):
                blocks.append(Block(inputs, outputs, stride if index == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs)
        self.channels = inputs
        self.head = nn.Linear(inputs, classes)
        for module in self.modules():
            # On meta, where a config is only checked, normal_ would load torch._dynamo, which takes seconds.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Images to features."""
        return F.relu(self.norm(self.blocks(self.stem(x))), inplace=True)

    def decode(self, features: Float[Tensor, "n d i j"], size: tuple[int, ...] = ()) -> Float[Tensor, "n k"]:
        """Features to logits, which are computed in float32 whatever the rest is: confidences need more than 8 bits."""
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.mean((2, 3), dtype=torch.float32))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Images to logits."""
        return self.decode(self.encode(x))


@model("wrn", task="classification")
def wide_resnet(name: str, channels: int, classes: int) -> WideResNet:
    """`wrn-<depth>-<width>`; ConfigError unless the depth is 6n + 4."""
    match = re.fullmatch(r"wrn-(\d+)-(\d+)", name)
    if not match or int(match[1]) % 6 != 4 or not 10 <= int(match[1]) <= 202 or not 1 <= int(match[2]) <= 32:
        raise ConfigError(f"model: found {name!r}, expected {EXPECTED['classification']}")
    return WideResNet(int(match[1]), int(match[2]), channels, classes)
