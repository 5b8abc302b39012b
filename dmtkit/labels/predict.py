"""One pass of a teacher over un-augmented images: the label and the confidence of every image, or of every pixel into a store."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer, UInt8, UInt16
from torch import Tensor, nn

from dmtkit import distributed
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

    >>> said = predict(lambda x: x, [torch.tensor([[0.0, 100.0]]), torch.tensor([[0.0, 0.0]])])
    >>> said.label.tolist(), said.level.tolist()
    ([1, 0], [65535, 32768])
    """
    parts, start = [], 0
    for images in batches:
        of = None if given is None else torch.from_numpy(given[start : start + len(images)])
        label, level, level_of_given = read_logits(model(images), of)
        p = None if level_of_given is None else level_of_given.cpu().numpy().astype(np.uint16)
        parts.append(Predictions(label.cpu().numpy(), level.cpu().numpy().astype(np.uint16), p))
        start += len(images)
    return join(parts)


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
    label, level = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "level"))
    given = [part.level_of_given for part in parts if part.level_of_given is not None]
    return Predictions(label, level, np.concatenate(given) if given else None)


def read_logits(
    logits: Float[Tensor, "n k *s"], given: Integer[Tensor, "n *s"] | None = None
) -> tuple[UInt8[Tensor, "n *s"], Int64[Tensor, "n *s"], Int64[Tensor, "n *s"] | None]:
    """Class, confidence level, and the level of the class `given` (0 where that is no class), of every element."""
    softmax = read_softmax(logits)
    label, level = softmax.prediction.to(torch.uint8), quantise(softmax.confidence)
    if given is None:
        return label, level, None
    given = given.to(logits.device)
    known = given < logits.shape[1]
    return label, level, quantise(softmax.of(given * known)) * known


@torch.inference_mode()
def label_images(
    model: nn.Module,
    reader: Reader,
    folder: Path,
    owner: str,
    classes: int,
    normalized_ratio: float | None = None,
    observe: Observe | None = None,
) -> None:
    """Label every image at its own size, by one forward pass, into a store (method.md §5.2).

    With `normalized_ratio` the labels follow CBST's own rule for that share: it needs the thresholds of all images first, so
    the network's coarse logits are put aside meanwhile (about a byte a pixel) and only enlarged again. `observe` sees the
    logits of every batch.
    """
    model.eval()
    counts = torch.zeros(classes * LEVELS, dtype=torch.int64, device=reader.device)
    with write_labels(folder, owner, reader.part.names, reader.sizes) as writer, TemporaryFile(dir=folder) as aside:
        read: list[WholeImages] = []
        for images in reader:
            with reader.autocast():
                coarse = getattr(model, "coarse", model)(images.pixels)
            logits = enlarge(coarse.float(), images.padded)
            label, level, _ = read_logits(logits)
            _count(counts, images, label, level)
            if normalized_ratio is None:
                _write(writer, images, label, level)
            else:
                np.save(aside, coarse.float().cpu().numpy())
                read.append(replace(images, pixels=images.pixels[:, :0].clone()))  # without the memory
            if observe is not None:
                observe(images, logits)
        writer.histogram = distributed.total(counts).view(classes, LEVELS).cpu().numpy().copy()  # `counts` starts anew
        if normalized_ratio is not None:
            thresholds = class_thresholds(torch.from_numpy(writer.histogram), normalized_ratio)
            counts.zero_()
            aside.seek(0)
            for images in read:
                logits = enlarge(torch.from_numpy(np.load(aside)).to(reader.device), images.padded)
                label, level = normalized(logits.softmax(1), thresholds)
                _count(counts, images, label, level)
                _write(writer, images, label, level)
            writer.predicted = distributed.total(counts).view(classes, LEVELS).sum(1).cpu().numpy()
        for own in distributed.gather(writer.checksums):
            for part, known in own.items():
                writer.checksums[part] |= known


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
