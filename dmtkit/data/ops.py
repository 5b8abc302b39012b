"""Image operations on batches of uint8 images, each sample with a strength of its own; they equal PIL's.

Three mechanisms carry them all: a table look-up (`_look_up`), a move of pixels (`warp`) and a blend with
a degenerate image (`_blend`). Every operation takes pixels "n c h w", a value "n" and the fill colour.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

Pixels = UInt8[Tensor, "n c h w"]
Value = Float[Tensor, " n"]


def autocontrast(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Stretch every channel to 0–255; `value` is not used. Equals `PIL.ImageOps.autocontrast`."""
    low = pixels.flatten(2).amin(2, keepdim=True).double()
    high = pixels.flatten(2).amax(2, keepdim=True).double()
    scale = 255 / (high - low).clamp(min=1)
    table = (_levels(pixels) * scale - low * scale).clamp(0, 255)
    return _look_up(pixels, torch.where(high > low, table, _levels(pixels).double()))


def equalize(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Flatten every channel's histogram; `value` is not used. Equals `PIL.ImageOps.equalize`."""
    flat = pixels.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = torch.div(flat.shape[2] - last, 255, rounding_mode="floor")
    before = counts.cumsum(2) - counts
    table = torch.div(before + step // 2, step.clamp(min=1), rounding_mode="floor").clamp(max=255)
    return _look_up(pixels, torch.where(step > 0, table, _levels(pixels)))


def invert(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """255 − pixel; `value` is not used. Equals `PIL.ImageOps.invert`."""
    return 255 - pixels


def posterize(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Keep the highest `value` bits (at least one) of every pixel. Equals `PIL.ImageOps.posterize`."""
    bits = _column(value).clamp(1, 8).to(torch.uint8)
    dropped = 8 - bits
    return (pixels >> dropped) << dropped


def solarize(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Invert the pixels that are not below `value`, 0–256. Equals `PIL.ImageOps.solarize`."""
    return torch.where(pixels < _column(value), pixels, 255 - pixels)


def solarize_add(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Add `value` to every pixel, then solarize at 128."""
    brighter = (pixels + _column(value).floor()).clamp(0, 255).to(torch.uint8)
    return solarize(brighter, torch.full_like(value, 128))


def color(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Saturation: 0 is grey, 1 the image. Equals `PIL.ImageEnhance.Color`."""
    return _blend(_grey(pixels), pixels, value)


def contrast(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Contrast about the mean grey: 0 is flat, 1 the image. Equals `PIL.ImageEnhance.Contrast`."""
    mean = (_grey(pixels).flatten(1).double().mean(1) + 0.5).floor()
    return _blend(_column(mean).float(), pixels, value)


def brightness(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Brightness: 0 is black, 1 the image. Equals `PIL.ImageEnhance.Brightness`."""
    return _blend(torch.zeros_like(pixels[:, :, :1, :1]), pixels, value)


def sharpness(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Sharpness: 0 is smoothed, 1 the image. Equals `PIL.ImageEnhance.Sharpness`."""
    centre = pixels.float()
    smooth = centre.clone()
    if min(pixels.shape[2:]) > 2:  # PIL leaves the border as it is
        window = centre.unfold(2, 3, 1).unfold(3, 3, 1).sum((4, 5))
        smooth[:, :, 1:-1, 1:-1] = ((window + 4 * centre[:, :, 1:-1, 1:-1]) / 13 + 0.5).floor()
    return _blend(smooth, pixels, value)


def rotate(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Turn by `value` degrees about the centre. Equals `PIL.Image.rotate` (nearest)."""
    angle = value.double().deg2rad()
    cos, sin = angle.cos(), angle.sin()
    x, y = pixels.shape[3] / 2, pixels.shape[2] / 2
    rows = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
    return warp(pixels, torch.stack(rows, 1), fill)


def shear_x(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Shear along x by `value` pixels a row, from the top. Equals PIL's affine transform (nearest)."""
    return warp(pixels, _matrix(value, 1), fill)


def shear_y(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Shear along y by `value` pixels a column, from the left. Equals PIL's affine transform (nearest)."""
    return warp(pixels, _matrix(value, 3), fill)


def translate_x(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Move left by `value` image widths. Equals PIL's affine transform (nearest)."""
    return warp(pixels, _matrix(value * pixels.shape[3], 2), fill)


def translate_y(pixels: Pixels, value: Value, fill: int = 0) -> Pixels:
    """Move up by `value` image heights. Equals PIL's affine transform (nearest)."""
    return warp(pixels, _matrix(value * pixels.shape[2], 5), fill)


def cutout(pixels: Pixels, box: Int64[Tensor, "n 4"], fill: int = 0) -> Pixels:
    """Paint the box (left, top, right, bottom; the last two excluded) of every image with `fill`.

    >>> cutout(torch.ones(1, 1, 1, 3, dtype=torch.uint8), torch.tensor([[1, 0, 3, 1]])).tolist()
    [[[[1, 0, 0]]]]
    """
    left, top, right, bottom = (column.view(-1, 1, 1, 1) for column in box.unbind(1))
    x = torch.arange(pixels.shape[3], device=pixels.device).view(1, 1, 1, -1)
    y = torch.arange(pixels.shape[2], device=pixels.device).view(1, 1, -1, 1)
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


def warp(pixels: Pixels, matrix: Float64[Tensor, "n 6"], fill: int = 0) -> Pixels:
    """Fill every output pixel (x, y) from the input pixel (ax + by + c, dx + ey + f), nearest.

    Fixed-point like PIL's own affine transform, so the same pixel is taken on every device.
    """
    a, b, c, d, e, f = (matrix[:, i].view(-1, 1, 1) for i in range(6))
    x = torch.arange(pixels.shape[3], device=pixels.device).view(1, 1, -1)
    y = torch.arange(pixels.shape[2], device=pixels.device).view(1, -1, 1)
    source_x = (_fixed(a) * x + _fixed(b) * y + _fixed(c + (a + b) / 2)) >> 16
    source_y = (_fixed(d) * x + _fixed(e) * y + _fixed(f + (d + e) / 2)) >> 16
    return _move(pixels, source_x, source_y, fill)


def _move(pixels: Pixels, x: Int64[Tensor, "n _ _"], y: Int64[Tensor, "n _ _"], fill: int) -> Pixels:
    """Take pixel (x, y) for every output pixel; `fill` where it lies outside."""
    n, channels, height, width = pixels.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).view(n, 1, -1).expand(-1, channels, -1)
    moved = pixels.reshape(n, channels, -1).gather(2, source).view_as(pixels)
    return moved.masked_fill(~inside.unsqueeze(1), fill)


def _fixed(value: Float64[Tensor, "n _ _"]) -> Int64[Tensor, "n _ _"]:
    return (value * 65536 + 0.5).floor().long()


def _matrix(value: Value, position: int) -> Float64[Tensor, "n 6"]:
    matrix = torch.zeros(len(value), 6, dtype=torch.float64, device=value.device)
    matrix[:, 0::4] = 1  # the identity's a and e
    matrix[:, position] = value.double()
    return matrix


def _levels(pixels: Pixels) -> Int64[Tensor, "1 1 256"]:
    return torch.arange(256, device=pixels.device).view(1, 1, -1)


def _look_up(pixels: Pixels, table: Tensor) -> Pixels:
    """Replace every pixel by its entry in its own channel's table "n c 256"."""
    return table.to(torch.uint8).gather(2, pixels.flatten(2).long()).view_as(pixels)


def _column(value: Float[Tensor, " n"]) -> Float[Tensor, "n 1 1 1"]:
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
    "invert": Operation(invert),
    "rotate": Operation(rotate, 0, 30, signed=True),
    "posterize": Operation(posterize, 0, 4),
    "solarize": Operation(solarize, 0, 256),
    "solarize_add": Operation(solarize_add, 0, 110),
    "color": Operation(color, 0.1, 1.9),
    "contrast": Operation(contrast, 0.1, 1.9),
    "brightness": Operation(brightness, 0.1, 1.9),
    "sharpness": Operation(sharpness, 0.1, 1.9),
    "shear_x": Operation(shear_x, 0, 0.3, signed=True),
    "shear_y": Operation(shear_y, 0, 0.3, signed=True),
    "translate_x": Operation(translate_x, 0, 1 / 3, signed=True),
    "translate_y": Operation(translate_y, 0, 1 / 3, signed=True),
    "cutout": Operation(cutout, 0, 0.5),
}
