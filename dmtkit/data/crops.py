"""Training batches of crops as a function of the step, made ahead by worker processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8, UInt16
from torch.utils.data import DataLoader, Dataset

from dmtkit import distributed
from dmtkit.data.batches import Batch, Stream
from dmtkit.data.colour import draw_colour, paint
from dmtkit.data.joint import draw_view, show
from dmtkit.data.pictures import VOID, Part
from dmtkit.seeds import derive

SURE = 65535  # the confidence level of a human label


@runtime_checkable
class KeptLabels(Protocol):
    """Pseudo labels of a part, image by image."""

    def kept(self, position: int) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
        """y_A, 255 where it is not kept, and the level of c_A."""


@dataclass(frozen=True)
class Blank:
    """Pixels without a label yet, of images of these `sizes` (height, width); what lies outside an image stays ignored."""

    sizes: np.ndarray

    def kept(self, position: int) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
        """Zeros: the student says itself what they are."""
        size = tuple(self.sizes[position].tolist())
        return np.zeros(size, np.uint8), np.zeros(size, np.uint16)


Chosen = tuple[Part, int, KeptLabels | None]


@dataclass(frozen=True)
class Crops:
    """Augmented crops of X and of U, drawn anew for every step: a pure function of the step, row by row.

    `pseudo` is None for supervised training; then a batch holds `batch_labeled` images of X alone. With `views` U stands beside X, in each of them.
    `truth` says whether U's masks are read too, for statistics alone. Only some `rows` of a batch are made, where several
    processes share it: what is read and drawn for a row depends on no other.
    """

    labeled: Part
    unlabeled: Part
    pseudo: KeptLabels | None
    truth: bool
    batch_labeled: int
    batch_pseudo: int
    crop: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    fill: tuple[int, int, int]
    seed: int
    rows: slice = field(default_factory=distributed.rows)
    views: tuple[str, ...] = ()

    def __call__(self, step: int) -> Batch:
        """The batch of this step, on the host: images are bytes, labels uint8."""
        chosen: list[Chosen] = [(self.labeled, i, None) for i in self._labeled_stream(step).tolist()]
        trusted = len(chosen)
        if self.pseudo is not None:
            chosen += [(self.unlabeled, i, self.pseudo) for i in self._pseudo_stream(step).tolist()]
        made = list(range(len(chosen))[self.rows])
        whole = len(chosen)
        if self.views:  # X and U shared out each by itself
            made = [*range(trusted)[self.rows], *range(trusted, whole)[self.rows]]
        if "x2" in self.views:
            chosen += [(self.labeled, i, None) for i in self._labeled_again(step).tolist()]
            made += range(whole, len(chosen))[self.rows]
        n = len(made)
        images = np.empty((n, *self.crop, 3), np.uint8)
        label, truth = (np.empty((n, *self.crop), np.uint8) for _ in range(2))
        level = np.full((n, *self.crop), SURE, np.uint16)
        for place, row in enumerate(made):
            rng = np.random.default_rng(derive(self.seed, "views", step, row))
            self._fill_row(*chosen[row], rng, images[place], label[place], level[place], truth[place])
        batch = Batch(
            torch.from_numpy(images).permute(0, 3, 1, 2),  # channels last, as it lies in memory
            torch.from_numpy(label),
            torch.from_numpy(level.astype(np.float32) / np.float32(SURE)),
            torch.tensor([row < trusted for row in made]),
            torch.from_numpy(truth) if self.truth else None,
            tuple(part.name(position) for part, position, _ in chosen[:whole]),
            sum(row < trusted for row in made),
            self.rows,
        )
        if not self.views:
            return batch
        rows = [row for row in made if trusted <= row < whole]
        first, end = batch.labeled, batch.labeled + len(rows)
        x, u = batch.each(lambda values: values[:first]), batch.each(lambda values: values[first:end])
        index = torch.tensor([chosen[row][1] for row in rows], dtype=torch.int64)
        seen = {view: self._coloured(u.images, view, step, rows) for view in self.views if view != "x2"}
        again: dict[str, Any] = {"x2": batch.images[end:], "y2": batch.label[end:]} if "x2" in self.views else {}
        return replace(x, u=seen, valid=u.label != VOID, index=index, unlabeled=whole - trusted, **again)

    def _coloured(self, images: torch.Tensor, view: str, step: int, rows: list[int]) -> torch.Tensor:
        """The crops of U as a view has them: strong ones in other colours, drawn by step, row and view."""
        if not view.startswith("strong"):
            return images
        found = images.clone()
        for place, row in enumerate(rows):
            colour = draw_colour(np.random.default_rng(derive(self.seed, view, step, row)))
            seen = paint(images[place].permute(1, 2, 0).numpy(), colour)
            found[place] = torch.from_numpy(seen).permute(2, 0, 1)
        return found

    @cached_property
    def _labeled_stream(self) -> Stream:
        return Stream(len(self.labeled), self.batch_labeled, derive(self.seed, "labeled"))

    @cached_property
    def _labeled_again(self) -> Stream:
        return Stream(len(self.labeled), self.batch_labeled, derive(self.seed, "x2"))

    @cached_property
    def _pseudo_stream(self) -> Stream:
        return Stream(len(self.unlabeled), self.batch_pseudo, derive(self.seed, "pseudo"))

    def _fill_row(
        self,
        part: Part,
        position: int,
        pseudo: KeptLabels | None,
        rng: np.random.Generator,
        image: np.ndarray,
        label: np.ndarray,
        level: np.ndarray,
        truth: np.ndarray,
    ) -> None:
        """Draw a view of one image and write it into the rows of the batch."""
        pixels = part.image(position)
        view = draw_view(pixels.shape[:2], self.crop, self.scale, self.flip, rng)
        if pseudo is None:
            image[:], (label[:],) = show(pixels, view, self.fill, [(part.mask(position), VOID)])
            truth[:] = label
            return
        given, confidence = pseudo.kept(position)
        maps = [(given, VOID), (confidence, 0)] + ([(part.mask(position), VOID)] if self.truth else [])
        image[:], seen = show(pixels, view, self.fill, maps)
        label[:], level[:] = seen[:2]
        if self.truth:
            truth[:] = seen[2]


class _Steps(Dataset):
    """A batch function as a data set of steps, for worker processes."""

    def __init__(self, batches: Callable[[int], Batch], first: int, last: int) -> None:
        self.batches, self.steps = batches, range(first, last)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, position: int) -> Batch:
        if position >= len(self.steps):
            raise IndexError(position)
        return self.batches(self.steps[position])


class Ahead:
    """Calls a batch function ahead of time in worker processes, and hands the batches to the device.

    Since a batch follows from its step alone, any number of workers gives the same bits, resumed or not.
    """

    def __init__(self, batches: Callable[[int], Batch], steps: int, workers: int, device: torch.device) -> None:
        self.batches, self.steps, self.workers, self.device = batches, steps, workers, device
        self._next, self._coming = -1, iter(())

    def __call__(self, step: int) -> Batch:
        """The batch of this step, on the device."""
        if not self.workers:
            return self._move(self.batches(step))
        if step < self._next:  # asked for again, to name its images
            return self._move(self.batches(step))
        if step != self._next:
            self._coming, self._next = iter(self._loader(step)), step
        self._next += 1
        return self._move(next(self._coming))

    def _loader(self, first: int) -> "DataLoader[Batch]":
        return DataLoader(
            _Steps(self.batches, first, self.steps),
            batch_size=None,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=2,
        )

    def _move(self, batch: Batch) -> Batch:
        there = batch.each(lambda values: values.to(self.device, non_blocking=True))
        again = None if there.x2 is None else there.x2.float()
        seen = {view: values.float() for view, values in there.u.items()}
        return replace(there, images=there.images.float(), u=seen, x2=again)


def image_groups(
    sizes: np.ndarray, batch: int, padded: Callable[[int, int], tuple[int, int]]
) -> Iterator[tuple[Sequence[int], tuple[int, int]]]:
    """Consecutive positions, at most `batch`, of images of these `sizes` whose images are padded to one size; and that size."""
    group: list[int] = []
    size = (0, 0)
    for position, (height, width) in enumerate(sizes.tolist()):
        wanted = padded(height, width)
        if group and (wanted != size or len(group) == batch):
            yield group, size
            group = []
        size = wanted
        group.append(position)
    if group:
        yield group, size
