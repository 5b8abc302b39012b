"""The digits experiment over seeds that nothing was tuned on: accuracy of each method, differences seed by seed.

Usage: python -m benchmarks.digits [SEED …]
"""

import sys

from benchmarks.common import over_seeds, write_result

PAIRS = [("dmt", "supervised"), ("dmt", "cl"), ("cl", "supervised")]


def main(seeds: list[int]) -> None:
    results = over_seeds("digits", [{"seed": seed} for seed in seeds], PAIRS, "accuracy")
    results["labels_per_class"] = results.pop("runs")[0].config.labels
    write_result("digits", results)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3, 4, 5])
