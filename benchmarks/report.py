"""How long `python -m dmtkit report` takes over 200 finished runs: a process from start to end, tables to the terminal.

The runs are made up (25 experiments' worth of eight seeds, three methods each); only their files matter here.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.common import ROOT, write_result
from dmtkit.config import make_config

EXPERIMENTS, SEEDS, REPEATS = 25, 8, 5


def make_runs(root: Path) -> int:
    """Finished run folders as a run leaves them, so far as a report reads them; how many."""
    for number in range(EXPERIMENTS):
        for seed in range(SEEDS):
            config = make_config({"experiment": f"made_up_{number}", "seed": seed})
            folder = root / config.experiment / config.variant
            folder.mkdir(parents=True)
            (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
            phases = [80 + seed / 10 + k for k in range(len(config.label_ratios))]
            results = {name: {"accuracy": phases[-1], "phases": phases} for name in config.methods}
            done = {"experiment": config.experiment, "dataset": config.dataset, "task": config.task, "seed": seed}
            done |= {"split": seed, "seconds": 100.0, "results": results}
            (folder / "DONE.json").write_text(json.dumps(done))
    return EXPERIMENTS * SEEDS


def seconds(*words: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "dmtkit", "report", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = make_runs(Path(folder) / "outputs")
        times = [seconds(f"{folder}/outputs") for _ in range(REPEATS)]
    results = {"runs": runs, "experiments": EXPERIMENTS, "repeats": REPEATS}
    results |= {"seconds": round(statistics.median(times), 2), "slowest_seconds": round(max(times), 2)}
    print(results)
    write_result("report", results)


if __name__ == "__main__":
    main()
