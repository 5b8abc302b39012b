"""DeepLab-v2 (Chen et al., 2018, arXiv 1606.00915): a dilated backbone, a head that sums parallel dilated convolutions."""

from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

import dmtkit.compat  # noqa: F401  before torchvision
from dmtkit.errors import ConfigError
from dmtkit.registry import model

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # RGB, of pixels 0–255
COCO_CAFFE = ((104.008, 116.669, 122.675), (1.0, 1.0, 1.0))  # BGR (method.md §6)
RESNETS = ("resnet101", "resnet50", "resnet18")


class Input(nn.Module):
    """Pixels 0–255, red first, as the weights of the backbone expect them.

    Weights of different origin want different inputs, so this is stored with the model: torchvision's want
    standardised RGB, Caffe's want BGR less a mean.
    """

    mean: Tensor
    std: Tensor
    bgr: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.zeros(3))
        self.register_buffer("bgr", torch.zeros(3, dtype=torch.int64))
        self.expect("rgb")

    def expect(self, convention: str) -> None:
        """Take inputs as `rgb` (ImageNet's mean and deviation) or `bgr` (Caffe's mean) from now on."""
        (mean, std), order = (COCO_CAFFE, (2, 1, 0)) if convention == "bgr" else (IMAGENET, (0, 1, 2))
        for buffer, values in ((self.mean, mean), (self.std, std), (self.bgr, order)):
            buffer.copy_(torch.tensor(values))

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Normalise a batch."""
        normal = (pixels[:, self.bgr] - self.mean.view(1, 3, 1, 1)) / self.std.view(1, 3, 1, 1)
        return normal.contiguous(memory_format=torch.channels_last)


def build_backbone(name: str) -> tuple[nn.Module, int]:
    """What turns normalised images into features, newly initialised, and the number of their channels.

    `tiny` has six 3×3 convolutions and stride 4: for small scenes, on a CPU. The others are torchvision's ResNets under
    their own parameter names, with stride 8 by dilation.

    >>> build_backbone("tiny")[1]
    48
    """
    if name == "tiny":
        shapes = ((3, 24, 2, 1), (24, 48, 2, 1), (48, 48, 1, 1), (48, 48, 1, 1), (48, 48, 1, 2), (48, 48, 1, 2))
        return nn.Sequential(OrderedDict(layers=nn.Sequential(*(_conv(*shape) for shape in shapes)))), 48
    if name not in RESNETS:
        raise ConfigError(f"model: unknown backbone {name!r}; expected one of {', '.join(('tiny', *RESNETS))}")
    resnet = getattr(import_module("torchvision.models"), name)()
    channels = resnet.fc.in_features
    dilate(resnet.layer3, 1, 2)
    dilate(resnet.layer4, 2, 4)
    del resnet.fc, resnet.avgpool
    return nn.Sequential(OrderedDict(resnet.named_children())), channels


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


def _conv(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Head(nn.Module):
    """The sum of parallel 3×3 convolutions with different dilations (ASPP as DeepLab-v2 has it)."""

    def __init__(self, channels: int, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=r, dilation=r) for r in rates)
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.zeros_(parameter)
            elif not parameter.is_meta:  # where normal_ loads torch._dynamo, which takes seconds
                nn.init.normal_(parameter, std=0.01)

    def forward(self, x: Float[Tensor, "n d i j"]) -> Float[Tensor, "n k i j"]:
        """Features to coarse logits."""
        first, *others = self.convs
        return sum((conv(x) for conv in others), first(x))


class DeepLab(nn.Module):
    """Pixels 0–255 "n 3 h w" to logits "n k h w"; the network works at 1/8 of the size (1/4 with `tiny`).

    >>> model = DeepLab("tiny", classes=5, rates=(1, 2)).eval()
    >>> model(torch.zeros(1, 3, 33, 40)).shape, model.encode(torch.zeros(1, 3, 33, 40)).shape
    (torch.Size([1, 5, 33, 40]), torch.Size([1, 48, 9, 10]))
    """

    def __init__(self, name: str, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.input = Input()
        self.backbone, self.channels = build_backbone(name)
        self.head = Head(self.channels, classes, rates)

    def encode(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d i j"]:
        """The backbone's features."""
        return self.backbone(self.input(pixels))

    def decode(self, features: Float[Tensor, "n d i j"], size: tuple[int, int]) -> Float[Tensor, "n k h w"]:
        """Logits of every pixel of images of this size, in float32 whatever the backbone computes in."""
        with torch.autocast(features.device.type, enabled=False):
            return enlarge(self.head(features.float()), size)

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k h w"]:
        """Logits of every pixel."""
        return self.decode(self.encode(pixels), (pixels.shape[2], pixels.shape[3]))


def enlarge(coarse: Float[Tensor, "n k i j"], size: tuple[int, int]) -> Float[Tensor, "n k h w"]:
    """Bilinear, corner on corner, as sizes of 8n + 1 want it."""
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)


@model("deeplab", task="segmentation")
def deeplab(name: str, classes: int, aspp_rates: Sequence[int]) -> DeepLab:
    """`deeplab-<backbone>`."""
    return DeepLab(name.removeprefix("deeplab-"), classes, aspp_rates)
