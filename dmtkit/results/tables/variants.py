"""One method with other parameters, or other code of one's own, is another row: what its name in tables is, run by run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmtkit.results.tables.settings import text
from dmtkit.runs.search import Found


def method_names(root: Path, found: Found, experiments: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """A name for each folder's methods: the method's own or, where the runs of an experiment differ in it, with what differs."""
    variants: dict[tuple[str, str], dict[str, str]] = {}
    for folder, (done, config) in found.finished.items():
        own = _own(root / folder)
        for method in done["results"]:
            variants.setdefault((experiments[folder], method), {})[folder] = _variant(method, config, own)
    return {
        (folder, method): method if len(set(of.values())) == 1 else f"{method} [{of[folder]}]"
        for (_, method), of in variants.items()
        for folder in of
    }


def _variant(method: str, config: Mapping[str, Any], own: Mapping[str, str]) -> str:
    """What tells a method of one run from that of another, as text."""
    given = (config.get("parameters") or {}).get(method, {})
    told = [
        f"{name}={text(tuple(value) if isinstance(value, list) else value)}" for name, value in sorted(given.items())
    ]
    pieces = [
        own[name] for name in sorted(own) if name in (f"method {method}",) or name.startswith(("model ", "data set "))
    ]
    return ", ".join([*(told or ["defaults"]), *(f"code {piece[:6]}" for piece in pieces)])


def _own(folder: Path) -> Mapping[str, str]:
    """The checksums of one's own code that a run recorded; a file that cannot be read tells none."""
    try:
        found = json.loads((folder / "methods.json").read_text(encoding="utf-8"))["own"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
