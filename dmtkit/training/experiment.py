"""A whole run: every method of a config in one run folder, whatever the task and whatever the methods."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dmtkit.config import Config
from dmtkit.data import load
from dmtkit.errors import ConfigError
from dmtkit.files import ask, in_turn, once
from dmtkit.methods.lab import Call, Lab, Score, Training, plan_of
from dmtkit.own import with_code
from dmtkit.registry import DATASETS
from dmtkit.runs.environment import describe_environment, operations, pick_device
from dmtkit.runs.folder import RunFolder, default_folder, open_run, refuse_other_run
from dmtkit.runs.published import check_table
from dmtkit.runs.run import Run, load_run, read_config
from dmtkit.tasks.task import TASKS, DataSet, Task, check_methods
from dmtkit.training.baselines import identity, key_of
from dmtkit.training.loop import check_shares, processes
from dmtkit.training.resume import Progress, Session, complete, train_baseline

# Operations of a training step below which it takes one thread: a second one gains a few milliseconds and, on a busy machine,
# two that wait for each other cost many times that. A thread does about 10¹¹ a second.
SMALL_STEP = 4e9


def load_data(config: Config) -> DataSet:
    """The data of a run; DataError names every offender at once."""
    if config.code_from and config.dataset not in DATASETS[config.task]:
        raise ConfigError(
            f"dataset: {config.dataset} is not known here, and code_from ({config.code_from}) is imported by `dmtkit run` and "
            "`dmtkit batch` alone"
        )
    return load(config)


def run_methods(
    config: Config,
    data: DataSet | None = None,
    output_dir: str | Path | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Run every method of `config` in its run folder, going on where an earlier start stopped.

    A finished run is opened and returned as it is. `progress` is called after every step.
    """
    folder, config = Path(output_dir) if output_dir else default_folder(config), with_code(config)
    refuse_other_run(config, folder)
    if ask(lambda: Run(folder).finished):
        return load_run(folder)
    session = in_turn(lambda: start_session(config, data, progress))
    with (
        with_threads(session.task, folder) as config,
        open_run(config, folder, describe_environment(config, processes())) as run,
    ):
        run.keep_split(session.task.data.describe())
        session.task.start(run)
        try:
            results = {name: run_method(session, name) for name in config.methods}
        except KeyboardInterrupt as stop:  # between two steps, or anywhere else: nothing complete is lost
            where = f" ({stop})" if str(stop) else ""
            raise KeyboardInterrupt(f"{folder}: stopped{where}; run the same again and it goes on from here") from None
        done = {name: getattr(config, name) for name in ("experiment", "dataset", "task", "seed")}
        done |= {"split": getattr(config, "split", config.seed), "seconds": session.seconds, "results": results}
        for training in session.plan.trainings:
            session.task.drop_labels(training)  # that were needed once more, where something was damaged
        once(lambda: run.sort_log([training.key for training in session.plan.trainings]))
        once(lambda: run.finish(done))
    return load_run(folder)


def run_method(session: Session, name: str) -> dict[str, object]:
    """Run a method to its end: every verb of its phases is done once; what DONE.json says of it."""
    task, plan = session.task, session.plan

    def perform(call: Call) -> None:
        if plan.calls[session.position] != call:
            raise ConfigError(
                f"{name}: phases() asked for something else than when it was planned; it must follow from settings"
            )
        if isinstance(call, Training):
            complete(session, call)
        elif isinstance(call, Score):
            session.tested += task.test(call)
            for training in plan.done_with(session.position):
                task.drop_labels(training)
        session.position += 1

    lab = Lab(name, task.terms, plan.shared, perform)
    return task.headline(list(task.methods[name].phases(lab)))


@contextmanager
def with_threads(task: Task, folder: Path) -> Iterator[Config]:
    """Compute with a run's number of CPU threads, which the config then names; never more than torch was allowed before.

    `auto` is what the run in `folder` was started with; else one where steps are small, and all where they are not.
    """
    config, most = task.config, torch.get_num_threads()

    def number() -> int:
        begun = (folder / "config.yaml").is_file()
        threads = read_config(folder).threads if begun and config.threads == "auto" else config.threads
        if threads != "auto":
            return threads
        if begun or pick_device(config.device).type != "cpu":  # begun: by a version that always took all
            return most
        small = operations(task.build(), task.image) * task.batch < SMALL_STEP * processes()
        return 1 if small else most

    threads = min(ask(number), most)
    torch.set_num_threads(threads)
    try:
        yield config.model_copy(update={"threads": threads})
    finally:
        torch.set_num_threads(most)


def start_session(
    config: Config, data: DataSet | None = None, progress: Callable[[Progress], None] = lambda progress: None
) -> Session:
    """A run and its plan; refuses, before anything starts, what its settings or its data show to be impossible."""
    check(config)
    task = TASKS[config.task](config, data or load_data(config))
    plan = plan_of({name: task.methods[name] for name in config.methods}, task.terms)
    check_shares(config, apart=any(training.learns == "views" for training in plan.trainings))
    task.check_data(plan)
    return Session(task, plan, progress)


def baselines(session: Session) -> dict[str, Training]:
    """The models of phase 0 that a run needs, by their key in the store of baselines."""
    return {key_of(identity(session.task, training)): training for training in session.plan.baselines}


def run_baseline(config: Config, owner: str, model: str, store: Path) -> Path:
    """Train one model of phase 0 into the store, or what is left of it; its folder there."""
    config = with_code(config)
    session = start_session(config)
    session.task.start(RunFolder(store))
    (training,) = (each for each in session.plan.baselines if each.key == (owner, 0, model))
    with with_threads(session.task, store):
        return train_baseline(session, training)


def check(config: Config) -> None:
    """Refuse, before anything starts, what the config alone shows to be impossible."""
    check_methods(config)
    DATASETS[config.task].check(config.dataset)
    check_table(config.published)
    check_shares(config)
    pick_device(config.device)
    TASKS[config.task].check(config)
