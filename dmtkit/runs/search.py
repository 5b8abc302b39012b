"""Finds run folders: one by its path, the newest, or all below a folder with their DONE.json and config.yaml."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from dmtkit.errors import RunError, unknown_name
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import TASK_FACTS
from dmtkit.runs.run import Run

MARK = ".dmtkit-report"  # lies in a folder of written reports, whose files are no foreign ones
KEYS = ("experiment", "dataset", "task", "seed", "split", "seconds", "results")
FEW = 3
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is


@dataclass(frozen=True)
class Found:
    """What lies below a folder, by path relative to it: DONE.json and config of finished runs, and what is left out."""

    finished: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def load_run(folder: str | os.PathLike[str] | None = None) -> Run:
    """Open a run folder, or the newest finished run below outputs/ that holds labels to look at.

    A relative path is looked for from the current folder, then from the project, then in outputs/. RunError if there is no
    such run, with those that there are.
    """
    if folder is None:
        return newest_run()
    for place in (Path(), project_root(), outputs_root()):
        if (place / folder / "config.yaml").is_file():
            return Run(place / folder)
    runs = list(find(outputs_root()).finished)
    known = unknown_name(str(folder), runs, "run") if runs else f"{outputs_root()} holds no finished run"
    raise RunError(f"{folder}: is no run folder (it has no config.yaml); {known}")


def newest_run() -> Run:
    """The run below outputs/ that finished last, of those that hold samples to look at; RunError if there is none."""
    root = outputs_root()
    runs = [
        Run(root / name)
        for name, (done, _) in find(root).finished.items()
        if any(Run(root / name).method(method).stores_labels for method in done["results"])
    ]
    if not runs:
        raise RunError(
            f"{root}: holds no finished run of a method that stores labels; make one: make demo-segmentation"
        )
    return max(runs, key=lambda run: (run.path / "DONE.json").stat().st_mtime)


def find(root: Path) -> Found:
    """Look at every folder below `root`, but hidden ones and `benchmarks`; what cannot be used is named, never raised."""
    found = Found()

    def unreadable(error: OSError) -> None:
        found.skipped.append((_relative(Path(error.filename), root), f"cannot be opened ({error.strerror})"))

    for name, folders, files in os.walk(root, onerror=unreadable):
        folder = Path(name)
        if MARK in files:
            folders.clear()
            continue
        hidden = {sub for sub in folders if sub.startswith(".") or (folder == root and sub == "benchmarks")}
        folders[:] = sorted(set(folders) - hidden)
        if _is_run(folder, {*folders, *files}):
            folders.clear()
            _read(folder, _relative(folder, root), found)
        else:
            found.skipped.extend(_foreign(folder, sorted(files), root))
    return found


def _is_run(folder: Path, names: set[str]) -> bool:
    """A run has both files or, unfinished or torn, one; but one alone above other runs is a stray copy."""
    there = {"DONE.json", "config.yaml"} & names
    if len(there) != 1:
        return bool(there)
    (name,) = there
    return next(chain(folder.glob(f"*/{name}"), folder.glob(f"*/*/{name}")), None) is None


def _read(folder: Path, name: str, found: Found) -> None:
    if not (folder / "DONE.json").exists():
        found.unfinished.append(name)
        return
    for file, read in (("DONE.json", read_done), ("config.yaml", read_settings)):
        try:
            content = read(folder / file)
        except OSError as error:
            problem = f"{file} cannot be read ({error.strerror})" if error.errno != 2 else f"{file} is missing"
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            problem = f"{file} {str(error).splitlines()[0] if isinstance(error, UnusableError) else 'is corrupt'}"
        else:
            if file == "DONE.json":
                done = content
            continue
        found.skipped.append((name, problem))
        return
    found.finished[name] = (done, content)


class UnusableError(ValueError):
    """A file that can be read but is not what it should be."""


def read_done(path: Path) -> dict[str, Any]:
    """The content of a DONE.json, checked; ValueError says what it lacks."""
    done = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(done, dict):
        raise UnusableError("is no mapping of names to values")
    lacking = [key for key in KEYS if key not in done]
    if lacking:
        raise UnusableError(f"lacks {', '.join(lacking)}")
    if done["task"] not in TASK_FACTS:
        raise UnusableError(f"has task {done['task']!r}, expected one of {', '.join(TASK_FACTS)}")
    results = done["results"]
    if not isinstance(results, dict) or not all(isinstance(result, dict) for result in results.values()):
        raise UnusableError("has results that are no mapping of methods to metrics")
    for key, kind, words in (
        ("experiment", str, "text"),
        ("seed", int, "a whole number"),
        ("split", int, "a whole number"),
    ):
        if not isinstance(done[key], kind) or isinstance(done[key], bool):
            raise UnusableError(f"has {key} {done[key]!r}, expected {words}")
    if not number(done["seconds"]):
        raise UnusableError(f"has seconds {done['seconds']!r}, expected a number")
    return done


def read_settings(path: Path) -> dict[str, Any]:
    """The content of a config.yaml; ValueError or YAMLError if it is no mapping of names."""
    values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a safe loader
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UnusableError("is no mapping of parameter names to values")
    return values


def number(value: object) -> bool:
    """Whether `value` is a finite number.

    >>> number(3), number(float("nan")), number(True), number("3")
    (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _foreign(folder: Path, files: list[str], root: Path) -> Iterator[tuple[str, str]]:
    """Files outside any run, but hidden ones and notebooks (papermill leaves them there): each, or of many a few."""
    files = [name for name in files if not name.startswith(".") and not name.endswith(".ipynb")]
    if len(files) <= FEW:
        yield from ((_relative(folder / name, root), "belongs to no run") for name in files)
    else:
        yield _relative(folder, root), f"{len(files)} files that belong to no run: {', '.join(files[:FEW])}, …"


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
