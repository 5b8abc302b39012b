"""The paper's CIFAR-10 recipe with 4 000 labels, every phase cut alike to fit a time: supervised, CL and DMT.

Usage: python -m benchmarks.gpu_cifar DATA_DIR [--minutes 20] [--dataset folder|cifar10] [-p name=value …]

First times a few steps of each kind, then scales the epochs of the recipe so that the whole run fits.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.common import ROOT, write_result
from dmtkit.config import Config, make_config
from dmtkit.data import Data, load
from dmtkit.methods.lab import Lab, Training
from dmtkit.params import load_params
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.search import load_run
from dmtkit.training.experiment import plan, run_methods, start_session
from dmtkit.training.resume import Session, start_loop
from dmtkit.training.step import advance

RESERVE = 0.85  # the share of the time that is planned for; the rest is labelling, testing and surprises
KINDS = {
    "supervised": Training("supervised", "supervised", steps=10_000),
    "cl": Training("cl", "cl", 1, labels=Lab.unlabeled, steps=10_000),  # what the labels are takes no time
    "dmt": Training("dmt", "dmt", 1, labels=Lab.unlabeled, steps=10_000),
}


def step_seconds(session: Session, training: Training, steps: int) -> float:
    """Seconds of one training step, its batch and augmentation included."""
    loop, batches = start_loop(session, training), session.task.batches(training)
    for step in range(steps + 3):
        if step == 3:
            _wait(session.task.device)
            started = time.monotonic()
        advance(loop, batches(step))
    _wait(session.task.device)
    return (time.monotonic() - started) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def cut(config: Config, data: Data, seconds: dict[str, float], minutes: float) -> Config:
    """The config with all epochs scaled by one factor, so that the run takes `minutes`."""
    whole = sum(training.steps * seconds[training.method] for training in plan(config, data).trainings)
    factor = min(1.0, RESERVE * 60 * minutes / whole)
    epochs = {name: max(1, round(getattr(config, name) * factor)) for name in ("epochs", "baseline_epochs")}
    return make_config({**config.model_dump(), **epochs})


def main(arguments: argparse.Namespace) -> None:
    values: dict[str, Any] = load_params(ROOT / "params" / "cifar10_4000.yaml")
    values |= {"experiment": "gpu_cifar", "dataset": arguments.dataset, "data_dir": str(Path(arguments.data).resolve())}
    values |= {name: yaml.safe_load(value) for name, value in (pair.split("=", 1) for pair in arguments.p)}
    config = make_config(values)
    data = load(config)
    session = start_session(config, data)
    session.task.start(RunFolder(Path(), config))
    device, precision = session.task.device, session.task.precision
    seconds = {name: step_seconds(session, training, arguments.steps) for name, training in KINDS.items()}
    if (Path(arguments.output) / "config.yaml").is_file():  # go on with an interrupted run, as it was cut
        config = load_run(arguments.output).config
    else:
        config = cut(config, data, seconds, arguments.minutes)
    started = time.monotonic()
    run = run_methods(config, data, arguments.output)
    batch = config.batch_labeled + config.batch_pseudo
    results = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "precision": precision,
        "images_per_second": {name: round(batch / value, 1) for name, value in seconds.items()},
        "epochs": config.epochs,
        "baseline_epochs": config.baseline_epochs,
        "minutes": round((time.monotonic() - started) / 60, 2),
        "accuracy": {name: round(result["accuracy"], 2) for name, result in run.results.items()},
        "phases": {name: [round(a, 2) for a in result["phases"]] for name, result in run.results.items()},
    }
    if device.type == "cuda":
        results["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    print(results)
    if arguments.name:
        write_result(arguments.name, results)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--dataset", default="folder", choices=["folder", "cifar10"])
    parser.add_argument("--steps", type=int, default=20, help="steps timed for each kind")
    parser.add_argument("--output", default=str(ROOT / "outputs" / "benchmarks" / "gpu_cifar"))
    parser.add_argument("--name", default="gpu_cifar", help="name of the result; empty for none")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="override a parameter")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
