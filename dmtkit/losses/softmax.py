"""What a softmax says of every element — class, confidence, the probability of a given class — and a cross-entropy of the same pass.

Logits are as large as a batch gets: classes × pixels in float32. Here exp(z − max) is the one array of that size that is
written; the gradient of the loss is computed in its place.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Softmax:
    """The parts of a softmax of logits z: z, their maximum, its class, exp(z − max), and the sum of those over the classes."""

    logits: Float[Tensor, "n k *s"]
    top: Float[Tensor, "n *s"]
    prediction: Int64[Tensor, "n *s"]
    exps: Float[Tensor, "n k *s"]
    total: Float[Tensor, "n *s"]

    @property
    def confidence(self) -> Float[Tensor, "n *s"]:
        """The probability of the predicted class."""
        return 1 / self.total

    def of(self, label: Integer[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
        """The probability of each element's class in `label`, every one of which must be a class."""
        return (of_class(self.logits, label) - self.top).exp() / self.total


@torch.no_grad()
def read_softmax(logits: Float[Tensor, "n k *s"]) -> Softmax:
    """Read logits once; nothing here carries a gradient.

    >>> softmax = read_softmax(torch.tensor([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]]))
    >>> softmax.prediction.tolist(), [round(c, 3) for c in softmax.confidence.tolist()]
    ([0, 0], [0.25, 1.0])
    """
    logits = logits.detach().float()
    top, prediction = logits.max(1)
    exps = (logits - top.unsqueeze(1)).exp_()
    return Softmax(logits, top, prediction, exps, exps.sum(1))


def weighted_cross_entropy(
    logits: Float[Tensor, "n k *s"], softmax: Softmax, label: Integer[Tensor, "n *s"], scale: Float[Tensor, "n *s"]
) -> Float[Tensor, ""]:
    """Σ scale · CE(logits, label), where `softmax` is read from these logits; no gradient flows through `scale`.

    Its backward pass overwrites `softmax.exps` with the gradient, so it can be run once.

    >>> logits = torch.zeros(1, 4, requires_grad=True)
    >>> loss = weighted_cross_entropy(logits, read_softmax(logits), torch.tensor([0]), torch.tensor([0.5]))
    >>> loss.backward()
    >>> round(loss.item(), 4), logits.grad.tolist()  # ½ ln 4, ½ (¼ − 1), ½ · ¼
    (0.6931, [[-0.375, 0.125, 0.125, 0.125]])
    """
    if torch.compiler.is_compiling():  # a compiler writes neither exponentials nor gradient before they are needed
        logits = logits.float()
        normaliser = softmax.top + (logits - softmax.top.unsqueeze(1)).exp().sum(1).log()
        return -(scale * (of_class(logits, label) - normaliser)).sum()
    return _WeightedCrossEntropy.apply(logits, softmax, label, scale)


class _WeightedCrossEntropy(torch.autograd.Function):
    """∂/∂z Σ s · CE = s · (softmax − one-hot), written over the exponentials."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, softmax: Softmax, label: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(softmax.exps, softmax.total, label, scale)
        ctx.kind = logits.dtype
        likelihood = of_class(logits, label).float() - softmax.top - softmax.total.log()
        return -(scale * likelihood).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        exps, total, label, scale = ctx.saved_tensors  # refuses what was overwritten before
        scale = gradients[0] * scale
        gradient = exps.mul_((scale / total).unsqueeze(1))
        gradient.scatter_add_(1, label.long().unsqueeze(1), -scale.unsqueeze(1))
        return gradient.to(ctx.kind), None, None, None


def of_class(values: Float[Tensor, "n k *s"], label: Integer[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
    """The value of each element's class.

    A compiler can fuse a comparison with what stands around it, forwards and backwards, but not a gather.
    """
    if torch.compiler.is_compiling():
        classes = torch.arange(values.shape[1], dtype=torch.int32, device=values.device)
        chosen = classes.view(1, -1, *[1] * (values.dim() - 2)) == label.to(torch.int32).unsqueeze(1)
        return torch.where(chosen, values, 0.0).sum(1)
    return values.gather(1, label.long().unsqueeze(1)).squeeze(1)
