"""Methods that are not DMT beside it, at equal optimiser steps, on seeds that nothing was tuned on: digits and digit scenes."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.common import OUTPUTS, ROOT, in_turn, rounded, summary
from benchmarks.steps import step_of
from dmtkit.config import make_config
from dmtkit.files import read_json
from dmtkit.methods import Method, Step, method
from dmtkit.methods.given import Nets, Now
from dmtkit.params import load_params
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.run import load_run
from dmtkit.training.experiment import load_data, run_methods, start_session

if TYPE_CHECKING:
    from dmtkit.data.batches import Batch

NEW = {
    "digits": ("mean_teacher", "fixmatch", "flexmatch"),
    "scenes": ("mean_teacher", "fixmatch", "cps", "unimatch", "adversarial"),
}


class XAlone(Method):
    """The supervised loss for as long as a method that learns from U online."""

    views = ("weak",)

    def losses(self, nets: Nets, batch: "Batch", now: Now) -> Step:
        """U is not looked at."""
        return Step({"model": now.supervised(nets, batch)})


def peers(*seeds: int) -> dict[str, Any]:
    """Two runs at a time, a thread each; goes on where an earlier start stopped."""
    seeds = seeds or (11, 12, 13, 14, 15)
    runs = ProcessPoolExecutor(
        2, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,), max_tasks_per_child=1
    )
    with runs as pool:
        list(pool.map(run_one, ["scenes", "digits"] * len(seeds), [seed for seed in seeds for _ in NEW]))
    return {params: over_seeds(params, seeds) | {"seconds_of_a_step": costs(params)} for params in NEW}


def run_one(params: str, seed: int) -> None:
    """Every method on one seed (and split): the baseline, X alone for as long, DMT, and the others that the task has."""
    method("x_alone", title="X alone, as many steps")(XAlone)
    how = {
        "methods": ["supervised", "x_alone", "dmt", *NEW[params]],
        "precision": "fp32",
        "experiment": f"peers_{params}",
    }
    place = {"seed": seed} | ({"split": seed} if params == "scenes" else {})
    config = make_config({**load_params(ROOT / "params" / f"{params}.yaml"), **place, **how})
    run_methods(config, output_dir=OUTPUTS / f"peers_{params}_{seed}")


def over_seeds(params: str, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Every method's metric over seeds, and its differences to X alone and to DMT, seed by seed."""
    runs = [load_run(OUTPUTS / f"peers_{params}_{seed}") for seed in seeds]
    metric = runs[0].task.metric
    rows = {name: [round(run.results[name][metric], 2) for run in runs] for name in runs[0].results}
    pairs = [(name, base) for base in ("x_alone", "dmt") for name in rows if name not in ("supervised", base)]
    return {
        "metric": metric,
        "seeds": seeds,
        "commits_of_the_runs": sorted({read_json(run.path / "environment.json")["commit"] for run in runs}),
        "per_seed": rows,
        "over_seeds": {name: summary(values) for name, values in rows.items()},
        "paired_difference": {
            f"{a} - {b}": summary([one - other for one, other in zip(rows[a], rows[b], strict=True)]) for a, b in pairs
        },
    }


def costs(params: str, repeats: int = 7, together: int = 20) -> dict[str, float]:
    """Seconds of a training step of each method, data included, in turn in one process."""
    values = load_params(ROOT / "params" / f"{params}.yaml")
    config = make_config({**values, "methods": ["supervised", *NEW[params]], "precision": "fp32"})
    session = start_session(config, load_data(config))
    with TemporaryDirectory() as place:
        session.task.start(RunFolder(Path(place)))
        sides = {training.method: step_of(session, training) for training in dict.fromkeys(session.plan.trainings)}
        seconds = in_turn(sides, session.task.device, repeats, dict.fromkeys(sides, together))
    return rounded(seconds, 5)
