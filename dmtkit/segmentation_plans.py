"""Which phases a segmentation run has: what each method starts from, who labels for whom, how long each phase is."""

import math

from dmtkit.config import Config, SegmentationConfig
from dmtkit.data.pictures import Part
from dmtkit.data.segmentation import Scenes
from dmtkit.methods import METHODS, Plan, phase_plans


def first_plans(config: Config, name: str) -> list[Plan]:
    """Phase 0 of a method: the models that it starts from, supervised on X and shared by the methods.

    Two models where each labels for the other (`supervised` trains both then, too). With difference-maximised sampling
    such a method has a phase 0 of its own, each model on its part of X, and the others start from all of X.

    >>> [(p.method, p.model) for p in first_plans(SegmentationConfig(), "dmt")]
    [('supervised', 'A'), ('supervised', 'B')]
    >>> [(p.method, p.model) for p in first_plans(SegmentationConfig(sampling="dms"), "dmt")]
    [('dmt', 'A'), ('dmt', 'B')]
    """
    sampled = isinstance(config, SegmentationConfig) and config.sampling == "dms"
    two = METHODS[name].teacher == "other"
    if name == "supervised" and not sampled:
        two = any(METHODS[other].teacher == "other" for other in config.methods)
    owner = name if two and sampled else "supervised"
    return [Plan(owner, model=model) for model in (("A", "B") if two else ("A",))]


def plans(config: Config) -> list[Plan]:
    """Every phase of every model that a run trains, each once."""
    found: list[Plan] = []
    for name in config.methods:
        if METHODS[name].teacher == "truth":
            found.append(Plan(name, model="A"))
            continue
        first = first_plans(config, name)
        found += first
        if METHODS[name].teacher != "nobody":
            found += [plan for start in first for plan in phase_plans(name, config, start.model)]
    return list(dict.fromkeys(found))


def labels_for_others(config: Config, plan: Plan) -> bool:
    """Whether a later phase learns from this model's labels.

    >>> config = SegmentationConfig(methods=("supervised", "cbst"))
    >>> [labels_for_others(config, Plan(*p)) for p in (("supervised", 0), ("cbst", 3), ("cbst", 4), ("oracle", 0))]
    [True, True, False, False]
    """
    labelling = [name for name in config.methods if METHODS[name].stores_labels]
    if plan.method == "supervised":
        return any(first.method == "supervised" for name in labelling for first in first_plans(config, name))
    return plan.method in labelling and plan.number < len(config.label_ratios)


def seen_of_x(data: Scenes, plan: Plan) -> Part:
    """What a model sees of X in phase 0: all of it, but for methods with two models of their own (§5.3)."""
    return data.labeled if plan.method == "supervised" else {"A": data.left, "B": data.right}[plan.model]


def phase_steps(config: SegmentationConfig, data: Scenes, plan: Plan) -> int:
    """Optimiser steps of a phase: an epoch is one pass over U, or, in phase 0, over what the model sees of X (§6)."""
    batch = config.batch_labeled + config.batch_pseudo
    if plan.rule == "online":  # as long as the phases of a method that iterates
        return sum(phase_steps(config, data, each) for each in phase_plans("dmt", config))
    if plan.number:
        return config.epochs * math.ceil(len(data.unlabeled) / config.batch_pseudo)
    if plan.method == "oracle":
        whole = len(data.labeled) + len(data.unlabeled)
        return config.epochs * len(config.label_ratios) * math.ceil(whole / batch)
    return config.baseline_epochs * math.ceil(len(seen_of_x(data, plan)) / batch)
