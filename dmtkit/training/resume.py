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
from dmtkit.runs import manifest
from dmtkit.runs.folder import RunFolder
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
        once(phase.reopen)
        if teacher is not None and ask(lambda: task.phase(teacher).dropped):
            once(task.phase(teacher).reopen)
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
    session.finished[training] = phase.summary
    session.tell(training)


def trained_model(session: Session, training: Training) -> tuple[nn.Module, float]:
    """What came out of a training, from its file or trained, and the seconds that it took, in this run or another.

    The models of phase 0 are trained in a place that all runs share, and taken over from there.
    """
    task, phase = session.task, session.task.phase(training)
    if not ask(lambda: is_whole(phase.model(), phase, task.run, training)):
        phase.models.drop()
        if training.phase:
            train_model(session, training, phase, [task.run])
        else:
            with baseline(store_for(task.run.path), task, training, phase) as place:
                task.run.take_log(place.folder, *training.key)
                train_shared(session, training, place, [task.run])
                phase.models.take(place.models)
        once(lambda: None)  # from now on its file can be read by all
    return task.trained(training), phase.weights()["seconds"]


def train_baseline(session: Session, training: Training) -> Path:
    """Train a model of phase 0 before any run needs it; its place in the store that the run's folder is."""
    store = session.task.run.path
    with baseline(store, session.task, training, Phase(store, store)) as place:
        train_shared(session, training, place, [])
    return place.folder


def train_shared(session: Session, training: Training, place: Phase, logs: list[RunFolder]) -> None:
    """Train a model in a place that runs share, unless it is there; the place keeps a log of its own."""
    own = RunFolder(place.folder)
    if not ask(lambda: is_whole(place.model(), place, own, training)):
        place.models.drop()
        train_model(session, training, place, [own, *logs])
        place.checkpoints.drop()


def train_model(session: Session, training: Training, place: Phase, logs: Sequence[RunFolder]) -> None:
    """Train a model, from its newest checkpoint in `place` on, and keep it there; the first of the logs is the place's own."""
    task, loop = session.task, start_loop(session.task, training)
    batches, visits = task.batches(training), task.visits(training)
    torch.manual_seed(task.seed("training", training))
    state = place.checkpoint()
    if not ask(lambda: is_whole(state, place, logs[0], training)):
        once(place.restart)
        state = None
    if state:
        try:
            loop.load_state_dict(state)
        except RunError as error:
            raise RunError(f"{place.folder}: {error}") from None
    began = time.monotonic() - (state["seconds"] if state else 0.0)
    where = {"method": training.owner, "phase": training.phase} | ({"model": training.model} if training.model else {})
    for log in logs:
        log.rewind_log(*training.key, loop.step)

    def write(record: dict[str, Any]) -> None:
        for log in logs:
            log.log({**where, **record})

    def beside(step: int) -> dict[str, Any]:
        """What is kept beside the networks: the time it took, and what else was left by then."""
        return {"seconds": time.monotonic() - began, "left": left_by(place, logs[0], training, step)}

    train(
        loop,
        batches,
        log=write,
        save=lambda state: place.checkpoints.save(state["step"], state | beside(state["step"])),
        evaluate=task.evaluate if len(task.data.val) else None,
        visits=visits,
        tick=lambda step: session.tell(training, step, training.steps),
        note=place.note,
    )
    place.models.save(training.steps, {**loop.networks(), **beside(training.steps)})


def left_by(place: Phase, log: RunFolder, training: Training, step: int) -> dict[str, Any]:
    """What a training has left by a step beside its networks, by checksum: lines of a log, and what was looked at."""
    lines = manifest.checksum_of_log(log.path / "metrics.jsonl", training.key, step)
    return {"step": step, "lines of metrics.jsonl": lines} | manifest.contents(place.folder, ["*.npz"])


def is_whole(state: dict[str, Any] | None, place: Phase, log: RunFolder, training: Training) -> bool:
    """Whether there is a checkpoint or model, and all that its training had left by then; says what is not."""
    recorded = (state or {}).get("left", {})  # none by an earlier version
    there = left_by(place, log, training, recorded["step"]) if recorded else {}
    if lost := [name for name, content in recorded.items() if there.get(name) != content]:
        place.note(f"{place.folder}: {', '.join(lost)}: damaged or gone, so this model is trained anew")
    return state is not None and not lost


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
