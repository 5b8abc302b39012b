"""Many run folders as tidy tables: one row a run and method, one row a phase; nothing is run, torch is not loaded."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from yaml import YAMLError

from dmtkit.errors import RunError, listing, unknown_name
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import TASK_FACTS
from dmtkit.results.style import in_order
from dmtkit.results.tables.settings import experiment_names, method_names
from dmtkit.runs.published import tables as published_tables
from dmtkit.runs.search import Found, find, read_settings

UNPUBLISHED = ("cifar10_1000",)  # tables of the paper whose numbers are not published: their cells stay empty
MODELS = ("A", "B", "A+B")
FIRST = ("supervised", "oracle")  # methods that are a phase 0 and nothing else
SAME = ["experiment", "seed", "split", "method"]
RUN = ["experiment", "base", "published", "dataset", "task", "seed", "split", "method", "metric", "value"]
PHASE = ["experiment", "base", "seed", "split", "method", "phase", "metric", "value", "folder"]
LEFT_OUT = {"unfinished": "Not finished, so not counted", "skipped": "Left out", "twice": "Found twice, counted once"}
REMEDY = (
    "a run is finished when its folder holds DONE.json: make one with `dmtkit run params/digits.yaml`, "
    "or name the folder that holds your runs"
)


@dataclass(frozen=True, repr=False)
class Collected:
    """Every finished run below a folder.

    `runs`: a row per run folder and method. `experiment` is the name that runs are averaged under: DONE.json's, with
    the settings in brackets where runs of that experiment differ in any; `base` is DONE.json's alone; `published` the
    paper's table that the runs stand beside, or empty; `value`, A, B, A+B in percent (NaN where there is none);
    `seconds` those of the whole folder, all its methods together.
    `phases`: a row per folder, method and phase; phase 0 is the supervised baseline's (and the oracle's).
    `left_out`: a row per folder or file that does not count: path, kind (unfinished, skipped, twice), reason, base.
    `mixed`: a row per experiment and setting that its runs differ in: base, field, what (per value, how many runs).
    """

    root: Path
    runs: pd.DataFrame
    phases: pd.DataFrame
    left_out: pd.DataFrame
    mixed: pd.DataFrame

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    @property
    def experiments(self) -> list[str]:
        """The names that runs are averaged under, sorted."""
        return sorted(self.runs["experiment"].unique())

    def methods(self, experiment: str) -> list[str]:
        """The methods measured in an experiment, in the order of tables."""
        return in_order(self.runs.loc[self.runs["experiment"] == experiment, "method"])

    def of(self, experiment: str) -> pd.DataFrame:
        """The rows of `runs` of one experiment; RunError if there is none of that name."""
        if experiment not in self.experiments:
            raise RunError(unknown_name(experiment, self.experiments, "experiment"))
        return self.runs[self.runs["experiment"] == experiment]

    def label(self, experiment: str) -> str:
        """What an experiment measures, in words."""
        return TASK_FACTS[self.of(experiment)["task"].iloc[0]].label

    def only(self, experiments: Sequence[str]) -> "Collected":
        """The same of some experiments, each named with its settings or, for all settings, without."""
        runs = self.runs[self.runs["experiment"].isin(experiments) | self.runs["base"].isin(experiments)]
        phases = self.phases[self.phases["experiment"].isin(runs["experiment"])]
        left_out, mixed = (table[table["base"].isin(runs["base"])] for table in (self.left_out, self.mixed))
        return replace(self, runs=runs, phases=phases, left_out=left_out, mixed=mixed)

    def remarks(self) -> dict[str, list[str]]:
        """In words: settings that differ, and what was left out and why."""
        remarks = {
            f"Runs of {name} differ, and each setting is averaged by itself": rows["what"].tolist()
            for name, rows in self.mixed.groupby("base")
        }
        for kind, rows in self.left_out.groupby("kind", sort=False):
            told = zip(rows["path"], rows["reason"], strict=True)
            remarks[LEFT_OUT[str(kind)]] = [path + (f" ({reason})" if reason else "") for path, reason in told]
        return remarks

    def notes(self, experiment: str | None = None) -> list[str]:
        """The remarks as sentences, on one experiment or on all; files that belong to none stand among those on all alone."""
        notes = []
        for heading, items in (self.only([experiment]) if experiment else self).remarks().items():
            more = [f"and {len(items) - 20} more"] * (len(items) > 20)
            notes.append(f"{heading}: {'; '.join([*items[:20], *more])}.")
        return notes

    @property
    def summary(self) -> str:
        """One sentence: what was found, or what to do where nothing was."""
        counts = self.left_out["kind"].value_counts()
        kinds = {"unfinished": "unfinished", "skipped": "left out", "twice": "found twice"}
        rest = [f"{counts[kind]} {words}" for kind, words in kinds.items() if kind in counts]
        if not self.root.is_dir():
            return f"{self.root}: there is no such folder; {REMEDY}"
        if self.runs.empty:
            left = f" ({', '.join(rest)})" * bool(rest)
            return f"{self.root}: holds no finished run{left}; {REMEDY}"
        count = self.runs["folder"].nunique()
        runs = f"{count} finished run{'s' * (count > 1)} of {', '.join(self.experiments)}"
        return f"{self.root}: {'; '.join([runs, *rest])}"


def collect(folder: str | os.PathLike[str] = "outputs", experiments: Sequence[str] = ()) -> Collected:
    """Read every finished run below `folder`, or those of some `experiments`; where there is none the tables are empty.

    A relative `folder` lies below the current folder or else the project's. Hidden folders and `benchmarks` are passed
    over. RunError if `folder` is a file, or if runs are there but none of a named experiment.
    """
    path = Path(folder)
    root = outputs_root() if path == Path("outputs") else path if path.exists() else project_root() / path
    if root.exists() and not root.is_dir():
        raise RunError(f"{root}: is a file, expected a folder of runs such as outputs")
    collected = _tidy(root, find(root) if root.is_dir() else Found())
    if not experiments or collected.runs.empty:
        return collected
    known = sorted({*collected.experiments, *collected.runs["base"]})
    unknown = [unknown_name(name, known, "experiment") for name in experiments if name not in known]
    if unknown:
        raise RunError(f"{root}: no finished run of these:\n{listing(unknown)}")
    return collected.only(experiments)


def _tidy(root: Path, found: Found) -> Collected:
    left_out = [(path, "unfinished", "", _experiment(root, path)) for path in found.unfinished]
    left_out += [(path, "skipped", reason, _experiment(root, path)) for path, reason in found.skipped]
    names, mixed = experiment_names(found)
    called = method_names(root, found, names)
    paper = {*published_tables(), *UNPUBLISHED}
    counted: dict[tuple[Any, ...], dict[str, Any]] = {}
    steps: list[dict[str, Any]] = []
    twice: dict[tuple[str, str, str], list[str]] = {}
    for folder, (done, config) in sorted(found.finished.items()):
        base, metric = done["experiment"], TASK_FACTS[done["task"]].metric
        table = str(config.get("published") or base)
        run = {**done, "experiment": names[folder], "base": base, "metric": metric, "folder": folder}
        run["published"] = table if table in paper else ""
        for method, result in done["results"].items():
            if not number(result.get(metric)):
                reason = f"{method} has {metric} {result.get(metric)!r}, expected a number"
                left_out.append((folder, "skipped", reason, base))
                continue
            row = {**run, "method": called[folder, method], "value": float(result[metric])}
            row |= {model: float(result[model]) for model in MODELS if number(result.get(model))}
            first = counted.setdefault(tuple(row[key] for key in SAME), row)
            if first is not row:
                differ = f" {first['value']:.2f}, not {row['value']:.2f}" * (first["value"] != row["value"])
                twice.setdefault((folder, first["folder"], base), []).append(method + differ)
                continue
            phases = result["phases"] if isinstance(result.get("phases"), list) else []
            numbered = enumerate(phases, start=0 if method in FIRST else 1)
            steps += [{**row, "phase": k, "value": float(value)} for k, value in numbered if number(value)]
    left_out += [
        (path, "twice", f"{', '.join(what)}: {first} counts", base) for (path, first, base), what in twice.items()
    ]
    runs = pd.DataFrame(list(counted.values()), columns=[*RUN, *MODELS, "seconds", "folder"])
    return Collected(
        root,
        runs.astype(dict.fromkeys(MODELS, float)),
        pd.DataFrame(steps, columns=PHASE),
        pd.DataFrame(left_out, columns=["path", "kind", "reason", "base"]),
        pd.DataFrame(mixed, columns=["base", "field", "what"]),
    )


def _experiment(root: Path, path: str) -> str:
    """The experiment of a folder whose DONE.json tells none: its settings', else outputs/<experiment>/<variant>."""
    try:
        return str(read_settings(root / path / "config.yaml")["experiment"])
    except (OSError, ValueError, KeyError, RecursionError, YAMLError):
        return path.split("/")[0] if "/" in path else root.name


def number(value: object) -> bool:
    """Whether `value` is a finite number.

    >>> number(3), number(float("nan")), number(True), number("3")
    (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
