"""Done once, whatever happens: one training brought to its end from wherever an earlier start left it, or read if complete.

A phase ends with its folder complete; kill-safety is a property of this file and not of any method.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dmtkit.errors import DamagedError, RunError, TrainingError
from dmtkit.files import ask, once
from dmtkit.methods.lab import Plan, Training
from dmtkit.runs.folder import RunFolder, rounded
from dmtkit.runs.phase import Phase
from dmtkit.tasks.task import Task
from dmtkit.training.baselines import baseline, store_for
from dmtkit.training.loop import train
from dmtkit.training.state import Loop, begin, recipe_of


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
    """A run under way: its task, its plan, how many of its calls are done, and the time it has taken."""

    task: Task
    plan: Plan
    progress: Callable[[Progress], None]
    position: int = 0
    finished: dict[Training, dict[str, Any]] = field(default_factory=dict)
    tested: float = 0.0

    @property
    def seconds(self) -> float:
        """Computing time of all finished phases and their tests, whichever process computed them."""
        return sum(summary["seconds"] for summary in self.finished.values()) + self.tested

    def tell(self, training: Training, step: int = 0, of: int = 0) -> None:
        """Report progress: all finished phases, and `step` steps `of` so many of the one under way."""
        done = step + sum(summary["steps"] for summary in self.finished.values())
        self.progress(Progress(training.owner, training.phase, done, self.plan.total_steps, training.model, step, of))


def complete(session: Session, training: Training) -> None:
    """Bring a training to its end; its folder is complete afterwards.

    Where something in it is damaged or gone, it is measured again, and trained again if it must be; labels that it learns are
    made again where they were removed, and at the next start where they prove to be damaged.
    """
    task, plan = session.task, session.plan
    phase, teacher = task.phase(training), training.teacher
    if not ask(phase.intact):
        before = ask(phase.reopen)
        if teacher is not None and ask(lambda: task.phase(teacher).dropped):
            ask(task.phase(teacher).reopen)
            complete(session, teacher)
        try:
            model, trained = trained_model(session, training)
            started = time.monotonic()
            summary = task.measure(training, model, plan.labelled_for(training), training in plan.last)
        except TrainingError as error:
            raise TrainingError(f"{training}: {error}") from None
        except DamagedError as error:
            if teacher is not None:  # whichever process found it
                task.phase(teacher).reopen()
            raise RunError(f"{training}: {error}; run the same again: it is made anew") from None
        seconds = trained + time.monotonic() - started
        once(lambda: phase.finish({"steps": training.steps, "seconds": seconds, "ratio": training.ratio, **summary}))
        phase.note_other_bits(before)
    session.finished[training] = phase.summary
    session.tell(training)


def trained_model(session: Session, training: Training) -> tuple[nn.Module, float]:
    """What came out of a training, from its file or trained, and the seconds that it took, in this run or another.

    The models of phase 0 are trained in a place that all runs share, and taken over from there. What was logged of a training
    is in its file too, for the run's log.
    """
    task, phase = session.task, session.task.phase(training)
    if not ask(lambda: phase.is_whole(phase.model())):
        phase.models.drop()
        if training.phase:
            train_model(session, training, phase, [task.run])
        else:
            with baseline(store_for(task.run.path), task, training, phase) as place:
                train_shared(session, training, place, [task.run])
                phase.models.take(place.models)
                if ask(lambda: "log" not in place.weights()):  # by an earlier version
                    task.run.put_lines(training.key, RunFolder(place.folder).lines(training.key))
        once(lambda: None)  # from now on its file can be read by all
    state = phase.weights()
    if "log" in state and ask(lambda: task.run.lines(training.key) != state["log"]):
        task.run.put_lines(training.key, state["log"])
    return task.trained(training), state["seconds"]


def train_baseline(session: Session, training: Training) -> Path:
    """Train a model of phase 0 before any run needs it; its place in the store that the run's folder is."""
    store = session.task.run.path
    with baseline(store, session.task, training, Phase(store, store)) as place:
        train_shared(session, training, place, [])
    return place.folder


def train_shared(session: Session, training: Training, place: Phase, logs: list[RunFolder]) -> None:
    """Train a model in a place that runs share, unless it is there; the place keeps a log of its own."""
    if not ask(lambda: place.is_whole(place.model())):
        place.models.drop()
        train_model(session, training, place, [RunFolder(place.folder), *logs])
    place.checkpoints.drop()


def train_model(session: Session, training: Training, place: Phase, logs: Sequence[RunFolder]) -> None:
    """Train a model, from its newest checkpoint in `place` on, and keep it there, with what was logged of it."""
    task, loop = session.task, start_loop(session.task, training)
    batches, visits = task.batches(training), task.visits(training)
    torch.manual_seed(task.seed("training", training))
    state = place.checkpoint()
    if not ask(lambda: place.is_whole(state)):
        once(place.restart)
        state = None
    if state:
        try:
            loop.load_state_dict(state)
        except RunError as error:
            raise RunError(f"{place.folder}: {error}") from None
    began = time.monotonic() - (state["seconds"] if state else 0.0)
    before = [line for line in logs[0].lines(training.key) if line["step"] <= loop.step]
    logged = state["log"] if state and "log" in state else before  # without by an earlier version
    for log in logs:
        log.put_lines(training.key, logged)

    def write(record: dict[str, Any]) -> None:
        logged.append(rounded(record))
        for log in logs:
            log.log(training.key, logged[-1])

    def beside() -> dict[str, Any]:
        """What is kept beside the networks: the time it took, what was logged, and what was looked at by then."""
        return {"seconds": time.monotonic() - began, "log": [*logged], "left": place.left}

    train(
        loop,
        batches,
        log=write,
        save=lambda state: place.checkpoints.save(state["step"], state | beside()),
        evaluate=task.evaluate if len(task.data.val) else None,
        visits=visits,
        tick=lambda step: session.tell(training, step, training.steps),
        note=place.note,
    )
    place.models.save(training.steps, {**loop.networks(), **beside()})


def start_loop(task: Task, training: Training) -> Loop:
    """A training before its first step: every network that its method declares."""
    method, classes = task.method_of(training), len(task.data.classes)
    networks = {name: task.network(training, name) for name in method.nets}
    with torch.random.fork_rng(devices=[]):
        for name, helper in method.helpers.items():
            torch.manual_seed(task.seed(f"helper {name}", training))
            networks[name] = task.ready(helper.build(classes))
        torch.manual_seed(task.seed("memory", training))
        memory = method.memory(len(task.data.unlabeled), classes)
    there = {name: value.to(task.device) for name, value in memory.items()}
    return begin(method, networks, recipe_of(task, training), there)
