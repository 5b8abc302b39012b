"""Shared by the benchmarks: where results go, and what they say of the machine and the moment."""

import datetime
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from dmtkit.environment import commit, machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMIT = commit()  # of the code that is loaded now, not of what is committed while it runs


def write_result(name: str, results: Any) -> Path:
    """Write benchmarks/results/<name>.json: command, commit, date, machine, results."""
    RESULTS.mkdir(exist_ok=True)
    command = " ".join(["python", "-m", *_module(), *sys.argv[1:]])
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


def _module() -> list[str]:
    return [f"benchmarks.{Path(sys.argv[0]).stem}"]


def summary(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation and number of values."""
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return {"mean": round(statistics.mean(values), 3), "sd": round(spread, 3), "n": len(values)}
