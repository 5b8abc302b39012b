"""Passes over whole images without augmentation: labels of U written to disk, models tested, weights explained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit import distributed
from dmtkit.class_balance import class_thresholds, normalized
from dmtkit.data.crops import image_groups
from dmtkit.data.joint import pad_to
from dmtkit.data.pictures import VOID, Part
from dmtkit.errors import DataError
from dmtkit.label_store import Kept, Writer, write_labels
from dmtkit.losses.dynamic import DynamicWeights
from dmtkit.models.deeplab import enlarge
from dmtkit.pixels import confusion_matrix
from dmtkit.pseudo import LEVELS, read_logits
from dmtkit.sums import Sums


@dataclass(frozen=True)
class Images:
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

    def without_pixels(self) -> "Images":
        """The same places and sizes, without the memory."""
        return replace(self, pixels=self.pixels[:, :0].clone())

    def stack(self, maps: list[np.ndarray], outside: int) -> Tensor:
        """A map of every image, padded alike, on the device."""
        canvas = np.full((len(maps), *self.padded), outside, maps[0].dtype)
        for row, values in enumerate(maps):
            canvas[row, : values.shape[0], : values.shape[1]] = values
        return torch.from_numpy(canvas).to(self.pixels.device)

    def crop(self, values: Tensor) -> Iterator[np.ndarray]:
        """Each image's own part of a batch "n h w", on the host."""
        for row, (height, width) in zip(values.cpu().numpy(), self.sizes, strict=True):
            yield row[:height, :width]


@dataclass(frozen=True)
class Reader:
    """How whole images are read: on which device, how many at once, padded to what, in which precision."""

    device: torch.device
    fill: tuple[int, int, int]
    batch: int = 8
    eval_size: tuple[int, int] | None = None
    threads: int = 2
    autocast: Callable[[], Any] = field(default=lambda: torch.autocast("cpu", enabled=False))

    def __call__(self, part: Part, sizes: np.ndarray) -> Iterator[Images]:
        """All images of a part in order; the next ones are read while the last are used.

        Of several processes each reads some of the groups, which are the same as one process alone would form.
        """
        least = self.eval_size or (0, 0)
        groups = list(image_groups(sizes, self.batch, lambda h, w: (max(h, least[0]), max(w, least[1]))))
        mine = distributed.share_of(len(groups))
        groups = groups[mine.start : mine.stop]
        with ThreadPoolExecutor(self.threads) as pool:
            coming = [pool.submit(self._read, part, *group) for group in groups[: self.threads]]
            for number in range(len(groups)):
                ready = coming.pop(0).result()
                if number + self.threads < len(groups):
                    coming.append(pool.submit(self._read, part, *groups[number + self.threads]))
                yield Images(ready[0], ready[1].to(self.device).float(), ready[2])

    def _read(
        self, part: Part, positions: Sequence[int], size: tuple[int, int]
    ) -> tuple[Sequence[int], Tensor, list[tuple[int, int]]]:
        images = [read_image(part, position) for position in positions]
        pixels = np.stack([pad_to(image, size, self.fill) for image in images])
        own = [(image.shape[0], image.shape[1]) for image in images]
        return positions, torch.from_numpy(pixels).permute(0, 3, 1, 2), own


Observe = Callable[[Images, Tensor], None]


@torch.inference_mode()
def label_images(
    model: nn.Module,
    part: Part,
    sizes: np.ndarray,
    reader: Reader,
    folder: Path,
    owner: str,
    classes: int,
    normalized_ratio: float | None = None,
    observe: Observe | None = None,
) -> None:
    """Label every image of a part at its own size, by one forward pass, into a store (method.md §5.2).

    With `normalized_ratio` the labels follow CBST's own rule for that share: it needs the thresholds of all
    images first, so the network's coarse logits are kept meanwhile (about a byte a pixel) and only enlarged
    again. `observe` sees the logits of every batch.
    """
    model.eval()
    counts = torch.zeros(classes * LEVELS, dtype=torch.int64, device=reader.device)
    names = [part.name(position) for position in range(len(part))]
    with write_labels(folder, owner, names, sizes) as writer:
        place = folder / f"coarse-{distributed.rank()}.partial"
        keep = place.open("w+b") if normalized_ratio is not None else None
        seen: list[tuple[Images, tuple[int, ...]]] = []
        for images in reader(part, sizes):
            with reader.autocast():
                coarse = getattr(model, "coarse", model)(images.pixels)
            coarse = coarse.float()
            logits = enlarge(coarse, images.padded)
            label, level, _ = read_logits(logits)
            _count(counts, images, label, level)
            if keep is None:
                _write(writer, images, label, level)
            else:
                keep.write(np.ascontiguousarray(coarse.cpu().numpy()).data)
                seen.append((images.without_pixels(), tuple(coarse.shape)))
            if observe is not None:
                observe(images, logits)
        histogram = distributed.total(counts).view(classes, LEVELS).cpu()
        writer.histogram = histogram.numpy().copy()  # on the CPU it may be `counts`, which is used again below
        if keep is not None and normalized_ratio is not None:
            found = class_thresholds(torch.from_numpy(writer.histogram), normalized_ratio)
            counts.zero_()
            keep.seek(0)
            for images, shape in seen:
                stored = np.frombuffer(keep.read(4 * int(np.prod(shape))), np.float32).reshape(shape)
                again = enlarge(torch.from_numpy(stored.copy()).to(reader.device), images.padded).softmax(1)
                label, level = normalized(again, found)
                _count(counts, images, label, level)
                _write(writer, images, label, level)
            writer.predicted = distributed.total(counts).view(classes, LEVELS).sum(1).cpu().numpy()
            keep.close()
            place.unlink()


def read_image(part: Part, position: int) -> np.ndarray:
    """An image of a part; DataError names it if it can no longer be read."""
    try:
        return part.image(position)
    except OSError as error:
        raise DataError(f"{part.name(position)}: cannot be read any more ({error}); was the data moved?") from error


def _count(counts: Tensor, images: Images, label: Tensor, level: Tensor) -> None:
    """Add a batch to the histogram of every class's levels, on its device; padding counts nothing."""
    index, inside = (label.long() * LEVELS + level).ravel(), images.inside
    one = torch.ones(1, dtype=torch.int64, device=index.device).expand(len(index))
    counts.scatter_add_(0, index, one if inside is None else inside.ravel().long())


def _write(writer: Writer, images: Images, label: Tensor, level: Tensor) -> None:
    """Put a batch into the store."""
    pairs = zip(images.positions, images.crop(label), images.crop(level.to(torch.uint16)), strict=True)
    for position, own, confidence in pairs:
        writer.add(position, own, confidence)


@dataclass(frozen=True)
class Explanation:
    """What a student says of the labels it was given, for one batch: weights and why, the labels, and the truth."""

    images: Images
    found: DynamicWeights
    given: Tensor
    confidence: Tensor
    truth: Tensor


def explain_batch(
    images: Images, logits: Tensor, part: Part, kept: Kept, weigh: Callable[..., DynamicWeights], truth: bool
) -> Explanation:
    """Weigh the kept labels of a batch of whole images by what the student says of them; `weigh` as a method does."""
    pairs = [kept.kept(position) for position in images.positions]
    given = images.stack([label for label, _ in pairs], VOID)
    level = images.stack([level.astype(np.int32) for _, level in pairs], 0)
    masks = [part.mask(position) if truth else np.full(size, VOID, np.uint8)
             for position, size in zip(images.positions, images.sizes, strict=True)]  # fmt: skip
    prediction, own, p = read_logits(logits, given)
    assert p is not None
    c_a, c_b, p_b = (values.float() / (LEVELS - 1) for values in (level, own, p))
    return Explanation(images, weigh(given, c_a, prediction, c_b, p_b), given, c_a, images.stack(masks, VOID))


@torch.inference_mode()
def look(model: nn.Module, part: Part, sizes: np.ndarray, reader: Reader, observe: Observe) -> None:
    """Show `observe` the logits of every image of a part, of several processes each its share."""
    model.eval()
    for images in reader(part, sizes):
        with reader.autocast():
            logits = model(images.pixels)
        observe(images, logits.float())


@torch.inference_mode()
def confusion_matrices(
    models: Mapping[str, nn.Module], part: Part, sizes: np.ndarray, reader: Reader, classes: int
) -> dict[str, np.ndarray]:
    """The confusion matrix of every model and, where there are two, of the mean of their softmax (`A+B`)."""
    names = [*models, *(["+".join(models)] if len(models) > 1 else [])]
    sums = Sums(**{name: torch.zeros(classes, classes, dtype=torch.int64) for name in names})
    for model in models.values():
        model.eval()
    for images in reader(part, sizes):
        with reader.autocast():
            logits = {name: model(images.pixels).float() for name, model in models.items()}
        truth = images.stack([part.mask(position) for position in images.positions], VOID)
        if len(models) > 1:
            logits["+".join(models)] = sum(values.softmax(1) for values in logits.values())  # type: ignore[assignment]
        sums.add(**{name: confusion_matrix(values.argmax(1), truth, classes).cpu() for name, values in logits.items()})
    return {name: confusion.numpy() for name, confusion in sums.read().items()}
