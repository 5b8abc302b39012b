"""Real CIFAR-10 on two CPU cores: `dmtkit run params/cifar10_cpu.yaml`, timed, its DONE.json kept.

Usage: python -m benchmarks.cifar10_cpu DATA_DIR [SEED …]; DATA_DIR holds train/<class>/*.jpg and test/<class>/*.jpg.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import ROOT, write_result
from dmtkit.results.tables import phase_table
from dmtkit.runs.search import load_run


def one_run(data_dir: str, seed: int) -> dict[str, object]:
    folder = ROOT / "outputs" / "benchmarks" / f"cifar10_cpu-seed-{seed}"
    fresh = not folder.exists()
    command = [sys.executable, "-m", "dmtkit", "run", "params/cifar10_cpu.yaml", "-p", "seed", str(seed)]
    command += ["-p", "data_dir", str(Path(data_dir).resolve()), "--output", str(folder)]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    wall = time.monotonic() - started
    done = json.loads((folder / "DONE.json").read_text())
    table = phase_table(load_run(folder), "dmt").reset_index().round(3).to_dict("records")
    return {
        "seed": seed,
        "wall_seconds": round(wall, 1) if fresh else None,
        "computing_seconds": round(done["seconds"], 1),
        "accuracy": {name: round(result["accuracy"], 2) for name, result in done["results"].items()},
        "dmt_phases": table,
    }


if __name__ == "__main__":
    seeds = [int(seed) for seed in sys.argv[2:]] or [1]
    write_result("cifar10_cpu", [one_run(sys.argv[1], seed) for seed in seeds])
