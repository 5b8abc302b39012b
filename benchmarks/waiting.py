"""What one waits for: imports and tests, the two demos, a batch beyond its runs, a report over many runs."""

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, checkout, rounded, seconds
from dmtkit.files import read_json
from tests.made_runs import put

IMPORTS = {
    "nothing": "pass",
    "dmtkit": "import dmtkit",
    "torch": "import torch",
    "both": "import torch, dmtkit",
    "used": "import torch, dmtkit; dmtkit.dynamic_weights, dmtkit.make_config",
}
DEMOS = {"make demo": ("digits", "accuracy"), "make demo-segmentation": ("scenes", "miou")}


def startup(*, repeats: int = 7, without_tests: bool = False) -> dict[str, Any]:
    """Imports, medians of fresh processes in turn, and the tests of every day, in seconds."""
    turns = [{name: seconds("-c", code) for name, code in IMPORTS.items()} for _ in range(repeats)]
    median = rounded({name: statistics.median(turn[name] for turn in turns) for name in IMPORTS}, 3)
    results: dict[str, Any] = {
        "import_seconds": median | {"dmtkit_beyond_torch": round(median["both"] - median["torch"], 3)}
    }
    if not without_tests:
        quotes = "tests/test_benchmarks.py::test_pages_quote_the_results_as_they_came"  # this result among them
        command = ("-m", "pytest", "-n", "2", "--dist", "loadfile", "--deselect", quotes)
        results["test_seconds"] = round(seconds(*command), 1)
    return results


def demos(*, before: str = "c9e815b") -> dict[str, Any]:
    """The two demos, notebook and all, with the code of an earlier commit (the last before steps were made faster) and with this one."""
    results: dict[str, Any] = {"before_commit": before}
    with checkout(before) as other, TemporaryDirectory() as place:
        for demo, (params, metric) in DEMOS.items():
            row = {}
            for side, code in (("before", other), ("after", ROOT)):
                outputs = Path(place, side, params)
                variables = {"PYTHONPATH": str(code), "DMTKIT_OUTPUTS": str(outputs)}
                spent = seconds("-m", "dmtkit", "run", f"params/{params}.yaml", folder=code, **variables)
                (done,) = outputs.rglob("DONE.json")
                scores = {name: values[metric] for name, values in read_json(done)["results"].items()}
                row[side] = {"seconds": round(spent, 1), metric: rounded(scores, 2)}
            results[demo] = row | {"faster": round(row["before"]["seconds"] / row["after"]["seconds"], 2)}
    return results


def batch(*, runs: int = 8, workers: int = 2) -> dict[str, Any]:
    """The wall time of a batch of digits against its runs' own times, and one of its runs alone."""
    with TemporaryDirectory() as place:
        how = ("params/digits.yaml", "-p", "methods=supervised,dmt")
        several = ("--seeds", f"201-{200 + runs}", "--workers", str(workers))
        wall = seconds("-m", "dmtkit", "batch", *how, *several, DMTKIT_OUTPUTS=f"{place}/batch")
        (told,) = Path(place, "batch").glob(".batches/*/batch.json")
        own = [outcome["seconds"] for outcome in read_json(told)["outcomes"]]
        alone = {"DMTKIT_OUTPUTS": f"{place}/alone", "OMP_NUM_THREADS": "1"}
        one = seconds("-m", "dmtkit", "run", *how, "-p", "seed=201", **alone)
    return {
        "runs": runs,
        "workers": workers,
        "wall_seconds": round(wall, 1),
        "own_seconds": [round(value, 1) for value in own],
        "ratio": round(wall / (sum(own) / workers), 3),
        "one_run_alone_with_one_thread": round(one, 1),
    }


def report(*, experiments: int = 25, seeds: int = 8, repeats: int = 5) -> dict[str, Any]:
    """`dmtkit report`, from start to end, over finished runs of three methods that are made up: only their files matter here."""
    with TemporaryDirectory() as place:
        for number in range(experiments):
            for seed in range(seeds):
                values = {name: [80 + seed / 10 + k for k in range(5)] for name in ("supervised", "cl", "dmt")}
                put(Path(place), values, experiment=f"made_up_{number}", seed=seed)
        times = [seconds("-m", "dmtkit", "report", place) for _ in range(repeats)]
    results = {"runs": experiments * seeds, "experiments": experiments, "repeats": repeats}
    return results | {"seconds": round(statistics.median(times), 2), "slowest_seconds": round(max(times), 2)}
