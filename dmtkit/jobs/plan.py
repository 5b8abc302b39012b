"""Which runs a batch consists of, and which models of phase 0 they share; everything is checked before anything starts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from dmtkit.config import Config, config_type
from dmtkit.errors import ConfigError, DmtkitError, listing
from dmtkit.jobs.notebook_job import Job, plan_job
from dmtkit.methods import METHODS
from dmtkit.methods.lab import Training
from dmtkit.own import import_code, is_from_file
from dmtkit.params import load_params
from dmtkit.registry import without_others
from dmtkit.runs.run import Phase
from dmtkit.training.baselines import store_for
from dmtkit.training.experiment import baselines, load_data, plan


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
        return bool(Phase(self.folder, self.folder).model_name)


@dataclass(frozen=True)
class Batch:
    """Checked runs, those that were `waiting` to be finished, and, by folder, the baselines that several of these need."""

    jobs: tuple[Job, ...]
    waiting: tuple[Job, ...]
    needs: dict[str, tuple[Path, ...]] = field(default_factory=dict)  # by name of a run
    baselines: dict[Path, Baseline] = field(default_factory=dict)


def make_batch(
    params: Sequence[Path],
    seeds: Sequence[int] | None = None,
    splits: Sequence[int] | None = None,
    methods: Sequence[str] | None = None,
    overrides: dict[str, Any] | None = None,
    imports: bool = True,
) -> Batch:
    """Every run of a selection: params × splits × seeds × methods, one run for each; without `methods` one for all of them.

    `methods` may be `["all"]`: every method that is defined for the task. What is only listed need not import code of one's own
    (`imports`), and then is not checked. Raises ConfigError naming every bad parameter of every run, DataError for data that
    cannot be used; nothing is written.
    """
    if not params:
        raise ConfigError("params: none given; name at least one file, such as params/digits.yaml")
    overrides, jobs, problems = overrides or {}, [], []
    for path in params:
        try:
            if imports:
                import_code((load_params(path) | overrides).get("code_from"))
            variants = list(_variants(path, seeds, splits, methods))
        except DmtkitError as error:
            problems.append(str(error))
            continue
        for chosen in variants:
            try:
                asked = without_others(overrides, methods or (), chosen.get("methods", methods or ()))
                jobs.append(plan_job(path, asked | chosen, imports=imports))
            except DmtkitError as error:
                problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    twice = [str(folder) for folder, count in Counter(job.folder for job in jobs).items() if count > 1]
    if twice:
        raise ConfigError(f"the selections overlap, these runs are named more than once:\n{listing(twice)}")
    return _with_baselines(jobs)


def _variants(
    path: Path, seeds: Sequence[int] | None, splits: Sequence[int] | None, methods: Sequence[str] | None
) -> Iterable[dict[str, Any]]:
    """What is set for each run of a params file."""
    values = load_params(path)
    task = values.get("task", "classification")
    if splits is not None and "split" not in config_type(values).model_fields:
        raise ConfigError(f"{path}: --splits: a {task} run has none, its seed draws the split")
    if methods == ["all"]:
        shared = [name for name in METHODS if METHODS.is_kits(name) or is_from_file(METHODS[name])]  # not a cell's
        methods = [name for name in shared if task in METHODS[name].tasks]
    given = {"split": splits, "seed": seeds, "methods": None if methods is None else [[name] for name in methods]}
    axes: dict[str, Sequence[Any]] = {name: chosen for name, chosen in given.items() if chosen is not None}
    if empty := [name for name, chosen in axes.items() if not chosen]:
        raise ConfigError(f"{', '.join(empty)}: the selection is empty; leave it out, or name at least one")
    return (dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values()))


def _with_baselines(jobs: list[Job]) -> Batch:
    """Check every run's data, read once for all runs that share it, and find the models that they start from."""
    waiting, needs, every = [], dict[str, tuple[Path, ...]](), dict[Path, Baseline]()
    last: tuple[str, Any] = "", None
    for job in (job for job in jobs if not job.finished):  # reads its notebook, so it is asked once
        if not job.checked:
            waiting.append(job)
            continue
        import_code(job.config.code_from)  # another run's may have taken its place
        settings = job.config.model_copy(update={"methods": ()}).model_dump_json(exclude={"experiment", "published"})
        if settings != last[0]:
            last = settings, load_data(job.config)
        data = last[1]
        waiting.append(replace(job, steps=plan(job.config, data).total_steps))
        store = store_for(job.folder)
        starts = {store / key: training for key, training in baselines(job.config, data).items()}
        needs[job.name] = tuple(starts)
        every = {place: Baseline(job.config, training, place) for place, training in starts.items()} | every
    users = Counter(place for places in needs.values() for place in places)
    shared = {
        place: baseline for place, baseline in every.items() if users[place] > 1
    }  # a run trains what it alone needs
    needs = {name: tuple(place for place in places if place in shared) for name, places in needs.items()}
    return Batch(tuple(jobs), tuple(waiting), needs, shared)


def numbers(name: str, text: str) -> list[int]:
    """The whole numbers of a selection, in its order; ConfigError if it is empty, not numbers, or names one twice.

    >>> numbers("--seeds", "1-3,7")
    [1, 2, 3, 7]
    """
    chosen: list[int] = []
    for part in names(name, text):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise ConfigError(f"{name}: found {part!r}, expected numbers and ranges such as 1-5 or 0,1,2")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"{name}: the range {part} is empty; write {last}-{first}")
        chosen += range(first, last + 1)
    names(name, ",".join(map(str, chosen)))
    return chosen


def names(name: str, text: str) -> list[str]:
    """The words of a selection; ConfigError if it is empty or names one twice.

    >>> names("--methods", "dmt, cbst")
    ['dmt', 'cbst']
    """
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    if not chosen:
        raise ConfigError(f"{name}: the selection is empty; leave the option out, or name at least one")
    if twice := [word for word, count in Counter(chosen).items() if count > 1]:
        raise ConfigError(f"{name}: {', '.join(twice)} selected more than once in {text!r}; name each once")
    return chosen
