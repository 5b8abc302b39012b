"""UniMatch (Yang et al., 2023, arXiv 2208.09910): two strong views and dropped features learn what the weak view is sure of."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dmtkit.losses.consistency import draw_boxes, draw_partners
from dmtkit.methods import Batch, Method, Nets, NotNegative, Now, Share, Step, method
from dmtkit.methods.fixmatch import cut_mix


@method("unimatch", title="UniMatch")
class UniMatch(Method):
    """L = CE(x) + λ (¼ L_s1 + ¼ L_s2 + ½ L_fp), each Σ 1[c ≥ τ] · CE(…, ŷ) / n over its own n valid pixels.

    Half of the channels between encoder and decoder are dropped for L_fp. No ½ in front of all terms, so that λ = 0 is X alone.
    """

    threshold: Share = 0.95
    weight: NotNegative = 1.0
    tasks = ("segmentation",)
    views = ("weak", "strong", "strong2")
    adds = ("weight",)
    splits = True

    def draws(self, now: Now, n: int) -> dict[str, Tensor]:
        """A partner, a box for each strong view, and the channels that stay."""
        generator = now.generator("boxes")
        return {
            "partner": draw_partners(n, generator),
            **{view: draw_boxes(n, generator) for view in ("strong", "strong2")},
            "stays": torch.rand(n, now.channels, generator=generator) >= 0.5,
        }

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """The clean and the dropped copy of the weak view are decoded in one pass; no gradient through the clean one."""
        weak = batch.u["weak"]
        features = nets.features("model", weak)
        stays = 2 * now.drawn["stays"].to(features.dtype)[:, :, None, None]
        clean, dropped = nets.head("model", torch.cat([features, features * stays]), weak.shape[2:]).chunk(2)
        confidence, label = clean.detach().softmax(1).max(1)

        def learned(logits: Tensor, valid: Tensor, confidence: Tensor, label: Tensor) -> Tensor:
            each = cross_entropy(logits, label, reduction="none") * (confidence >= self.threshold)
            return now.mean(each, valid)

        loss = learned(dropped, batch.valid, confidence, label) / 2
        for view in ("strong", "strong2"):
            images, *told = cut_mix(batch, now, view, batch.u[view], batch.valid, confidence, label)
            loss = loss + learned(nets("model", images), *told) / 4
        sure = batch.valid & (confidence >= self.threshold)
        return Step({"model": now.supervised(nets, batch) + self.weight * loss}, {"sure": sure.sum()})
