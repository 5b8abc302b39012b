"""The digit scenes over seeds and splits that nothing was tuned on: mIoU, differences, and the search for wrong labels.

Usage: python -m benchmarks.scenes [SEED …]; a seed is also the split.
"""

import sys
from typing import Any

import numpy as np

from benchmarks.common import over_seeds, summary, write_result
from dmtkit.runs.run import Run

PAIRS = [("dmt", "supervised"), ("dmt", "cbst"), ("cbst", "supervised")]
LEARNER = {"cbst": "A", "dmt": "B"}  # whose labels are looked at: B learns A's
SCORES = ("w", "p_B", "c_A", "p_B·c_A")


def error_search(runs: list[Run]) -> list[dict[str, Any]]:
    """AUROC of finding wrong labels by each low score, mean ± sd over the runs, by method, phase and time."""
    rows = []
    for method, model in LEARNER.items():
        for position in range(len(runs[0].phases(method))):
            found = [run.phases(method)[position].model_folder(model).summary["auroc"] for run in runs]
            for time in ("start", "middle", "end"):
                row: dict[str, Any] = {"method": method, "phase": position + 1, "time": time}
                known = [
                    auroc[time] for auroc in found if None not in auroc[time].values()
                ]  # None: no kept label was wrong
                row |= {score: summary([auroc[score] for auroc in known]) for score in SCORES}
                gap = [auroc["w"] - auroc["c_A"] for auroc in known]
                rows.append(row | {"w - c_A": {"per_seed": [round(value, 3) for value in gap], **summary(gap)}})
    return rows


def two_models(runs: list[Run]) -> dict[str, dict[str, float]]:
    """mIoU of A, B and of their mean."""
    return {name: summary([run.results["dmt"][name] for run in runs]) for name in ("A", "B", "A+B")}


def phases(runs: list[Run]) -> dict[str, list[float]]:
    """Mean mIoU of A after every phase, by method."""
    return {method: np.mean([run.results[method]["phases"] for run in runs], 0).round(2).tolist() for method in LEARNER}


def main(seeds: list[int]) -> None:
    results = over_seeds("scenes", [{"seed": seed, "split": seed} for seed in seeds], PAIRS, "miou")
    runs = results.pop("runs")
    results |= {"dmt_models": two_models(runs), "phases": phases(runs), "error_search": error_search(runs)}
    write_result("scenes", results)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3, 4, 5])
