"""Images with pixel-level masks, read one at a time: the set may be larger than memory, sizes may vary."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dmtkit.data.reader import opened, read_image

VOID = 255  # a pixel that has no label, or whose label counts nowhere
Colour = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]


@runtime_checkable
class Pictures(Protocol):
    """A set of images and masks by position; `mask` is 255 everywhere where nobody labeled the image."""

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names, in order."""

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""

    def mask(self, index: int) -> Mask:
        """The class of every pixel, 255 for void."""

    def checksum(self, dates: bool = False) -> str:
        """What tells this set from another of the same names; with `dates`, also from a changed copy of itself."""


@dataclass(frozen=True)
class Part:
    """Some images of a set, in an order of their own.

    >>> part = Part(Arrays(np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 4, 4), np.uint8), ("a", "b")), (1,))
    >>> len(part), part.names, part.image(0).shape
    (1, ('b',), (4, 4, 3))
    """

    pictures: Pictures
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of these images."""
        names = self.pictures.names
        return tuple(names[i] for i in self.indices)

    def image(self, position: int) -> Colour:
        """The image at this position of the part."""
        return self.pictures.image(self.indices[position])

    def mask(self, position: int) -> Mask:
        """The mask at this position of the part."""
        return self.pictures.mask(self.indices[position])

    def select(self, positions: Sequence[int]) -> "Part":
        """The images at `positions` of this part."""
        return Part(self.pictures, tuple(self.indices[i] for i in positions))


@dataclass(frozen=True)
class Arrays:
    """Images of one size that lie in memory."""

    images: UInt8[np.ndarray, "n h w 3"]
    masks: UInt8[np.ndarray, "n h w"]
    names: tuple[str, ...]

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""
        return self.images[index]

    def mask(self, index: int) -> Mask:
        """The class of every pixel, 255 for void."""
        return self.masks[index]

    def checksum(self, dates: bool = False) -> str:
        """Of all pixels and masks."""
        digest = hashlib.sha256(self.images.tobytes())
        digest.update(self.masks.tobytes())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Joined:
    """Sets as one, each after the one before."""

    sets: tuple[Pictures, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all."""
        return tuple(name for pictures in self.sets for name in pictures.names)

    @cached_property
    def _places(self) -> list[tuple[Pictures, int]]:
        return [(pictures, index) for pictures in self.sets for index in range(len(pictures.names))]

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""
        pictures, place = self._places[index]
        return pictures.image(place)

    def mask(self, index: int) -> Mask:
        """The class of every pixel, 255 for void."""
        pictures, place = self._places[index]
        return pictures.mask(place)

    def checksum(self, dates: bool = False) -> str:
        """Of all."""
        return "-".join(pictures.checksum(dates) for pictures in self.sets)


@dataclass(frozen=True)
class Files:
    """Images and masks in files; `None` for the mask of an image that nobody labeled.

    `resize` (height, width) is how they are read: images bilinear, masks nearest. `table` maps the
    numbers in the mask files to classes.
    """

    names: tuple[str, ...]
    images: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    resize: tuple[int, int] | None = None
    table: UInt8[np.ndarray, " 256"] | None = None

    def image(self, index: int) -> Colour:
        """The image, red, green and blue."""
        picture = read_image(self.images[index], colour=True)
        return np.asarray(picture.resize(self.resize[::-1], Image.Resampling.BILINEAR) if self.resize else picture)

    def mask(self, index: int) -> Mask:
        """The class of every pixel, 255 for void."""
        path = self.masks[index]
        if path is None:
            return np.full(self.resize or self.image(index).shape[:2], VOID, np.uint8)
        mask = self.resized(read_mask(path))
        return mask if self.table is None else self.table[mask]

    def resized(self, mask: Mask) -> Mask:
        """A mask of the size that is read."""
        if not self.resize:
            return mask
        return np.asarray(Image.fromarray(mask).resize(self.resize[::-1], Image.Resampling.NEAREST))

    def checksum(self, dates: bool = False) -> str:
        """Of names and sizes (and dates) of all files: reading them all would take minutes."""
        digest = hashlib.sha256(repr((self.names, self.resize)).encode())
        for path in filter(None, (*self.images, *self.masks)):
            state = path.stat()
            digest.update(repr((path.name, state.st_size, state.st_mtime_ns if dates else 0)).encode())
        return digest.hexdigest()[:32]


def read_mask(path: Path) -> Mask:
    """A mask file as class numbers: a palette or grey PNG, or SBD's .mat; ValueError says what else it is."""
    if path.suffix == ".mat":
        from scipy.io import loadmat

        return np.ascontiguousarray(loadmat(str(path))["GTcls"][0]["Segmentation"][0].astype(np.uint8))
    with opened(path) as file:
        if file.format == "JPEG":
            raise ValueError("is a JPEG, whose losses change class numbers; store masks as PNG")
        if file.mode not in ("P", "L"):
            raise ValueError(f"has {file.mode} pixels, expected a palette or grey image that holds class numbers")
        return np.asarray(file)
