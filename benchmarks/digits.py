"""The digits experiment over seeds that nothing was tuned on: accuracy of each method, differences seed by seed.

Usage: python -m benchmarks.digits [SEED …]
"""

import sys
import time

from benchmarks.common import ROOT, summary, write_result
from dmtkit.config import make_config
from dmtkit.experiment import run_methods
from dmtkit.params import load_params


def main(seeds: list[int]) -> None:
    values = load_params(ROOT / "params" / "digits.yaml")
    rows = []
    for seed in seeds:
        started = time.monotonic()
        config = make_config({**values, "seed": seed})
        run = run_methods(config, output_dir=ROOT / "outputs" / "benchmarks" / f"digits-seed-{seed}")
        accuracy = {name: round(result["accuracy"], 2) for name, result in run.results.items()}
        rows.append({"seed": seed, "seconds": round(time.monotonic() - started, 1), **accuracy})
        print(rows[-1], flush=True)
    pairs = {
        "dmt - supervised": ("dmt", "supervised"),
        "dmt - cl": ("dmt", "cl"),
        "cl - supervised": ("cl", "supervised"),
    }
    results = {
        "labels_per_class": values["labels"],
        "per_seed": rows,
        "accuracy": {name: summary([row[name] for row in rows]) for name in values["methods"]},
        "paired_difference": {
            name: {
                "per_seed": [round(row[a] - row[b], 2) for row in rows],
                **summary([row[a] - row[b] for row in rows]),
            }
            for name, (a, b) in pairs.items()
        },
    }
    write_result("digits", results)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3, 4, 5])
