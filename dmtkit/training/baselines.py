"""Phase-0 models, trained once for all runs that start from them: found by what decides them, not by who asked first.

`<store>/<key>/`: baseline.json (what decides the model), its log and checkpoints while it is trained, at last the model.
The store is a cache: it may be removed whenever nothing runs.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from dmtkit.config import Config
from dmtkit.files import TEMPORARY, alone, read_json, write_json
from dmtkit.methods.lab import Training
from dmtkit.own import own_code
from dmtkit.params import NOT_COMPARED, outputs_root, project_root
from dmtkit.runs.environment import machine, versions
from dmtkit.runs.folder import hold
from dmtkit.runs.run import Phase
from dmtkit.training.loop import processes
from dmtkit.training.recipe import Recipe

STORE = ".baselines"
# Settings that phase 0 does not depend on; what of them it does (steps, learning rate) is in its recipe.
LATER = {
    "experiment",
    "methods",
    "published",
    "label_ratios",
    "epochs",
    "lr",
    "gamma1",
    "gamma2",
    "gamma_ramp",
    "online_threshold",
    "quiet_unlabeled",
    "parameters",
    "code_from",
    "label_rule",
    "sampling",
    "init_a",
    "init_b",
    "precision",
    "sync_batchnorm",
}
PARTS = {"A": "left", "B": "right"}  # what the models see of X, where each sees a part (§5.3)
DECIDING = ("dmtkit", "torch", "torchvision", "numpy", "pillow")
CODE = (
    "data/*.py",
    "losses/*.py",
    "models/*.py",
    "tasks/*.py",
    "training/*.py",
    "methods/supervised.py",
    "methods/given.py",
    "methods/lab.py",
    "methods/method.py",
    "distributed.py",
    "registry.py",
    "seeds.py",
    "sums.py",
)
NOT_IN_RECIPE = {
    "gamma1",
    "gamma2",
    "gamma_ramp",
    "online_threshold",
    "quiet_unlabeled",
    "checkpoint_seconds",
    "sync_batchnorm",
}


def store_for(run: Path) -> Path:
    """Where a run finds its baselines: shared by all runs below outputs/, of its own for a run elsewhere."""
    root, place = (Path(os.path.abspath(path)) for path in (outputs_root(), run))
    return (root if place.is_relative_to(root) else run) / STORE


def identity(config: Config, training: Training, recipe: Recipe, data: dict[str, Any], device: str) -> dict[str, Any]:
    """Everything that decides the model of a phase 0, as JSON holds it; `data` describes the split."""
    settings = {
        name: value for name, value in config.model_dump(mode="json").items() if name not in LATER | NOT_COMPARED
    }
    learns = "every truth" if training.learns == "truth" else "X"
    if learns == "X" and training.owner != "supervised":
        learns = data[PARTS[training.model]]
    installed = {name: text for name, text in versions().items() if name in DECIDING}
    found = {
        "settings": settings,
        "recipe": {name: value for name, value in asdict(recipe).items() if name not in NOT_IN_RECIPE},
        "model": training.model,
        "learns": learns,
        "starts from": _weights(config, training.model),
        "data_dir": config.data_dir and os.path.abspath(project_root() / config.data_dir),
        "data": {name: value for name, value in data.items() if name not in PARTS.values()},
        "device": device,
        "versions": installed,
        "code": code(),
        "own": own_code(config, baseline=True),
    }
    return json.loads(json.dumps(found))


@cache
def code() -> str:
    """A checksum of the code that trains: whoever changes it gets new baselines."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(path for pattern in CODE for path in root.glob(pattern)):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


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

    def prepare() -> None:
        write_json(place.folder / "baseline.json", what)
        _note_machine(place, asks)
        for torn in place.folder.glob(f"*{TEMPORARY}"):
            torn.unlink(missing_ok=True)

    def waiting(holder: str) -> None:
        asks.remark(f"waited for a baseline that another run was training ({holder})")

    with alone(hold(place.folder, waiting=waiting), prepare):
        yield place


def _note_machine(place: Phase, asks: Phase) -> None:
    """Keep where a baseline is trained; a run on another machine, or with more threads, says that it was."""
    path, here = place.folder / "machine.json", machine(processes())
    there = read_json(path) if path.is_file() else here
    if there != here:
        asks.remark(f"phase 0 was trained elsewhere ({there}; here: {here}): trained here its bits may differ")
    elif not path.is_file():
        write_json(path, here)


def _weights(config: Config, model: str) -> list[Any]:
    """The file that a model starts from, with its size and time, which change when it is replaced."""
    source = getattr(config, f"init_{model.lower()}", None) if model else None
    path = project_root() / source if source and source != "imagenet" else None
    found = path.stat() if path and path.is_file() else None
    return [source, found and found.st_size, found and found.st_mtime_ns]
