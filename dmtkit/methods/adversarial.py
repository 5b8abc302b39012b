"""Adversarial learning (Hung et al., 2018, arXiv 1802.07934): a critic tells label maps from predictions, and whom to believe."""

from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, one_hot, pad, softplus

from dmtkit.methods import Batch, Helper, Method, Nets, NotNegative, Now, Share, Step, method


class Critic(nn.Sequential):
    """Class probabilities "n k h w" to a logit of every pixel, "n h w": how much they look like a label map.

    >>> Critic(3)(torch.zeros(2, 3, 40, 48)).shape
    torch.Size([2, 40, 48])
    """

    def __init__(self, classes: int) -> None:
        widths = (classes, 64, 128, 256, 512)
        layers = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)) for a, b in pairwise(widths)]
        super().__init__(*(layer for pair in layers for layer in pair), nn.Conv2d(512, 1, 4, 2, 1))

    def forward(self, p: Float[Tensor, "n k h w"]) -> Float[Tensor, "n h w"]:
        """Halved five times and enlarged again; a map with a side below 32 is filled up with 0."""
        height, width = p.shape[2:]
        filled = pad(p, (0, max(0, 32 - width), 0, max(0, 32 - height)))
        told = interpolate(super().forward(filled), size=filled.shape[2:], mode="bilinear", align_corners=True)
        return told[:, 0, :height, :width]


def adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
    """The critic's optimiser."""
    return torch.optim.Adam(parameters, 1e-4, betas=(0.9, 0.99))


@method("adversarial", title="Adversarial learning (Hung et al.)")
class Adversarial(Method):
    """L = CE(x) + λ_x BCE(D(p(x)), 1) + λ_u BCE(D(p(u)), 1) + λ · 1[t ≥ t₀] · CE(u, ŷ | σ(D(p(u))) ≥ τ), and the critic's

    L_D = ½ [BCE(D(p(x), p(u)), 0) + BCE(D(y°), 1)], with y° of another draw of X. CE of u is averaged over the pixels it keeps.
    """

    fool_x: NotNegative = 0.01
    fool_u: NotNegative = 0.001
    weight: NotNegative = 0.1
    threshold: Share = 0.2
    start: Share = 0.25  # the share of the steps before the critic is asked whom to believe
    helpers: ClassVar = {"critic": Helper(Critic, adam)}
    tasks = ("segmentation",)
    views = ("weak", "x2")
    adds = ("fool_x", "fool_u", "weight")

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """BCE(D, 1) is softplus(−D), BCE(D, 0) softplus(D); what lies beyond an image or has no label is 0 in every map."""
        valid_x, valid_u = batch.y != 255, batch.valid
        on_x, on_u = nets("model", batch.x, "train"), nets("model", batch.u["weak"])
        maps = masked(on_x.softmax(1), valid_x), masked(on_u.softmax(1), valid_u)
        told_x, told_u = (nets("critic", p) for p in maps)
        loss = now.cross_entropy(on_x, batch)
        loss = (
            loss
            + self.fool_x * now.mean(softplus(-told_x), valid_x)
            + self.fool_u * now.mean(softplus(-told_u), valid_u)
        )
        kept = valid_u & (told_u.detach().sigmoid() >= self.threshold)
        each = cross_entropy(on_u, on_u.detach().argmax(1), reduction="none")
        loss = loss + self.weight * (now.step >= self.start * now.steps) * now.mean(each, kept)

        fake, real = torch.cat([p.detach() for p in maps]), label_map(batch.y2, on_x.shape[1])
        told_fake, told_real = nets("critic", fake), nets("critic", real)
        valid = torch.cat([valid_x, valid_u])
        critic = (now.mean(softplus(told_fake), valid) + now.mean(softplus(-told_real), batch.y2 != 255)) / 2
        return Step({"model": loss, "critic": critic}, {"believed": kept.sum()})


def masked(p: Float[Tensor, "n k h w"], valid: Tensor) -> Float[Tensor, "n k h w"]:
    """0 where a pixel does not count."""
    return p * valid.unsqueeze(1)


def label_map(label: Integer[Tensor, "n h w"], classes: int) -> Float[Tensor, "n k h w"]:
    """One-hot, 0 where there is no label."""
    known = label != 255
    return masked(one_hot(label.long().where(known, 0), classes).movedim(-1, 1).float(), known)
