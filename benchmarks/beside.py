"""Training steps and demos of this checkout beside those of another one, in turn: what a change costs or saves.

Usage: python -m benchmarks.beside OTHER_CHECKOUT [--turns 5] [--steps 3] [--demos 2] [--name beside]

Each turn is a fresh process in one checkout, then one in the other, so that whatever slows the machine slows both. The step is
the library's alone, its batch and augmentation included; `--demos` also runs the two demonstrations, without their notebooks.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, commit_of, write_result

STEPS = """
import inspect, json, sys, time, torch
from benchmarks import steps
found, device = {}, torch.device("cpu")
for case in json.loads(sys.argv[1]):
    torch.manual_seed(0)
    one = steps.CASES[case]
    model, _, batches = one.make(0, device)
    for precision in (sys.argv[3],):
        words = (precision, False, one.mixup) if "mixup" not in inspect.signature(steps.recipe).parameters else (
            precision, False, 0.75 if one.mixup else 0.0, one.mixup)
        step = steps.library(model, batches, steps.recipe(*words))
        step()
        seconds = []
        for _ in range(int(sys.argv[2]) * one.together):
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
        found[f"{case}, {precision}"] = sorted(seconds)[len(seconds) // 2]
print(json.dumps(found))
"""
DEMO = """
import json, sys, time
import dmtkit
config = dmtkit.make_config(dmtkit.load_params(sys.argv[1]))
data = dmtkit.load_data(config)
started = time.perf_counter()
dmtkit.run_methods(config, data, sys.argv[2])
print(json.dumps({config.experiment: time.perf_counter() - started}))
"""
CASES = ["wrn-28-2, 16+496 of 32×32", "deeplab-resnet101, 1+7 of 321×321", "deeplab-tiny, 4+12 of 48×48"]


def run(checkout: Path, code: str, *words: str) -> dict[str, float]:
    """What a program prints at last, run in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=checkout, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: argparse.Namespace) -> None:
    sides = {"before": Path(arguments.other).resolve(), "after": ROOT}
    seconds: dict[str, dict[str, list[float]]] = {}
    for turn in range(max(arguments.turns, arguments.demos)):
        for side, checkout in sides.items():
            found = {}
            if turn < arguments.turns:
                found |= run(checkout, STEPS, json.dumps(CASES), str(arguments.steps), arguments.precision)
            for params in ("digits", "scenes") if turn < arguments.demos else ():
                with tempfile.TemporaryDirectory() as place:
                    found |= run(checkout, DEMO, str(ROOT / "params" / f"{params}.yaml"), f"{place}/run")
            for case, value in found.items():
                seconds.setdefault(case, {"before": [], "after": []})[side].append(value)
            print(turn, side, {case: round(value, 4) for case, value in found.items()}, flush=True)
    results: dict[str, Any] = {
        case: {
            **{f"seconds_{side}": round(statistics.median(values), 4) for side, values in both.items()},
            "ratio": round(statistics.median(b / a for a, b in zip(both["before"], both["after"], strict=True)), 3),
        }
        for case, both in seconds.items()
    }
    for case, row in results.items():
        print(case, row)
    if arguments.name:
        write_result(
            arguments.name,
            {
                "before": commit_of(sides["before"]),
                "turns": arguments.turns,
                "demo_turns": arguments.demos,
                "cases": results,
            },
        )


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "other", help="the folder of another checkout, such as `git worktree add ../before HEAD~1` makes"
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--demos", type=int, default=0, help="turns of the two demonstrations, run whole")
    parser.add_argument("--name", default="beside", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
