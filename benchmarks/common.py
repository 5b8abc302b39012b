"""Shared by the benchmarks: where results go, and what they say of the machine and the moment."""

import datetime
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dmtkit.config import make_config
from dmtkit.params import load_params
from dmtkit.runs.environment import commit, machine
from dmtkit.training.experiment import run_methods

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMIT = commit()  # of the code that is loaded now, not of what is committed while it runs


def write_result(name: str, results: Any) -> Path:
    """Write benchmarks/results/<name>.json: command, commit, date, machine, results."""
    RESULTS.mkdir(exist_ok=True)
    words = ["DATA_DIR" if Path(word).is_dir() else word for word in sys.argv[1:]]  # where data lies here tells nobody
    command = " ".join(["python", "-m", *_module(), *words])
    value = {
        "command": command,
        "commit": COMMIT,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "results": results,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")
    return path


def commit_of(checkout: Path) -> str:
    """The commit that a checkout stands at."""
    words = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.check_output(words, text=True).strip()


def _module() -> list[str]:
    return [f"benchmarks.{Path(sys.argv[0]).stem}"]


def summary(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation and number of values."""
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return {"mean": round(statistics.mean(values), 3), "sd": round(spread, 3), "n": len(values)}


def over_seeds(
    params: str, variants: list[dict[str, Any]], pairs: list[tuple[str, str]], metric: str
) -> dict[str, Any]:
    """Run an experiment in each of its `variants` (a seed, a split); every method's metric, and paired differences."""
    values = load_params(ROOT / "params" / f"{params}.yaml")
    rows, runs = [], []
    for variant in variants:
        started = time.monotonic()
        name = "_".join(f"{key}-{value}" for key, value in variant.items())
        folder = ROOT / "outputs" / "benchmarks" / f"{params}_{name}"
        run = run_methods(make_config({**values, **variant}), output_dir=folder)
        found = {method: round(result[metric], 2) for method, result in run.results.items()}
        rows.append({**variant, "seconds": round(time.monotonic() - started, 1), **found})
        runs.append(run)
        print(rows[-1], flush=True)
    differences = {
        f"{a} - {b}": {
            "per_seed": [round(row[a] - row[b], 2) for row in rows],
            **summary([row[a] - row[b] for row in rows]),
        }
        for a, b in pairs
    }
    return {
        "per_seed": rows,
        metric: {name: summary([row[name] for row in rows]) for name in values["methods"]},
        "paired_difference": differences,
        "runs": runs,
    }
