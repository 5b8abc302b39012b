"""Real street photographs on two CPU cores: `dmtkit run params/camvid_8.yaml`, timed; its results and figures kept.

Usage: python -m benchmarks.camvid DATA_DIR [SEED …]; DATA_DIR holds JPEGImages, SegmentationClass and ImageSets.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import ROOT, write_result
from dmtkit.results.tables import error_table, phase_table
from dmtkit.runs.search import load_run


def one_run(data_dir: str, seed: int) -> dict[str, object]:
    folder = ROOT / "outputs" / "benchmarks" / f"camvid_8-seed-{seed}"
    fresh = not folder.exists()
    command = [
        sys.executable,
        "-m",
        "dmtkit",
        "run",
        "params/camvid_8.yaml",
        "-p",
        "seed",
        str(seed),
        "-p",
        "split",
        str(seed),
    ]
    command += ["-p", "data_dir", str(Path(data_dir).resolve()), "--output", str(folder)]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True)
    wall = time.monotonic() - started
    run = load_run(folder)
    return {
        "seed": seed,
        "split": seed,
        "wall_seconds": round(wall, 1) if fresh else None,
        "computing_seconds": round(run.done["seconds"], 1),
        "results": run.results,
        "class_iou": {name: run.phases(name)[-1].summary["iou"] for name in run.methods},
        "dmt_phases": phase_table(run, "dmt", "B").reset_index().round(3).to_dict("records"),
        "error_search": error_table(run, "dmt", "B").reset_index().round(3).to_dict("records"),
    }


if __name__ == "__main__":
    seeds = [int(seed) for seed in sys.argv[2:]] or [1]
    write_result("camvid", [one_run(sys.argv[1], seed) for seed in seeds])
