"""Which runs a batch consists of, and which models of phase 0 they share; everything is checked before anything starts."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from dmtkit.config import Config, config_type
from dmtkit.errors import ConfigError, DmtkitError, listing
from dmtkit.jobs.notebook_job import Job, plan_job, with_data
from dmtkit.methods import METHODS
from dmtkit.methods.lab import Training
from dmtkit.own import import_code, is_from_file
from dmtkit.params import load_params, outputs_root
from dmtkit.registry import without_others
from dmtkit.runs.run import Phase
from dmtkit.training.baselines import store_for
from dmtkit.training.experiment import baselines, load_data


@dataclass(frozen=True)
class Baseline:
    """A model of phase 0 that runs of the batch start from; its key here is its place in the store."""

    key: str
    config: Config
    training: Training
    folder: Path

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"{self.config.experiment}/{self.config.variant} {self.training.owner} {self.training.model}".rstrip()

    @property
    def steps(self) -> int:
        """How long it is trained."""
        return self.training.steps

    @property
    def finished(self) -> bool:
        """Whether the model is there, undamaged as far as its name tells."""
        return bool(Phase(self.folder, self.folder).model_name)


@dataclass(frozen=True)
class Batch:
    """Checked runs, those of them that were `waiting` to be finished, and the baselines that several of these need."""

    jobs: tuple[Job, ...]
    waiting: tuple[Job, ...]
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    baselines: dict[str, Baseline] = field(default_factory=dict)


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
    (`imports`), and then is not checked. Raises ConfigError naming every bad parameter
    of every run, DataError for data that cannot be used; nothing is written.
    """
    if not params:
        raise ConfigError("params: none given; name at least one file, such as params/digits.yaml")
    jobs, problems = [], []
    for path in params:
        try:
            if imports:
                import_code(({**load_params(path), **(overrides or {})}).get("code_from"))
            variants = list(_variants(path, seeds, splits, methods))
        except DmtkitError as error:
            problems.append(str(error))
            continue
        for chosen in variants:
            try:
                asked = without_others(overrides or {}, methods or (), chosen.get("methods", methods or ()))
                jobs.append(plan_job(path, {**asked, **chosen}, imports=imports))
            except DmtkitError as error:
                problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    _refuse_overlap(jobs)
    return _with_baselines(jobs)


def job_name(job: Job) -> str:
    """A run's folder below outputs/, which tells what it is."""
    root = Path(os.path.abspath(outputs_root()))
    return str(job.folder.relative_to(root) if job.folder.is_relative_to(root) else job.folder)


def _variants(
    path: Path, seeds: Sequence[int] | None, splits: Sequence[int] | None, methods: Sequence[str] | None
) -> Iterable[dict[str, Any]]:
    """What is set for each run of a params file."""
    values = load_params(path)
    kind = config_type(values)
    if splits is not None and "split" not in kind.model_fields:
        raise ConfigError(
            f"{path}: --splits: a {values.get('task', 'classification')} run has none, its seed draws the split"
        )
    if methods == ["all"]:
        task = values.get("task", "classification")
        shared = [name for name in METHODS if METHODS.is_kits(name) or is_from_file(METHODS[name])]  # not a cell's
        methods = [name for name in shared if task in METHODS[name].tasks]
    given = {"split": splits, "seed": seeds, "methods": None if methods is None else [[name] for name in methods]}
    axes: dict[str, Sequence[Any]] = {name: found for name, found in given.items() if found is not None}
    empty = [name for name, found in axes.items() if not found]
    if empty:
        raise ConfigError(f"{', '.join(empty)}: the selection is empty; leave it out, or name at least one")
    return (dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values()))


def _refuse_overlap(jobs: list[Job]) -> None:
    """ConfigError where two runs would write the same folder."""
    folders = [job.folder for job in jobs]
    twice = [str(folder) for folder in dict.fromkeys(folders) if folders.count(folder) > 1]
    if twice:
        raise ConfigError(f"the selections overlap, these runs are named more than once:\n{listing(twice)}")


def _with_baselines(jobs: list[Job]) -> Batch:
    """Check every run's data, read once for all runs that share it, and find the models that they start from."""
    waiting, needs, found = [], dict[str, tuple[str, ...]](), dict[str, Baseline]()
    last: tuple[str, Any] = ("", None)
    for job in jobs:
        if job.finished:  # reads its notebook, so it is asked once
            continue
        if not job.checked:
            waiting.append(job)
            continue
        import_code(job.config.code_from)  # another run's may have taken its place
        what = job.config.model_copy(update={"methods": ()}).model_dump_json(exclude={"experiment", "published"})
        if what != last[0]:
            last = (what, load_data(job.config))
        data = last[1]
        waiting.append(with_data(job, data))
        store = store_for(job.folder)
        keys = {str(store / key): training for key, training in baselines(job.config, data).items()}
        needs[job_name(job)] = tuple(keys)
        for key, training in keys.items():
            found.setdefault(key, Baseline(key, job.config, training, Path(key)))
    users = Counter(key for keys in needs.values() for key in keys)
    shared = {key: baseline for key, baseline in found.items() if users[key] > 1}  # a run trains what it alone needs
    needs = {name: tuple(key for key in keys if key in shared) for name, keys in needs.items()}
    return Batch(tuple(jobs), tuple(waiting), needs, shared)
