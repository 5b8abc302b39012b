"""Dynamic Mutual Training (Feng et al., 2022, arXiv 2004.08514): one model labels U, another learns, in rounds.

In segmentation A labels for B and B for A; in classification, with one model, that of the last phase for a new student.
A label weighs p_B^γ1 where the student agrees, p_B^γ2 where it does not, and 0 where it is surer of another class
(`losses/dynamic.py`). The ablations (§4) are the same class with other fixed values.
"""

from collections.abc import Iterator
from typing import ClassVar

import torch

from dmtkit.losses.dynamic import Rule, dynamic_cross_entropy, dynamic_weights, statistics, trust
from dmtkit.methods import Batch, Lab, Method, Nets, Now, Score, Step, method


@method("dmt", title="DMT")
class DMT(Method):
    """Who labels and how labels are weighed: two axes on which each method of the family is a point."""

    teacher = "other"
    rule: ClassVar[Rule] = "dynamic"
    reseeds = True  # whether a student that starts anew starts from other weights than its teacher did

    def phases(self, lab: Lab) -> Iterator[Score]:
        """§5: as a phase starts, each model labels U; students learn X and the labels that their teacher is surest of."""
        models = lab.supervised(lab.models(2 if self.teacher == "other" else 1))  # phase 0, shared by all methods
        for k, alpha in enumerate(lab.label_ratios, start=1):
            labels = {m: lab.label(models[lab.teacher(m, self.teacher)], alpha, k) for m in models}
            starts = {m: lab.student(models[m], k if self.reseeds else 0) for m in models}
            models = {m: lab.train(k, m, labels[m], starts[m]) for m in models}  # who label in the next phase
            yield lab.score(k, models)

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """§3: Σ w · CE / number of valid elements; with mixup (§5.1) the weights are those of the un-mixed batch."""
        if now.mix is None:
            loss, sums = dynamic_cross_entropy(
                nets("model", batch.images),
                batch.label,
                batch.confidence,
                gamma1=now.gamma1,
                gamma2=now.gamma2,
                rule=self.rule,
                trusted=batch.trusted,
                truth=batch.truth,
                total=now.total,
            )
            return Step({"model": loss}, sums)
        label, weight, sums = batch.label, torch.ones_like(batch.confidence), {}
        if self.rule != "uniform":
            logits = nets.label("model", batch.images, mode="train")  # as the student is in this step
            weighed = dynamic_weights(
                logits, batch.label, batch.confidence, gamma1=now.gamma1, gamma2=now.gamma2, rule=self.rule
            )
            weight, label = trust(weighed, batch.label, batch.trusted)
            sums = statistics(weighed, batch.trusted, batch.truth)
        loss = now.mix.cross_entropy(nets("model", now.mix.images), label, weight)
        return Step({"model": loss}, sums)


method("cl", "Curriculum labeling", tasks=("classification",), teacher="itself", rule="uniform")(DMT)
method("cbst", "Class-balanced self-training", tasks=("segmentation",), teacher="itself", rule="uniform")(DMT)
method("dst", "Dynamic self-training", teacher="itself", reseeds=False)(DMT)
method("dmt_naive", "DMT-Naive", rule="naive")(DMT)
method("dmt_flip", "DMT-Flip", rule="flip")(DMT)
