"""The table of methods, and the loop over phases that runs each of them (method.md §4, §5.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from dmtkit.config import Config
from dmtkit.data import Data, load
from dmtkit.dynamic import Rule
from dmtkit.environment import describe_environment, pick_device
from dmtkit.errors import ConfigError, unknown_name
from dmtkit.phases import Plan, Progress, Session, augmentation, phase_steps, train_phase
from dmtkit.pseudo import Predictions, PseudoLabels, keep_most_confident
from dmtkit.published import tables
from dmtkit.run_folder import default_folder, open_run, refuse_other_run
from dmtkit.runs import Run, load_run
from dmtkit.seeds import derive, generator


@dataclass(frozen=True)
class Method:
    """A point on the two axes of §4: who labels, and how its labels are weighed.

    In classification `itself` and `other` both mean the previous phase's model: every student starts anew.
    """

    title: str
    teacher: Literal["nobody", "truth", "itself", "other"]
    rule: Rule = "uniform"


METHODS = {
    "supervised": Method("Supervised baseline", "nobody"),
    "oracle": Method("Oracle (every label)", "truth"),
    "cl": Method("Curriculum labeling", "itself"),
    "dmt": Method("DMT", "other", "dynamic"),
}


SUPERVISED = Plan("supervised")


def run_methods(
    config: Config,
    data: Data | None = None,
    output_dir: str | Path | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Run every method of `config` in its run folder, going on where an earlier start stopped.

    A finished run is opened and returned as it is. `progress` is called after every step.
    """
    folder = Path(output_dir) if output_dir else default_folder(config)
    refuse_other_run(config, folder)
    if (folder / "DONE.json").is_file():
        return load_run(folder)
    check(config)
    data = data or load(config)
    check_data(config, data)
    environment = describe_environment(config)
    device = pick_device(config.device)
    with open_run(config, folder, environment) as run:
        run.keep_split(data.describe())
        session = Session(config, data, run, device, environment["precision"], progress, total_steps(config, data))
        try:
            results = {name: run_method(name, session) for name in config.methods}
        except KeyboardInterrupt as stop:  # between two steps, or anywhere else: nothing complete is lost
            where = f" ({stop})" if str(stop) else ""
            raise KeyboardInterrupt(f"{folder}: stopped{where}; run the same again and it goes on from here") from None
        run.finish(
            {
                "experiment": config.experiment,
                "dataset": config.dataset,
                "task": config.task,
                "seed": config.seed,
                "split": config.seed,
                "seconds": session.seconds,
                "results": results,
            }
        )
    return load_run(folder)


def run_method(name: str, session: Session) -> dict[str, object]:
    """One method from phase 0 to the last; its test accuracy, and that after every phase, in percent."""
    if METHODS[name].teacher == "truth":
        return headline([train_phase(session, Plan(name)).accuracy])
    teacher = train_phase(session, SUPERVISED)  # phase 0: a supervised model on X, trained once for all methods
    if METHODS[name].teacher == "nobody":
        return headline([teacher.accuracy])
    accuracies = []
    for plan in phase_plans(name, session.config):
        pseudo = label(teacher.predictions, plan.ratio, derive(session.config.seed, "ties", plan.number))
        teacher = train_phase(session, plan, pseudo)  # the student becomes the next phase's teacher
        accuracies.append(teacher.accuracy)
    return headline(accuracies)


def phase_plans(name: str, config: Config) -> list[Plan]:
    """The phases 1 … K of a method that labels; every student is newly initialised, with another seed (§5.1).

    >>> [(plan.number, plan.ratio, plan.rule) for plan in phase_plans("dmt", Config(label_ratios=(0.5, 1.0)))]
    [(1, 0.5, 'dynamic'), (2, 1.0, 'dynamic')]
    """
    method = METHODS[name]
    return [Plan(name, k, ratio, method.rule) for k, ratio in enumerate(config.label_ratios, start=1)]


def plans(config: Config) -> list[Plan]:
    """Every phase that a run trains, each once."""
    found = [] if set(config.methods) == {"oracle"} else [SUPERVISED]
    for name in config.methods:
        if METHODS[name].teacher == "truth":
            found.append(Plan(name))
        elif METHODS[name].teacher != "nobody":
            found += phase_plans(name, config)
    return found


def label(predictions: Predictions, ratio: float, seed: int) -> PseudoLabels:
    """The teacher's predictions as pseudo labels, the share `ratio` that it is surest of being kept."""
    level = torch.from_numpy(predictions.level.astype(np.int64))
    kept = keep_most_confident(level, ratio, generator(seed)).numpy()
    return PseudoLabels(predictions.label, predictions.level, kept)


def headline(accuracies: list[float]) -> dict[str, object]:
    """What DONE.json says of a method: the last phase's accuracy is the method's."""
    return {"accuracy": accuracies[-1], "phases": accuracies}


def total_steps(config: Config, data: Data) -> int:
    """Training steps of all phases of a run."""
    return sum(phase_steps(config, data, plan) for plan in plans(config))


def check(config: Config) -> None:
    """Refuse, before anything starts, what the config alone shows to be impossible."""
    from dmtkit.models import build

    unknown = [unknown_name(name, list(METHODS), "method") for name in config.methods if name not in METHODS]
    if unknown:
        raise ConfigError("methods: " + "; ".join(unknown))
    if config.published and config.published not in tables():
        raise ConfigError("published: " + unknown_name(config.published, tables(), "table"))
    with torch.device("meta"):
        build(config.model, channels=1, classes=2)
    augmentation(config)
    pick_device(config.device)


def check_data(config: Config, data: Data) -> None:
    """Refuse, before anything starts, what this data cannot give."""
    if "oracle" in config.methods and not data.truth_known:
        raise ConfigError("methods: oracle needs the truth of every unlabeled image, which this data does not have")
