"""The paper's CIFAR-10 recipe with 4 000 labels, every phase cut alike to fit a time: supervised, CL and DMT.

Usage: python -m benchmarks.gpu_cifar DATA_DIR [--minutes 20] [--dataset folder|cifar10] [-p name=value …]

First times a few steps of each kind, then scales the epochs of the recipe so that the whole run fits.
"""

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.common import ROOT, write_result
from dmtkit.classification import (
    on_device,
    phase_batches,
    phase_recipe,
    phase_steps,
    plans,
    predict_images,
    starting_model,
)
from dmtkit.config import Config, make_config
from dmtkit.data import Data, load
from dmtkit.environment import pick_device, pick_precision
from dmtkit.experiment import run_methods
from dmtkit.methods import Plan
from dmtkit.optim import sgd, update_average
from dmtkit.params import load_params
from dmtkit.phases import Session
from dmtkit.pseudo import PseudoLabels
from dmtkit.runs import load_run
from dmtkit.step import step_loss

RESERVE = 0.85  # the share of the time that is planned for; the rest is labelling, testing and surprises


def step_seconds(session: Session, plan: Plan, steps: int) -> float:
    """Seconds of one training step, its batch and augmentation included."""
    model = starting_model(session, plan)
    optimizer, ema = sgd(model, 0.01, 0.9, 5e-4), copy.deepcopy(model)
    pseudo = None
    if plan.number:
        found = predict_images(session, model, session.data.unlabeled)
        pseudo = PseudoLabels(found.label, found.level, found.level >= 0)
    batches, recipe = phase_batches(session, plan, pseudo), phase_recipe(session, plan)
    for step in range(steps + 3):
        if step == 3:
            _wait(session.device)
            started = time.monotonic()
        loss, _ = step_loss(model.train(), batches(step), recipe, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        update_average(ema, model, 0.999)
    _wait(session.device)
    return (time.monotonic() - started) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def cut(config: Config, data: Data, seconds: dict[str, float], minutes: float) -> Config:
    """The config with all epochs scaled by one factor, so that the run takes `minutes`."""
    whole = sum(phase_steps(config, data, plan) * seconds[plan.method] for plan in plans(config))
    factor = min(1.0, RESERVE * 60 * minutes / whole)
    epochs = {name: max(1, round(getattr(config, name) * factor)) for name in ("epochs", "baseline_epochs")}
    return make_config({**config.model_dump(), **epochs})


def main(arguments: argparse.Namespace) -> None:
    values: dict[str, Any] = load_params(ROOT / "params" / "cifar10_4000.yaml")
    values |= {"experiment": "gpu_cifar", "dataset": arguments.dataset, "data_dir": str(Path(arguments.data).resolve())}
    values |= {name: yaml.safe_load(value) for name, value in (pair.split("=", 1) for pair in arguments.p)}
    config = make_config(values)
    data = load(config)
    device = pick_device(config.device)
    precision = pick_precision(config.precision, device)
    session = Session(config, on_device(data, device), None, device, precision, lambda progress: None, 0)  # type: ignore[arg-type]
    kinds = {"supervised": Plan("supervised"), "cl": Plan("cl", 1, 1.0), "dmt": Plan("dmt", 1, 1.0, "dynamic")}
    seconds = {name: step_seconds(session, plan, arguments.steps) for name, plan in kinds.items()}
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
