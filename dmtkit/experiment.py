"""A whole run: every method of a config in one run folder, whatever the task."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch

from dmtkit import team
from dmtkit.baselines import key_of
from dmtkit.config import Config
from dmtkit.environment import describe_environment, pick_device, pick_precision
from dmtkit.errors import ConfigError
from dmtkit.methods import Plan, check_methods
from dmtkit.phases import Progress, Session, Work, train_baseline
from dmtkit.run_folder import RunFolder, default_folder, open_run, refuse_other_run
from dmtkit.runs import Run, load_run


class Task(Protocol):
    """What a task's module, dmtkit.classification or dmtkit.segmentation, offers."""

    def load(self, config: Any) -> Any:
        """The data of a config."""

    def check(self, config: Any) -> None:
        """Refuse what the config alone shows to be impossible."""

    def check_data(self, config: Any, data: Any) -> None:
        """Refuse what this data cannot give."""

    def on_device(self, data: Any, device: torch.device) -> Any:
        """The data where training wants it."""

    def plans(self, config: Any) -> list[Plan]:
        """Every phase that a run trains, each once."""

    def phase_steps(self, config: Any, data: Any, plan: Plan) -> int:
        """Optimiser steps of a phase."""

    def work_of(self, session: Session, plan: Plan) -> Work:
        """What the phase 0 of a plan consists of."""

    def run_method(self, name: str, session: Session) -> dict[str, object]:
        """Run a method to its end; what DONE.json says of it."""


def task_of(config: Config) -> Task:
    """The module that runs the config's task."""
    return import_module(f"dmtkit.{config.task}")  # type: ignore[return-value]


def load(config: Config) -> Any:
    """The data of a run; DataError names every offender at once."""
    return task_of(config).load(config)


def run_methods(
    config: Config,
    data: Any = None,
    output_dir: str | Path | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Run every method of `config` in its run folder, going on where an earlier start stopped.

    A finished run is opened and returned as it is. `progress` is called after every step.
    """
    folder = Path(output_dir) if output_dir else default_folder(config)
    refuse_other_run(config, folder)
    if team.agree((folder / "DONE.json").is_file):
        return load_run(folder)
    check(config)
    task = task_of(config)
    data = data or team.in_turn(lambda: load(config))
    team.in_turn(lambda: task.check_data(config, data))
    with open_run(config, folder, describe_environment(config)) as run:
        run.keep_split(data.describe())
        session = start_session(config, task.on_device(data, pick_device(config.device)), run, progress)
        try:
            results = {name: task.run_method(name, session) for name in config.methods}
        except KeyboardInterrupt as stop:  # between two steps, or anywhere else: nothing complete is lost
            where = f" ({stop})" if str(stop) else ""
            raise KeyboardInterrupt(f"{folder}: stopped{where}; run the same again and it goes on from here") from None
        run.finish(
            {
                "experiment": config.experiment,
                "dataset": config.dataset,
                "task": config.task,
                "seed": config.seed,
                "split": getattr(config, "split", config.seed),
                "seconds": session.seconds,
                "results": results,
            }
        )
        team.wait()
    return load_run(folder)


def start_session(
    config: Config, data: Any, run: RunFolder, progress: Callable[[Progress], None] = lambda progress: None
) -> Session:
    """A run under way, with data that lies where it is to be used."""
    device = pick_device(config.device)
    precision = pick_precision(config.precision, device)
    return Session(config, data, run, device, precision, progress, total_steps(config, data))


def baselines(config: Config, data: Any) -> dict[str, Plan]:
    """The models of phase 0 that a run needs, by their key in the store of baselines."""
    task = task_of(config)
    session = start_session(config, data, RunFolder(Path(), config))
    first = [plan for plan in task.plans(config) if not plan.number]
    return {key_of(session.identity(plan, task.work_of(session, plan).recipe)): plan for plan in first}


def run_baseline(config: Config, plan: Plan, store: Path) -> Path:
    """Train one model of phase 0 into the store, or what is left of it; its folder there."""
    check(config)
    task = task_of(config)
    data = load(config)
    task.check_data(config, data)
    store.mkdir(parents=True, exist_ok=True)
    data = task.on_device(data, pick_device(config.device))
    session = start_session(config, data, RunFolder(store, config))
    return train_baseline(session, plan, task.work_of(session, plan))


def total_steps(config: Config, data: Any) -> int:
    """Training steps of all phases of a run."""
    task = task_of(config)
    return sum(task.phase_steps(config, data, plan) for plan in task.plans(config))


def check(config: Config) -> None:
    """Refuse, before anything starts, what the config alone shows to be impossible."""
    check_methods(config)
    check_shares(config, max(config.processes, team.size()))
    pick_device(config.device)
    task_of(config).check(config)


def check_shares(config: Config, processes: int) -> None:
    """Refuse a batch that cannot be shared among so many processes."""
    batch = config.batch_labeled + config.batch_pseudo
    if batch < processes:
        raise ConfigError(
            f"batch_labeled, batch_pseudo: a batch of {batch} cannot be shared by {processes} processes; "
            "start fewer, or make it larger"
        )


def check_data(config: Config, data: Any) -> None:
    """Refuse, before anything starts, what this data cannot give."""
    task_of(config).check_data(config, data)
