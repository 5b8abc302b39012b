"""What a crop shows: an image with its label, confidence and truth at a random scale, place and flip, and in other colours.

Only the part of the image that the crop shows is read and resized. Images are resized bilinearly (by PIL,
which averages where it shrinks); labels, confidences and truths take the nearest pixel, all the same one (method.md §6).
Strong views change colours too; their geometry is drawn once for all views of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped, UInt8
from PIL import Image
from torch import Tensor

import dmtkit.compat  # noqa: F401  before torchvision

# UniMatch's (Yang et al., 2023, arXiv 2208.09910); with it grey in a fifth of the images, blur in half of them.
JITTER = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.25}


@dataclass(frozen=True)
class View:
    """Where a crop lies: the image is scaled to `height`×`width`, the crop starts at `top`, `left` in it.

    A negative start, or a crop that reaches beyond the end, shows what is outside the image.
    """

    height: int
    width: int
    top: int
    left: int
    flip: bool
    crop: tuple[int, int]


def draw_view(
    size: tuple[int, int], crop: tuple[int, int], scale: tuple[float, float], flip: bool, rng: np.random.Generator
) -> View:
    """Draw a scale, a place for the crop within the scaled image (or the image within the crop), and a flip.

    >>> view = draw_view((10, 20), (8, 8), (1.0, 1.0), False, np.random.default_rng(0))
    >>> (view.height, view.width), 0 <= view.top <= 2, 0 <= view.left <= 12
    ((10, 20), True, True)
    """
    factor = rng.uniform(*scale)
    height, width = (max(1, round(side * factor)) for side in size)
    room = height - crop[0], width - crop[1]
    top, left = (int(rng.integers(min(0, r), max(0, r) + 1)) for r in room)
    return View(height, width, top, left, bool(rng.integers(2)) and flip, crop)


def show(
    image: UInt8[np.ndarray, "h w 3"],
    view: View,
    fill: tuple[int, int, int],
    nearest: Sequence[tuple[Shaped[np.ndarray, "h w"], int]] = (),
) -> tuple[UInt8[np.ndarray, "i j 3"], list[Shaped[np.ndarray, "i j"]]]:
    """The view of an image, and of each map of `nearest`, given with its value outside the image.

    >>> image = np.full((4, 4, 3), 7, np.uint8)
    >>> seen, (label,) = show(image, View(4, 4, -1, 0, False, (5, 4)), (0, 0, 0), [(np.ones((4, 4), np.uint8), 255)])
    >>> seen[:, 0, 0].tolist(), label[:, 0].tolist()
    ([0, 7, 7, 7, 7], [255, 1, 1, 1, 1])
    """
    h, w = image.shape[:2]
    rows, y0, y1 = _inside(view.top, view.crop[0], view.height)
    columns, x0, x1 = _inside(view.left, view.crop[1], view.width)
    seen, fy, fx = np.full((*view.crop, 3), fill, np.uint8), h / view.height, w / view.width
    box = (x0 * fx, y0 * fy, min(x1 * fx, w), min(y1 * fy, h))
    part = Image.fromarray(image).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=box)
    seen[rows, columns] = np.asarray(part)
    y, x = _nearest(y0, y1, h, view.height), _nearest(x0, x1, w, view.width)
    maps = []
    for values, outside in nearest:
        canvas = np.full(view.crop, outside, values.dtype)
        canvas[rows, columns] = values[y[0] : y[-1] + 1][y - y[0]][:, x]  # a mapped file is read row by row
        maps.append(canvas)
    if view.flip:
        seen, maps = seen[:, ::-1], [values[:, ::-1] for values in maps]
    return seen, maps


def _inside(start: int, length: int, size: int) -> tuple[slice, int, int]:
    """Where in the crop the image is, and which part of the scaled image that is."""
    first, last = max(0, start), min(size, start + length)
    return slice(first - start, last - start), first, last


def _nearest(start: int, end: int, size: int, scaled: int) -> Int64[np.ndarray, " m"]:
    """The source row (or column) below the middle of each row of the scaled image: in whole numbers, so exact."""
    return (2 * np.arange(start, end) + 1) * size // (2 * scaled)


@dataclass(frozen=True)
class Colour:
    """One draw: `jitter` in the order in which it is applied, whether the image turns grey, and σ of the blur (0: none)."""

    jitter: tuple[tuple[str, float], ...]
    grey: bool
    sigma: float


def draw_colour(rng: np.random.Generator) -> Colour:
    """Draw what happens to an image's colours; always as many random numbers.

    >>> draw_colour(np.random.default_rng(3)).grey
    True
    """
    factors = {name: rng.uniform(-range_, range_) + (name != "hue") for name, range_ in JITTER.items()}
    order = rng.permutation(list(JITTER))
    jitters, greys, blurs, sigma = rng.random() < 0.8, rng.random() < 0.2, rng.random() < 0.5, rng.uniform(0.1, 2)
    jitter = tuple((str(name), float(factors[name])) for name in order) if jitters else ()
    return Colour(jitter, bool(greys), float(sigma) if blurs else 0.0)


def paint(image: UInt8[Tensor, "3 h w"], colour: Colour) -> UInt8[Tensor, "3 h w"]:
    """The image in other colours, by torchvision's operations.

    >>> red = Tensor([90, 0, 0]).byte().view(3, 1, 1)
    >>> paint(red, Colour((), True, 0.0)).flatten().tolist()
    [26, 26, 26]
    """
    from torchvision.transforms.v2 import functional as F

    for name, factor in colour.jitter:
        image = getattr(F, f"adjust_{name}")(image, factor)
    if colour.grey:
        image = F.rgb_to_grayscale(image, num_output_channels=3)
    if colour.sigma:
        whole, (height, width) = 2 * round(2 * colour.sigma) + 3, image.shape[1:]
        kernel = [min(whole, 2 * side - 1) for side in (width, height)]  # what is reflected must be there
        image = F.gaussian_blur(image, kernel, [colour.sigma, colour.sigma])
    return image
