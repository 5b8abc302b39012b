"""Finds run folders and reads their DONE.json and config.yaml, the only files of a run that are opened."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dmtkit.params import SEAL, checksum, from_json, read_yaml, texts, unwritable

MARK = ".dmtkit-report"  # lies in a folder of written reports, whose files are no foreign ones
FEW = 3


@dataclass(frozen=True)
class Found:
    """What lies below a folder, by path relative to it: DONE.json and config of finished runs, and what is left out."""

    finished: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def find(root: Path) -> Found:
    """Look at every folder below `root`, but hidden ones and `benchmarks`; what cannot be used is named, never raised."""
    listing = Found()

    def unreadable(error: OSError) -> None:
        listing.skipped.append((_relative(Path(error.filename), root), f"cannot be opened ({error.strerror})"))

    for name, folders, files in os.walk(root, onerror=unreadable):
        folder = Path(name)
        if MARK in files:
            folders.clear()
            continue
        hidden = {sub for sub in folders if sub.startswith(".") or (folder == root and sub == "benchmarks")}
        folders[:] = sorted(set(folders) - hidden)
        if _is_run(folder, {*folders, *files}):
            folders.clear()
            _read(folder, _relative(folder, root), listing)
        else:
            listing.skipped.extend(_foreign(folder, sorted(files), root))
    return listing


def _is_run(folder: Path, names: set[str]) -> bool:
    """A run has both files or, unfinished or torn, one; but one alone above other runs is a stray copy."""
    there = {"DONE.json", "config.yaml"} & names
    if len(there) != 1:
        return bool(there)
    (name,) = there
    return next(chain(folder.glob(f"*/{name}"), folder.glob(f"*/*/{name}")), None) is None


def _read(folder: Path, name: str, found: Found) -> None:
    if not (folder / "DONE.json").exists():
        return found.unfinished.append(name)
    contents = []
    for file, read in (("DONE.json", read_done), ("config.yaml", read_settings)):
        try:
            contents.append(read(folder / file))
            if not (reason := next(filter(None, map(unwritable, texts(contents[-1]))), "")):
                continue
            problem = f"holds a name that no terminal can show, expected {reason}"
        except FileNotFoundError:
            problem = "is missing"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        except UnusableError as error:
            problem = str(error)
        except (ValueError, RecursionError):
            problem = "is corrupt"
        return found.skipped.append((name, f"{file} {problem}"))
    found.finished[name] = (contents[0], contents[1])


class UnusableError(ValueError):
    """A file that can be read but is not what it should be."""


class Done(BaseModel):
    """What a DONE.json holds, at least."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    experiment: str
    dataset: str
    task: Literal["classification", "segmentation"]
    seed: int
    split: int
    seconds: float
    results: dict[str, dict[str, Any]]


def read_done(path: Path) -> dict[str, Any]:
    """The content of a DONE.json, checked; ValueError says what it lacks."""
    done = from_json(path.read_text(encoding="utf-8"))
    if not isinstance(done, dict):
        raise UnusableError("is no mapping of names to values")
    if lacking := [key for key in Done.model_fields if key not in done]:
        raise UnusableError(f"lacks {', '.join(lacking)}")
    try:
        Done.model_validate(done)
    except ValidationError as error:
        wrong = error.errors()[0]
        key, expected = wrong["loc"][0], wrong["msg"].removeprefix("Input should be ")
        raise UnusableError(f"has {key} {done[key]!r}, expected {expected}") from None
    return done


def sealed(text: str) -> str:
    """The text of a config.yaml, below a checksum of it."""
    return f"# {SEAL}: {checksum(text.encode())}\n{text}"


def read_settings(path: Path) -> dict[str, Any]:
    """The content of a config.yaml; ValueError if it is no mapping of names, or not what was written."""
    text = path.read_text(encoding="utf-8")
    if text.startswith(f"# {SEAL}") and text != sealed(text.partition("\n")[2]):
        raise UnusableError("is not what was written: its checksum is another")
    values = read_yaml(text)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UnusableError("is no mapping of parameter names to values")
    return values


def _foreign(folder: Path, files: list[str], root: Path) -> Iterator[tuple[str, str]]:
    """Files outside any run, but hidden ones and notebooks (papermill leaves them there): each, or of many a few."""
    files = [name for name in files if not name.startswith(".") and not name.endswith(".ipynb")]
    if len(files) <= FEW:
        yield from ((_relative(folder / name, root), "belongs to no run") for name in files)
    else:
        yield _relative(folder, root), f"{len(files)} files that belong to no run: {', '.join(files[:FEW])}, …"


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
