"""The colour half of a strong view of pixels: jitter, grey, blur; geometry is drawn once for all views of an image.

As UniMatch has it (Yang et al., 2023, arXiv 2208.09910): jitter (brightness, contrast, saturation ½, hue ¼) with probability 0.8, grey 0.2, blur with
σ from 0.1 to 2 in half of the images.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8

import dmtkit.compat  # noqa: F401  before torchvision

JITTER = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.25}


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


def paint(image: UInt8[np.ndarray, "h w 3"], colour: Colour) -> UInt8[np.ndarray, "h w 3"]:
    """The image in other colours, by torchvision's operations.

    >>> grey = paint(np.full((4, 4, 3), (90, 0, 0), np.uint8), Colour((), True, 0.0))
    >>> grey[0, 0].tolist()
    [26, 26, 26]
    """
    from torchvision.transforms.v2 import functional as F

    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    for name, factor in colour.jitter:
        pixels = getattr(F, f"adjust_{name}")(pixels, factor)
    if colour.grey:
        pixels = F.rgb_to_grayscale(pixels, num_output_channels=3)
    if colour.sigma:
        width = 2 * round(2 * colour.sigma) + 3
        pixels = F.gaussian_blur(pixels, [width, width], [colour.sigma, colour.sigma])
    return pixels.permute(1, 2, 0).numpy()
