"""The verbs of a method's outer loop. Each only describes what is wanted; whoever runs the loop is told, and does it once.

So the same `phases`, run without doing anything, give the plan: steps in all, shared baselines, labels no longer needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from dmtkit.errors import ConfigError
from dmtkit.registry import TaskFacts


class Opaque:
    """What `phases` hands on and never looks at."""

    def _looked_at(self, *words: object) -> Any:
        raise ConfigError(
            "phases() must not depend on results, since it is also run without any, to plan; let a verb of the lab decide"
        )

    __bool__ = __float__ = __int__ = __iter__ = __getitem__ = __len__ = __lt__ = __gt__ = __le__ = __ge__ = _looked_at


@dataclass(frozen=True, eq=False)
class Training(Opaque):
    """One model trained for one phase; `owner` is the method in whose folder it lies, `method` the one whose losses it has.

    `model` is A or B where two are trained side by side, and empty where there is one. It starts from weights drawn with the
    number `initialisation`, or, fine-tuned, `after` another training; beside X it learns `labels`.
    """

    owner: str
    method: str
    phase: int = 0
    model: str = ""
    labels: "Labels | None" = field(default=None, repr=False)
    initialisation: int = 0
    after: "Training | None" = field(default=None, repr=False)
    steps: int = 0

    @property
    def learns(self) -> Literal["X", "truth", "views", "unlabeled", "labels"]:
        """What it learns: X alone; every truth; X and U as it is, beside it or with it; or X and stored labels."""
        return "X" if self.labels is None else self.labels.kind

    @property
    def ratio(self) -> float:
        """The share α of labels that it learns."""
        return 0.0 if self.labels is None else self.labels.ratio

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells it from the others of a run: owner, phase and model."""
        return self.owner, self.phase, self.model

    @property
    def content(self) -> tuple[object, ...]:
        """All the rest: what two trainings of one key must agree in."""
        return self.method, self.labels, self.initialisation, self.after, self.steps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Training) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.owner}, phase {self.phase}" + (f", model {self.model}" if self.model else "")


@dataclass(frozen=True)
class Labels(Opaque):
    """What is learned beside X: every truth, U without labels, or of a `teacher`'s labels the share `ratio` it is surest of."""

    kind: Literal["truth", "views", "unlabeled", "labels"]
    ratio: float = 0.0
    phase: int = 0
    teacher: Training | None = None


@dataclass(frozen=True)
class Score(Opaque):
    """A test of the models of a phase."""

    method: str
    phase: int
    models: tuple[tuple[str, Training], ...]


Call = Training | Labels | Score
C = TypeVar("C", Training, Labels, Score)


@dataclass(frozen=True)
class Terms:
    """What a task says of a run, for its loops.

    Students are fine-tuned from their own last weights or start anew; `samples_x` says whether two models see different parts
    of X in phase 0 (§5.3); `steps` how long a training is, by what it learns.
    """

    facts: TaskFacts
    fine_tunes: bool
    label_ratios: tuple[float, ...]
    samples_x: bool
    steps: Callable[[Training], int]


class Lab:
    """The verbs, for one method of a run. `perform` does what is described; without it, it is only written down in `calls`."""

    views = Labels("views", 1.0)  # U beside X, in the views that a method declares: it makes its labels in every step
    unlabeled = Labels("unlabeled", 1.0)  # U with X in one batch, not labeled yet
    truth = Labels("truth")  # every label, for an oracle

    def __init__(
        self, method: str, terms: Terms, shared: Sequence[str] = (), perform: Callable[[Call], None] = lambda call: None
    ) -> None:
        self.method, self.terms, self.perform = method, terms, perform
        self.calls: list[Call] = []
        self.label_ratios = terms.label_ratios  # the share α of labels that each phase keeps
        self.teacher = terms.facts.teacher  # (model, which): who labels for a model, `itself` or the `other` one
        self._shared = tuple(shared) or terms.facts.models[:1]

    def models(self, count: int) -> tuple[str, ...]:
        """The models trained side by side: in segmentation A, or A and B; in classification one, without a name."""
        return self.terms.facts.models[:count]

    def shared(self) -> tuple[str, ...]:
        """The models whose phase 0 the methods of the run share: one at least."""
        return self._shared

    def supervised(self, models: Sequence[str]) -> dict[str, Training]:
        """Phase 0: models trained on X alone, once for all methods of a run, and for all runs that start from them.

        Two models that see different parts of X are the method's own.
        """
        owner = self.method if self.terms.samples_x and len(models) > 1 else "supervised"
        return {m: self._train(Training(owner, "supervised", model=m)) for m in models}

    def label(self, teacher: Training, alpha: float, phase: int) -> Labels:
        """Which labels of U are meant: those of a teacher, the share `alpha` that it is surest of, in segmentation of every class.

        Nothing is computed here: the plan tells beforehand, and a teacher labels U as its own training ends.
        """
        return self._call(Labels("labels", alpha, phase, teacher))

    def student(self, model: Training, initialisation: int) -> Training | int:
        """Where a student starts: in segmentation from `model`, in classification from new weights drawn with this number."""
        return model if self.terms.fine_tunes else initialisation

    def budget(self, baseline: bool = False) -> int:
        """The steps of all phases of one model of a method that stores labels; with `baseline` those of phase 0 too."""
        model = self.terms.facts.models[0]
        first = [Training("supervised", "supervised", model=model)] if baseline else []
        kept = [Labels("labels", alpha, k) for k, alpha in enumerate(self.label_ratios, start=1)]
        later = [Training(self.method, self.method, labels.phase, model, labels) for labels in kept]
        return sum(self.terms.steps(training) for training in (*first, *later))

    def train(
        self, phase: int, model: str, labels: Labels, start: Training | int = 0, steps: int | None = None
    ) -> Training:
        """Train a model on X and `labels`, from where another training ended or from random weights of this number.

        (In segmentation A and B have random weights of their own, whatever the number.) It takes as long as a phase of the task does, if `steps` says nothing else. Phase 0 belongs to `supervised`, and to
        the truth.
        """
        if phase < 1 and labels.kind != "truth":
            raise ConfigError(f"{self.method}: a phase of its own has a number from 1 on, found {phase}")
        if model not in self.terms.facts.models:
            known = ", ".join(map(repr, self.terms.facts.models))
            raise ConfigError(f"{self.method}: found the model {model!r}, expected one of {known}: take lab.models(…)")
        number, after = (0, start) if isinstance(start, Training) else (start, None)
        return self._train(Training(self.method, self.method, phase, model, labels, number, after, steps or 0))

    def score(self, phase: int, models: Mapping[str, Training]) -> Score:
        """Test the models of a phase."""
        return self._call(Score(self.method, phase, tuple(models.items())))

    def _train(self, training: Training) -> Training:
        return self._call(replace(training, steps=training.steps or self.terms.steps(training)))

    def _call(self, call: C) -> C:
        self.calls.append(call)
        self.perform(call)
        return call
