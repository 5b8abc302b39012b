"""Training batches as a function of the step: the same step gives the same bits, resumed or not.

Where several processes share a batch, this is where each takes its rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int64, Integer, Shaped
from torch import Tensor

from dmtkit import distributed
from dmtkit.data.augment import Augment, draw_mix
from dmtkit.data.images import Data, Images
from dmtkit.seeds import derive, generator

if TYPE_CHECKING:
    Absent = Any  # whose method declares `views` need not ask whether they are there
else:
    Absent = None


@dataclass(frozen=True)
class Batch:
    """What a step trains on: the rows of the whole batch that this process has, labeled samples (`trusted`) first.

    In a phase with labels X and U stand together in `images`; where a method labels U itself, they hold X alone, and U lies
    beside it, in `u[view]`, with its places in U (`index`) and which of its elements lie inside an image (`valid`). `names` are
    the whole batch's. With mixup `mixed` are the images mixed with their partners', whose places `partner` gives, for all rows.
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
    u: Mapping[str, Shaped[Tensor, "p c *s"]] = field(default_factory=dict)
    valid: Bool[Tensor, "p *t"] | Absent = None
    index: Int64[Tensor, " p"] | Absent = None
    unlabeled: int = 0  # how many rows of U the whole batch has
    x2: Shaped[Tensor, "m c *s"] | None = None  # another draw of X, where `views` name it, and its labels
    y2: Integer[Tensor, "m *t"] | Absent = None

    @property
    def x(self) -> Shaped[Tensor, "m c *s"]:
        """The labeled images."""
        return self.images[: self.labeled]

    @property
    def y(self) -> Integer[Tensor, "m *t"]:
        """Their labels."""
        return self.label[: self.labeled]

    def everyones(self, values: Shaped[Tensor, "p *t"]) -> Shaped[Tensor, "q *t"]:
        """Gather values of the batch's rows of U from all processes; where U stands beside X."""
        return distributed.join_rows(values, self.unlabeled)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with a function applied to every tensor."""
        changed: dict[str, Any] = {name: change(t) for name, t in vars(self).items() if isinstance(t, Tensor)}
        return replace(self, u={view: change(images) for view, images in self.u.items()}, **changed)

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, from which copies to the device need no waiting."""
        return self.each(Tensor.pin_memory)


def drawn(n: int, batch: int, seed: int, step: int) -> Int64[Tensor, " b"]:
    """Which of `n` items batch `step` has, cut from endless shuffled passes over them.

    >>> sorted(torch.cat([drawn(5, batch=2, seed=0, step=step) for step in range(5)]).tolist())
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    position = torch.arange(step * batch, (step + 1) * batch)
    first, last = int(position[0]) // n, int(position[-1]) // n
    orders = torch.stack([_order(n, seed, number) for number in range(first, last + 1)])
    return orders[position // n - first, position % n]


@lru_cache(maxsize=8)
def _order(n: int, seed: int, number: int) -> Int64[Tensor, " n"]:
    """The items of one pass, kept while it lasts."""
    return torch.randperm(n, generator=generator(seed, number))


@dataclass
class Batches:
    """Batches of X and of U, augmented and normalised on the images' device.

    U stands with X where it has labels to learn; in `views`, if any are named, beside it; without `unlabeled` not at all. `label` and
    `confidence` belong to it; its hidden truth is used for statistics alone, if it is known. Every
    process makes the whole batch, which is cheap and which `mixup` (the α of its draws) needs, and trains on its `rows`.
    """

    data: Data
    labeled: Images
    unlabeled: Images | None
    label: Int64[Tensor, " m"] | None
    confidence: Float[Tensor, " m"] | None
    _: KW_ONLY
    batch_labeled: int
    batch_pseudo: int
    augment: Augment
    seed: int
    mixup: float = 0.0
    mixup_seed: int = 0
    views: Sequence[str] = ()
    rows: slice = field(default_factory=distributed.rows)

    def __call__(self, step: int) -> Batch:
        """The batch of this step."""
        rows, x = self.rows, drawn(len(self.labeled), self.batch_labeled, derive(self.seed, "labeled"), step)
        names = [self.labeled.names[i] for i in x.tolist()]
        device, labeled = self.labeled.pixels.device, len(x)
        x = x.to(device, non_blocking=True)
        pixels, label = self.labeled.pixels[x], self.labeled.labels[x]
        truth, confidence = label, torch.ones(labeled, device=device)
        beside: dict[str, Any] = {}
        if self.unlabeled is not None:
            u = drawn(len(self.unlabeled), self.batch_pseudo, derive(self.seed, "pseudo"), step)
            names += [self.unlabeled.names[i] for i in u.tolist()]
            u = u.to(device, non_blocking=True)
            if self.views:
                beside = self._beside(self.unlabeled, u, step)
            elif self.label is not None and self.confidence is not None:
                pixels = torch.cat([pixels, self.unlabeled.pixels[u]])
                label = torch.cat([label, self.label[u]])
                confidence = torch.cat([confidence, self.confidence[u]])
                truth = torch.cat([truth, self.unlabeled.labels[u]])
        trusted = torch.arange(len(pixels), device=device) < labeled
        images = self._shown(pixels, "", step)
        if self.mixup:
            mix = draw_mix(len(images), self.mixup, generator(self.mixup_seed, "mixup", step), device)
            beside |= {"mixed": mix(images, rows), "partner": mix.partner, "lam": mix.lam}
        own = images[rows], label[rows], confidence[rows], trusted[rows], truth[rows] if self.data.truth_known else None
        return Batch(*own, tuple(names), len(range(labeled)[rows]), rows, **beside)

    def _beside(self, unlabeled: Images, u: Int64[Tensor, " p"], step: int) -> dict[str, Any]:
        """Images of U in every view, each with draws of its own, and X once more where it is asked for."""
        pixels, own = unlabeled.pixels[u], u[self.rows]
        seen = {view: self._shown(pixels, view, step)[self.rows] for view in self.views if view != "x2"}
        more: dict[str, Any] = {}
        if "x2" in self.views:
            x = drawn(len(self.labeled), self.batch_labeled, derive(self.seed, "x2"), step)
            x = x.to(u.device, non_blocking=True)
            again = self._shown(self.labeled.pixels[x], "x2", step)
            more = {"x2": again[self.rows], "y2": self.labeled.labels[x][self.rows]}
        valid = torch.ones(len(own), dtype=torch.bool, device=own.device)
        return {"u": seen, "valid": valid, "index": own, "unlabeled": len(u), **more}

    def _shown(self, pixels: Shaped[Tensor, "n c h w"], view: str, step: int) -> Float[Tensor, "n c h w"]:
        """Augmented as X is or as a `view` asks, by draws of its own, and as a network reads them."""
        draws = generator(self.seed, "augment", *filter(None, [view]), step)
        seen = pixels if view == "plain" else self.augment.seen(view)(pixels, draws)
        return self.data.normalise(seen).contiguous(memory_format=torch.channels_last)
