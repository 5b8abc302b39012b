"""The table of methods: points on two axes, who labels and how its labels are weighed (method.md §4)."""

from dataclasses import dataclass
from typing import Literal

from dmtkit.config import Config
from dmtkit.dynamic import Rule
from dmtkit.errors import ConfigError, unknown_name
from dmtkit.published import tables


@dataclass(frozen=True)
class Method:
    """One row: `teacher` labels for the student, `rule` weighs the labels, `tasks` are those it is defined for.

    `online` labels for itself too, but anew in every step. `reseeds` says whether the students of classification, which
    start from nothing in each phase, start from other weights than their teacher did.
    """

    title: str
    teacher: Literal["nobody", "truth", "online", "itself", "other"]
    rule: Rule = "uniform"
    tasks: tuple[str, ...] = ("classification", "segmentation")
    reseeds: bool = True

    @property
    def stores_labels(self) -> bool:
        """Whether its phases begin with labelling U, once and for the whole phase."""
        return self.teacher in ("itself", "other")


METHODS = {
    "supervised": Method("Supervised baseline", "nobody"),
    "oracle": Method("Oracle (every label)", "truth"),
    "online_st": Method("Online self-training", "online", "online"),
    "cl": Method("Curriculum labeling", "itself", tasks=("classification",)),
    "cbst": Method("Class-balanced self-training", "itself", tasks=("segmentation",)),
    "dst": Method("Dynamic self-training", "itself", "dynamic", reseeds=False),
    "dmt_naive": Method("DMT-Naive", "other", "naive"),
    "dmt_flip": Method("DMT-Flip", "other", "flip"),
    "dmt": Method("DMT", "other", "dynamic"),
}


@dataclass(frozen=True)
class Plan:
    """What a phase trains: whose, which (this also picks the initialisation), the share α of labels, their rule.

    `model` is A or B where two models are trained side by side, and empty where there is one.
    """

    method: str
    number: int = 0
    ratio: float = 0.0
    rule: Rule = "uniform"
    model: str = ""


def phase_plans(name: str, config: Config, model: str = "") -> list[Plan]:
    """The phases 1 … K of a method that labels; the only one, as long as these together, of one that does so online.

    >>> from dmtkit.config import ClassificationConfig
    >>> [(p.number, p.ratio, p.rule) for p in phase_plans("dmt", ClassificationConfig(label_ratios=(0.5, 1.0)))]
    [(1, 0.5, 'dynamic'), (2, 1.0, 'dynamic')]
    """
    rule = METHODS[name].rule
    if METHODS[name].teacher == "online":
        return [Plan(name, 1, 1.0, rule, model)]
    return [Plan(name, k, ratio, rule, model) for k, ratio in enumerate(config.label_ratios, start=1)]


def check_methods(config: Config) -> None:
    """ConfigError for a method that does not exist or is not defined for the task, and for an unknown table."""
    unknown = [unknown_name(name, list(METHODS), "method") for name in config.methods if name not in METHODS]
    if unknown:
        raise ConfigError("methods: " + "; ".join(unknown))
    foreign = [name for name in config.methods if config.task not in METHODS[name].tasks]
    if foreign:
        possible = [name for name, method in METHODS.items() if config.task in method.tasks]
        raise ConfigError(
            f"methods: {', '.join(foreign)} is not defined for {config.task}; those that are: {', '.join(possible)}"
        )
    if config.published and config.published not in tables():
        raise ConfigError("published: " + unknown_name(config.published, tables(), "table"))
