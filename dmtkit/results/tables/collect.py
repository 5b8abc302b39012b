"""Many run folders as tidy tables: one row a run and method, one row a phase; nothing is run, torch is not loaded."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yaml import YAMLError

from dmtkit.errors import RunError, listing, unknown_name
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import TASK_FACTS
from dmtkit.results.tables.names import UNPUBLISHED, in_order
from dmtkit.results.tables.settings import compared, group
from dmtkit.results.tables.variants import method_names
from dmtkit.runs.published import tables as published_tables
from dmtkit.runs.search import Found, find, number, read_settings

if TYPE_CHECKING:
    import pandas as pd

MODELS = ("A", "B", "A+B")
RUN_COLUMNS = [
    "experiment",
    "base",
    "published",
    "dataset",
    "task",
    "seed",
    "split",
    "method",
    "metric",
    "value",
    *MODELS,
    "seconds",
    "folder",
]
PHASE_COLUMNS = ["experiment", "base", "seed", "split", "method", "phase", "metric", "value", "folder"]
FIRST = ("supervised", "oracle")  # methods that are a phase 0 and nothing else
SAME = ["experiment", "seed", "split", "method"]


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
    runs: "pd.DataFrame"
    phases: "pd.DataFrame"
    left_out: "pd.DataFrame"
    mixed: "pd.DataFrame"

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    @property
    def experiments(self) -> list[str]:
        """The names that runs are averaged under, sorted."""
        return sorted(self.runs["experiment"].unique())

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Foreign and corrupt files: path below the folder, and reason."""
        return self._left_out("skipped")

    @property
    def unfinished(self) -> list[str]:
        """Run folders without a DONE.json, by path below the folder."""
        return [path for path, _ in self._left_out("unfinished")]

    @property
    def twice(self) -> list[tuple[str, str]]:
        """Results that another folder holds too: path of the one that does not count, and which one does."""
        return self._left_out("twice")

    def methods(self, experiment: str) -> list[str]:
        """The methods measured in an experiment, in the order of tables."""
        return in_order(self.runs.loc[self.runs["experiment"] == experiment, "method"])

    def of(self, experiment: str) -> "pd.DataFrame":
        """The rows of `runs` of one experiment; RunError if there is none of that name."""
        if experiment not in self.experiments:
            raise RunError(unknown_name(experiment, self.experiments, "experiment"))
        return self.runs[self.runs["experiment"] == experiment]

    def notes(self, experiment: str | None = None) -> list[str]:
        """In words: settings that differ, and what was left out and why; of one experiment or of all.

        Files that belong to no experiment stand among all notes alone.
        """
        base = self.of(experiment)["base"].iloc[0] if experiment else None
        mixed, left_out = self.mixed, self.left_out
        if base is not None:
            mixed, left_out = mixed[mixed["base"] == base], left_out[left_out["base"] == base]
        notes = [
            f"Runs of {name} differ in {'; '.join(rows['what'])}. Each setting is averaged by itself."
            for name, rows in mixed.groupby("base")
        ]
        for kind, words in (
            ("unfinished", "Not finished, so not counted"),
            ("skipped", "Left out"),
            ("twice", "Found twice, counted once"),
        ):
            rows = left_out[left_out["kind"] == kind]
            told = [path + (f" ({why})" if why else "") for path, why in zip(rows["path"], rows["reason"], strict=True)]
            if told:
                more = [f"and {len(told) - 20} more"] if len(told) > 20 else []
                notes.append(f"{words}: {'; '.join([*told[:20], *more])}.")
        return notes

    @property
    def summary(self) -> str:
        """One sentence: what was found, or what to do where nothing was."""
        if not self.root.is_dir():
            return f"{self.root}: there is no such folder; {REMEDY}"
        if self.runs.empty:
            left = [f"{len(self.unfinished)} unfinished"] * bool(self.unfinished)
            left += [f"{len(self.skipped)} left out"] * bool(self.skipped)
            found = f" ({', '.join(left)})" if left else ""
            return f"{self.root}: holds no finished run{found}; {REMEDY}"
        count, names = self.runs["folder"].nunique(), self.experiments
        text = f"{self.root}: {count} finished run{'s' * (count > 1)} of {', '.join(names)}"
        counts: dict[str, Sequence[object]] = {
            "unfinished": self.unfinished,
            "left out": self.skipped,
            "found twice": self.twice,
        }
        return text + "".join(f"; {len(items)} {words}" for words, items in counts.items() if items)

    def _left_out(self, kind: str) -> list[Any]:
        rows = self.left_out[self.left_out["kind"] == kind]
        return list(zip(rows["path"], rows["reason"], strict=True))


REMEDY = (
    "a run is finished when its folder holds DONE.json: make one with `dmtkit run params/digits.yaml`, "
    "or name the folder that holds your runs"
)


def collect(folder: str | os.PathLike[str] = "outputs", experiments: Sequence[str] = ()) -> Collected:
    """Read every finished run below `folder`, or those of some `experiments`; where there is none the tables are empty.

    A relative `folder` lies below the current folder or else the project's. Hidden folders and `benchmarks` are passed
    over. RunError if `folder` is a file, or if runs are there but none of a named experiment.
    """
    root = locate(folder)
    if root.exists() and not root.is_dir():
        raise RunError(f"{root}: is a file, expected a folder of runs such as outputs")
    collected = _tidy(root, find(root) if root.is_dir() else Found())
    if experiments and not collected.runs.empty:
        known = sorted({*collected.experiments, *collected.runs["base"]})
        unknown = [unknown_name(name, known, "experiment") for name in experiments if name not in known]
        if unknown:
            raise RunError(f"{root}: no finished run of these:\n{listing(unknown)}")
        return _only(collected, experiments)
    return collected


def locate(folder: str | os.PathLike[str]) -> Path:
    """Where `folder` lies: `outputs` is the folder that runs are written to, from wherever it is named."""
    path = Path(folder)
    if path == Path("outputs"):
        return outputs_root()
    return path if path.is_absolute() or path.exists() else project_root() / path


def _only(collected: Collected, experiments: Sequence[str]) -> Collected:
    runs = collected.runs
    runs = runs[runs["experiment"].isin(experiments) | runs["base"].isin(experiments)]
    phases = collected.phases[collected.phases["experiment"].isin(runs["experiment"])]
    left_out, mixed = (table[table["base"].isin(runs["base"])] for table in (collected.left_out, collected.mixed))
    return Collected(collected.root, runs, phases, left_out, mixed)


def _tidy(root: Path, found: Found) -> Collected:
    import pandas as pd

    left_out = [(path, "unfinished", "", _experiment(root, path)) for path in found.unfinished]
    left_out += [(path, "skipped", reason, _experiment(root, path)) for path, reason in found.skipped]
    names, mixed = _names(found)
    called = method_names(root, found, names)
    paper = {*published_tables(), *UNPUBLISHED}
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    counted: dict[tuple[Any, ...], dict[str, Any]] = {}
    twice: dict[tuple[str, str, str], list[str]] = {}
    for folder, (done, config) in sorted(found.finished.items()):
        metric = TASK_FACTS[done["task"]].metric
        table = str(config.get("published") or done["experiment"])
        run = {
            **{key: done[key] for key in ("dataset", "task", "seed", "split", "seconds")},
            "experiment": names[folder],
            "base": done["experiment"],
            "published": table if table in paper else "",
            "metric": metric,
            "folder": folder,
        }
        for method, result in done["results"].items():
            if not number(result.get(metric)):
                reason = f"{method} has {metric} {result.get(metric)!r}, expected a number"
                left_out.append((folder, "skipped", reason, done["experiment"]))
                continue
            row = {**run, "method": called[folder, method], "value": float(result[metric])}
            row |= {model: float(result[model]) for model in MODELS if number(result.get(model))}
            first = counted.setdefault(tuple(row[key] for key in SAME), row)
            if first is not row:
                differ = f" {first['value']:.2f}, not {row['value']:.2f}" * (first["value"] != row["value"])
                twice.setdefault((folder, first["folder"], done["experiment"]), []).append(method + differ)
                continue
            rows.append(row)
            steps += [{**row, "phase": k, "value": value} for k, value in _phases(method, result.get("phases"))]
    left_out += [
        (there, "twice", f"{', '.join(what)}: {first} counts", base) for (there, first, base), what in twice.items()
    ]
    return Collected(
        root,
        pd.DataFrame(rows, columns=RUN_COLUMNS).astype(dict.fromkeys(MODELS, float)),
        pd.DataFrame(steps, columns=PHASE_COLUMNS),
        pd.DataFrame(left_out, columns=["path", "kind", "reason", "base"]),
        pd.DataFrame(mixed, columns=["base", "field", "what"]),
    )


def _names(found: Found) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Per folder the name that it is averaged under, and what differs within an experiment."""
    by_experiment: dict[str, list[str]] = {}
    for folder, (done, _) in sorted(found.finished.items()):
        by_experiment.setdefault(done["experiment"], []).append(folder)
    names: dict[str, str] = {}
    mixed = []
    for experiment, folders in sorted(by_experiment.items()):
        both = [found.finished[folder] for folder in folders]
        labels, differences = group(experiment, [compared(config, done["task"]) for done, config in both])
        names |= dict(zip(folders, labels, strict=True))
        mixed += [(experiment, difference.field, str(difference)) for difference in differences]
    return names, mixed


def _phases(method: str, values: object) -> Iterable[tuple[int, float]]:
    """The number and value of every phase that DONE.json tells of."""
    start = 0 if method in FIRST else 1
    listed = values if isinstance(values, list) else []
    return [(k, float(value)) for k, value in enumerate(listed, start) if number(value)]


def _experiment(root: Path, path: str) -> str:
    """The experiment of a folder whose DONE.json tells none: its settings', else outputs/<experiment>/<variant>."""
    try:
        return str(read_settings(root / path / "config.yaml")["experiment"])
    except (OSError, ValueError, KeyError, RecursionError, YAMLError):
        return path.split("/")[0] if "/" in path else root.name
