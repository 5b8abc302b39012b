"""Image operations on batches of bytes, each image with a strength of its own: those of RandAugment, equal to PIL's.

Three mechanisms carry them all: a table look-up (`_look_up`), a move of pixels (`warp`) and a blend with another
image (`_blend`). Every operation takes pixels "n c h w", a value "n" and the colour of what lies outside the image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

Pixels = UInt8[Tensor, "n c h w"]
Value = Float[Tensor, " n"]


def autocontrast(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Stretch every channel to 0–255; `value` is not used."""
    low = pixels.flatten(2).amin(2, keepdim=True).double()
    high = pixels.flatten(2).amax(2, keepdim=True).double()
    scale = 255 / (high - low).clamp(min=1)
    levels = torch.arange(256, device=pixels.device)
    return _look_up(pixels, torch.where(high > low, (levels * scale - low * scale).clamp(0, 255), levels.double()))


def equalize(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Flatten every channel's histogram; `value` is not used."""
    flat = pixels.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    step = (flat.shape[2] - counts.gather(2, flat.amax(2, keepdim=True))) // 255
    table = ((counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)).clamp(max=255)
    return _look_up(pixels, torch.where(step > 0, table, torch.arange(256, device=pixels.device)))


def posterize(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Keep the highest `value` bits (at least one) of every pixel."""
    dropped = 8 - _column(value).clamp(1, 8).to(torch.uint8)
    return (pixels >> dropped) << dropped


def solarize(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Invert the pixels that are not below `value`, 0–256."""
    return torch.where(pixels < _column(value), pixels, 255 - pixels)


def solarize_add(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Add `value` to every pixel, then solarize at 128."""
    brighter = (pixels + _column(value).floor()).clamp(0, 255).to(torch.uint8)
    return solarize(brighter, torch.full_like(value, 128), fill)


def contrast(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Contrast about the mean grey: 0 is flat, 1 the image."""
    mean = (_grey(pixels).flatten(1).double().mean(1) + 0.5).floor()
    return _blend(_column(mean), pixels, value)


def sharpness(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Sharpness: 0 is smoothed, 1 the image."""
    centre = pixels.float()
    smooth = centre.clone()
    if min(pixels.shape[2:]) > 2:  # PIL leaves the border as it is
        window = centre.unfold(2, 3, 1).unfold(3, 3, 1).sum((4, 5))
        smooth[:, :, 1:-1, 1:-1] = ((window + 4 * centre[:, :, 1:-1, 1:-1]) / 13 + 0.5).floor()
    return _blend(smooth, pixels, value)


def rotate(pixels: Pixels, value: Value, fill: int) -> Pixels:
    """Turn by `value` degrees about the centre."""
    angle = value.double().deg2rad()
    cos, sin = angle.cos(), angle.sin()
    x, y = pixels.shape[3] / 2, pixels.shape[2] / 2
    rows = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
    return warp(pixels, torch.stack(rows, 1), fill)


def affine(entry: int, side: int | None = None) -> Callable[[Pixels, Value, int], Pixels]:
    """Put `value`, in pixels or in the images' own `side`, at one entry of the identity's matrix: a shear or a shift."""

    def apply(pixels: Pixels, value: Value, fill: int) -> Pixels:
        matrix = torch.zeros(len(value), 6, dtype=torch.float64, device=value.device)
        matrix[:, 0::4] = 1
        matrix[:, entry] = (value if side is None else value * pixels.shape[side]).double()
        return warp(pixels, matrix, fill)

    return apply


def cutout(pixels: Pixels, box: Int64[Tensor, "n 4"], fill: int) -> Pixels:
    """Paint the box (left, top, right, bottom; the last two excluded) of every image with `fill`.

    >>> cutout(torch.ones(1, 1, 1, 3, dtype=torch.uint8), torch.tensor([[1, 0, 3, 1]]), fill=0).tolist()
    [[[[1, 0, 0]]]]
    """
    left, top, right, bottom = map(_column, box.unbind(1))
    x = torch.arange(pixels.shape[3], device=pixels.device)
    y = torch.arange(pixels.shape[2], device=pixels.device).unsqueeze(1)
    return pixels.masked_fill((x >= left) & (x < right) & (y >= top) & (y < bottom), fill)


def crop_flip(pixels: Pixels, shift: Int64[Tensor, "n 2"], flip: UInt8[Tensor, " n"], fill: int) -> Pixels:
    """Move every image by its own whole (x, y) `shift`, then mirror it where `flip` is 1: a padded crop.

    >>> image = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
    >>> crop_flip(image, torch.tensor([[1, 0]]), torch.tensor([0], dtype=torch.uint8), fill=9).tolist()
    [[[[2, 3, 9]]]]
    """
    width = pixels.shape[3]
    x = torch.arange(width, device=pixels.device).expand(len(pixels), -1)
    x = torch.where(flip.bool().unsqueeze(1), width - 1 - x, x) + shift[:, :1]
    y = torch.arange(pixels.shape[2], device=pixels.device) + shift[:, 1:]
    return _move(pixels, x.unsqueeze(1), y.unsqueeze(2), fill)


def warp(pixels: Pixels, matrix: Float64[Tensor, "n 6"], fill: int) -> Pixels:
    """Fill every output pixel (x, y) from the input pixel (ax + by + c, dx + ey + f), nearest.

    Fixed-point like PIL's own affine transform, so the same pixel is taken on every device.
    """
    x = torch.arange(pixels.shape[3], device=pixels.device)
    y = torch.arange(pixels.shape[2], device=pixels.device).unsqueeze(1)

    def source(a: Tensor, b: Tensor, c: Tensor) -> Int64[Tensor, "n h w"]:
        a, b, start = (((v.view(-1, 1, 1)) * 65536 + 0.5).floor().long() for v in (a, b, c + (a + b) / 2))
        return (a * x + b * y + start) >> 16

    columns = matrix.unbind(1)
    return _move(pixels, source(*columns[:3]), source(*columns[3:]), fill)


def _move(pixels: Pixels, x: Int64[Tensor, "n _ _"], y: Int64[Tensor, "n _ _"], fill: int) -> Pixels:
    """Take pixel (x, y) for every output pixel; `fill` where it lies outside."""
    n, channels, height, width = pixels.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).view(n, 1, -1).expand(-1, channels, -1)
    moved = pixels.reshape(n, channels, -1).gather(2, source).view_as(pixels)
    return moved.masked_fill(~inside.unsqueeze(1), fill)


def _look_up(pixels: Pixels, table: Tensor) -> Pixels:
    """Replace every pixel by its entry in its own channel's table "n c 256"."""
    return table.to(torch.uint8).gather(2, pixels.flatten(2).long()).view_as(pixels)


def _column(value: Tensor) -> Tensor:
    return value.view(-1, 1, 1, 1)


def _grey(pixels: Pixels) -> UInt8[Tensor, "n 1 h w"]:
    """The luma that PIL's mode L has (ITU-R 601-2), with one channel kept."""
    if pixels.shape[1] != 3:
        return pixels[:, :1]
    red, green, blue = pixels.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def _blend(degenerate: Tensor, pixels: Pixels, value: Value) -> Pixels:
    """degenerate + value · (pixels − degenerate), cut to 0–255 and to a whole number as PIL does."""
    start = degenerate.float()
    return (start + _column(value) * (pixels - start)).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Operation:
    """One entry of the RandAugment set: its function, the values at strength 0 and 10, and whether it mirrors."""

    apply: Callable[..., Pixels]
    weakest: float = 0.0
    strongest: float = 1.0
    signed: bool = False


OPERATIONS = {
    "autocontrast": Operation(autocontrast),
    "equalize": Operation(equalize),
    "invert": Operation(lambda pixels, value, fill: 255 - pixels),
    "rotate": Operation(rotate, 0, 30, signed=True),
    "posterize": Operation(posterize, 0, 4),
    "solarize": Operation(solarize, 0, 256),
    "solarize_add": Operation(solarize_add, 0, 110),
    "color": Operation(lambda pixels, value, fill: _blend(_grey(pixels), pixels, value), 0.1, 1.9),
    "contrast": Operation(contrast, 0.1, 1.9),
    "brightness": Operation(lambda pixels, value, fill: _blend(torch.zeros_like(pixels), pixels, value), 0.1, 1.9),
    "sharpness": Operation(sharpness, 0.1, 1.9),
    "shear_x": Operation(affine(1), 0, 0.3, signed=True),
    "shear_y": Operation(affine(3), 0, 0.3, signed=True),
    "translate_x": Operation(affine(2, side=3), 0, 1 / 3, signed=True),
    "translate_y": Operation(affine(5, side=2), 0, 1 / 3, signed=True),
    "cutout": Operation(cutout, 0, 0.5),
}
