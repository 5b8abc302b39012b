"""Online self-training (§4): in every step the student labels U anew, and learns what it is sure of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dmtkit.losses.dynamic import dynamic_cross_entropy, dynamic_weights, statistics, trust
from dmtkit.losses.softmax import Softmax, read_softmax
from dmtkit.methods.given import Nets, Now
from dmtkit.methods.lab import Lab, Score
from dmtkit.methods.method import Method, Step, method

if TYPE_CHECKING:
    from jaxtyping import Integer
    from torch import Tensor

    from dmtkit.data.batches import Batch


@method("online_st", title="Online self-training")
class OnlineSelfTraining(Method):
    """One phase, which goes on from the supervised model for as long as all phases of a method that iterates."""

    def phases(self, lab: Lab) -> Iterator[Score]:
        """No labels are stored."""
        models = lab.supervised(lab.models(1))
        yield lab.score(1, {m: lab.train(1, m, lab.unlabeled, models[m], lab.budget()) for m in models})

    def losses(self, nets: Nets, batch: "Batch", now: Now) -> Step:
        """Σ CE(student logits, y_B) over X and the elements whose c_B is above the threshold."""
        if now.mix is None:
            logits = nets("model", batch.images)
            seen = read_softmax(logits)
            loss, sums = dynamic_cross_entropy(
                logits,
                own_labels(seen, batch, now.threshold),
                seen.confidence,
                gamma1=0.0,
                gamma2=0.0,
                rule="uniform",
                trusted=batch.trusted,
                truth=batch.truth,
                softmax=seen,
                total=now.total,
            )
            return Step({"model": loss}, sums)
        logits = nets.label("model", batch.images, mode="train")
        seen = read_softmax(logits)
        sure = own_labels(seen, batch, now.threshold)
        weighed = dynamic_weights(logits, sure, seen.confidence, gamma1=0.0, gamma2=0.0, rule="uniform", softmax=seen)
        weight, _, _ = trust(weighed, sure, batch.trusted)
        label = batch.label.where(batch.trusted, seen.prediction)  # also of the unsure: their partners may be sure
        loss = now.mix.cross_entropy(nets("model", now.mix.images), label, weight)
        return Step({"model": loss}, statistics(weighed, batch.trusted, batch.truth))


def own_labels(seen: Softmax, batch: "Batch", threshold: float, ignore_index: int = 255) -> "Integer[Tensor, 'n *s']":
    """y_B where it is sure, else ignored; labeled rows keep their label, and what was ignored stays so."""
    sure = (seen.confidence > threshold) & (batch.label != ignore_index)
    label = seen.prediction.to(batch.label.dtype).masked_fill(~sure, ignore_index)
    trusted = batch.trusted.view(-1, *[1] * (label.dim() - 1))
    return batch.label.where(trusted, label)
