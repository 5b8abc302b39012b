"""Training batches as a function of the step: the same step gives the same bits, resumed or not."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int64, Integer, Shaped
from torch import Tensor

from dmtkit.data.augment import Augmentation
from dmtkit.data.images import Data, Images
from dmtkit.seeds import derive, generator


@dataclass(frozen=True)
class Batch:
    """What one step trains on: labeled samples (`trusted`) and pseudo-labeled ones together.

    `rows` are those of them that this process trains on, where several share a batch; `names` are always the whole batch's.
    """

    images: Shaped[Tensor, "n c *s"]
    label: Integer[Tensor, "n *t"]
    confidence: Float[Tensor, "n *t"]
    trusted: Bool[Tensor, " n"]
    truth: Integer[Tensor, "n *t"] | None
    names: tuple[str, ...]
    rows: slice = field(default_factory=lambda: slice(None))

    @property
    def own(self) -> "Batch":
        """The rows that this process trains on."""
        if self.rows == slice(None):
            return self
        names = ("images", "label", "confidence", "trusted")
        mine = {name: getattr(self, name)[self.rows] for name in names}
        return replace(self, truth=None if self.truth is None else self.truth[self.rows], rows=slice(None), **mine)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, from which copies to the device need no waiting."""
        truth = None if self.truth is None else self.truth.pin_memory()
        pinned = {name: getattr(self, name).pin_memory() for name in ("images", "label", "confidence", "trusted")}
        return replace(self, truth=truth, **pinned)


class Stream:
    """Endless shuffled passes over `n` items, cut into batches.

    >>> stream = Stream(5, batch=2, seed=0)
    >>> sorted(torch.cat([stream(step) for step in range(5)]).tolist())
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """

    def __init__(self, n: int, batch: int, seed: int) -> None:
        self.n, self.batch, self.seed = n, batch, seed
        self._passes: dict[int, Int64[Tensor, " n"]] = {}

    def __call__(self, step: int) -> Int64[Tensor, " b"]:
        """The indices of batch `step`."""
        position = torch.arange(step * self.batch, (step + 1) * self.batch)
        first, last = int(position[0]) // self.n, int(position[-1]) // self.n
        self._passes = {number: self._order(number) for number in range(first, last + 1)}
        orders = torch.stack(list(self._passes.values()))
        return orders[position // self.n - first, position % self.n]

    def _order(self, number: int) -> Int64[Tensor, " n"]:
        if number in self._passes:
            return self._passes[number]
        return torch.randperm(self.n, generator=generator(self.seed, number))


class Batches:
    """Joint batches of X and of kept pseudo labels, augmented and normalised on the images' device.

    `label` and `confidence` belong to `pseudo`, which is None for supervised training; `truth` is the
    hidden truth of the pseudo-labeled images, used for statistics alone, or None where it is unknown. Every process makes
    the whole batch, which is cheap and which mixup needs, and trains on its `rows`.
    """

    def __init__(
        self,
        data: Data,
        labeled: Images,
        pseudo: Images | None,
        label: Int64[Tensor, " m"] | None,
        confidence: Float[Tensor, " m"] | None,
        *,
        batch_labeled: int,
        batch_pseudo: int,
        augment: Augmentation,
        seed: int,
        rows: slice = slice(None),
    ) -> None:
        self.data, self.augment, self.seed, self.rows = data, augment, seed, rows
        self.labeled, self.pseudo, self.label, self.confidence = labeled, pseudo, label, confidence
        self.truth_known = data.truth_known
        self.labeled_stream = Stream(len(labeled), batch_labeled, derive(seed, "labeled"))
        if pseudo is not None:
            self.pseudo_stream = Stream(len(pseudo), batch_pseudo, derive(seed, "pseudo"))

    def __call__(self, step: int) -> Batch:
        """The batch of this step."""
        device = self.labeled.pixels.device
        x = self.labeled_stream(step)
        names = [self.labeled.names[i] for i in x.tolist()]
        x = x.to(device, non_blocking=True)
        pixels, label = self.labeled.pixels[x], self.labeled.labels[x]
        truth, confidence = label, torch.ones(len(x), device=device)
        if self.pseudo is not None and self.label is not None and self.confidence is not None:
            u = self.pseudo_stream(step)
            names += [self.pseudo.names[i] for i in u.tolist()]
            u = u.to(device, non_blocking=True)
            pixels = torch.cat([pixels, self.pseudo.pixels[u]])
            label = torch.cat([label, self.label[u]])
            confidence = torch.cat([confidence, self.confidence[u]])
            truth = torch.cat([truth, self.pseudo.labels[u]])
        trusted = torch.arange(len(pixels), device=device) < len(x)
        pixels = self.augment(pixels, generator(self.seed, "augment", step))
        images = self.data.normalise(pixels)
        return Batch(images, label, confidence, trusted, truth if self.truth_known else None, tuple(names), self.rows)
