"""Training batches of crops as a function of the step, made ahead by worker processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8, UInt16
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dmtkit import distributed
from dmtkit.data.batches import Batch, drawn
from dmtkit.data.joint import draw_colour, draw_view, paint, show
from dmtkit.data.pictures import VOID, Part
from dmtkit.losses.levels import TOP, confidence_of
from dmtkit.seeds import derive

# The pseudo labels of the image at a position: y_A, 255 where it is not kept, and the level of c_A.
Labels = Callable[[int], tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]]
Chosen = tuple[Part, int, Labels | None]


def blank(sizes: np.ndarray, position: int) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """Pixels that the student labels itself, of images of these `sizes`; what lies outside an image stays ignored."""
    size = tuple(sizes[position].tolist())
    return np.zeros(size, np.uint8), np.zeros(size, np.uint16)


@dataclass(frozen=True)
class Crops(Dataset):
    """Augmented crops of X and of U, drawn anew for every step: a pure function of the step, row by row.

    `pseudo` is None for supervised training; then a batch holds `batch_labeled` images of X alone. With `views` U stands beside X, in each of them.
    `truth` says whether U's masks are read too, for statistics alone. Only some `rows` of a batch are made, where several
    processes share it: what is read and drawn for a row depends on no other.
    """

    labeled: Part
    unlabeled: Part
    pseudo: Labels | None
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

    def __getitem__(self, step: int) -> Batch:  # of a data set of steps, for worker processes
        return self(step)

    def __call__(self, step: int) -> Batch:
        """The batch of this step, on the host: images are bytes, labels uint8."""

        def choose(part: Part, count: int, name: str, pseudo: Labels | None = None) -> list[Chosen]:
            positions = drawn(len(part), count, derive(self.seed, name), step).tolist()
            return [(part, position, pseudo) for position in positions]

        x = choose(self.labeled, self.batch_labeled, "labeled")
        both = x + (choose(self.unlabeled, self.batch_pseudo, "pseudo", self.pseudo) if self.pseudo else [])
        names = tuple(part.names[position] for part, position, _ in both)
        rows = range(len(x) if self.views else len(both))[self.rows]
        images, label, confidence, truth = self._make(step, both, rows)
        trusted = torch.tensor([row < len(x) for row in rows], dtype=torch.bool)
        known = truth if self.truth else None
        batch = Batch(images, label, confidence, trusted, known, names, int(trusted.sum()), self.rows)
        if not self.views:
            return batch
        rows = range(len(x), len(both))[self.rows]  # X and U are shared out each by itself
        images, label, *_ = self._make(step, both, rows)
        beside: dict[str, Any] = {
            "u": {view: self._coloured(images, view, step, rows) for view in self.views if view != "x2"},
            "valid": label != VOID,
            "index": torch.tensor([both[row][1] for row in rows], dtype=torch.int64),
            "unlabeled": len(both) - len(x),
        }
        if "x2" in self.views:
            every = both + choose(self.labeled, self.batch_labeled, "x2")
            beside["x2"], beside["y2"], *_ = self._make(step, every, range(len(both), len(every))[self.rows])
        return replace(batch, **beside)

    def _make(self, step: int, chosen: Sequence[Chosen], rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Some rows of a batch: images, channels last as they lie in memory, labels, confidences and truths."""
        size = (len(rows), *self.crop)
        images = np.empty((*size, 3), np.uint8)
        label, truth, level = np.empty(size, np.uint8), np.empty(size, np.uint8), np.full(size, TOP, np.uint16)
        for place, row in enumerate(rows):
            part, position, pseudo = chosen[row]
            rng = np.random.default_rng(derive(self.seed, "views", step, row))
            pixels = part.image(position)
            view = draw_view(pixels.shape[:2], self.crop, self.scale, self.flip, rng)
            given = [] if pseudo is None else list(zip(pseudo(position), (VOID, 0), strict=True))
            masks = [(part.mask(position), VOID)] if pseudo is None or self.truth else []
            images[place], seen = show(pixels, view, self.fill, [*given, *masks])
            label[place] = seen[0]
            if given:
                level[place] = seen[1]
            if masks:
                truth[place] = seen[-1]
        maps = (label, confidence_of(level), truth)
        return torch.from_numpy(images).permute(0, 3, 1, 2), *map(torch.from_numpy, maps)

    def _coloured(self, images: Tensor, view: str, step: int, rows: Sequence[int]) -> Tensor:
        """The crops of U as a view has them: strong ones in other colours, drawn by step, row and view."""
        if not view.startswith("strong"):
            return images
        coloured = images.clone()
        for place, row in enumerate(rows):
            colour = draw_colour(np.random.default_rng(derive(self.seed, view, step, row)))
            coloured[place] = paint(images[place], colour)
        return coloured


class Ahead:
    """Makes batches ahead of time in worker processes, and hands them to the device.

    Since a batch follows from its step alone, any number of workers gives the same bits, resumed or not.
    """

    def __init__(self, batches: Crops, steps: int, workers: int, device: torch.device) -> None:
        self.batches, self.steps, self.workers, self.device = batches, steps, workers, device
        self._next, self._coming = -1, iter(())

    def __call__(self, step: int) -> Batch:
        """The batch of this step, on the device."""
        if not self.workers or step < self._next:  # asked for again, to name its images
            return self._move(self.batches(step))
        if step != self._next:
            rest, pin = range(step, self.steps), self.device.type == "cuda"
            loader = DataLoader(self.batches, batch_size=None, sampler=rest, num_workers=self.workers, pin_memory=pin)
            self._coming, self._next = iter(loader), step
        self._next += 1
        return self._move(next(self._coming))

    def _move(self, batch: Batch) -> Batch:
        there = batch.each(lambda values: values.to(self.device, non_blocking=True))
        again = None if there.x2 is None else there.x2.float()
        seen = {view: values.float() for view, values in there.u.items()}
        return replace(there, images=there.images.float(), u=seen, x2=again)
