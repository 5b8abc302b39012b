"""Digit scenes: small pictures composed from handwritten digits, with every pixel's class; nothing to download.

A scene is a function of its seed and number, so a set of any size takes no memory until it is looked at.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from dmtkit.data.pictures import Arrays, Colour, Mask
from dmtkit.seeds import derive

CLASSES = ("background", *"0123456789")


@dataclass(frozen=True)
class DigitScenes:
    """`count` scenes of `size`×`size` pixels: balls that bear a digit, class d + 1 for digit d, 0 for the rest.

    `difficulty`, 0 to 1, sets noise, clutter (balls that bear a scrawl instead of a digit are background),
    overlap, and how little a digit differs in colour from its ball. `pool` is the range of the 1 797
    digits that is drawn from: sets with different pools share no digit. Another `seed` gives other scenes.

    >>> scenes = DigitScenes(count=3, size=32)
    >>> scenes.image(2).shape, int(scenes.mask(2).max()) <= 10
    ((32, 32, 3), True)
    """

    count: int
    size: int = 64
    difficulty: float = 0.5
    name: str = "scene"
    pool: tuple[int, int] = (0, 1797)
    seed: int = 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """scene-0000, scene-0001, …"""
        return tuple(f"{self.name}-{i:04d}" for i in range(self.count))

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""
        return self._compose(index)[0]

    def mask(self, index: int) -> Mask:
        """The class of every pixel."""
        return self._compose(index)[1]

    def checksum(self, dates: bool = False) -> str:
        """Of the settings, which decide every pixel."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]

    def in_memory(self) -> Arrays:
        """All scenes composed, once."""
        images, masks = zip(*map(self._compose, range(self.count)), strict=True)
        return Arrays(np.stack(images), np.stack(masks), self.names)

    def _compose(self, index: int) -> tuple[Colour, Mask]:
        rng = np.random.default_rng(derive("scene", self.seed, self.name, self.size, index))
        picture, mask = _background(rng, self.size), np.zeros((self.size, self.size), np.uint8)
        digits, truths = load_digits()
        balls = [True] * rng.integers(2, 5) + [False] * rng.binomial(3, 0.7 * self.difficulty)
        for bears_digit in rng.permutation(balls):
            which = int(rng.integers(*self.pool))
            glyph = Image.fromarray(digits[which]) if bears_digit else _scrawl(rng)
            disc, ink = _place(glyph, rng, mask, self.difficulty)
            ball = rng.uniform(30, 150, 3)  # a dark colour, and a lighter one for the ink
            light = (ball + rng.uniform(0.7, 1, 3) * (150 - 90 * self.difficulty)).clip(0, 255)
            picture += disc[..., None] * (ball - picture)
            picture += (disc * ink)[..., None] * (light - picture)
            mask[disc > 0.5] = truths[which] + 1 if bears_digit else 0
        picture += rng.normal(0, 5 + 25 * self.difficulty, picture.shape)
        return picture.clip(0, 255).round().astype(np.uint8), mask


@lru_cache(maxsize=1)
def load_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], UInt8[np.ndarray, " n"]]:
    """scikit-learn's 1 797 digits and which they are."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    return (bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target.astype(np.uint8)


def _background(rng: np.random.Generator, size: int) -> Float[np.ndarray, "h w 3"]:
    """A smooth field of a few colours."""
    coarse = rng.uniform(60, 195, (1, 1, 3)) + rng.uniform(-45, 45, (4, 4, 3))
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float64)


def _place(
    glyph: Image.Image, rng: np.random.Generator, mask: Mask, hard: float
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Where a ball covers the picture and where its glyph has ink, 0–1: at the least crowded of a few places.

    The harder, the fewer places are tried, and the more balls overlap.
    """
    size = len(mask)
    side = int(rng.uniform(0.38, 0.48) * size)
    turned = glyph.resize((round(0.8 * side),) * 2, Image.Resampling.BICUBIC)
    turned = turned.rotate(float(rng.uniform(-1, 1) * 25 * hard), Image.Resampling.BILINEAR)
    places = rng.integers(0, size - side + 1, (1 + round(7 * (1 - hard)), 2))
    y, x = min(places, key=lambda p: int((mask[p[0] : p[0] + side, p[1] : p[1] + side] > 0).sum()))
    rows, columns = np.ogrid[:size, :size]
    centre, edge = (side - 1) / 2, round(0.1 * side)
    disc = (side / 2 - np.hypot(rows - y - centre, columns - x - centre)).clip(0, 1)
    ink = np.zeros((size, size))
    high, wide = y + edge + turned.height, x + edge + turned.width
    ink[y + edge : high, x + edge : wide] = np.asarray(turned)[: size - y - edge, : size - x - edge] / 255
    return disc, ink


def _scrawl(rng: np.random.Generator) -> Image.Image:
    """Strokes on a grid of 8×8 that are no digit."""
    canvas = Image.new("L", (32, 32))
    points = [tuple(p) for p in rng.uniform(4, 28, (4, 2))]
    ImageDraw.Draw(canvas).line(points, fill=255, width=5, joint="curve")
    return canvas.resize((8, 8), Image.Resampling.BOX)
