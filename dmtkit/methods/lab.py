"""The verbs of a method's outer loop, and what a run will do. A verb only describes what is wanted; the engine does it, once.

So the same `phases`, run without doing anything, give the plan: steps in all, shared baselines, labels no longer needed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dmtkit.errors import ConfigError
from dmtkit.registry import TaskFacts

if TYPE_CHECKING:
    from dmtkit.methods.method import Method


class Opaque:
    """What `phases` hands on and never looks at."""

    def _looked_at(self, *words: object) -> Any:
        raise ConfigError(
            "phases() must not depend on results, since it is also run without any, to plan; let a verb of the lab decide"
        )

    __bool__ = __float__ = __int__ = __iter__ = __getitem__ = __len__ = __lt__ = __gt__ = __le__ = __ge__ = _looked_at


@dataclass(frozen=True)
class Training(Opaque):
    """One model trained for one phase; `owner` is the method in whose folder it lies, `method` the one whose losses it has.

    `model` is A or B where two are trained side by side, and empty where there is one. It starts from weights drawn with the
    number `initialisation`, or, fine-tuned, `after` another training; beside X it learns `labels`. Two of one `key` are equal.
    """

    owner: str
    method: str = field(compare=False)
    phase: int = 0
    model: str = ""
    labels: "Labels | None" = field(default=None, repr=False, compare=False)
    initialisation: int = field(default=0, compare=False)
    after: "Training | None" = field(default=None, repr=False, compare=False)
    steps: int = field(default=0, compare=False)

    @property
    def learns(self) -> Literal["X", "truth", "views", "unlabeled", "labels"]:
        """What it learns: X alone; every truth; X and U as it is, beside it or with it; or X and stored labels."""
        return "X" if self.labels is None else self.labels.kind

    @property
    def teacher(self) -> "Training | None":
        """Whose stored labels it learns, if it learns any."""
        return None if self.labels is None else self.labels.teacher

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
        """All the rest: what two trainings of one key must have in common."""
        return self.method, self.labels, self.initialisation, self.after, self.steps

    def __str__(self) -> str:
        return f"{self.owner}, phase {self.phase}" + (f", model {self.model}" if self.model else "")


@dataclass(frozen=True)
class Labels(Opaque):
    """What is learned beside X: the share `ratio` of the labels that `teacher` stores for `phase`, or U or its truth itself."""

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
        self.shared = tuple(shared) or terms.facts.models[:1]  # the models whose phase 0 the methods of the run share

    def models(self, count: int) -> tuple[str, ...]:
        """The models trained side by side: in segmentation A, or A and B; in classification one, without a name."""
        return self.terms.facts.models[:count]

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
        (model,) = self.models(1)
        trainings = [Training("supervised", "supervised", model=model)] * baseline
        for k, alpha in enumerate(self.label_ratios, start=1):
            trainings.append(Training(self.method, self.method, k, model, Labels("labels", alpha, k)))
        return sum(self.terms.steps(training) for training in trainings)

    def train(
        self, phase: int, model: str, labels: Labels, start: Training | int = 0, steps: int | None = None
    ) -> Training:
        """Train a model on X and `labels`, from where another training ended or from random weights of this number.

        (In segmentation A and B have random weights of their own, whatever the number.) It takes as long as a phase of the task
        does, if `steps` says nothing else. Phase 0 belongs to `supervised`, and to the truth.
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


@dataclass(frozen=True)
class Plan:
    """The calls of every method's phases, in the order in which they are made, and the models whose phase 0 is shared."""

    calls: tuple[Call, ...]
    shared: tuple[str, ...]

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        """Every training of the run, each once."""
        return tuple(dict.fromkeys(trainings_in(self.calls)))

    @property
    def total_steps(self) -> int:
        """Training steps of the whole run."""
        return sum(training.steps for training in self.trainings)

    @property
    def baselines(self) -> tuple[Training, ...]:
        """The trainings of phase 0, which runs share."""
        return tuple(training for training in self.trainings if training.phase == 0)

    @cached_property
    def _uses(self) -> list[tuple[int, Training, float]]:
        """Where stored labels are asked for: the place among the calls, whose they are, and the share."""
        asked = [(place, call) for place, call in enumerate(self.calls) if isinstance(call, Labels)]
        return [(place, call.teacher, call.ratio) for place, call in asked if call.teacher is not None]

    def labelled_for(self, training: Training) -> tuple[float, ...]:
        """The shares of a model's labels of U that later phases learn; none if nobody needs them."""
        return tuple(dict.fromkeys(ratio for _, teacher, ratio in self._uses if teacher == training))

    @cached_property
    def last(self) -> set[Training]:
        """The models that a method ends with."""
        ends = {call.method: call for call in self.calls if isinstance(call, Score)}
        return {training for score in ends.values() for _, training in score.models}

    def done_with(self, position: int) -> list[Training]:
        """Models whose labels were used for the last time between the score at this place and the one before it."""
        begin = max((place for place, call in enumerate(self.calls[:position]) if isinstance(call, Score)), default=0)
        last_use = {teacher: place for place, teacher, _ in self._uses}
        return [teacher for teacher, place in last_use.items() if begin <= place < position]


def plan_of(methods: Mapping[str, "Method"], terms: Terms) -> Plan:
    """Write down what the methods of a run ask for.

    `supervised` trains what the others start from, so it is asked last. ConfigError for a method that tests nothing, for one
    model of one phase that would be trained in two ways, and for a phase that would be tested twice.
    """
    calls = {name: _calls_of(methods[name], Lab(name, terms)) for name in methods if name != "supervised"}
    phase_0 = {t.model for each in calls.values() for t in trainings_in(each) if t.owner == "supervised"}
    shared = tuple(model for model in terms.facts.models if model in phase_0) or terms.facts.models[:1]
    if "supervised" in methods:
        calls["supervised"] = _calls_of(methods["supervised"], Lab("supervised", terms, shared))
    plan = Plan(tuple(call for name in methods for call in calls[name]), shared)
    content: dict[Training, tuple[object, ...]] = {}
    tested: set[tuple[str, int]] = set()
    for call in plan.calls:
        if isinstance(call, Training) and content.setdefault(call, call.content) != call.content:
            raise ConfigError(
                f"{call}: is trained twice, in two ways; give each training a phase or a model of its own"
            )
        if isinstance(call, Score) and (call.method, call.phase) in tested:
            raise ConfigError(f"{call.method}, phase {call.phase}: is tested twice; number the phases")
        if isinstance(call, Score):
            tested.add((call.method, call.phase))
    return plan


def _calls_of(method: "Method", lab: Lab) -> list[Call]:
    scores = list(method.phases(lab))
    if not scores or not all(isinstance(score, Score) for score in scores):
        raise ConfigError(f"{lab.method}: phases(lab) must yield lab.score(…) at least once, and nothing else")
    return lab.calls


def trainings_in(calls: Iterable[Call]) -> list[Training]:
    """The trainings among calls."""
    return [call for call in calls if isinstance(call, Training)]
