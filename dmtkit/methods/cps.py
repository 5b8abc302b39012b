"""Cross pseudo supervision (Chen et al., 2021, arXiv 2106.01226): two networks label the same images for each other, in every step."""

import torch
from torch.nn.functional import cross_entropy

from dmtkit.methods import Batch, Method, Nets, NotNegative, Now, Step, method


@method("cps", title="Cross pseudo supervision")
class CPS(Method):
    """L_i = CE(f_i(x), y) + λ · CE(f_i, ŷ_j) over x and u, where ŷ_j is what the other network says of the same pixels.

    The first network is reported. The plain form, without CutMix; pixels of X that nobody labeled take no part.
    """

    weight: NotNegative = 1.5
    nets = ("model", "second")
    tasks = ("segmentation",)
    views = ("weak",)
    adds = ("weight",)

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """X and U pass the networks each by itself; no gradient through a label."""
        valid = torch.cat([batch.y != 255, batch.valid])
        on_x = {name: nets(name, batch.x, "train") for name in self.nets}
        both = {name: torch.cat([on_x[name], nets(name, batch.u["weak"])]) for name in self.nets}
        label = {name: logits.argmax(1) for name, logits in both.items()}
        losses = {
            name: now.cross_entropy(on_x[name], batch)
            + self.weight * now.mean(cross_entropy(both[name], label[other], reduction="none"), valid)
            for name, other in zip(self.nets, reversed(self.nets), strict=True)
        }
        return Step(losses, {"alike": ((label["model"] == label["second"]) & valid).sum()})
