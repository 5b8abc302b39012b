"""What turns an image into features: torchvision's ResNets with stride 8 by dilation, and a small net for the CPU."""

from importlib import import_module

from jaxtyping import Float
from torch import Tensor, nn

import dmtkit.compat  # noqa: F401  before torchvision
from dmtkit.errors import ConfigError

RESNETS = ("resnet101", "resnet50", "resnet18")


def build_backbone(name: str) -> tuple[nn.Module, int]:
    """The backbone that `name` means, newly initialised, and the number of its feature channels.

    >>> build_backbone("tiny")[1]
    48
    """
    if name == "tiny":
        return TinyBackbone(), TinyBackbone.channels
    if name not in RESNETS:
        raise ConfigError(f"model: unknown backbone {name!r}; expected one of {', '.join(('tiny', *RESNETS))}")
    resnet = getattr(import_module("torchvision.models"), name)()
    channels = resnet.fc.in_features
    dilate(resnet.layer3, 1, 2)
    dilate(resnet.layer4, 2, 4)
    del resnet.fc, resnet.avgpool
    return ResNet(resnet), channels


def dilate(layer: nn.Module, first: int, rest: int) -> None:
    """Trade the stride of a ResNet's layer for dilation: `first` in its first 3×3 convolution, `rest` in the others.

    What torchvision's replace_stride_with_dilation does for the deep ResNets, for all of them.
    """
    dilation = first
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                module.dilation = module.padding = (dilation, dilation)
                dilation = rest


class ResNet(nn.Module):
    """The layers of a torchvision ResNet under its own parameter names, stride 8."""

    def __init__(self, resnet: nn.Module) -> None:
        super().__init__()
        for name, child in resnet.named_children():
            self.add_module(name, child)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d i j"]:
        """Images, normalised, to features."""
        for child in self.children():
            x = child(x)
        return x


def _conv(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class TinyBackbone(nn.Module):
    """Six 3×3 convolutions, stride 4: for small scenes, on a CPU.

    >>> import torch
    >>> TinyBackbone()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 48, 16, 16])
    """

    channels = 48

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(3, 24, stride=2),
            _conv(24, 48, stride=2),
            _conv(48, 48),
            _conv(48, 48),
            _conv(48, 48, dilation=2),
            _conv(48, 48, dilation=2),
        )

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d i j"]:
        """Images, normalised, to features."""
        return self.layers(x)
