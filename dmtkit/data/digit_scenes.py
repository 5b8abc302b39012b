"""Digit scenes: small pictures composed from handwritten digits, with every pixel's class; nothing to download.

A scene is a function of its seed and number, so a set of any size takes no memory until it is looked at.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from dmtkit.data.pictures import Arrays, Colour, Mask
from dmtkit.seeds import derive

CLASSES = ("background", *"0123456789")
INK = 0.45  # how much of a pixel must be ink for the pixel to belong to the digit


@dataclass(frozen=True)
class DigitScenes:
    """`count` scenes of `size`×`size` pixels with 2 to 5 digits each, class d + 1 for digit d, 0 for background.

    `difficulty`, 0 to 1, sets noise, clutter (strokes that are no digit), overlap and how little the ink
    differs from what lies behind it. Scenes of different `first` never share a digit image:
    `pool` (from, to) is the range of the 1 797 digits that is drawn from.

    >>> scenes = DigitScenes(count=3, size=32)
    >>> scenes.image(2).shape, int(scenes.mask(2).max()) <= 10
    ((32, 32, 3), True)
    """

    count: int
    size: int = 64
    difficulty: float = 0.5
    name: str = "scene"
    pool: tuple[int, int] = (0, 1797)

    @property
    def names(self) -> tuple[str, ...]:
        """scene-0000, scene-0001, …"""
        return tuple(f"{self.name}-{i:04d}" for i in range(self.count))

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""
        return self._compose(index)[0]

    def mask(self, index: int) -> Mask:
        """The class of every pixel."""
        return self._compose(index)[1]

    def checksum(self) -> str:
        """Of the settings, which decide every pixel."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]

    def in_memory(self) -> Arrays:
        """All scenes composed, once."""
        pairs = [self._compose(index) for index in range(self.count)]
        return Arrays(np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs]), self.names)

    def _compose(self, index: int) -> tuple[Colour, Mask]:
        rng = np.random.default_rng(derive("scene", self.name, self.size, index))
        hard, size = self.difficulty, self.size
        picture, mask = _background(rng, size, hard), np.zeros((size, size), np.uint8)
        for _ in range(rng.binomial(6, hard)):
            _paint(picture, None, _stroke(rng, size), rng, hard, 0)
        digits, truths = _digits()
        for _ in range(rng.integers(2, 6)):
            which = int(rng.integers(*self.pool))
            ink = _place(digits[which], rng, size, mask, hard)
            _paint(picture, mask, ink, rng, hard, int(truths[which]) + 1)
        picture += rng.normal(0, 6 + 26 * hard, picture.shape)
        return picture.clip(0, 255).round().astype(np.uint8), mask


@lru_cache(maxsize=1)
def _digits() -> tuple[UInt8[np.ndarray, "n 8 8"], UInt8[np.ndarray, " n"]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target.astype(np.uint8)


def _background(rng: np.random.Generator, size: int, hard: float) -> Float[np.ndarray, "h w 3"]:
    """A smooth field of two or three colours."""
    coarse = rng.uniform(70, 185, (1, 1, 3)) + rng.uniform(-1, 1, (4, 4, 3)) * (15 + 45 * hard)
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float64)


def _place(
    digit: UInt8[np.ndarray, "8 8"], rng: np.random.Generator, size: int, mask: Mask, hard: float
) -> Float[np.ndarray, "h w"]:
    """The digit's ink, 0–1, enlarged and turned, at the least crowded of a few places: fewer tries, more overlap."""
    side = int(rng.uniform(0.28, 0.42) * size)
    angle = float(rng.uniform(-1, 1) * (6 + 16 * hard))
    glyph = (
        Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC).rotate(angle, Image.Resampling.BILINEAR)
    )
    places = rng.integers(0, size - side + 1, (1 + round(5 * (1 - hard)), 2))
    y, x = min(places, key=lambda p: int((mask[p[0] : p[0] + side, p[1] : p[1] + side] > 0).sum()))
    ink = np.zeros((size, size))
    ink[y : y + side, x : x + side] = np.asarray(glyph) / 255
    return ink


def _stroke(rng: np.random.Generator, size: int) -> Float[np.ndarray, "h w"]:
    """A straight or bent stroke, as thick as a digit's."""
    canvas = Image.new("L", (size, size))
    points = rng.uniform(-0.1, 1.1, 2) * size + np.cumsum(rng.normal(0, 0.16 * size, (3, 2)), 0)
    ImageDraw.Draw(canvas).line([tuple(p) for p in points], fill=255, width=max(1, size // 22), joint="curve")
    return np.asarray(canvas) / 255


def _paint(
    picture: Float[np.ndarray, "h w 3"], mask: Mask | None, ink: Float[np.ndarray, "h w"],
    rng: np.random.Generator, hard: float, label: int,
) -> None:  # fmt: skip
    """Lay ink of a random colour over the picture, and its class over the mask."""
    sign = rng.choice([-1, 1])
    colour = picture.mean((0, 1)) + sign * rng.uniform(0.5, 1, 3) * (150 - 75 * hard)
    picture += ink[..., None] * (colour.clip(0, 255) - picture)
    if mask is not None:
        mask[ink > INK] = label
