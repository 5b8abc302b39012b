"""Which runs a batch consists of, and which models of phase 0 they share; everything is checked before anything starts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from dmtkit.config import Config, config_type
from dmtkit.errors import ConfigError, DmtkitError, listing
from dmtkit.jobs.notebook_job import Job, plan_job
from dmtkit.methods import METHODS
from dmtkit.methods.lab import Training
from dmtkit.own import import_code, is_from_file
from dmtkit.params import load_params
from dmtkit.registry import without_others
from dmtkit.runs.phase import Phase
from dmtkit.training.baselines import store_for
from dmtkit.training.experiment import baselines, load_data, start_session

T = TypeVar("T")
Selection = Sequence[T] | str | None


@dataclass(frozen=True)
class Baseline:
    """A model of phase 0 that runs of the batch start from."""

    config: Config
    training: Training
    folder: Path  # its place in the store

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"{self.config.experiment}/{self.config.variant} {self.training.owner} {self.training.model}".rstrip()

    @property
    def steps(self) -> int:
        """How long it is trained."""
        return self.training.steps

    @property
    def log(self) -> Path:
        """What its process prints, start after start."""
        return self.folder / "train.log"

    @property
    def finished(self) -> bool:
        """Whether the model is there, undamaged as far as its name tells."""
        return bool(Phase(self.folder, self.folder).models.name)


@dataclass(frozen=True)
class Batch:
    """Checked runs, those that were `waiting` to be finished, and, by folder, the baselines that several of these need."""

    jobs: tuple[Job, ...]
    waiting: tuple[Job, ...]
    baselines: dict[Path, Baseline] = field(default_factory=dict)


def make_batch(
    params: Sequence[Path],
    seeds: Selection[int] | int = None,
    splits: Selection[int] | int = None,
    methods: Selection[str] = None,
    overrides: dict[str, Any] | None = None,
    imports: bool = True,
) -> Batch:
    """Every run of a selection: params × splits × seeds × methods, one run for each; without `methods` one for all of them.

    Selections are lists, or text such as 1-3 or cl,dmt; `all` stands for every method that is defined for the task. What is
    only listed need not import code of one's own (`imports`), and then is not checked. Raises ConfigError naming every bad
    parameter of every run, DataError for data that cannot be used; nothing is written.
    """
    if not params:
        raise ConfigError("params: none given; name at least one file, such as params/digits.yaml")
    overrides, jobs, problems = overrides or {}, [], []
    axes: dict[str, list[Any]] = {}
    if splits is not None:
        axes["split"] = numbers("splits", splits)
    if seeds is not None:
        axes["seed"] = numbers("seeds", seeds)
    if methods is not None:
        axes["methods"] = [[name] for name in names("methods", methods)]
    every = [name for (name,) in axes.get("methods", [])]
    for path in params:
        try:
            if imports:
                import_code((load_params(path) | overrides).get("code_from"))
            variants = _variants(path, axes)
        except DmtkitError as error:
            problems.append(str(error))
            continue
        for chosen in variants:
            try:
                asked = without_others(overrides, every, chosen.get("methods", every))
                jobs.append(plan_job(path, asked | chosen, imports=imports))
            except DmtkitError as error:
                problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    twice = [str(folder) for folder, count in Counter(job.folder for job in jobs).items() if count > 1]
    if twice:
        raise ConfigError(f"the selections overlap, these runs are named more than once:\n{listing(twice)}")
    return _with_baselines(jobs)


def _variants(path: Path, axes: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """What is set for each run of a params file."""
    values = load_params(path)
    task = values.get("task", "classification")
    if "split" in axes and "split" not in config_type(values).model_fields:
        raise ConfigError(f"{path}: splits: a {task} run has none, its seed draws the split")
    if axes.get("methods") == [["all"]]:
        shared = [name for name in METHODS if METHODS.is_kits(name) or is_from_file(METHODS[name])]  # not a cell's
        axes = axes | {"methods": [[name] for name in shared if task in METHODS[name].tasks]}
    return [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())]


def _with_baselines(jobs: list[Job]) -> Batch:
    """Check every run's data, read once for all runs that share it, and find the models that they start from."""
    waiting, every = [], dict[Path, Baseline]()
    read = ""
    data: Any = None
    for job in (job for job in jobs if not job.finished):  # reads its notebook, so it is asked once
        if not job.checked:
            waiting.append(job)
            continue
        import_code(job.config.code_from)  # another run's may have taken its place
        settings = job.config.model_copy(update={"methods": ()}).model_dump_json(exclude={"experiment", "published"})
        if settings != read:
            read, data = settings, load_data(job.config)
        session, store = start_session(job.config, data), store_for(job.folder)
        starts = {store / key: training for key, training in baselines(session).items()}
        waiting.append(replace(job, steps=session.plan.total_steps, needs=tuple(starts)))
        every = {place: Baseline(job.config, training, place) for place, training in starts.items()} | every
    users = Counter(place for job in waiting for place in job.needs)
    shared = {place: each for place, each in every.items() if users[place] > 1}  # a run trains what it alone needs
    return Batch(tuple(jobs), tuple(waiting), shared)


def numbers(name: str, given: str | int | Sequence[int]) -> list[int]:
    """The whole numbers of a selection, in its order; ConfigError if it is empty, not numbers, or names one twice.

    >>> numbers("seeds", "1-3,7")
    [1, 2, 3, 7]
    """
    chosen: list[int] = []
    for part in names(name, str(given) if isinstance(given, int) else given):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(part))
        if match is None:
            raise ConfigError(f"{name}: found {part!r}, expected numbers and ranges such as 1-5 or 0,1,2")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"{name}: the range {part} is empty; write {last}-{first}")
        chosen += range(first, last + 1)
    return names(name, chosen)


def names(name: str, given: str | Sequence[T]) -> list[T]:
    """What a selection names; ConfigError if it is empty or names one twice.

    >>> names("methods", "dmt, cbst")
    ['dmt', 'cbst']
    """
    parts: Any = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
    if not parts:
        raise ConfigError(f"{name}: the selection is empty; leave it out, or name at least one")
    if twice := [str(part) for part, count in Counter(parts).items() if count > 1]:
        raise ConfigError(f"{name}: {', '.join(twice)} selected more than once in {given!r}; name each once")
    return list(parts)
