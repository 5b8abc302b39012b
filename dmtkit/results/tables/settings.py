"""Which runs were made with the same settings: only these are averaged, and what differs is named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dmtkit.config import TASKS
from dmtkit.params import NOT_COMPARED

# What may differ between runs that are averaged, beside NOT_COMPARED: what tells them apart.
IDENTITY = {"seed", "split", "methods", "parameters", "published", "experiment", "output_dir"}  # parameters: by method
IN_LABEL = 3  # more differing fields than this make no readable name


@dataclass(frozen=True)
class Difference:
    """A field in which runs of one experiment differ: per value, as text, how many runs have it."""

    field: str
    counts: dict[str, int]

    def __str__(self) -> str:
        counts = (f"{value}: {count} run{'s' * (count > 1)}" for value, count in self.counts.items())
        return f"{self.field} ({', '.join(counts)})"


def compared(config: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The settings that must agree for runs to be averaged, plain and hashable; a missing field has its default.

    >>> compared({"gamma1": 3, "seed": 5}, "classification")["gamma1"]
    3.0
    >>> compared({}, "segmentation") == compared({"crop": [48, 48], "device": "cuda"}, "segmentation")
    True
    """
    fields = TASKS[task].model_fields
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    complete = {**defaults, **config, "task": task}
    found = {name: _plain(value) for name, value in complete.items() if name not in IDENTITY | NOT_COMPARED}
    if complete["dataset"] == "folder":  # the only data that no other setting names; where it lies may differ
        found["data_dir"] = PurePath(str(complete["data_dir"])).name
    return found


def group(experiment: str, settings: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Difference]]:
    """A name for each run, by which runs of equal `settings` are averaged, and the fields in which they differ.

    >>> names, differences = group("digits", [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.1}])
    >>> names
    ['digits [lr=0.1]', 'digits [lr=0.2]', 'digits [lr=0.1]']
    >>> print(*differences)
    lr (0.1: 2 runs, 0.2: 1 run)
    """
    fields = sorted({name for each in settings for name in each})
    differing = [name for name in fields if len({_key(each, name) for each in settings}) > 1]
    if not differing:
        return [experiment] * len(settings), []
    keys = [tuple(_key(each, name) for name in differing) for each in settings]
    names = {
        key: "[" + ", ".join(f"{field}={text(each.get(field))}" for field in differing) + "]"
        for key, each in zip(keys, settings, strict=True)
    }
    if len(differing) > IN_LABEL or len(set(names.values())) < len(names) or max(map(len, names.values())) > 60:
        names = {key: f"[settings {number}]" for number, key in enumerate(names, start=1)}
    counted = [Counter(text(each.get(field, "not set")) for each in settings) for field in differing]
    differences = [
        Difference(field, dict(sorted(counts.items()))) for field, counts in zip(differing, counted, strict=True)
    ]
    return [f"{experiment} {names[key]}" for key in keys], differences


def text(value: object) -> str:
    """A setting as a reader writes it.

    >>> text(3.0), text((48.0, 48.0)), text(None)
    ('3', '48,48', 'none')
    """
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    return "none" if value is None else str(value)


def _key(settings: Mapping[str, Any], name: str) -> Any:
    """A setting as a key; with its type, since True equals 1."""
    value = settings.get(name, "not set")
    return (type(value).__name__, value)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((str(key), _plain(item)) for key, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if value is None or isinstance(value, (bool, float)) else str(value)
