"""What a run will do, known before it starts: its methods' own phases, run with nobody listening."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dmtkit.errors import ConfigError
from dmtkit.methods import METHODS
from dmtkit.methods.lab import Call, Lab, Labels, Score, Terms, Training


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
        """The models whose labels nobody needs any more once so many calls are done, and were needed before."""
        before, after = self.calls[:position], self.calls[position:]
        used, needed = (
            {call.teacher for call in calls if isinstance(call, Labels) and call.teacher is not None}
            for calls in (before, after)
        )
        return [training for training in self.trainings if training in used - needed]


def plan_of(methods: Sequence[str], terms: Terms) -> Plan:
    """Write down what the methods of a run ask for.

    `supervised` trains what the others start from, so it is asked last. ConfigError for a method that tests nothing.
    """
    labs = {name: Lab(name, terms) for name in methods}
    others = [name for name in methods if name != "supervised"]
    for name in others:
        _run(labs[name])
    phase_0 = [
        call.model
        for name in others
        for call in labs[name].calls
        if isinstance(call, Training) and call.owner == "supervised"
    ]
    shared = tuple(model for model in terms.models if model in phase_0) or terms.models[:1]
    if "supervised" in labs:
        labs["supervised"] = Lab("supervised", terms, shared)
        _run(labs["supervised"])
    return Plan(tuple(call for name in methods for call in labs[name].calls), shared)


def _run(lab: Lab) -> None:
    scores = list(METHODS[lab.method].phases(lab))
    if not scores or not all(isinstance(score, Score) for score in scores):
        raise ConfigError(f"{lab.method}: phases(lab) must yield lab.score(…) at least once, and nothing else")
