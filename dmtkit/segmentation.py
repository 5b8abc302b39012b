"""Segmentation by mutual training of two models side by side: the loop of method.md §5.2, and what each phase is.

Phase 0 trains A and B supervised on X. In each phase k both label U as they are at its start; the labels
that A is surest of, class by class, fine-tune B, and those of B fine-tune A.
"""

import math
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dmtkit import team
from dmtkit.class_balance import class_thresholds
from dmtkit.config import SegmentationConfig
from dmtkit.data.crops import Ahead, Blank, Crops
from dmtkit.data.pictures import Part
from dmtkit.data.segmentation import Scenes, load
from dmtkit.errors import ConfigError, RunError
from dmtkit.label_store import Kept, LabelStore, open_labels
from dmtkit.labelling import Reader, confusion_matrices, label_images, look
from dmtkit.methods import METHODS, Plan, phase_plans
from dmtkit.models import build
from dmtkit.models.weights import load_weights
from dmtkit.params import project_root
from dmtkit.phases import Session, Work, complete, reported
from dmtkit.pixels import class_iou, mean_iou
from dmtkit.probes import Probe
from dmtkit.runs import Phase
from dmtkit.seeds import derive
from dmtkit.segmentation_plans import first_plans, labels_for_others, phase_steps, plans, seen_of_x
from dmtkit.step import Recipe

__all__ = ["check", "check_data", "load", "on_device", "phase_steps", "plans", "run_method", "work_of"]

OTHER = {"A": "B", "B": "A"}
DROPPED = "labels-dropped"


@dataclass(frozen=True)
class Trained:
    """A model at the end of a phase: its folder, its weights and its labels of U (None once they were dropped)."""

    phase: Phase
    state: Mapping[str, torch.Tensor]
    labels: LabelStore | None


def run_method(name: str, session: Session) -> dict[str, object]:
    """One method from phase 0 to the last; mIoU in percent of A, of B and of their mean, after every phase."""
    config, method = config_of(session), METHODS[name]
    if method.teacher == "truth":
        return headline([score_phase(session, name, 0, {"A": train_phase(session, Plan(name, model="A"))})])
    states = {plan.model: train_phase(session, plan) for plan in first_plans(config, name)}
    if method.teacher == "nobody":
        return headline([score_phase(session, name, 0, states)])
    scores = []
    for phase in phase_plans(name, config):
        teachers = {m: states[OTHER[m] if method.teacher == "other" else m] for m in states}  # as the phase starts
        kept = {m: keep(session, teacher, phase) for m, teacher in teachers.items()}
        students = {m: train_phase(session, replace(phase, model=m), kept[m], states[m]) for m in states}
        scores.append(score_phase(session, name, phase.number, students))
        drop_labels(config, states.values(), name)
        states = students
    return headline(scores)


def keep(session: Session, teacher: Trained, plan: Plan) -> Kept | Blank | None:
    """Of every class the share α of the teacher's labels that it is surest of; None if they were dropped.

    Blank where labels are made online, by the student itself in every step.
    """
    if plan.rule == "online":
        return Blank(session.data.sizes(session.data.unlabeled))
    if teacher.labels is None:
        return None
    return Kept(teacher.labels, class_thresholds(torch.from_numpy(teacher.labels.histogram), plan.ratio))


def headline(scores: list[dict[str, float]]) -> dict[str, object]:
    """What DONE.json says of a method: A's mIoU after the last phase is the method's, fixed before training (§8)."""
    last = scores[-1] if len(scores[-1]) > 1 else {}
    return {"miou": scores[-1]["A"], "phases": [score["A"] for score in scores], **last}


def train_phase(
    session: Session, plan: Plan, kept: Kept | Blank | None = None, start: Trained | None = None
) -> Trained:
    """Train one model for one phase, from its own last weights or from its initialisation, and let it label U."""
    return read_trained(session, plan, complete(session, plan, work_of(session, plan, kept, start)))


def work_of(session: Session, plan: Plan, kept: Kept | Blank | None = None, start: Trained | None = None) -> Work:
    """What a phase of one model consists of."""
    phase, recipe = session.phase(plan), phase_recipe(session, plan)
    probe = Probe(session, plan, phase, kept, reader_of(session)) if isinstance(kept, Kept) else None

    def measure(model: nn.Module, phase: Phase) -> dict[str, Any]:
        return measure_phase(session, plan, model, phase, probe)

    return Work(
        recipe=recipe,
        build=partial(starting_model, session, plan, start),
        batches=lambda: Ahead(crops(session, plan, kept), recipe.steps, config_of(session).workers, session.device),
        measure=measure,
        check=partial(read_trained, session, plan),
        evaluate=partial(val_miou, session) if len(session.data.val) else None,
        visits=probe.visits(recipe.steps) if probe else {},
    )


def weights_at(source: str) -> str | Path:
    """`imagenet`, or a file relative to the project."""
    return source if source == "imagenet" else project_root() / source


def config_of(session: Session) -> SegmentationConfig:
    """The run's settings."""
    assert isinstance(session.config, SegmentationConfig)
    return session.config


def read_trained(session: Session, plan: Plan, phase: Phase) -> Trained:
    """What a complete phase of one model passes on; RunError if a file is damaged or of another run."""
    state = phase.weights()
    if (phase.folder / DROPPED).is_file() or not labels_for_others(session.config, plan):
        return Trained(phase, reported(state), None)
    labels = open_labels(phase.folder / "labels", phase.model_name, session.data.unlabeled.names)
    return Trained(phase, reported(state), labels)


def starting_model(session: Session, plan: Plan, start: Trained | None) -> nn.Module:
    """The model as the phase starts: its own last weights, or newly initialised (A and B with seeds of their own)."""
    config = config_of(session)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, "init", plan.model))
        model = build(config.model, 3, len(session.data.classes), config.aspp_rates)
    if start is not None:
        model.load_state_dict(start.state)
    elif source := {"A": config.init_a, "B": config.init_b}[plan.model]:
        session.phase(plan).remark(f"model {plan.model}: {load_weights(model, weights_at(source))}")
    return model.to(session.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def crops(session: Session, plan: Plan, kept: Kept | Blank | None) -> Crops:
    """Augmented crops of X and the kept labels; in phase 0 of what this model sees of X, or, for the oracle, of all."""
    config, data = config_of(session), session.data
    labeled, size = data.labeled, config.batch_labeled
    if kept is None and plan.number:
        raise labels_are_gone(session.phase(plan))
    if kept is None:
        size += config.batch_pseudo
        labeled = seen_of_x(data, plan)
    if plan.method == "oracle":
        labeled = Part(data.labeled.pictures, data.labeled.indices + data.unlabeled.indices)
    return Crops(
        labeled, data.unlabeled, kept, data.truth_known and kept is not None,
        batch_labeled=size, batch_pseudo=config.batch_pseudo, crop=config.crop, scale=config.scale,
        flip=config.flip, fill=data.fill, seed=derive(config.seed, "batches", plan.number, plan.model), rows=team.rows(),
    )  # fmt: skip


def phase_recipe(session: Session, plan: Plan) -> Recipe:
    """The config's recipe for this phase; γ is constant, optimiser and poly schedule start anew (§5.2)."""
    config = config_of(session)
    shared = ("gamma1", "gamma2", "online_threshold", "momentum", "weight_decay", "poly_power", "log_points",
              "checkpoint_seconds", "sync_batchnorm")  # fmt: skip
    return Recipe(
        steps=phase_steps(config, session.data, plan),
        seed=derive(config.seed, "steps", plan.number, plan.model),
        rule=plan.rule,
        gamma_ramp=False,
        lr=config.lr if plan.number else config.baseline_lr,
        schedule="poly",
        keeps=config.snapshot,
        score="val_miou",
        precision=session.precision,
        compile=config.compile,
        **{name: getattr(config, name) for name in shared},
    )


def measure_phase(session: Session, plan: Plan, model: nn.Module, phase: Phase, probe: Probe | None) -> dict[str, Any]:
    """Let the model label U for the next phase, if there is one, and weigh in the same pass the labels it learned."""
    config, data = config_of(session), session.data
    if plan.number and probe is None and plan.rule != "online":
        raise labels_are_gone(phase)
    reader, sizes, observe = reader_of(session), data.sizes(data.unlabeled), probe.observe if probe else None
    if labels_for_others(config, plan):
        label_images(
            model, data.unlabeled, sizes, reader, phase.folder / "labels", phase.model_name, len(data.classes),
            normalized_ratio=config.label_ratios[plan.number] if config.label_rule == "normalized" else None,
            observe=observe,
        )  # fmt: skip
    elif observe is not None:
        look(model, data.unlabeled, sizes, reader, observe)
    return probe.finish(model) if probe else {}


def labels_are_gone(phase: Phase) -> RunError:
    """What to do where a phase is to be run again and the labels it learned from were dropped."""
    return RunError(
        f"{phase.folder}: the labels it needs were dropped; remove the folder of this method and run again, "
        "or set keep_labels"
    )


def score_phase(session: Session, method: str, number: int, trained: Mapping[str, Trained]) -> dict[str, float]:
    """mIoU in percent of each model and of their mean on the test images, kept in the phase's own phase.json."""
    data, phase, started = session.data, session.run.phase(method, number), time.monotonic()
    if team.agree(lambda: not phase.done):
        models = {name: starting_model(session, Plan(method, model=name), found) for name, found in trained.items()}
        found = confusion_matrices(models, data.test, data.sizes(data.test), reader_of(session), len(data.classes))
        phase.write_arrays("confusion", **found)
        iou = {name: [None if math.isnan(v) else v for v in class_iou(c).tolist()] for name, c in found.items()}
        miou = {name: mean_iou(confusion) for name, confusion in found.items()}
        phase.finish({"miou": miou, "iou": iou, "seconds": time.monotonic() - started})
        team.wait()
    session.testing[method, number] = phase.summary["seconds"]
    return phase.summary["miou"]


def val_miou(session: Session, model: nn.Module) -> dict[str, float]:
    """mIoU on the held-out images, for the curves and for the best snapshot."""
    data = session.data
    found = confusion_matrices({"A": model}, data.val, data.sizes(data.val), reader_of(session), len(data.classes))
    return {"val_miou": mean_iou(found["A"])}


def reader_of(session: Session) -> Reader:
    """How this run reads whole images."""
    config = config_of(session)
    batch = config.batch_labeled + config.batch_pseudo
    return Reader(session.device, session.data.fill, batch, config.eval_size, max(2, config.workers), session.autocast)


def drop_labels(config: SegmentationConfig, trained: Iterable[Trained], name: str) -> None:
    """Remove labels that no later phase needs, unless `keep_labels`; shared ones once the last method has used them."""
    last = [other for other in config.methods if METHODS[other].stores_labels][-1:]
    if not team.leader():
        return
    for found in trained:
        shared = found.phase.number == 0 and found.phase.folder.parent.parent.name == "supervised"
        if not config.keep_labels and (not shared or [name] == last):
            folders = found.phase.folder.parent.glob("*/labels") if shared else [found.phase.folder / "labels"]
            for labels in list(folders):  # of a shared phase both models', whichever the last method used
                (labels.parent / DROPPED).touch()
                shutil.rmtree(labels, ignore_errors=True)


def on_device(data: Scenes, device: torch.device) -> Scenes:
    """The same data: images are read as they are needed."""
    return data


def check(config: SegmentationConfig) -> None:
    """Refuse, before anything starts, what the config alone shows to be impossible."""
    if not config.model.startswith("deeplab-"):
        raise ConfigError(f"model: found {config.model!r}, expected deeplab-resnet101, -resnet50, -resnet18 or -tiny")
    with torch.device("meta"):
        build(config.model, 3, 2, config.aspp_rates)


def check_data(config: SegmentationConfig, data: Scenes) -> None:
    """Refuse, before anything starts, what this data cannot give, and weights that do not fit it."""
    if config.snapshot == "best" and not len(data.val):
        raise ConfigError("val: snapshot 'best' needs labeled images held out to choose by; the lists name none")
    if "oracle" in config.methods and not data.truth_complete:
        raise ConfigError("methods: oracle needs the mask of every unlabeled image, which this data does not have")
    needed = {plan.model for plan in plans(config)}
    for name, source in (("A", config.init_a), ("B", config.init_b)):
        if source and name in needed:
            load_weights(build(config.model, 3, len(data.classes), config.aspp_rates), weights_at(source))
