"""All that is to be measured on a GPU: steps, loss, labelling, augmentation; and the paper's CIFAR-10 recipe, cut to fit a time."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.common import OUTPUTS, ROOT, device_name, in_turn, rounded
from benchmarks.labelling import labelling
from benchmarks.parts import augmentation, loss
from benchmarks.steps import step_of
from benchmarks.steps import steps as all_steps
from dmtkit.config import Config, make_config
from dmtkit.data import Data, load
from dmtkit.methods.lab import Lab, Training
from dmtkit.params import load_params
from dmtkit.runs.environment import pick_device
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.run import load_run
from dmtkit.training.experiment import run_methods, start_session

RESERVE = 0.85  # the share of the time that is planned for; the rest is labelling, testing and surprises
TINY: dict[str, tuple[list[str], dict[str, Any]]] = {
    "steps": (["wrn-10-1"], {"repeats": 1, "workers": 0}),
    "loss": ([], {"repeats": 1, "shape": (2, 3, 8, 8)}),
    "labelling": (["deeplab-tiny"], {"repeats": 1, "images": 4}),
    "augmentation": ([], {"repeats": 1, "count": 8}),
}
KINDS = {
    "supervised": Training("supervised", "supervised", steps=10_000),
    "cl": Training("cl", "cl", 1, labels=Lab.unlabeled, steps=10_000),  # what the labels are takes no time
    "dmt": Training("dmt", "dmt", 1, labels=Lab.unlabeled, steps=10_000),
}


def gpu(*, device: str = "auto", tiny: bool = False) -> Iterator[dict[str, Any]]:
    """Steps, loss, labelling and augmentation on one device; what is measured is kept if a later part fails.

    --tiny: for trying it out.
    """
    results: dict[str, Any] = {"device": device_name(pick_device(device))}
    for measure in (all_steps, loss, labelling, augmentation):
        name = measure.__name__
        words, how = TINY[name] if tiny else ([], {"compile": True} if name == "steps" else {})
        part = measure(*words, device=device, **how)
        for so_far in part if isinstance(part, Iterator) else [part]:
            yield results | {name: so_far}
        results[name] = so_far


def gpu_cifar(
    data_dir: str,
    *,
    minutes: float = 20,
    dataset: str = "folder",
    steps: int = 20,
    output: str = str(OUTPUTS / "gpu_cifar"),
    settings: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The paper's CIFAR-10 recipe with 4 000 labels, every phase cut alike to fit `minutes`: supervised, CL and DMT.

    First times a few --steps of each kind, then scales the epochs of the recipe so that the whole run fits; called again
    it goes on with an interrupted run. --dataset: folder (class folders) or cifar10. --settings: NAME=VALUE … of the config.
    """
    place = {"experiment": "gpu_cifar", "dataset": dataset, "data_dir": str(Path(data_dir).resolve())}
    changes = {name: yaml.safe_load(value) for name, value in (pair.split("=", 1) for pair in settings)}
    config = make_config({**load_params(ROOT / "params" / "cifar10_4000.yaml"), **place, **changes})
    data = load(config)
    session = start_session(config, data)
    session.task.start(RunFolder(Path()))
    device = session.task.device
    sides = {name: step_of(session, training) for name, training in KINDS.items()}
    seconds = in_turn(sides, device, repeats=1, together=dict.fromkeys(sides, steps))
    begun = Path(output, "config.yaml").is_file()
    config = load_run(output).config if begun else cut(config, data, seconds, minutes)  # goes on as it was cut
    started = time.monotonic()
    run = run_methods(config, data, output)
    batch = config.batch_labeled + config.batch_pseudo
    peak = {"peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)} if device.type == "cuda" else {}
    return {
        "device": device_name(device),
        "precision": session.task.precision,
        "images_per_second": rounded({name: batch / value for name, value in seconds.items()}, 1),
        "epochs": config.epochs,
        "baseline_epochs": config.baseline_epochs,
        "minutes": round((time.monotonic() - started) / 60, 2),
        "accuracy": rounded({name: result["accuracy"] for name, result in run.results.items()}, 2),
        "phases": {name: [round(a, 2) for a in result["phases"]] for name, result in run.results.items()},
        **peak,
    }


def cut(config: Config, data: Data, seconds: dict[str, float], minutes: float) -> Config:
    """The config with all epochs scaled by one factor, so that the run takes `minutes`."""
    whole = sum(training.steps * seconds[training.method] for training in start_session(config, data).plan.trainings)
    factor = min(1.0, RESERVE * 60 * minutes / whole)
    epochs = {name: max(1, round(getattr(config, name) * factor)) for name in ("epochs", "baseline_epochs")}
    return make_config({**config.model_dump(), **epochs})
