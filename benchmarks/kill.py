"""Kills runs of both tasks with SIGKILL at chosen and at random moments; every re-run must end in the same bits."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, rounded
from tests.helpers import fingerprint

SETTINGS: dict[str, dict[str, object]] = {
    "classification": {"epochs": 4, "baseline_epochs": 60},
    "segmentation": {
        "task": "segmentation",
        "scenes": 120,
        "epochs": 2,
        "baseline_epochs": 12,
        "label_ratios": (0.5, 1.0),
    },
}
PROGRAM = """
import sys, json, torch
torch.set_num_threads(1)
from dmtkit.config import make_config
from dmtkit.training.experiment import run_methods
run_methods(make_config({"checkpoint_seconds": 0.2, "device": "cpu", **json.loads(sys.argv[2])}), output_dir=sys.argv[1])
"""

Moment = Callable[[Path], bool]


def writing(folder: Path) -> bool:
    """A file is half written."""
    return any(folder.glob("*/phase_*/**/*.partial"))


def labelling(folder: Path) -> bool:
    """A model is trained, and is being measured or asked for labels."""
    return any(not (model.parent / "phase.json").exists() for model in folder.glob("*/phase_*/**/model-*.pt"))


def between_phases(folder: Path) -> bool:
    """A phase is complete and nothing of the next is there."""
    phases = [path.parent for path in folder.glob("*/phase_*/**/*") if path.suffix in (".pt", ".json")]
    phases = [path for path in phases if path.name != "labels"]
    return bool(phases) and all((phase / "phase.json").exists() for phase in phases)


def training(folder: Path) -> bool:
    """A checkpoint of a phase under way is there."""
    return any(folder.glob("*/phase_*/**/checkpoint-*.pt"))


MOMENTS: dict[str, Moment] = {f.__name__: f for f in (training, writing, labelling, between_phases)}


def start(folder: Path, settings: dict[str, object]) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), json.dumps(settings)], cwd=ROOT)


def finish(folder: Path, settings: dict[str, object]) -> float:
    """Run to the end; the seconds it took."""
    started = time.monotonic()
    if start(folder, settings).wait() != 0:
        raise RuntimeError(f"the run in {folder} failed")
    return time.monotonic() - started


def kill_at(folder: Path, settings: dict[str, object], moment: Moment, delay: float) -> bool:
    """Start a run, wait `delay` seconds from its first file on and then for the moment, and kill it."""
    process = start(folder, settings)
    while not (folder / "split.json").exists() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(delay)
    while process.poll() is None and not moment(folder):
        pass
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def trial(folder: Path, settings: dict[str, object], name: str, delay: float, expected: dict[str, str]) -> dict:
    """Kill one run, run it again and compare; the report of it."""
    killed = kill_at(folder, settings, MOMENTS[name], delay)
    done = len(list(folder.glob("*/phase_*/**/phase.json")))
    seconds = finish(folder, settings)
    return {
        "moment": name,
        "delay": round(delay, 2),
        "killed": killed,
        "complete_phases": done,
        "rerun_seconds": round(seconds, 1),
        "same_bits": fingerprint(folder) == expected,
    }


def kill(*, kills: int = 12) -> Iterator[dict[str, Any]]:
    """So many kills of each task's run."""
    rng, spent, trials = random.Random(0), {}, []
    for task, settings in SETTINGS.items():
        with TemporaryDirectory() as place:
            spent[task] = finish(Path(place, "undisturbed"), settings)
            expected = fingerprint(Path(place, "undisturbed"))
            for number in range(kills):
                moment, delay = list(MOMENTS)[number % len(MOMENTS)], rng.uniform(0, 0.6 * spent[task])
                trials.append({"task": task, **trial(Path(place, str(number)), settings, moment, delay, expected)})
                print(trials[-1], flush=True)
    counts = {what: sum(row[what] for row in trials) for what in ("killed", "same_bits")}
    yield {"undisturbed_seconds": rounded(spent, 1), **counts, "trials": trials}
    if min(counts.values()) < len(trials):
        raise SystemExit("not every run was killed and ended in the same bits")
