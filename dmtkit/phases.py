"""One phase of one model, whatever the task: train it, or what is left of it, then measure it.

A phase ends with its folder complete; a phase that is found complete is read, not trained again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dmtkit import team
from dmtkit.baselines import baseline, identity, store_for
from dmtkit.config import Config
from dmtkit.data.batches import Batch
from dmtkit.errors import RunError, TrainingError
from dmtkit.methods import Plan
from dmtkit.run_folder import RunFolder
from dmtkit.runs import Phase
from dmtkit.seeds import derive
from dmtkit.step import Recipe
from dmtkit.trainer import train


@dataclass(frozen=True)
class Progress:
    """How far a run is: the phase under way, and training steps done of all that the run takes.

    While a phase trains, `phase_step` of its `phase_steps` are done; both are 0 when it is complete.
    """

    method: str
    phase: int
    step: int
    steps: int
    model: str = ""
    phase_step: int = 0
    phase_steps: int = 0


@dataclass
class Session:
    """A run under way: its settings, data (on the device), folder and the time it has taken."""

    config: Config
    data: Any
    run: RunFolder
    device: torch.device
    precision: str
    progress: Callable[[Progress], None]
    total_steps: int
    finished: dict[Plan, dict[str, Any]] = field(default_factory=dict)
    testing: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Computing time of all finished phases and their tests, whichever process computed them."""
        return sum(summary["seconds"] for summary in self.finished.values()) + sum(self.testing.values())

    def tell(self, plan: Plan, step: int = 0, of: int = 0) -> None:
        """Report progress: all finished phases, and `step` steps `of` so many of the one under way."""
        done = step + sum(summary["steps"] for summary in self.finished.values())
        self.progress(Progress(plan.method, plan.number, done, self.total_steps, plan.model, step, of))

    def phase(self, plan: Plan) -> Phase:
        """The folder of a phase, of one of its models where there are two."""
        return self.run.phase(plan.method, plan.number, plan.model)

    def identity(self, plan: Plan, recipe: Recipe) -> dict[str, Any]:
        """Everything that decides the model of a phase 0."""
        device = f"{self.device.type}, {self.precision}"
        if team.size() > 1 and not recipe.sync_batchnorm:
            device += f", batch statistics of {team.size()} shares"
        return identity(self.config, plan, recipe, self.data.describe(dates=True), device)

    def autocast(self) -> torch.autocast:
        """The context in which models compute."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


@dataclass(frozen=True)
class Work:
    """What a task says of one phase; the functions are called only when they are needed."""

    recipe: Recipe
    build: Callable[[], nn.Module]
    batches: Callable[[], Callable[[int], Batch]]
    measure: Callable[[nn.Module, Phase], dict[str, Any]]
    check: Callable[[Phase], object]
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None
    visits: Mapping[int, Callable[[nn.Module], None]] = field(default_factory=dict)


def complete(session: Session, plan: Plan, work: Work) -> Phase:
    """Bring a phase to its end, from wherever an earlier start left it; its folder is complete afterwards.

    `work.check` reads what the phase passes on; if that is damaged the phase is measured again.
    """
    phase = session.phase(plan)
    if not team.agree(lambda: phase.done and intact(phase, work)):
        try:
            model, trained = trained_model(session, plan, phase, work)
        except TrainingError as error:
            model_name = f", model {plan.model}" if plan.model else ""
            raise TrainingError(f"{plan.method}, phase {plan.number}{model_name}: {error}") from None
        started = time.monotonic()
        summary = work.measure(model, phase)
        seconds = trained + time.monotonic() - started
        phase.finish({"steps": work.recipe.steps, "seconds": seconds, "ratio": plan.ratio, **summary})
        team.wait()
    session.finished[plan] = phase.summary
    session.tell(plan)
    return phase


def intact(phase: Phase, work: Work) -> bool:
    """Whether what a complete phase passes on can be read; a warning says what cannot."""
    try:
        work.check(phase)
        return True
    except (RunError, KeyError) as error:
        phase.note(f"{phase.folder}: a damaged file, measuring this phase again ({error})")
        return False


def trained_model(session: Session, plan: Plan, phase: Phase, work: Work) -> tuple[nn.Module, float]:
    """The phase's model, from its file or trained, and the seconds that its training took, whoever did it.

    The models of phase 0 are trained in a place that all runs share, and taken over from there.
    """
    if team.agree(lambda: phase.model() is None):
        phase.drop_models()
        if plan.number:
            train_model(session, plan, phase, work, [session.run])
        else:
            with baseline(store_for(session.run.path), session.identity(plan, work.recipe), phase) as place:
                session.run.take_log(place.folder, plan.method, plan.number, plan.model)
                train_shared(session, plan, place, work, [session.run])
                phase.adopt(place)
        team.wait()  # from now on its file can be read
    state, model = phase.weights(), work.build()
    model.load_state_dict(reported(state))
    return model, state["seconds"]


def train_baseline(session: Session, plan: Plan, work: Work) -> Path:
    """Train a model of phase 0 before any run needs it; its place in the store that the session writes to."""
    with baseline(
        session.run.path, session.identity(plan, work.recipe), Phase(session.run.path, session.run.path)
    ) as place:
        train_shared(session, plan, place, work, [])
    return place.folder


def train_shared(session: Session, plan: Plan, place: Phase, work: Work, logs: list[RunFolder]) -> None:
    """Train a model in a place that runs share, unless it is there; the place keeps a log of its own."""
    if team.agree(lambda: place.model() is None):
        place.drop_models()
        train_model(session, plan, place, work, [RunFolder(place.folder, session.config), *logs])
        place.drop_checkpoints()


def train_model(session: Session, plan: Plan, place: Phase, work: Work, logs: Sequence[RunFolder]) -> None:
    """Train a phase's model, from its newest checkpoint in `place` on, and keep it there."""
    model, state = work.build(), place.checkpoint()
    torch.manual_seed(derive(session.config.seed, "training", plan.number, *filter(None, [plan.model])))
    before, started = state["seconds"] if state else 0.0, time.monotonic()
    where = {"method": plan.method, "phase": plan.number} | ({"model": plan.model} if plan.model else {})
    for log in logs:
        log.rewind_log(plan.method, plan.number, plan.model, state["step"] if state else 0)

    def write(record: dict[str, Any]) -> None:
        for log in logs:
            log.log({**where, **record})

    def seconds() -> float:
        return before + time.monotonic() - started

    kept = train(
        model,
        work.batches(),
        work.recipe,
        log=write,
        save=lambda state: place.save(state | {"seconds": seconds()}),
        evaluate=work.evaluate,
        visits=work.visits,
        state=state,
        tick=lambda step: session.tell(plan, step, work.recipe.steps),
        note=place.note,
    )
    states = {"model": model.state_dict()}
    if kept is not model:
        states["kept"] = kept.state_dict()
    place.save_model({**states, "seconds": seconds()}, work.recipe.steps)


def reported(state: dict[str, Any]) -> dict[str, Any]:
    """The weights that a trained model's file reports: its average or best snapshot, where it has one."""
    return state.get("kept", state["model"])
