"""Phase-0 models, trained once for all runs that start from them: found by what decides them, not by who asked first.

`<store>/<key>/`: baseline.json (what decides the model), its log and checkpoints while it is trained, at last the model.
The store is a cache: it may be removed at any time.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dmtkit.config import Config
from dmtkit.environment import versions
from dmtkit.files import TEMPORARY, write_json
from dmtkit.methods import METHODS, Plan
from dmtkit.params import outputs_root, project_root
from dmtkit.run_folder import NOT_COMPARED, lock_holder, writer
from dmtkit.runs import Phase
from dmtkit.trainer import Recipe

STORE = ".baselines"
# Settings that phase 0 does not depend on; what of them it does (steps, learning rate) is in its recipe.
LATER = {
    "experiment", "methods", "published", "label_ratios", "epochs", "lr", "gamma1", "gamma2", "gamma_ramp",
    "online_threshold", "label_rule", "sampling", "init_a", "init_b", "precision",
}  # fmt: skip
PARTS = {"A": "left", "B": "right"}  # what the models see of X, where each sees a part (§5.3)
NOT_IN_RECIPE = {"rule", "gamma1", "gamma2", "gamma_ramp", "online_threshold", "checkpoint_seconds"}


def store_for(run: Path) -> Path:
    """Where a run finds its baselines: shared by all runs below outputs/, of its own for a run elsewhere."""
    root = outputs_root().resolve()
    return (root if run.resolve().is_relative_to(root) else run) / STORE


def identity(config: Config, plan: Plan, recipe: Recipe, data: dict[str, Any], device: str) -> dict[str, Any]:
    """Everything that decides the model of a phase 0, as JSON holds it; `data` describes the split."""
    settings = {
        name: value for name, value in config.model_dump(mode="json").items() if name not in LATER | NOT_COMPARED
    }
    learns = {"truth": "every truth", "nobody": "X"}.get(METHODS[plan.method].teacher) or data[PARTS[plan.model]]
    installed = versions()
    found = {
        "settings": settings,
        "recipe": {name: value for name, value in asdict(recipe).items() if name not in NOT_IN_RECIPE},
        "model": plan.model,
        "learns": learns,
        "starts from": _weights(config, plan.model),
        "data_dir": config.data_dir,
        "data": {name: value for name, value in data.items() if name not in PARTS.values()},
        "device": device,
        "versions": {name: installed[name] for name in ("dmtkit", "torch")},
    }
    return json.loads(json.dumps(found))


def key_of(what: dict[str, Any]) -> str:
    """The name of a baseline: a checksum of what decides it.

    >>> key_of({"seed": 1}) == key_of({"seed": 1}) != key_of({"seed": 2})
    True
    """
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def baseline(store: Path, what: dict[str, Any], asks: Phase) -> Iterator[Phase]:
    """The baseline's place in the store, locked: a second run that needs it waits until the first has trained it."""
    place = Phase(store / key_of(what), asks.run)
    place.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        asks.remark(f"waited for a baseline that another run was training ({lock_holder(place.folder)})")
        lock.acquire()
    try:
        write_json(place.folder / ".writer.json", writer())
        write_json(place.folder / "baseline.json", what)
        for torn in place.folder.glob(f"*{TEMPORARY}"):
            torn.unlink(missing_ok=True)
        yield place
    finally:
        (place.folder / ".writer.json").unlink(missing_ok=True)
        lock.release()


def _weights(config: Config, model: str) -> list[Any]:
    """The file that a model starts from, with its size and time, which change when it is replaced."""
    source = getattr(config, f"init_{model.lower()}", None) if model else None
    path = project_root() / source if source and source != "imagenet" else None
    found = path.stat() if path and path.is_file() else None
    return [source, found and found.st_size, found and found.st_mtime_ns]
