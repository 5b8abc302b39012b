"""A model whose training step several processes share: gradients added up, batch normalisation over the whole batch.

Torch's own SyncBatchNorm refuses the CPU, for which the same is written here: what several processes compute can be
tested, and computed, without a GPU.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dmtkit import distributed


def spread(model: nn.Module, sync: bool) -> nn.Module:
    """Prepare a network for several processes: all start from the weights of rank 0. Alone it stays as it is.

    With `sync` batch normalisation sees the whole batch, else each process's share, and the running statistics of rank 0 are
    what comes out. The names of its state stay.
    """
    if distributed.size() == 1:
        return model
    for values in model.state_dict().values():
        dist.broadcast(values, src=0)
    if sync and next(model.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules() if sync else ():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncNorm  # in place: the same tensors under the same names
    return model


def add_gradients(parameters: Sequence[Tensor]) -> None:
    """Sum every process's gradients, by one exchange: losses are parts of the batch's, and add up."""
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    if distributed.size() == 1 or not moved:
        return
    flat = torch.cat([parameter.grad.reshape(-1) for parameter in moved])  # type: ignore[union-attr]
    dist.all_reduce(flat)
    for parameter, part in zip(moved, flat.split([parameter.numel() for parameter in moved]), strict=True):
        parameter.grad.copy_(part.view_as(parameter))  # type: ignore[union-attr]


def share_statistics(*models: nn.Module) -> None:
    """Take over the running statistics of rank 0: where they are of shares, each process has its own."""
    if distributed.size() > 1:
        for buffer in {id(buffer): buffer for model in models for buffer in model.buffers()}.values():
            dist.broadcast(buffer, src=0)


class SyncNorm(nn.BatchNorm2d):
    """BatchNorm2d whose statistics in training are those of all processes' images together."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalise this process's images."""
        if not self.training or distributed.size() == 1:
            return super().forward(x)
        mean, var, count = whole_statistics(x.detach())
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var * (count / max(count - 1, 1)), share)
        return _Normalise.apply(x, self.weight, self.bias, mean, var, count, self.eps)


def whole_statistics(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"], int]:
    """Mean and (biased) variance of every channel over all processes' images, and of how many numbers."""
    x, here = x.float(), x.numel() // x.shape[1]
    mean = x.sum((0, 2, 3)) / here
    var = (x - mean.view(1, -1, 1, 1)).square_().sum((0, 2, 3)) / here  # torch.var_mean takes five times as long
    own = torch.cat([mean, var, mean.new_tensor([here])]).double()
    every = [torch.empty_like(own) for _ in range(distributed.size())]
    dist.all_gather(every, own)
    table, channels = torch.stack(every), x.shape[1]
    means, variances, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    var = (counts * (variances + (means - mean) ** 2)).sum(0) / count  # Chan et al., 1983: no small difference of sums
    return mean.float(), var.float(), int(count)


class _Normalise(torch.autograd.Function):
    """(x − μ) / √(σ² + ε) · w + b, where μ and σ² are functions of all processes' x, so gradients flow through them too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, count: int, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var)
        ctx.count, ctx.eps = count, eps
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (dy,) = gradients
        x, weight, mean, var = ctx.saved_tensors
        dx, dw, db = torch.ops.aten.native_batch_norm_backward(  # as if μ and σ² were constants
            dy, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([db, dw])
        dist.all_reduce(sums)
        of_mean, of_deviation = sums / ctx.count
        # dx = w / σ · (dy − mean(dy) − x̂ · mean(dy · x̂)), the means being over the whole batch and x̂ = (x − μ) / σ
        scale = (var + ctx.eps).rsqrt()
        slope = -weight * scale.square() * of_deviation
        level = -weight * scale * of_mean - slope * mean
        dx = torch.addcmul(dx + level.view(1, -1, 1, 1), x.to(level.dtype), slope.view(1, -1, 1, 1))
        return dx.to(x.dtype), dw, db, None, None, None, None
