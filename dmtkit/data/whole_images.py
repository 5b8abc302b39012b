"""Whole images in batches, padded to one size, read ahead: for testing, labeling and looking, without augmentation."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from dmtkit import distributed
from dmtkit.data.pictures import Part
from dmtkit.errors import DataError


@dataclass(frozen=True)
class WholeImages:
    """Consecutive images of a part, padded to one size, on the device; `sizes` are their own."""

    positions: Sequence[int]
    pixels: Tensor
    sizes: list[tuple[int, int]]

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width with padding."""
        return self.pixels.shape[2], self.pixels.shape[3]

    @property
    def inside(self) -> Tensor | None:
        """Which pixels are the images' own, "n h w"; None where nothing is padding."""
        if all(size == self.padded for size in self.sizes):
            return None
        device = self.pixels.device
        rows, columns = (torch.arange(side, device=device) for side in self.padded)
        heights, widths = torch.tensor(self.sizes, device=device).T
        return (rows < heights[:, None])[:, :, None] & (columns < widths[:, None])[:, None, :]

    def stack(self, maps: Sequence[np.ndarray], outside: int) -> Tensor:
        """A map of every image, padded alike, on the device."""
        return torch.from_numpy(pad(maps, self.padded, outside)).to(self.pixels.device)

    def crop(self, values: Tensor) -> Iterator[np.ndarray]:
        """Each image's own part of a batch "n h w", on the host."""
        for row, (height, width) in zip(values.cpu().numpy(), self.sizes, strict=True):
            yield row[:height, :width]


@dataclass(frozen=True)
class Reader:
    """All images of a part, of these `sizes`, in order: on which device, how many at once, padded to what, in which precision.

    The next ones are read while the last are used. Of several processes each reads some of the groups, which are the same as
    one process alone would form.
    """

    part: Part
    sizes: np.ndarray
    device: torch.device
    fill: tuple[int, int, int]
    batch: int = 8
    eval_size: tuple[int, int] | None = None
    threads: int = 2
    autocast: Callable[[], Any] = nullcontext

    def __iter__(self) -> Iterator[WholeImages]:
        groups = list(image_groups(self.sizes, self.batch, self.eval_size or (0, 0)))
        mine = distributed.share_of(len(groups))
        waiting = iter(groups[mine.start : mine.stop])
        with ThreadPoolExecutor(self.threads) as pool:
            coming = [pool.submit(self._read, *group) for group in islice(waiting, self.threads)]
            while coming:
                images = coming.pop(0).result()
                coming += [pool.submit(self._read, *group) for group in islice(waiting, 1)]
                yield replace(images, pixels=images.pixels.to(self.device).float())

    def _read(self, positions: Sequence[int], size: tuple[int, int]) -> WholeImages:
        """Some images, on the host; DataError names one that can no longer be read."""
        images = []
        for position in positions:
            try:
                images.append(self.part.image(position))
            except OSError as error:
                name = self.part.names[position]
                raise DataError(f"{name}: cannot be read any more ({error}); was the data moved?") from error
        pixels = torch.from_numpy(pad(images, size, self.fill)).permute(0, 3, 1, 2)
        return WholeImages(positions, pixels, [(image.shape[0], image.shape[1]) for image in images])


def pad(
    images: Sequence[np.ndarray], size: tuple[int, int], outside: int | tuple[int, int, int]
) -> Shaped[np.ndarray, "n h w *c"]:
    """Images, or maps, each in the top left corner of a canvas of `size`."""
    canvas = np.full((len(images), *size, *images[0].shape[2:]), outside, images[0].dtype)
    for row, image in enumerate(images):
        canvas[row, : image.shape[0], : image.shape[1]] = image
    return canvas


def image_groups(sizes: np.ndarray, batch: int, least: tuple[int, int]) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Consecutive positions, at most `batch`, of images of these `sizes` that are padded to one size; and that size.

    >>> list(image_groups(np.array([[4, 4], [5, 3], [7, 7]]), 8, least=(5, 5)))
    [([0, 1], (5, 5)), ([2], (7, 7))]
    """
    padded = [tuple(size) for size in np.maximum(sizes, least).tolist()]
    for size, group in groupby(range(len(padded)), padded.__getitem__):
        positions = list(group)
        for start in range(0, len(positions), batch):
            yield positions[start : start + batch], size


Observe = Callable[[WholeImages, Tensor], None]


@torch.inference_mode()
def look(model: nn.Module, reader: Reader, observe: Observe) -> None:
    """Show `observe` the logits of every image, of several processes each its share."""
    model.eval()
    for images in reader:
        with reader.autocast():
            logits = model(images.pixels)
        observe(images, logits.float())
