"""DeepLab-v2 (Chen et al., 2018, arXiv 1606.00915): a dilated backbone, a head that sums parallel dilated convolutions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dmtkit.models.backbones import build_backbone
from dmtkit.registry import model

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # RGB, of pixels 0–255
COCO_CAFFE = ((104.008, 116.669, 122.675), (1.0, 1.0, 1.0))  # BGR (method.md §6)


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
        for name in ("mean", "std"):
            self.register_buffer(name, torch.zeros(3))
        self.register_buffer("bgr", torch.zeros(3, dtype=torch.int64))
        self.expect("rgb")

    def expect(self, convention: str) -> None:
        """Take inputs as `rgb` (ImageNet's mean and deviation) or `bgr` (Caffe's mean) from now on."""
        mean, std = COCO_CAFFE if convention == "bgr" else IMAGENET
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))
        self.bgr.copy_(torch.tensor([2, 1, 0] if convention == "bgr" else [0, 1, 2]))

    def forward(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Normalise a batch."""
        ordered = pixels[:, self.bgr]
        normal = (ordered - self.mean.view(1, 3, 1, 1)) / self.std.view(1, 3, 1, 1)
        return normal.contiguous(memory_format=torch.channels_last)


class Head(nn.Module):
    """The sum of parallel 3×3 convolutions with different dilations (ASPP as DeepLab-v2 has it)."""

    def __init__(self, channels: int, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=r, dilation=r) for r in rates)
        for conv in self.convs:
            for name, parameter in conv.named_parameters():
                nn.init.normal_(parameter, std=0.01) if name == "weight" else nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "n d i j"]) -> Float[Tensor, "n k i j"]:
        """Features to coarse logits."""
        total = self.convs[0](x)
        for conv in self.convs[1:]:
            total = total + conv(x)
        return total


class DeepLab(nn.Module):
    """Pixels 0–255 "n 3 h w" to logits "n k h w"; the network works at 1/8 of the size (1/4 with `tiny`).

    >>> model = DeepLab("tiny", classes=5, rates=(1, 2)).eval()
    >>> model(torch.zeros(1, 3, 33, 40)).shape, model.encode(torch.zeros(1, 3, 33, 40)).shape
    (torch.Size([1, 5, 33, 40]), torch.Size([1, 48, 9, 10]))
    """

    def __init__(self, backbone: str, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.input = Input()
        self.backbone, self.channels = build_backbone(backbone)
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
