"""Online self-training (§4): in every step the student labels U anew, and learns what it is sure of."""

from collections.abc import Iterator

from jaxtyping import Integer
from torch import Tensor

from dmtkit.losses.dynamic import dynamic_weights, statistics, trust
from dmtkit.losses.softmax import Softmax, read_softmax
from dmtkit.methods import Batch, Lab, Method, Nets, Now, Score, Step, method


@method("online_st", title="Online self-training")
class OnlineSelfTraining(Method):
    """One phase, which goes on from the supervised model for as long as all phases of a method that iterates."""

    def phases(self, lab: Lab) -> Iterator[Score]:
        """No labels are stored."""
        models = lab.supervised(lab.models(1))
        yield lab.score(1, {m: lab.train(1, m, lab.unlabeled, models[m], lab.budget()) for m in models})

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """Σ CE(student logits, y_B) over X and the elements whose c_B is above the threshold."""
        logits = nets.label("model", batch.images, mode="train") if now.mix else nets("model", batch.images)
        seen = read_softmax(logits)
        sure = own_labels(seen, batch, now.threshold)
        weighed = dynamic_weights(seen, sure, seen.confidence, gamma1=0.0, gamma2=0.0, rule="uniform")
        weight, label = trust(weighed, sure, batch.trusted)
        if now.mix is None:
            loss = now.weighted_cross_entropy(logits, seen, label, weight, weighed.valid)
        else:
            label = batch.label.where(batch.trusted, seen.prediction)  # also of the unsure: their partners may be sure
            loss = now.mix.cross_entropy(nets("model", now.mix.images), label, weight)
        return Step({"model": loss}, statistics(weighed, batch.trusted, batch.truth))


def own_labels(seen: Softmax, batch: Batch, threshold: float) -> Integer[Tensor, "n *s"]:
    """y_B where it is sure, else ignored; labeled rows keep their label, and what was ignored stays so."""
    sure = (seen.confidence > threshold) & (batch.label != 255)
    label = seen.prediction.to(batch.label.dtype).masked_fill(~sure, 255)
    trusted = batch.trusted.view(-1, *[1] * (label.dim() - 1))
    return batch.label.where(trusted, label)
