"""What methods that compare views share: boxes pasted from a partner, and their draws; pure functions."""

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Generator, Tensor

TRIES = 256  # places and shapes drawn for each box; of a box of the largest area 6 % fit


def draw_partners(n: int, generator: Generator) -> Int64[Tensor, " n"]:
    """A partner for each of `n` images, at random: one cycle through all of them, so that none is its own (but a single one).

    >>> partner = draw_partners(4, Generator().manual_seed(0))
    >>> sorted(partner.tolist()), bool((partner != torch.arange(4)).all())
    ([0, 1, 2, 3], True)
    """
    order = torch.randperm(n, generator=generator)
    return torch.empty_like(order).index_copy_(0, order, order.roll(1))


def draw_boxes(
    n: int,
    generator: Generator,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> Float[Tensor, "n 4"]:
    """A box for each of `n` images, with this `probability`: top, left, bottom, right as shares of the sides, 0 where none.

    As UniMatch draws it (arXiv 2208.09910): its share of the image uniform in `area`; then height to width uniform in `aspect` and
    a corner anywhere, again and again until it lies inside.

    >>> box = draw_boxes(100, Generator().manual_seed(0), probability=1.0)
    >>> bool(((box >= 0) & (box <= 1)).all())
    True
    """
    share = area[0] + torch.rand(n, 1, generator=generator) * (area[1] - area[0])
    ratio, top, left = torch.rand(n, TRIES, 3, generator=generator).unbind(2)
    ratio = aspect[0] + ratio * (aspect[1] - aspect[0])
    bottom, right = top + (share * ratio).sqrt(), left + (share / ratio).sqrt()
    first = ((bottom <= 1) & (right <= 1)).int().argmax(1)  # the first that fits
    box = torch.stack([top, left, bottom, right], 2)[torch.arange(n), first].clamp(max=1)
    return box * (torch.rand(n, 1, generator=generator) < probability)


def inside(box: Float[Tensor, "n 4"], size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """The pixels whose centres lie in a box, of images of this `size` (height, width).

    >>> inside(torch.tensor([[0.0, 0.5, 0.5, 1.0]]), (2, 4)).int().tolist()
    [[[0, 0, 1, 1], [0, 0, 0, 0]]]
    """
    top, left, bottom, right = box.view(-1, 4, 1).unbind(1)
    y, x = ((torch.arange(side, device=box.device) + 0.5) / side for side in size)
    return ((y >= top) & (y < bottom)).unsqueeze(2) & ((x >= left) & (x < right)).unsqueeze(1)


def paste(
    values: Shaped[Tensor, "n *c h w"], others: Shaped[Tensor, "n *c h w"], box: Bool[Tensor, "n h w"]
) -> Shaped[Tensor, "n *c h w"]:
    """CutMix (arXiv 1905.04899): each image's `values`, and in its box those of another."""
    return others.where(box.unsqueeze(1) if values.dim() > box.dim() else box, values)
