"""Classification by iterated mutual training: the loop of method.md §5.1, and what each of its phases is.

Phase 0 trains a supervised model on X. In each phase k the previous model labels U, the share α that it is
surest of is kept, and a newly initialised model is trained on X plus the kept labels.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit import team
from dmtkit.config import ClassificationConfig, Config
from dmtkit.data import Data, Images, load
from dmtkit.data.augment import Augment
from dmtkit.data.batches import Batches
from dmtkit.errors import ConfigError
from dmtkit.explain import case_table, samples
from dmtkit.methods import METHODS, Plan, phase_plans
from dmtkit.metrics import accuracy
from dmtkit.models import build
from dmtkit.phases import Session, Work, complete, reported
from dmtkit.pseudo import Predictions, PseudoLabels, join, keep_most_confident, predict
from dmtkit.runs import Phase
from dmtkit.seeds import derive, generator
from dmtkit.step import Recipe
from dmtkit.trainer import image_batches

__all__ = ["check", "check_data", "load", "on_device", "phase_steps", "plans", "run_method", "work_of"]

SUPERVISED = Plan("supervised")
PREDICTED = 500  # images predicted at once


@dataclass(frozen=True)
class Outcome:
    """What a finished phase passes on: its test accuracy in percent and its predictions on U."""

    accuracy: float
    predictions: Predictions


def run_method(name: str, session: Session) -> dict[str, object]:
    """One method from phase 0 to the last; its test accuracy, and that after every phase, in percent.

    `itself` and `other` both mean the previous phase's model here: every student starts anew. Where labels are made
    online there is one phase, which goes on with the supervised model.
    """
    if METHODS[name].teacher == "truth":
        return headline([train_phase(session, Plan(name)).accuracy])
    teacher = train_phase(session, SUPERVISED)  # phase 0: a supervised model on X, trained once for all methods
    if METHODS[name].teacher == "nobody":
        return headline([teacher.accuracy])
    accuracies = []
    for plan in phase_plans(name, session.config):
        stored = METHODS[name].stores_labels
        pseudo = (
            label(teacher.predictions, plan.ratio, derive(session.config.seed, "ties", plan.number)) if stored else None
        )
        teacher = train_phase(session, plan, pseudo)  # the student becomes the next phase's teacher
        accuracies.append(teacher.accuracy)
    return headline(accuracies)


def label(predictions: Predictions, ratio: float, seed: int) -> PseudoLabels:
    """The teacher's predictions as pseudo labels, the share `ratio` that it is surest of being kept."""
    level = torch.from_numpy(predictions.level.astype(np.int64))
    kept = keep_most_confident(level, ratio, generator(seed)).numpy()
    return PseudoLabels(predictions.label, predictions.level, kept)


def headline(accuracies: list[float]) -> dict[str, object]:
    """What DONE.json says of a method: the last phase's accuracy is the method's."""
    return {"accuracy": accuracies[-1], "phases": accuracies}


def train_phase(session: Session, plan: Plan, pseudo: PseudoLabels | None = None) -> Outcome:
    """Run one phase, or what is left of it, or read it if it is complete."""
    return read_outcome(complete(session, plan, work_of(session, plan, pseudo)))


def work_of(session: Session, plan: Plan, pseudo: PseudoLabels | None = None) -> Work:
    """What a phase consists of."""
    return Work(
        recipe=phase_recipe(session, plan),
        build=lambda: starting_model(session, plan),
        batches=lambda: phase_batches(session, plan, pseudo),
        measure=lambda model, phase: measure(session, plan, phase, model, pseudo),
        check=read_outcome,
        evaluate=(lambda model: val_accuracy(session, model)) if len(session.data.val) else None,
    )


def read_outcome(phase: Phase) -> Outcome:
    """What a complete phase passes on; RunError if a file is damaged."""
    arrays = phase.arrays("predictions")
    return Outcome(phase.summary["accuracy"], Predictions(arrays["label"], arrays["level"]))


def starting_model(session: Session, plan: Plan) -> nn.Module:
    """A newly initialised model, whose weights follow from the run's seed and the phase alone; online, the supervised one."""
    number = plan.number if METHODS[plan.method].reseeds else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(session.config.seed, "init", number))
        model = build(
            session.config.model, channels=session.data.test.pixels.shape[1], classes=len(session.data.classes)
        )
    if plan.rule == "online":
        model.load_state_dict(reported(session.phase(SUPERVISED).weights()))
    return model.to(session.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def on_device(data: Data, device: torch.device) -> Data:
    """The same data with all images on the device."""
    parts = {name: getattr(data, name).to(device) for name in ("labeled", "unlabeled", "val", "test")}
    return Data(**parts, classes=data.classes, mean=data.mean, std=data.std)


def predict_images(session: Session, model: nn.Module, images: Images, given: np.ndarray | None = None) -> Predictions:
    """One pass of `model`, in evaluation mode, over images as they are, each process its share of the batches."""
    model.eval()
    parts = images.pixels.split(PREDICTED)
    mine = team.run_of(len(parts))
    start, end = mine.start * PREDICTED, min(mine.stop * PREDICTED, len(images))
    found = None
    if mine:
        with session.autocast():
            batches = image_batches(session.data.normalise, images.pixels[start:end], PREDICTED)
            found = predict(model, batches, None if given is None else given[start:end])
    return join([part for part in team.gather(found) if part is not None])


def val_accuracy(session: Session, model: nn.Module) -> dict[str, float]:
    """Accuracy on the held-out images, for the curves."""
    found = predict_images(session, model, session.data.val)
    return {"val_accuracy": accuracy(found.label, _numpy(session.data.val.labels))}


def plans(config: Config) -> list[Plan]:
    """Every phase that a run trains, each once."""
    found = [] if set(config.methods) == {"oracle"} else [SUPERVISED]
    for name in config.methods:
        if METHODS[name].teacher == "truth":
            found.append(Plan(name))
        elif METHODS[name].teacher != "nobody":
            found += phase_plans(name, config)
    return found


def phase_steps(config: Config, data: Data, plan: Plan) -> int:
    """Optimiser steps of a phase: an epoch is one pass over the kept pseudo labels, or, without any, over X (§6)."""
    batch = config.batch_labeled + config.batch_pseudo
    if plan.rule == "online":  # as long as the phases of a method that iterates
        return sum(phase_steps(config, data, each) for each in phase_plans("dmt", config))
    if plan.number:
        return config.epochs * math.ceil(max(1, round(plan.ratio * len(data.unlabeled))) / config.batch_pseudo)
    if plan.method == "oracle":
        return config.epochs * math.ceil((len(data.labeled) + len(data.unlabeled)) / batch)
    return config.baseline_epochs * math.ceil(len(data.labeled) / batch)


def phase_recipe(session: Session, plan: Plan) -> Recipe:
    """The config's recipe for this phase."""
    config = session.config
    shared = (
        "gamma1",
        "gamma2",
        "gamma_ramp",
        "mixup",
        "lr",
        "momentum",
        "weight_decay",
        "ema_decay",
        "online_threshold",
        "sync_batchnorm",
    )
    return Recipe(
        steps=phase_steps(config, session.data, plan),
        seed=derive(config.seed, "steps", plan.number),
        rule=plan.rule,
        keeps="average",
        precision=session.precision,
        compile=config.compile,
        log_points=config.log_points,
        checkpoint_seconds=config.checkpoint_seconds,
        **{name: getattr(config, name) for name in shared},
    )


def phase_batches(session: Session, plan: Plan, pseudo: PseudoLabels | None) -> Batches:
    """Joint batches of X and the kept pseudo labels; of X alone, or of every truth, where there are none.

    Of X and all of U, not labeled yet, where labels are made online.
    """
    config, data = session.config, session.data
    labeled, kept, label, confidence = data.labeled, None, None, None
    if plan.method == "oracle":
        labeled = Images(
            torch.cat([labeled.pixels, data.unlabeled.pixels]),
            torch.cat([labeled.labels, data.unlabeled.labels]),
            labeled.names + data.unlabeled.names,
        )
    size = config.batch_labeled + config.batch_pseudo
    if plan.rule == "online":
        blank = np.zeros(len(data.unlabeled), np.uint16)
        pseudo = PseudoLabels(blank.astype(np.uint8), blank, np.ones(len(blank), bool))
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
        rows=team.rows(),
    )


def augmentation(config: Config) -> Augment:
    """The config's augmentation; outside and Cutout are black for digits and grey elsewhere (§6)."""
    assert isinstance(config, ClassificationConfig)
    fill = 0 if config.dataset == "digits" else 128
    return Augment(config.crop_padding, config.flip, config.augment, fill)


def measure(
    session: Session, plan: Plan, phase: Phase, model: nn.Module, pseudo: PseudoLabels | None
) -> dict[str, Any]:
    """Test the phase's EMA, and ask it about U: its labels for the next phase, and each weight it would give."""
    config, data = session.config, session.data
    test = predict_images(session, model, data.test)
    on_u = predict_images(session, model, data.unlabeled, None if pseudo is None else pseudo.label)
    truth = _numpy(data.test.labels)
    phase.write_arrays("test", label=test.label, level=test.level, truth=truth)
    phase.write_arrays("predictions", label=on_u.label, level=on_u.level)
    summary: dict[str, Any] = {"accuracy": accuracy(test.label, truth), "kept": 0}
    if pseudo is not None:
        given = on_u.level_of_given
        assert given is not None
        phase.write_arrays("pseudo_labels", label=pseudo.label, level=pseudo.level, kept=pseudo.kept, p=given)
        explained = case_table(pseudo, on_u, given, _numpy(data.unlabeled.labels), data.truth_known, plan.rule, config)
        summary |= explained.summary
        chosen = samples(explained, seed=derive(config.seed, "samples"))
        pixels = _numpy(data.unlabeled.pixels[torch.from_numpy(chosen["index"])])
        phase.write_arrays("samples", pixels=pixels, **chosen)
    return summary


def check(config: Config) -> None:
    """Refuse, before anything starts, what the config alone shows to be impossible."""
    with torch.device("meta"):
        build(config.model, channels=1, classes=2)
    augmentation(config)


def check_data(config: Config, data: Data) -> None:
    """Refuse, before anything starts, what this data cannot give."""
    if "oracle" in config.methods and not data.truth_known:
        raise ConfigError("methods: oracle needs the truth of every unlabeled image, which this data does not have")


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
