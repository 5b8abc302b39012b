"""Phase-0 models, trained once for all runs that start from them: a model lies under a checksum of all that decides it.

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

from dmtkit.errors import DamagedError
from dmtkit.files import TEMPORARY, alone, read_json, write_json
from dmtkit.methods.lab import Training
from dmtkit.own import own_code
from dmtkit.params import NOT_COMPARED, outputs_root, project_root
from dmtkit.runs.environment import machine, versions
from dmtkit.runs.folder import hold
from dmtkit.runs.phase import Phase
from dmtkit.tasks.task import Task, initial_weights
from dmtkit.training.loop import processes
from dmtkit.training.state import recipe_of

STORE = ".baselines"
# Settings that phase 0 does not depend on …
UNUSED = {"experiment", "methods", "published", "parameters", "code_from", "label_ratios", "label_rule", "sampling"}
UNUSED |= {"gamma1", "gamma2", "gamma_ramp", "online_threshold", "quiet_unlabeled", "sync_batchnorm"}
UNUSED |= {"init_a", "init_b"}  # but for the one that a model starts from
RESOLVED = {"epochs", "lr", "precision"}  # … and those of which its recipe says what it depends on
PARTS = {"A": "left", "B": "right"}  # what the models see of X, where each sees a part (§5.3)
PACKAGES = ("dmtkit", "torch", "torchvision", "numpy", "pillow")
# The code that decides a model of phase 0: whole rooms, and what it needs of others. One that is not there is an error.
ROOMS = ("data", "losses", "metrics", "models", "tasks", "training")
FILES = [f"methods/{name}.py" for name in ("given", "lab", "method", "supervised")] + ["distributed.py", "seeds.py"]


def store_for(run: Path) -> Path:
    """Where a run finds its baselines: shared by all runs below outputs/, of its own for a run elsewhere."""
    root, place = (Path(os.path.abspath(path)) for path in (outputs_root(), run))
    return (root if place.is_relative_to(root) else run) / STORE


def identity(task: Task, training: Training) -> dict[str, Any]:
    """Everything that decides the model of a phase 0, as JSON holds it."""
    config, recipe, data = task.config, recipe_of(task, training), task.data.describe(dates=True)
    shares = "" if recipe.sync_batchnorm or processes() == 1 else f", batch statistics of {processes()} shares"
    weights = initial_weights(config, training.model)
    file = weights.stat() if isinstance(weights, Path) and weights.is_file() else None  # size and time tell a new one
    left_out = UNUSED | NOT_COMPARED
    settings = config.model_dump(mode="json", exclude=left_out | RESOLVED)
    learns: object = "every truth" if training.learns == "truth" else "X"
    if learns == "X" and training.owner != "supervised":
        learns = data[PARTS[training.model]]
    deciding = {
        "settings": settings,
        "recipe": {name: value for name, value in asdict(recipe).items() if name not in left_out},
        "model": training.model,
        "learns": learns,
        "starts from": [str(weights), file and file.st_size, file and file.st_mtime_ns],
        "data_dir": config.data_dir and os.path.abspath(project_root() / config.data_dir),
        "data": {name: value for name, value in data.items() if name not in PARTS.values()},
        "device": f"{task.device.type}, {task.precision}{shares}",
        "versions": {name: text for name, text in versions().items() if name in PACKAGES},
        "code": code(),
        "own": own_code(config, baseline=True),
    }
    return json.loads(json.dumps(deciding))


@cache
def code(root: Path = Path(__file__).parent.parent) -> str:
    """A checksum of the code that trains, below `root`: where it changes, baselines are trained anew."""
    digest, rooms = hashlib.sha256(), [path for room in ROOMS for path in sorted((root / room).glob("*.py"))]
    for path in [*rooms, *(root / file for file in FILES)]:
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def key_of(what: dict[str, Any]) -> str:
    """The name of a baseline: a checksum of what decides it.

    >>> key_of({"seed": 1}) == key_of({"seed": 1}) != key_of({"seed": 2})
    True
    """
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def baseline(store: Path, task: Task, training: Training, asks: Phase) -> Iterator[Phase]:
    """The baseline's place in the store, locked: a second run that needs it waits until the first has trained it."""
    what = identity(task, training)
    place = Phase(store / key_of(what), asks.run)

    def prepare() -> None:
        write_json(place.folder / "baseline.json", what)
        here, note = {"machine": machine(processes())}, place.folder / "machine.json"
        if not (note.is_file() or place.models.name):
            write_json(note, here)
        try:
            there = read_json(note)
        except DamagedError:
            there = {"machine": "nobody knows where"}
            write_json(note, here)
        if there not in (here, here["machine"]):  # a word alone by an earlier version
            where = there["machine"] if isinstance(there, dict) else there
            asks.remark(
                f"phase 0 was trained elsewhere ({where}; here: {here['machine']}): trained here its bits may differ"
            )
        for torn in place.folder.glob(f"*{TEMPORARY}"):
            torn.unlink(missing_ok=True)

    def waiting(holder: str) -> None:
        asks.remark(f"waited for a baseline that another run was training ({holder})")

    with alone(hold(place.folder, waiting=waiting), prepare):
        yield place
