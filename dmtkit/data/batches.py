"""Training batches as a function of the step: the same step gives the same bits, resumed or not.

Where several processes share a batch, this is where each takes its rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Integer, Shaped
from torch import Tensor

from dmtkit import distributed
from dmtkit.data.augment import Augmentation, draw_mix
from dmtkit.data.images import Data, Images
from dmtkit.data.pictures import VOID
from dmtkit.seeds import derive, generator


@dataclass(frozen=True)
class Batch:
    """What a step trains on: labeled samples (`trusted`), the first `labeled` rows, and pseudo-labeled ones together.

    These are the `rows` of the whole batch that this process trains on; `names` are the whole batch's. With mixup, `mixed`
    are these images mixed with their partners', of which `partner` gives the place of everyone's.
    """

    images: Shaped[Tensor, "n c *s"]
    label: Integer[Tensor, "n *t"]
    confidence: Float[Tensor, "n *t"]
    trusted: Bool[Tensor, " n"]
    truth: Integer[Tensor, "n *t"] | None
    names: tuple[str, ...]
    labeled: int
    rows: slice = field(default_factory=lambda: slice(None))
    mixed: Float[Tensor, "n c *s"] | None = None
    partner: Int64[Tensor, " m"] | None = None
    lam: float = 1.0

    @property
    def x(self) -> Shaped[Tensor, "m c *s"]:
        """The labeled images."""
        return self.images[: self.labeled]

    @property
    def y(self) -> Integer[Tensor, "m *t"]:
        """Their labels."""
        return self.label[: self.labeled]

    @property
    def u(self) -> Mapping[str, Shaped[Tensor, "m c *s"]]:
        """The unlabeled images in each of their views."""
        return {"strong": self.images[self.labeled :]}

    @property
    def valid(self) -> Bool[Tensor, "m *t"]:
        """Which elements of the unlabeled images count: those inside the image, and, where labels are stored, kept."""
        return self.label[self.labeled :] != VOID

    def everyones(self, values: Shaped[Tensor, "n *t"]) -> Shaped[Tensor, "m *t"]:
        """Values of all rows of the batch, from those of every process's own rows."""
        return distributed.join_rows(values, len(self.names))

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with a function applied to every tensor."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        changed: dict[str, Any] = {name: change(value) for name, value in tensors.items()}
        return replace(self, **changed)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, from which copies to the device need no waiting."""
        return self.each(Tensor.pin_memory)


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
    the whole batch, which is cheap and which `mixup` (the α of its draws) needs, and trains on its rows.
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
        mixup: float = 0.0,
        mixup_seed: int = 0,
    ) -> None:
        self.data, self.augment, self.seed, self.rows = data, augment, seed, distributed.rows()
        self.mixup, self.mixup_seed = mixup, mixup_seed
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
        images = self.data.normalise(pixels).contiguous(memory_format=torch.channels_last)
        rows, truths = self.rows, truth if self.truth_known else None
        own = Batch(
            images[rows], label[rows], confidence[rows], trusted[rows], None if truths is None else truths[rows],
            tuple(names), len(range(len(x))[rows]), rows,
        )  # fmt: skip
        if not self.mixup:
            return own
        mix = draw_mix(len(images), self.mixup, generator(self.mixup_seed, "mixup", step), device)
        return replace(own, mixed=mix(images, rows), partner=mix.partner, lam=mix.lam)
