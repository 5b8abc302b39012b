"""FixMatch (Sohn et al., 2020, arXiv 2001.07685) and FlexMatch (Zhang et al., 2021, arXiv 2110.08263): sure weak views teach strong ones."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dmtkit.losses.consistency import draw_boxes, draw_partners, inside, paste
from dmtkit.methods import Batch, Method, Nets, NotNegative, Now, Share, Step, method, per_task


def cut_mix(batch: Batch, now: Now, name: str, *values: Tensor) -> list[Tensor]:
    """Maps of U, and in each image's box of the draw `name` those of its partner."""
    box = inside(now.drawn[name], (values[0].shape[-2], values[0].shape[-1]))
    return [paste(each, batch.everyones(each)[now.drawn["partner"]], box) for each in values]


@method("fixmatch", title="FixMatch")
class FixMatch(Method):
    """L = CE(x) + λ · Σ 1[c ≥ τ] · CE(f(s(u)), ŷ) / n, of all n valid elements: ŷ and its confidence c come from the weak view.

    Pixels: half of the strong views have a box of their partner's, as UniMatch's `fixmatch` does; here no ½ in front of either
    term, and the pass that labels never moves running statistics.
    """

    threshold: Share = 0.95
    weight: NotNegative = 1.0
    views = ("weak", "strong")
    adds = ("weight",)
    mixes = per_task(classification=False, segmentation=True)

    def draws(self, now: Now, n: int) -> dict[str, Tensor]:
        """A box and a partner."""
        generator = now.generator("boxes")
        return {"box": draw_boxes(n, generator), "partner": draw_partners(n, generator)} if self.mixes else {}

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """No gradient through the weak view."""
        images, valid = batch.u["strong"], batch.valid
        confidence, label = nets.label("model", batch.u["weak"]).softmax(1).max(1)
        memory = self.counted(batch, now, confidence, label)
        if self.mixes:
            images, valid, confidence, label = cut_mix(batch, now, "box", images, valid, confidence, label)
        sure = valid & (confidence >= self.limit(label, now))
        each = cross_entropy(nets("model", images), label, reduction="none") * sure
        loss = now.supervised(nets, batch) + self.weight * now.mean(each, valid)
        return Step({"model": loss}, {"sure": sure.sum()}, memory)

    def limit(self, label: Tensor, now: Now) -> Tensor | float:
        """How sure a label must be."""
        return self.threshold

    def counted(self, batch: Batch, now: Now, confidence: Tensor, label: Tensor) -> dict[str, Tensor]:
        """What is kept of a step."""
        return {}


@method("flexmatch", title="FlexMatch")
class FlexMatch(FixMatch):
    """The threshold of a class is lower, the fewer images of U have been labeled with it: τ_c = τ · β_c / (2 − β_c).

    Those of a step follow from the labels before it, as in TorchSSL.
    """

    tasks = ("classification",)

    def memory(self, n: int, classes: int) -> dict[str, Tensor]:
        """The last sure label of every image of U, `classes` where there was none yet, and how many there are of each."""
        labels = torch.full((n,), classes)
        return {"labels": labels, "counts": torch.bincount(labels, minlength=classes + 1)}

    def limit(self, label: Tensor, now: Now) -> Tensor:
        """By class, from the labels before this step."""
        return flexible(now.memory["counts"], self.threshold)[label]

    def counted(self, batch: Batch, now: Now, confidence: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The labels of this step that are sure by τ itself."""
        before, counts = now.memory["labels"], now.memory["counts"]
        sure = batch.everyones(label.where(confidence >= self.threshold, -1))
        index = batch.everyones(batch.index)  # an image may be there twice: the higher class of the two counts
        newest = torch.full_like(before, -1).scatter_reduce(0, index, sure, "amax")
        labels = newest.where(newest >= 0, before)
        return {"labels": labels, "counts": torch.zeros_like(counts).index_add(0, labels, torch.ones_like(labels))}


def flexible(counts: Tensor, threshold: float) -> Tensor:
    """τ_c = τ · β_c / (2 − β_c), where β_c = n_c / max(max n, images without a label); these are the last of `counts`.

    >>> [round(value, 5) for value in flexible(torch.tensor([50, 25, 0, 25]), 0.95).tolist()]
    [0.95, 0.31667, 0.0]
    """
    beta = counts[:-1] / counts.max().clamp(min=1)
    return threshold * beta / (2 - beta)
