"""What a task must answer: all that images and pixels do differently, for a method's loops and for the engine.

A task object belongs to one run: its settings, its data, its folder, and the device it computes on.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sized
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import psutil
import torch
from torch import nn

from dmtkit.config import Config
from dmtkit.data import DataSet
from dmtkit.data.batches import Batch
from dmtkit.errors import ConfigError
from dmtkit.losses.dynamic import DynamicWeights
from dmtkit.methods import METHODS, Method
from dmtkit.methods.given import halves_lacking
from dmtkit.methods.lab import Plan, Score, Terms, Training
from dmtkit.methods.parameters import for_task
from dmtkit.models import PAPER_RATES, build
from dmtkit.models.weights import load_weights
from dmtkit.params import project_root
from dmtkit.registry import TASK_FACTS, Registry
from dmtkit.runs.environment import pick_device, pick_precision
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.phase import Phase, reported
from dmtkit.seeds import derive

Visit = Callable[[nn.Module], None]


class Task(ABC):
    """A run as its task sees it; `start` gives it a folder."""

    fine_tunes: ClassVar[bool]  # whether students go on from their own last weights, or start anew
    config: Config
    data: DataSet
    run: RunFolder

    def __init__(self, config: Config, data: DataSet) -> None:
        self.config, self.data, self.facts = config, data, TASK_FACTS[config.task]
        self.device = pick_device(config.device)
        self.precision = pick_precision(config.precision, self.device)

    def start(self, run: RunFolder) -> None:
        """Attach the run's folder, and move the data to the device."""
        self.run = run

    @cached_property
    def methods(self) -> dict[str, Method]:
        """The methods of the run with its parameters, and the supervised one that trains what they start from."""
        task, given = self.config.task, self.config.parameters
        names = dict.fromkeys(["supervised", *self.config.methods])
        return {name: for_task(type(METHODS[name]), task, given.get(name)) for name in names}

    def method_of(self, training: Training) -> Method:
        """The method whose losses a training has."""
        return self.methods[training.method]

    # ---- before anything starts

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuse what the config alone shows to be impossible, such as a network that cannot be built."""
        with torch.device("meta"):
            network_of(config, channels=3, classes=2)

    def check_data(self, plan: Plan) -> None:
        """Refuse what this data, or a network that is built for it, cannot give to the run."""
        splitting = [name for name, method in self.methods.items() if method.splits]
        if splitting and (lacking := halves_lacking(self.build())):
            raise ConfigError(f"model: {self.config.model}: {lacking} (methods: {', '.join(splitting)})")
        images, memory = 4 * self.batch * math.prod(self.image), psutil.virtual_memory().total
        if 8 * images > memory:
            raise ConfigError(
                f"batch_labeled, batch_pseudo: {self.batch} images of {'×'.join(map(str, self.image))} take {images / 2**30:.1f} GiB, "
                f"more than an eighth of this machine's {memory / 2**30:.0f}; a step needs many times that: take fewer or smaller ones"
            )
        if "oracle" in self.config.methods and not getattr(self.data, "truth_complete", self.data.truth_known):
            what = "mask" if self.facts.pixels else "truth"
            raise ConfigError(f"methods: oracle needs the {what} of every unlabeled image, which this data lacks")

    # ---- the loops (methods/lab.py)

    @property
    def terms(self) -> Terms:
        """What a method's loops must know."""
        samples = getattr(self.config, "sampling", "all") == "dms"
        return Terms(self.facts, self.fine_tunes, self.config.label_ratios, samples, self.steps)

    def steps(self, training: Training) -> int:
        """By what it learns: an epoch is one pass over the kept labels, of pixels over U, or, without any, over X (§6)."""
        config, x, u = self.config, len(self.seen_of_x(training)), len(self.data.unlabeled)
        if training.learns == "X":
            return config.baseline_epochs * math.ceil(x / self.batch)
        if training.learns == "truth":  # of pixels as long as all phases together
            phases = len(config.label_ratios) if self.facts.pixels else 1
            return config.epochs * phases * math.ceil((x + u) / self.batch)
        kept = u if self.facts.pixels else max(1, round(training.ratio * u))
        return config.epochs * math.ceil(kept / config.batch_pseudo)

    @property
    def batch(self) -> int:
        """How many images a step sees."""
        return self.config.batch_labeled + self.config.batch_pseudo

    def seen_of_x(self, training: Training) -> Sized:
        """What a model sees of X in phase 0."""
        return self.data.labeled

    # ---- one training

    @abstractmethod
    def settings(self, training: Training) -> dict[str, Any]:
        """Of a training's recipe what is no setting of its name: schedule, what comes out, and what differs by training."""

    @property
    @abstractmethod
    def image(self) -> tuple[int, ...]:
        """Channels, height and width of an image that it is trained on."""

    @abstractmethod
    def batches(self, training: Training) -> Callable[[int], Batch]:
        """What a training learns, as a function of the step."""

    @abstractmethod
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """How a network does on the held-out images, for the curves and for the best snapshot."""

    def visits(self, training: Training) -> Mapping[int, Visit]:
        """What is to be looked at while a network learns, after so many steps."""
        return {}

    @abstractmethod
    def measure(
        self, training: Training, model: nn.Module, labelled_for: tuple[float, ...], last: bool
    ) -> dict[str, Any]:
        """Look at a finished model, let it label U where later phases learn the shares `labelled_for`; sum the phase up.

        `last`: what its method ends with.
        """

    # ---- results

    def test(self, score: Score) -> float:
        """Test the models of a phase, once, where that is not measured with the phase; the seconds that it took."""
        return 0.0

    @abstractmethod
    def headline(self, scores: list[Score]) -> dict[str, object]:
        """What DONE.json says of a method: the last phase's metric, and that after every phase, in percent."""

    def drop_labels(self, training: Training) -> None:  # noqa: B027
        """Remove stored labels that no later phase needs, where they take much room."""

    # ---- what the tasks share

    def phase(self, training: Training) -> Phase:
        """The folder of a training."""
        return self.run.phase(*training.key)

    def seed(self, what: str, training: Training) -> int:
        """The seed of some randomness of a training."""
        return derive(self.config.seed, what, training.phase, *filter(None, [training.model]))

    def build(self, *seed: int | str) -> nn.Module:
        """A network of the config, initialised at random, by the run's seed and these."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.config.seed, "init", *seed))
            return network_of(self.config, self.image[0], len(self.data.classes))

    def weigh(self, training: Training) -> Callable[..., DynamicWeights]:
        """How its method weighs stored labels, with γ at its maximum."""
        return partial(self.method_of(training).weigh, gamma1=self.config.gamma1, gamma2=self.config.gamma2)

    def network(self, training: Training, name: str) -> nn.Module:
        """What a training starts from, on the device; `name` is that of one of the method's networks."""
        first, after = name == self.method_of(training).nets[0], training.after
        number = training.model if self.fine_tunes else training.initialisation  # A and B: random weights of their own
        network = self.build(number) if first else self.build(number, name)
        if after is None:
            if weights := initial_weights(self.config, training.model):
                self.phase(training).remark(f"model {training.model}: {load_weights(network, weights)}")
        else:
            state, known = self.phase(after).weights(), self.method_of(after)
            if name in known.nets and name != known.reports:
                network.load_state_dict(state[name])
            elif first or name in known.nets:  # further networks that it did not have begin as they were drawn
                network.load_state_dict(reported(state))
        return self.ready(network)

    def trained(self, training: Training) -> nn.Module:
        """What came out of a training, on the device; RunError if it is missing or damaged."""
        state = reported(self.phase(training).weights())
        network = self.build()
        network.load_state_dict(state)
        return self.ready(network)

    def autocast(self) -> torch.autocast:
        """The context in which networks compute."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def ready(self, model: nn.Module) -> nn.Module:
        """A network on the device."""
        return model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


TASKS: Registry[type[Task]] = Registry(
    "task", {"tasks.classification": "classification", "tasks.segmentation": "segmentation"}
)


def network_of(config: Config, channels: int, classes: int) -> nn.Module:
    """A network of the config for images of so many channels."""
    return build(config.model, channels, classes, getattr(config, "aspp_rates", PAPER_RATES), config.task)


def initial_weights(config: Config, model: str) -> str | Path | None:
    """The weights that a model starts from: `imagenet`, a file relative to the project, or none."""
    source = getattr(config, f"init_{model.lower()}", None)
    return project_root() / source if source and source != "imagenet" else source


def check_methods(config: Config) -> None:
    """ConfigError for a method that does not exist or is not defined for the task."""
    METHODS.check(*config.methods)
    foreign = [name for name in config.methods if config.task not in METHODS[name].tasks]
    if foreign:
        possible = [name for name, method in METHODS.items() if config.task in method.tasks]
        raise ConfigError(
            f"methods: {', '.join(foreign)} is not defined for {config.task}; those that are: {', '.join(possible)}"
        )
