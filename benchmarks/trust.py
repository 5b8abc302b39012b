"""What a run survives: its end at any file operation, and damage to any file; and what it costs to compare every byte."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.common import load
from dmtkit.labels.store import write_labels
from dmtkit.models import build
from dmtkit.runs.phase import Phase
from dmtkit.runs.verify import verify
from tests import crash, damage


def crashes(*tasks: str, every: int = 1, goes_on: bool = False) -> Iterator[dict[str, Any]]:
    """Die at every so many file operations of a tiny run, and of one of two processes at every 25th of these.

    --goes-on: from what the result says was tried. The tasks may be tried at one time.
    """
    torch.set_num_threads(1)
    for task in tasks or crash.SETTINGS:
        for ranks, step in ((1, every), (2, 25 * every)):
            name = f"{task}, processes: {ranks}"
            with TemporaryDirectory() as place:
                so_far = known("crashes").get(name) if goes_on else None
                for told in crash.try_all(crash.SETTINGS[task], Path(place), step, ranks, so_far):
                    if (told["once"] + told["twice"]) % 20 == 0 or told["next"] > told["operations"]:
                        yield {**known("crashes"), name: told}


def known(result: str) -> dict[str, Any]:
    """What was tried by now, by this process or another."""
    return (load(result) or {}).get("results", {})


def damages(*runs: str, every: int = 1) -> Iterator[dict[str, Any]]:
    """Damage every so many of all files of tiny runs by every way, of finished ones and of some that were stopped."""
    torch.set_num_threads(1)
    for name in runs or damage.RUNS:
        with TemporaryDirectory() as place:
            told = damage.try_all(name, Path(place), every)
        yield {**known("damages"), name: told}


def verifying(*, images: int = 10_582, height: int = 375, width: int = 500, phases: int = 6) -> dict[str, Any]:
    """Seconds to check a made-up run of VOC's size as it is resumed, and to compare every byte of it.

    Two models a phase, with the labels of one phase: those that are left with `keep_labels: false`.
    """
    rng, names = np.random.default_rng(0), [f"{n:06d}" for n in range(images)]
    label, level = rng.integers(0, 21, (height, width), np.uint8), rng.integers(0, 2**16, (height, width), np.uint16)
    sizes = np.full((images, 2), (height, width))
    with TemporaryDirectory() as place:
        run, weights = Path(place), {"model": build("deeplab-resnet101", 3, 21).state_dict()}
        every = [Phase(run / "dmt" / f"phase_{k}" / model, run) for k in range(phases) for model in "AB"]
        for phase in every:
            phase.models.save(1, weights)
            if phase.number == 0:
                with write_labels(phase.folder / "labels", phase.models.name, names, sizes) as writer:
                    writer.histogram = np.ones((21, 2), np.int64)
                    for n in range(images):
                        writer.add(n, label, level)
            phase.finish({})
        started = time.monotonic()
        assert all(phase.intact() for phase in every)
        resumed = time.monotonic() - started
        compared, wrong = verify(run)
        assert {path.parent for path in wrong} == {run}, "a made-up run has no settings"
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    verified = time.monotonic() - started - resumed
    figures = {"files": compared, "GB": size / 1e9, "seconds at resume": resumed, "seconds of verify": verified}
    return {name: round(value, 2) for name, value in figures.items()}
