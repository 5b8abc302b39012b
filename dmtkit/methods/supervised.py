"""What every method is measured against: training on X alone, and on every label."""

from collections.abc import Iterator

from dmtkit.methods import Batch, Lab, Method, Nets, Now, Score, Step, method


@method("supervised", title="Supervised baseline")
class Supervised(Method):
    """Cross-entropy on X: phase 0 of all other methods."""

    teacher = "nobody"

    def phases(self, lab: Lab) -> Iterator[Score]:
        """Phase 0, of all models that other methods of the run start from."""
        yield lab.score(0, lab.supervised(lab.shared))

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """The mean cross-entropy."""
        return Step({"model": now.supervised(nets, batch)})


@method("oracle", title="Oracle (every label)")
class Oracle(Supervised):
    """The same with the labels of all of U: what labels could be worth at most."""

    teacher = "truth"

    def phases(self, lab: Lab) -> Iterator[Score]:
        """One training, on X and on U's truth."""
        yield lab.score(0, {m: lab.train(0, m, lab.truth) for m in lab.models(1)})
