"""Which runs are averaged together: those of the same settings and code. What differs is named, and tells rows apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from dmtkit.config import TASKS
from dmtkit.params import NOT_COMPARED, from_json
from dmtkit.runs.search import Found

# What may differ between runs that are averaged, beside NOT_COMPARED: what tells them apart.
IDENTITY = {"seed", "split", "methods", "parameters", "published", "experiment", "output_dir"}  # parameters: by method
IN_LABEL = 3  # more differing fields than this make no readable name


def experiment_names(found: Found) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Per folder the name that it is averaged under; per experiment and setting in which its runs differ: base, field, how."""
    names: dict[str, str] = {}
    mixed = []
    for experiment in sorted({done["experiment"] for done, _ in found.finished.values()}):
        runs = {folder: run for folder, run in sorted(found.finished.items()) if run[0]["experiment"] == experiment}
        labels, differences = group(experiment, [compared(config, done["task"]) for done, config in runs.values()])
        names |= dict(zip(runs, labels, strict=True))
        mixed += [(experiment, field, words) for field, words in differences]
    return names, mixed


def method_names(root: Path, found: Found, experiments: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """A name for each folder's methods: the method's own or, where the runs of an experiment differ in it, with what differs."""
    variants: dict[tuple[str, str], dict[str, str]] = {}
    for folder, (done, config) in found.finished.items():
        code = _own_code(root / folder)
        for method in done["results"]:
            parameters = (config.get("parameters") or {}).get(method, {})
            pieces = [f"{name}={text(value)}" for name, value in sorted(parameters.items())] or ["defaults"]
            used = (
                name for name in sorted(code) if name.startswith(("model ", "data set ")) or name == f"method {method}"
            )
            pieces += [f"code {code[name][:6]}" for name in used]
            variants.setdefault((experiments[folder], method), {})[folder] = ", ".join(pieces)
    return {
        (folder, method): method if len(set(of.values())) == 1 else f"{method} [{variant}]"
        for (_, method), of in variants.items()
        for folder, variant in of.items()
    }


def compared(config: Mapping[str, Any], task: str) -> dict[str, str]:
    """The settings that must agree for runs to be averaged, as text; a missing field has its default.

    >>> compared({"gamma1": 3, "seed": 5}, "classification")["gamma1"]
    '3'
    >>> compared({}, "segmentation") == compared({"crop": [48, 48], "device": "cuda"}, "segmentation")
    True
    """
    fields = TASKS[task].model_fields
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    complete = {**defaults, **config, "task": task}
    settings = {name: text(value) for name, value in complete.items() if name not in IDENTITY | NOT_COMPARED}
    if complete["dataset"] == "folder":  # the only data that no other setting names; where it lies may differ
        settings["data_dir"] = PurePath(str(complete["data_dir"])).name
    return settings


def group(experiment: str, settings: Sequence[Mapping[str, str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """A name for each run, by which runs of equal `settings` are averaged, and the fields in which they differ, in words.

    >>> names, differences = group("digits", [{"lr": "0.1"}, {"lr": "0.2"}, {"lr": "0.1"}])
    >>> names
    ['digits [lr=0.1]', 'digits [lr=0.2]', 'digits [lr=0.1]']
    >>> differences
    [('lr', 'lr (0.1: 2 runs, 0.2: 1 run)')]
    """
    columns = {name: [each.get(name, "not set") for each in settings] for name in sorted(set().union(*settings))}
    differing = {name: values for name, values in columns.items() if len(set(values)) > 1}
    if not differing:
        return [experiment] * len(settings), []
    keys = list(zip(*differing.values(), strict=True))
    labels = {key: ", ".join(map("=".join, zip(differing, key, strict=True))) for key in keys}
    if len(differing) > IN_LABEL or max(map(len, labels.values())) > 58:
        labels = {key: f"settings {number}" for number, key in enumerate(labels, start=1)}
    differences = []
    for name, values in differing.items():
        told = (f"{value}: {count} run{'s' * (count > 1)}" for value, count in sorted(Counter(values).items()))
        differences.append((name, f"{name} ({', '.join(told)})"))
    return [f"{experiment} [{labels[key]}]" for key in keys], differences


def text(value: Any) -> str:
    """A setting as a reader writes it, alike for all that means the same: 3 and 3.0, a list and a tuple.

    >>> text(3.0), text([48, 48.0]), text(True), text(None)
    ('3', '48,48', 'True', 'none')
    """
    if isinstance(value, Mapping):
        return text([*value.items()])
    if isinstance(value, (list, tuple)):
        return ",".join(map(text, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.12g}"
    return "none" if value is None else str(value)


def _own_code(folder: Path) -> Mapping[str, str]:
    """The checksums of one's own code that a run recorded; a file that cannot be read tells none."""
    try:
        own = from_json((folder / "methods.json").read_text(encoding="utf-8"))["own"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return own if isinstance(own, dict) else {}
