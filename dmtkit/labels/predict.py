"""One pass of a teacher over un-augmented images: the label and the confidence of every image, or of every pixel into a store."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer, UInt8, UInt16
from torch import Tensor, nn

from dmtkit import distributed
from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Observe, Reader, WholeImages
from dmtkit.labels.keep import class_thresholds, normalized
from dmtkit.labels.store import Writer, write_labels
from dmtkit.losses.levels import LEVELS, quantise
from dmtkit.losses.softmax import read_softmax
from dmtkit.models.deeplab import enlarge


@dataclass(frozen=True)
class Predictions:
    """What one forward pass says of every element: class, confidence level, level of a given class."""

    label: UInt8[np.ndarray, "n *s"]
    level: UInt16[np.ndarray, "n *s"]
    level_of_given: UInt16[np.ndarray, "n *s"] | None = None


@torch.inference_mode()
def predict(
    model: Callable[[Tensor], Tensor], batches: Iterable[Tensor], given: UInt8[np.ndarray, "n *s"] | None = None
) -> Predictions:
    """One forward pass over un-augmented images: argmax and max of the softmax, as classes and levels.

    With `given` (y_A) also the probability of that class (p_B), so that one pass serves the labels of
    the next phase and the explanation of this one.

    >>> found = predict(lambda x: x, [torch.tensor([[0.0, 100.0]]), torch.tensor([[0.0, 0.0]])])
    >>> found.label.tolist(), found.level.tolist()
    ([1, 0], [65535, 32768])
    """
    found, start = [], 0
    for images in batches:
        end = start + len(images)
        found.append(read_logits(model(images), None if given is None else torch.from_numpy(given[start:end])))
        start = end
    label, level, level_of_given = (
        np.concatenate([values.cpu().numpy() for values in part if values is not None])
        if part[0] is not None
        else np.empty(0)
        for part in zip(*found, strict=True)
    )
    of_given = None if given is None else level_of_given.astype(np.uint16)
    return Predictions(label, level.astype(np.uint16), of_given)


def predict_shared(
    model: Callable[[Tensor], Tensor],
    batches: Callable[[int, int], Iterable[Tensor]],
    count: int,
    size: int,
    given: UInt8[np.ndarray, "n *s"] | None = None,
) -> Predictions:
    """`predict` over `count` images, of several processes each its part of them; `batches` gives those of a range.

    The batches, of `size` images, are those that one process alone would form.
    """
    mine = distributed.share_of(math.ceil(count / size))
    start, end = mine.start * size, min(mine.stop * size, count)
    own = predict(model, batches(start, end), None if given is None else given[start:end]) if mine else None
    return join([part for part in distributed.gather(own) if part is not None])


def join(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of consecutive parts as those of the whole.

    >>> join([Predictions(np.array([i], np.uint8), np.array([7], np.uint16)) for i in (1, 2)]).label.tolist()
    [1, 2]
    """
    if len(parts) == 1:
        return parts[0]
    given = [part.level_of_given for part in parts if part.level_of_given is not None]
    label, level = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "level"))
    return Predictions(label, level, np.concatenate(given) if given else None)


def read_logits(
    logits: Float[Tensor, "n k *s"], given: Integer[Tensor, "n *s"] | None = None
) -> tuple[UInt8[Tensor, "n *s"], Int64[Tensor, "n *s"], Int64[Tensor, "n *s"] | None]:
    """Class, confidence level, and the level of the class `given` (0 where that is no class), of every element."""
    found = read_softmax(logits)
    label, level = found.prediction.to(torch.uint8), quantise(found.confidence)
    if given is None:
        return label, level, None
    given = given.to(logits.device)
    known = given < logits.shape[1]
    return label, level, quantise(found.of(given * known)) * known


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
        seen: list[tuple[WholeImages, tuple[int, ...]]] = []
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


def _count(counts: Tensor, images: WholeImages, label: Tensor, level: Tensor) -> None:
    """Add a batch to the histogram of every class's levels, on its device; padding counts nothing."""
    index, inside = (label.long() * LEVELS + level).ravel(), images.inside
    one = torch.ones(1, dtype=torch.int64, device=index.device).expand(len(index))
    counts.scatter_add_(0, index, one if inside is None else inside.ravel().long())


def _write(writer: Writer, images: WholeImages, label: Tensor, level: Tensor) -> None:
    """Put a batch into the store."""
    pairs = zip(images.positions, images.crop(label), images.crop(level.to(torch.uint16)), strict=True)
    for position, own, confidence in pairs:
        writer.add(position, own, confidence)
