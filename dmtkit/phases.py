"""One phase of classification: train a new model on X and the kept pseudo labels, then measure it.

A phase ends with its folder complete; a phase that is found complete is read, not trained again.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit.config import Config
from dmtkit.data import Data, Images
from dmtkit.data.augment import Augment
from dmtkit.data.batches import Batches
from dmtkit.dynamic import Rule
from dmtkit.errors import RunError, TrainingError
from dmtkit.explain import case_table, samples
from dmtkit.metrics import accuracy
from dmtkit.models import build
from dmtkit.pseudo import Predictions, PseudoLabels, predict
from dmtkit.run_folder import RunFolder
from dmtkit.runs import Phase
from dmtkit.seeds import derive
from dmtkit.trainer import Recipe, image_batches, train


@dataclass(frozen=True)
class Plan:
    """What a phase is: whose, which (this also picks the initialisation), the share α of pseudo labels, their rule."""

    method: str
    number: int = 0
    ratio: float = 0.0
    rule: Rule = "uniform"


@dataclass(frozen=True)
class Progress:
    """How far a run is: the phase under way, and training steps done of all that the run takes."""

    method: str
    phase: int
    step: int
    steps: int


@dataclass
class Session:
    """A run under way: its settings, data (on the device), folder and the time it has taken."""

    config: Config
    data: Data
    run: RunFolder
    device: torch.device
    precision: str
    progress: Callable[[Progress], None]
    total_steps: int
    finished: dict[Plan, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = {name: getattr(self.data, name).to(self.device) for name in ("labeled", "unlabeled", "val", "test")}
        self.data = Data(**parts, classes=self.data.classes, mean=self.data.mean, std=self.data.std)

    @property
    def seconds(self) -> float:
        """Computing time of all finished phases, whichever process computed them."""
        return sum(summary["seconds"] for summary in self.finished.values())

    def tell(self, plan: Plan, step: int = 0) -> None:
        """Report progress: all finished phases, and `step` steps of the one under way."""
        done = step + sum(summary["steps"] for summary in self.finished.values())
        self.progress(Progress(plan.method, plan.number, done, self.total_steps))

    def build(self, *seed: int | str) -> nn.Module:
        """A newly initialised model whose weights follow from the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(*seed))
            model = build(self.config.model, self.data.test.pixels.shape[1], len(self.data.classes))
        return model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(self, model: nn.Module, images: Images, given: np.ndarray | None = None) -> Predictions:
        """One pass of `model`, in evaluation mode, over images as they are."""
        model.eval()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return predict(model, image_batches(self.data.normalise, images.pixels), given)


@dataclass(frozen=True)
class Outcome:
    """What a finished phase passes on: its test accuracy in percent and its predictions on U."""

    accuracy: float
    predictions: Predictions


def train_phase(session: Session, plan: Plan, pseudo: PseudoLabels | None = None) -> Outcome:
    """Run one phase, or what is left of it, or read it if it is complete."""
    phase = session.run.phase(plan.method, plan.number)
    outcome = read_outcome(phase)
    if outcome is None:
        started = time.monotonic()
        try:
            ema, earlier = trained_model(session, plan, phase, pseudo)
        except TrainingError as error:
            raise TrainingError(f"{plan.method}, phase {plan.number}: {error}") from None
        outcome, summary = measure(session, plan, phase, ema, pseudo)
        steps = phase_steps(session.config, session.data, plan)
        phase.finish({"steps": steps, "seconds": earlier + time.monotonic() - started, **summary})
    session.finished[plan] = phase.summary
    session.tell(plan)
    return outcome


def read_outcome(phase: Phase) -> Outcome | None:
    """What a complete phase passes on; None, with a warning if its files are damaged, when it must run."""
    if not phase.done:
        return None
    try:
        arrays = phase.arrays("predictions")
        return Outcome(phase.summary["accuracy"], Predictions(arrays["label"], arrays["level"]))
    except (RunError, KeyError) as error:
        phase.note(f"{phase.folder}: a damaged file, measuring this phase again ({error})")
        return None


def trained_model(session: Session, plan: Plan, phase: Phase, pseudo: PseudoLabels | None) -> tuple[nn.Module, float]:
    """The phase's EMA, from its file or trained from its newest checkpoint on; and the seconds spent before now."""
    config = session.config
    model = session.build(config.seed, "init", plan.number)
    recipe = phase_recipe(session, plan)
    if (state := phase.model()) is not None:
        model.load_state_dict(state["ema"])
        return model, state["seconds"]

    state = phase.checkpoint()
    torch.manual_seed(derive(config.seed, "training", plan.number))
    session.run.rewind_log(plan.method, plan.number, state["step"] if state else 0)
    before = state["seconds"] if state else 0.0
    started = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - started

    def log(record: dict[str, float]) -> None:
        session.run.log({"method": plan.method, "phase": plan.number, **record})

    def evaluate(ema: nn.Module) -> dict[str, float]:
        found = session.predict(ema, session.data.val)
        return {"val_accuracy": accuracy(found.label, session.data.val.labels.cpu().numpy())}

    ema = train(
        model,
        phase_batches(session, plan, pseudo),
        recipe,
        log=log,
        save=lambda state: phase.save(state | {"seconds": seconds()}),
        evaluate=evaluate if len(session.data.val) else lambda ema: {},
        state=state,
        tick=lambda step: session.tell(plan, step),
    )
    averaged = ema.state_dict()
    phase.save_model({"model": model.state_dict(), "ema": averaged, "seconds": seconds()}, recipe.steps)
    model.load_state_dict(averaged)  # as when it is read from the file: memory layout and all
    return model, before


def phase_steps(config: Config, data: Data, plan: Plan) -> int:
    """Optimiser steps of a phase: an epoch is one pass over the kept pseudo labels, or, without any, over X (§6)."""
    batch = config.batch_labeled + config.batch_pseudo
    if plan.number:
        return config.epochs * math.ceil(max(1, round(plan.ratio * len(data.unlabeled))) / config.batch_pseudo)
    if plan.method == "oracle":
        return config.epochs * math.ceil((len(data.labeled) + len(data.unlabeled)) / batch)
    return config.baseline_epochs * math.ceil(len(data.labeled) / batch)


def phase_recipe(session: Session, plan: Plan) -> Recipe:
    """The config's recipe for this phase."""
    config = session.config
    shared = ("gamma1", "gamma2", "gamma_ramp", "mixup", "lr", "momentum", "weight_decay", "ema_decay")
    return Recipe(
        steps=phase_steps(config, session.data, plan),
        seed=derive(config.seed, "steps", plan.number),
        rule=plan.rule,
        precision=session.precision,
        log_points=config.log_points,
        checkpoint_seconds=config.checkpoint_seconds,
        **{name: getattr(config, name) for name in shared},
    )


def phase_batches(session: Session, plan: Plan, pseudo: PseudoLabels | None) -> Batches:
    """Joint batches of X and the kept pseudo labels; of X alone, or of every truth, where there are none."""
    config, data = session.config, session.data
    labeled, kept, label, confidence = data.labeled, None, None, None
    if plan.method == "oracle":
        labeled = Images(
            torch.cat([labeled.pixels, data.unlabeled.pixels]),
            torch.cat([labeled.labels, data.unlabeled.labels]),
            labeled.names + data.unlabeled.names,
        )
    size = config.batch_labeled + config.batch_pseudo
    if pseudo is not None:
        chosen = np.flatnonzero(pseudo.kept)
        kept, size = data.unlabeled.select(chosen.tolist()), config.batch_labeled
        label = torch.from_numpy(pseudo.label[chosen].astype(np.int64)).to(session.device)
        confidence = torch.from_numpy(pseudo.confidence[chosen]).to(session.device)
    return Batches(
        data,
        labeled,
        kept,
        label,
        confidence,
        batch_labeled=size,
        batch_pseudo=config.batch_pseudo,
        augment=augmentation(config),
        seed=derive(config.seed, "batches", plan.number),
    )


def augmentation(config: Config) -> Augment:
    """The config's augmentation; outside and Cutout are black for digits and grey elsewhere (§6)."""
    fill = 0 if config.dataset == "digits" else 128
    return Augment(config.crop_padding, config.flip, config.augment, fill)


def measure(
    session: Session, plan: Plan, phase: Phase, ema: nn.Module, pseudo: PseudoLabels | None
) -> tuple[Outcome, dict[str, Any]]:
    """Test the phase's EMA, and ask it about U: its labels for the next phase, and each weight it would give."""
    config, data = session.config, session.data
    test = session.predict(ema, data.test)
    on_u = session.predict(ema, data.unlabeled, None if pseudo is None else pseudo.label)
    truth = _numpy(data.test.labels)
    phase.write_arrays("test", label=test.label, level=test.level, truth=truth)
    phase.write_arrays("predictions", label=on_u.label, level=on_u.level)
    summary: dict[str, Any] = {"accuracy": accuracy(test.label, truth), "kept": 0, "ratio": plan.ratio}
    if pseudo is not None:
        given = on_u.level_of_given
        assert given is not None
        phase.write_arrays("pseudo_labels", label=pseudo.label, level=pseudo.level, kept=pseudo.kept, p=given)
        explained = case_table(pseudo, on_u, given, _numpy(data.unlabeled.labels), data.truth_known, plan.rule, config)
        summary |= explained.summary
        chosen = samples(explained, seed=derive(config.seed, "samples"))
        pixels = _numpy(data.unlabeled.pixels[torch.from_numpy(chosen["index"])])
        phase.write_arrays("samples", pixels=pixels, **chosen)
    return Outcome(summary["accuracy"], on_u), summary


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
