"""What a batch costs beyond its runs: the wall time of 8 runs on 2 workers against the runs' own times.

Usage: python -m benchmarks.batch
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, write_result
from dmtkit.files import read_json

RUNS, WORKERS = 8, 2
SETTINGS = ["-p", "methods=supervised,dmt"]


def timed(words: list[str], outputs: Path, **variables: str) -> float:
    """Seconds that a command of the kit takes, from its start to its end."""
    environment = {**os.environ, "DMTKIT_OUTPUTS": str(outputs), **variables}
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "dmtkit", *words], cwd=ROOT, env=environment, check=True)
    return time.monotonic() - started


def measure(place: Path) -> dict[str, Any]:
    """One batch, and one of its runs alone."""
    seeds = f"201-{200 + RUNS}"
    wall = timed(
        ["batch", "params/digits.yaml", "--seeds", seeds, "--workers", str(WORKERS), *SETTINGS], place / "batch"
    )
    (summary,) = (place / "batch").glob(".batches/*/batch.json")
    told = read_json(summary)
    own = [outcome["seconds"] for outcome in told["outcomes"]]
    alone = timed(["run", "params/digits.yaml", "-p", "seed=201", *SETTINGS], place / "alone", OMP_NUM_THREADS="1")
    return {
        "runs": RUNS,
        "workers": WORKERS,
        "wall_seconds": round(wall, 1),
        "own_seconds": [round(value, 1) for value in own],
        "ratio": round(wall / (sum(own) / WORKERS), 3),
        "one_run_alone_with_one_thread": round(alone, 1),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_result("batch", measure(Path(folder)))
