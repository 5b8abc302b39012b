"""Kills runs of both tasks with SIGKILL at chosen and at random moments; every re-run must end in the same bits.

Usage: python -m benchmarks.kill [KILLS]
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import ROOT, write_result
from tests.helpers import fingerprint

SETTINGS: dict[str, dict[str, object]] = {
    "classification": {"epochs": 4, "baseline_epochs": 60, "checkpoint_seconds": 0.2, "device": "cpu"},
    "segmentation": {
        "task": "segmentation",
        "scenes": 120,
        "epochs": 2,
        "baseline_epochs": 12,
        "label_ratios": (0.5, 1.0),
        "checkpoint_seconds": 0.2,
        "device": "cpu",
    },
}
PROGRAM = """
import sys, json, torch
torch.set_num_threads(1)
from dmtkit.config import make_config
from dmtkit.training.experiment import run_methods
run_methods(make_config(json.loads(sys.argv[2])), output_dir=sys.argv[1])
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


def kills_of(task: str, kills: int) -> tuple[float, list[dict]]:
    """Seconds of an undisturbed run, and the report of each kill."""
    rng, settings = random.Random(0), SETTINGS[task]
    with tempfile.TemporaryDirectory() as place:
        seconds = finish(Path(place, "undisturbed"), settings)
        expected = fingerprint(Path(place, "undisturbed"))
        trials = []
        for number in range(kills):
            name = list(MOMENTS)[number % len(MOMENTS)]
            delay = rng.uniform(0, 0.6 * seconds)
            trials.append({"task": task, **trial(Path(place, str(number)), settings, name, delay, expected)})
            print(trials[-1], flush=True)
    return seconds, trials


def main(kills: int) -> None:
    found = {task: kills_of(task, kills) for task in SETTINGS}
    trials = [trial for _, rows in found.values() for trial in rows]
    same = sum(t["same_bits"] for t in trials)
    killed = sum(t["killed"] for t in trials)
    seconds = {task: round(value, 1) for task, (value, _) in found.items()}
    write_result("kill", {"undisturbed_seconds": seconds, "killed": killed, "same_bits": same, "trials": trials})
    if same != len(trials) or killed < len(trials):
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
