"""Random augmentation of whole batches: crop, flip and RandAugment, each sample with its own draw; mixup.

All random numbers are drawn on the host from one generator, so that a step's batch is the same on every
device and no draw makes the device wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from dmtkit.data.ops import OPERATIONS, Pixels, crop_flip
from dmtkit.errors import ConfigError, unknown_name

STRENGTHS = 10


@dataclass(frozen=True)
class Augment:
    """Padded crop, flip, then one operation at a random strength 1–10 for every image (method.md §6).

    `operations` are names of `OPERATIONS`, ("all",) for all of them or ("none",) for none; pixels that
    come from outside the image, and Cutout's box, are painted with `fill`.

    >>> augment = Augment(crop_padding=1, flip=False, operations=("rotate", "cutout"))
    >>> augment(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), Generator().manual_seed(0)).shape
    torch.Size([4, 1, 8, 8])
    """

    crop_padding: int = 4
    flip: bool = True
    operations: Sequence[str] = ("all",)
    fill: int = 128

    def __post_init__(self) -> None:
        known = list(OPERATIONS)
        if unknown := [unknown_name(name, known, "operation") for name in self.names if name not in known]:
            raise ConfigError("augment: " + "; ".join(unknown))

    def seen(self, view: str) -> "Augment":
        """The augmentation of a view of U: weak crops and flips, strong takes one of all operations too; else as it is."""
        operations = {"weak": ("none",), "strong": ("all",)}.get(view.rstrip("2"), self.operations)
        return replace(self, operations=operations)

    @property
    def names(self) -> list[str]:
        """The operations drawn from."""
        sets: dict[str, Sequence[str]] = {"none": (), "all": tuple(OPERATIONS)}
        return list(sets.get(",".join(self.operations), self.operations))

    def __call__(self, pixels: Pixels, generator: Generator) -> Pixels:
        """Augment a batch; the numbers drawn depend on the generator and the batch's shape alone."""
        n, pad = len(pixels), self.crop_padding
        shift = torch.randint(-pad, pad + 1, (n, 2), generator=generator)
        flip = torch.randint(0, 2, (n,), generator=generator, dtype=torch.uint8) * self.flip
        if pad or self.flip:
            shift, flip = (drawn.to(pixels.device, non_blocking=True) for drawn in (shift, flip))
            pixels = crop_flip(pixels, shift, flip, self.fill)
        return rand_augment(pixels, self.names, generator, self.fill) if self.names else pixels


def rand_augment(pixels: Pixels, names: Sequence[str], generator: Generator, fill: int) -> Pixels:
    """Apply to every image one operation of `names`, drawn uniformly, at a strength drawn from 1–10."""
    n, device = len(pixels), pixels.device
    choice = torch.randint(0, len(names), (n,), generator=generator)
    strength = torch.randint(1, STRENGTHS + 1, (n,), generator=generator) / STRENGTHS
    sign = torch.randint(0, 2, (n,), generator=generator) * 2 - 1
    centre = torch.rand(n, 2, generator=generator)
    augmented = pixels.clone()
    for position, name in enumerate(names):
        rows = (choice == position).nonzero().flatten()  # on the host: no wait for the device
        if not len(rows):
            continue
        operation = OPERATIONS[name]
        value = operation.weakest + strength[rows] * (operation.strongest - operation.weakest)
        if operation.signed:
            value = value * sign[rows]
        if name == "cutout":
            value = _box(value, centre[rows], pixels.shape[3], pixels.shape[2])
        index = rows.to(device, non_blocking=True)
        augmented[index] = operation.apply(pixels[index], value.to(device, non_blocking=True), fill)
    return augmented


def _box(share: Float[Tensor, " n"], centre: Float[Tensor, "n 2"], width: int, height: int) -> Int64[Tensor, "n 4"]:
    """Cutout's box: `share` of the width on each side, about a centre anywhere in the image, cut at the border."""
    size, side = torch.tensor([width, height]), share.unsqueeze(1) * width
    start = (centre * size - side / 2).clamp(min=0).floor().long()
    end = torch.minimum(start + side.ceil().long(), size)
    return torch.cat([start, end], 1)


@dataclass(frozen=True)
class Mix:
    """One mixup draw: sample i becomes λ · i + (1 − λ) · partner[i]."""

    lam: float
    partner: Int64[Tensor, " n"]

    def __call__(self, values: Float[Tensor, "n *s"], rows: slice = slice(None)) -> Float[Tensor, "m *s"]:
        """Mix `values` of some rows with their partners'."""
        return self.lam * values[rows] + (1 - self.lam) * values[self.partner[rows]]


def draw_mix(n: int, alpha: float, generator: Generator, device: torch.device | str = "cpu") -> Mix:
    """Draw λ ~ Beta(α, α), made at least ½ so that a sample keeps its identity, and every partner (§5.1).

    >>> 0.5 <= draw_mix(4, 0.75, Generator().manual_seed(0)).lam <= 1
    True
    """
    shape = torch.tensor(alpha, dtype=torch.float64)  # Beta(α, α) from two Gamma(α, 1): torch's own takes no generator
    a, b = (float(torch._standard_gamma(shape, generator=generator)) for _ in range(2))
    lam = a / (a + b) if a + b > 0 else 1.0
    return Mix(max(lam, 1 - lam), torch.randperm(n, generator=generator).to(device, non_blocking=True))
