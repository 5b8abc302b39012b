"""What a step hands to a method: its networks, by name, and where training stands; no word of processes or devices."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int64, Integer, Shaped
from torch import Tensor, nn

from dmtkit.data.batches import Batch
from dmtkit.errors import TrainingError, unknown_name
from dmtkit.losses.dynamic import Gamma, mixed_cross_entropy
from dmtkit.losses.softmax import Softmax, read_softmax, weighted_cross_entropy
from dmtkit.seeds import generator

Mode = Literal["train", "quiet", "eval"]
SPLIT = ("encode", "decode", "channels")  # what a network offers whose features a method changes


class Nets:
    """Networks by name, in `precision`: `nets("model", images)` gives float32 logits, "n k" or "n k h w", with gradient.

    Modes: `train`, for what is learned; `quiet`, the same without moving the running statistics of batch normalisation, for
    further passes of a step; `eval`, which uses those statistics. Where a method names none it is `mode`: the run's setting
    `quiet_unlabeled`, where U stands beside X.
    """

    def __init__(self, modules: Mapping[str, nn.Module], precision: str = "fp32", mode: Mode = "train") -> None:
        self.modules, self.bf16, self.mode = modules, precision == "bf16", mode

    def __call__(self, name: str, x: Shaped[Tensor, "n *c"], mode: Mode | None = None) -> Float[Tensor, "n *k"]:
        """Run a network, with gradient; TrainingError for one that the method does not declare."""
        return self._run(self._module(name), x, mode)

    def label(self, name: str, x: Shaped[Tensor, "n *c"], mode: Mode = "quiet") -> Float[Tensor, "n *k"]:
        """Run a network without gradient."""
        with torch.no_grad():
            return self(name, x, mode)

    def features(self, name: str, x: Shaped[Tensor, "n *c"], mode: Mode | None = None) -> Float[Tensor, "n d *i"]:
        """The first part of a network, `encode`: what its last layers see; TrainingError where it has no such part."""
        module = self._module(name)
        if lacking := halves_lacking(module):
            raise TrainingError(f"nets: {name}: {lacking}")
        return self._run(module, x, mode, module.encode)

    def head(self, name: str, features: Float[Tensor, "n d *i"], size: Sequence[int]) -> Float[Tensor, "n *k"]:
        """The rest of it, `decode`: logits, of images of this `size` (height, width)."""
        module = self._module(name)
        return self._run(module, features, None, partial(module.decode, size=tuple(size)))

    def _module(self, name: str) -> Any:
        if name not in self.modules:
            unknown = unknown_name(name, list(self.modules), "network")
            raise TrainingError(f"nets: {unknown}; a method declares them")
        return self.modules[name]

    def _run(
        self, module: nn.Module, x: Tensor, mode: Mode | None, part: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            if (mode or self.mode) == "train":
                return (part or module)(x).float()
            with unchanged(module, mode or self.mode):
                return (part or module)(x).float()


def halves_lacking(module: nn.Module) -> str:
    """What a network lacks whose features a method changes, in words; nothing where it has all of it."""
    lacking = ", ".join(part for part in SPLIT if not hasattr(module, part))
    return lacking and (
        f"a {type(module).__name__} has no {lacking}, and the method looks between encoder and decoder; give the network "
        "encode(x), decode(features, size) and channels, the width of its features"
    )


@contextmanager
def unchanged(module: nn.Module, mode: Mode) -> Iterator[None]:
    """Leave the statistics of batch normalisation as they are; with `eval` use them, too."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    training, tracked = [m.training for m in module.modules()], [norm.track_running_stats for norm in norms]
    try:
        if mode == "eval":
            module.eval()
        else:
            for norm in norms:
                norm.track_running_stats &= not norm.training
        yield
    finally:
        for m, value in zip(module.modules(), training, strict=True):
            m.training = value
        for norm, value in zip(norms, tracked, strict=True):
            norm.track_running_stats = value


@dataclass(frozen=True)
class Mixed:
    """Mixup (§5.1): own rows' `images`, each mixed with its partner's; targets and weights follow in the loss.

    A partner may be anyone's, so `everyones` joins what was said of own rows to that of the whole batch.
    """

    images: Float[Tensor, "m c h w"]
    lam: float | Float[Tensor, ""]
    partner: Int64[Tensor, " n"]
    rows: slice
    everyones: Callable[[Tensor], Tensor]

    def cross_entropy(
        self, logits: Float[Tensor, "m k"], label: Integer[Tensor, " m"], weight: Float[Tensor, " m"]
    ) -> Float[Tensor, ""]:
        """Σ w · (λ CE(label) + (1 − λ) CE(partner's label)) / n: labels and weights of the un-mixed rows, logits of the mixed."""
        weight, label = self.everyones(weight), self.everyones(label)
        mixed = self.lam * weight[self.rows] + (1 - self.lam) * weight[self.partner[self.rows]]
        return mixed_cross_entropy(logits, label, self.partner, self.lam, mixed, self.rows)


@dataclass(frozen=True)
class Now:
    """Where training stands, γ as it is now included: all of it follows from the run's seed and the step (tensors where the step is compiled)."""

    step: float | Tensor
    steps: int
    gamma1: Gamma = 0.0
    gamma2: Gamma = 0.0
    threshold: float = 0.9  # of online self-training
    mix: Mixed | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    drawn: Mapping[str, Tensor] = field(default_factory=dict)
    total: Callable[[Tensor], Tensor] = lambda values: values  # everyone's sum, from that over own rows
    seed: int = 0
    channels: int = 0  # how many features the reported network's `encode` gives

    def generator(self, name: str) -> torch.Generator:
        """A host generator for this step's draws of one kind."""
        return generator(self.seed, name)

    def ramp(self, share: float, curve: Literal["sigmoid", "linear"] = "sigmoid") -> float | Tensor:
        """From e⁻⁵ to 1 over the first `share` of the steps, the curve of γ's ramp, exp(−5 (1 − t / (share · T))²), or t / (share · T).

        >>> [round(Now(step, 100).ramp(0.5), 5) for step in (0, 25, 50, 75)]
        [0.00674, 0.2865, 1.0, 1.0]
        """
        if not share:
            return 1.0
        part = self.step / (share * self.steps)
        part = part.clamp(max=1) if isinstance(part, Tensor) else min(part, 1.0)
        if curve == "linear":
            return part
        rise = -5 * (1 - part) ** 2
        return rise.exp() if isinstance(rise, Tensor) else math.exp(rise)

    def mean(self, each: Float[Tensor, "*s"], valid: Bool[Tensor, "*s"]) -> Float[Tensor, ""]:
        """The mean over everyone's valid elements; 0 where there are none. The own part of it, where several share a batch.

        >>> float(Now(0, 1).mean(torch.tensor([1.0, 3.0, 99.0]), torch.tensor([True, True, False])))
        2.0
        """
        return each.masked_fill(~valid, 0).sum() / self.total(valid.sum()).clamp(min=1)

    def supervised(self, nets: Nets, batch: Batch, net: str = "model") -> Float[Tensor, ""]:
        """The cross-entropy that the supervised baseline minimises, of a batch whose images are X: mixed, where the run mixes."""
        if self.mix is not None:
            weight = torch.ones_like(batch.confidence)
            return self.mix.cross_entropy(nets(net, self.mix.images, "train"), batch.label, weight)
        return self.cross_entropy(nets(net, batch.images, "train"), batch)

    def cross_entropy(self, logits: Float[Tensor, "n k *s"], batch: Batch) -> Float[Tensor, ""]:
        """The same from the logits of `batch.images`, for a method that needs these logits too; of a run without mixup.

        TrainingError in a run with it, whose loss is another.
        """
        if self.mix is not None:
            raise TrainingError(
                "now.cross_entropy: this run mixes X (mixup); use now.supervised(nets, batch), or set mixup: 0"
            )
        valid = batch.label != 255
        return self.weighted_cross_entropy(logits, read_softmax(logits), batch.label, valid, valid)

    def weighted_cross_entropy(
        self, logits: Tensor, softmax: Softmax, label: Tensor, weight: Tensor, valid: Tensor
    ) -> Float[Tensor, ""]:
        """Σ w · CE(logits, label) / number of everyone's valid elements; `softmax` is read from these logits."""
        scale = weight / self.total(valid.sum()).clamp(min=1)
        return weighted_cross_entropy(logits, softmax, label.masked_fill(~valid, 0), scale)
