"""What a run will do, known before it starts: its methods' own phases, run without doing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dmtkit.errors import ConfigError
from dmtkit.methods.lab import Call, Lab, Labels, Score, Terms, Training
from dmtkit.methods.method import Method


@dataclass(frozen=True)
class Plan:
    """The calls of every method's phases, in the order in which they are made, and the models whose phase 0 is shared."""

    calls: tuple[Call, ...]
    shared: tuple[str, ...]

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        """Every training of the run, each once."""
        return tuple(dict.fromkeys(call for call in self.calls if isinstance(call, Training)))

    @property
    def total_steps(self) -> int:
        """Training steps of the whole run."""
        return sum(training.steps for training in self.trainings)

    @property
    def baselines(self) -> tuple[Training, ...]:
        """The trainings of phase 0, which runs share."""
        return tuple(training for training in self.trainings if training.phase == 0)

    def labelled_for(self, training: Training) -> tuple[float, ...]:
        """The shares of a model's labels of U that later phases learn; none if nobody needs them."""
        uses = (call for call in self.calls if isinstance(call, Labels) and call.teacher == training)
        return tuple(dict.fromkeys(labels.ratio for labels in uses))

    def done_with(self, position: int) -> list[Training]:
        """Models whose labels were used for the last time between the score at this place and the one before it."""
        scores = [place for place, call in enumerate(self.calls[:position]) if isinstance(call, Score)]
        begin = scores[-1] if scores else 0
        last = {
            call.teacher: place
            for place, call in enumerate(self.calls)
            if isinstance(call, Labels) and call.teacher is not None
        }
        return [training for training, place in last.items() if begin <= place < position]


def plan_of(methods: Mapping[str, Method], terms: Terms) -> Plan:
    """Write down what the methods of a run ask for.

    `supervised` trains what the others start from, so it is asked last. ConfigError for a method that tests nothing.
    """
    labs = {name: Lab(name, terms) for name in methods}
    others = [name for name in methods if name != "supervised"]
    for name in others:
        _run(methods[name], labs[name])
    phase_0 = [
        call.model
        for name in others
        for call in labs[name].calls
        if isinstance(call, Training) and call.owner == "supervised"
    ]
    shared = tuple(model for model in terms.facts.models if model in phase_0) or terms.facts.models[:1]
    if "supervised" in labs:
        labs["supervised"] = Lab("supervised", terms, shared)
        _run(methods["supervised"], labs["supervised"])
    plan = Plan(tuple(call for name in methods for call in labs[name].calls), shared)
    _refuse_other_content(plan)
    return plan


def _refuse_other_content(plan: Plan) -> None:
    """ConfigError where one model of one phase would be trained in two ways, or one phase be tested twice."""
    trainings: dict[Training, Training] = {}
    scores: set[tuple[str, int]] = set()
    for call in plan.calls:
        if isinstance(call, Training) and trainings.setdefault(call, call).content != call.content:
            raise ConfigError(
                f"{call}: is trained twice, in two ways; give each training a phase or a model of its own"
            )
        if isinstance(call, Score):
            if (call.method, call.phase) in scores:
                raise ConfigError(f"{call.method}, phase {call.phase}: is tested twice; number the phases")
            scores.add((call.method, call.phase))


def _run(method: Method, lab: Lab) -> None:
    scores = list(method.phases(lab))
    if not scores or not all(isinstance(score, Score) for score in scores):
        raise ConfigError(f"{lab.method}: phases(lab) must yield lab.score(…) at least once, and nothing else")
