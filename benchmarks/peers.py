"""Methods that are not DMT beside it, at equal optimiser steps, on seeds that nothing was tuned on: digits and digit scenes.

Usage: python -m benchmarks.peers [SEED …]; two runs at a time, a thread each; goes on where an earlier start stopped.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import ROOT, summary, write_result
from dmtkit.config import make_config
from dmtkit.methods import METHODS, Method, Step, method
from dmtkit.methods.given import Nets, Now
from dmtkit.params import load_params
from dmtkit.runs import Run, load_run
from dmtkit.training.experiment import run_methods

if TYPE_CHECKING:
    from dmtkit.data.batches import Batch

NEW = ("mean_teacher", "fixmatch", "flexmatch", "cps", "unimatch", "adversarial")


@method("x_alone", title="X alone, as many steps")
class XAlone(Method):
    """The supervised loss for as long as a method that learns from U online."""

    views = ("weak",)

    def losses(self, nets: Nets, batch: "Batch", now: Now) -> Step:
        """U is not looked at."""
        return Step({"model": now.supervised(nets, batch)})


def methods_of(task: str) -> list[str]:
    """What is compared: the baseline, X alone for as long, DMT, and the others that the task has."""
    return ["supervised", "x_alone", "dmt", *(name for name in NEW if task in METHODS[name].tasks)]


def run_one(params: str, seed: int) -> Run:
    """Every method on one seed (and split)."""
    values = load_params(ROOT / "params" / f"{params}.yaml")
    place = {"seed": seed} | ({"split": seed} if params == "scenes" else {})
    how = {"methods": methods_of(values["task"]), "precision": "fp32", "experiment": f"peers_{params}"}
    folder = ROOT / "outputs" / "benchmarks" / f"peers_{params}_{seed}"
    return run_methods(make_config({**values, **place, **how}), output_dir=folder)


def work(job: tuple[str, int]) -> None:
    """A run in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.peers", job[0], str(job[1])]
    subprocess.run(words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)


def table(params: str, seeds: list[int]) -> dict[str, Any]:
    """Every method's metric over seeds, and its differences to the baseline and to DMT, seed by seed."""
    runs = [load_run(ROOT / "outputs" / "benchmarks" / f"peers_{params}_{seed}") for seed in seeds]
    metric = runs[0].task.metric
    rows = {name: [round(run.results[name][metric], 2) for run in runs] for name in runs[0].results}
    differences = {
        f"{name} - {base}": summary([a - b for a, b in zip(rows[name], rows[base], strict=True)])
        for base in ("x_alone", "dmt")
        for name in rows
        if name not in ("supervised", base)
    }
    return {
        "metric": metric,
        "per_seed": dict(zip(map(str, seeds), zip(*rows.values(), strict=True), strict=True)),
        "methods": list(rows),
        "over_seeds": {name: summary(values) for name, values in rows.items()},
        "paired_difference": differences,
        "seconds_of_a_step": {name: _seconds(runs, name) for name in rows},
    }


def _seconds(runs: list[Run], name: str) -> float:
    """Seconds of a training step, over all of a method's trainings, two runs at a time."""
    phases = [phase for run in runs for phase in run.path.glob(f"{name}/phase_*/**/phase.json")]
    found = [load_phase(path) for path in phases]
    steps = sum(each.get("steps", 0) for each in found)
    return round(sum(each["seconds"] for each in found if "steps" in each) / steps, 5)


def load_phase(path: Path) -> dict[str, Any]:
    """A phase's summary."""
    from dmtkit.files import read_json

    return read_json(path)


def main(words: list[str]) -> None:
    if words[:1] in (["digits"], ["scenes"]):
        run_one(words[0], int(words[1]))
        return
    seeds = [int(word) for word in words] or [11, 12, 13, 14, 15]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [(params, seed) for seed in seeds for params in ("scenes", "digits")]))
    write_result("peers", {params: table(params, seeds) for params in ("digits", "scenes")})


if __name__ == "__main__":
    main(sys.argv[1:])
