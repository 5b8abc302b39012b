"""A run small enough for tests, and the bits that it leaves behind."""

import contextlib
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dmtkit.data import segmentation
from dmtkit.data.batches import Batch

# Fewer than a process of its own has: testing is most of a tiny run's time.
ALL_TEST_SCENES, segmentation.TEST_SCENES = segmentation.TEST_SCENES, 24

ROOT = Path(__file__).resolve().parent.parent

TINY = {
    "epochs": 1,
    "baseline_epochs": 6,
    "label_ratios": (0.1, 0.2),
    "batch_labeled": 8,
    "batch_pseudo": 24,
    "log_points": 3,
    "device": "cpu",
    "precision": "fp32",  # the same on every processor; what bf16 changes has tests of its own
    "methods": ("supervised", "cl", "dmt"),
}

TINY_SEGMENTATION = {
    "task": "segmentation",
    "scenes": 16,
    "scene_size": 24,
    "denominator": 4,
    "crop": (24, 24),
    "epochs": 1,
    "baseline_epochs": 3,
    "label_ratios": (0.5, 1.0),
    "batch_labeled": 1,
    "batch_pseudo": 5,
    "log_points": 2,
    "device": "cpu",
    "precision": "fp32",  # the same on every processor; what bf16 changes has tests of its own
    "methods": ("supervised", "cbst", "dmt"),
}


NO_BITS = ("seconds", "owner", "files", "sha256")  # times, and what carries the checksum of a file that holds a time


def fingerprint(folder: Path) -> dict[str, str]:
    """A checksum of everything a run computed; times and process numbers are left out."""
    bits = {"metrics.jsonl": (folder / "metrics.jsonl").read_text(), "split": (folder / "split.json").read_text()}
    done = json.loads((folder / "DONE.json").read_text())
    bits["DONE"] = json.dumps({key: value for key, value in done.items() if key not in NO_BITS})
    for path in sorted(p for p in folder.glob("*/phase_*/**/*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                content = b"".join(key.encode() + arrays[key].tobytes() for key in sorted(arrays.files))
        elif path.suffix == ".pt":
            name = name.rsplit("-", 1)[0]  # the checksum in its name covers the seconds too
            state = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)
            parts = {part: value for part, value in state.items() if isinstance(value, dict) and part != "left"}
            tensors = {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}
            content = b"".join(key.encode() + value.numpy().tobytes() for key, value in sorted(tensors.items()))
        elif path.suffix == ".json":
            summary = json.loads(path.read_text())
            content = json.dumps({key: value for key, value in summary.items() if key not in NO_BITS}).encode()
        else:
            content = path.read_bytes()
        bits[name] = hashlib.sha256(content).hexdigest()
    return bits


def make_tree(folder: Path, per_class: int = 12, classes: tuple[str, ...] = ("cat", "dog"), size: int = 12) -> Path:
    """A folder of class folders whose classes can be told apart: dark and bright noise."""
    rng = np.random.default_rng(0)
    for part, count in (("train", per_class), ("test", 4)):
        for number, name in enumerate(classes):
            target = folder / part / name
            target.mkdir(parents=True)
            for index in range(count):
                low = 200 * number // len(classes)
                pixels = rng.integers(low, min(low + 100, 256), (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(target / f"{index:03d}.png")
    return folder


def batch_of(images, label, confidence, labeled, *, truth=None, names=(), mix=None):
    """A batch whose first `labeled` rows are labeled; with `mix`, a draw of mixup, also its mixed images."""
    trusted = torch.arange(len(images), device=images.device) < labeled
    mixed = {} if mix is None else {"mixed": mix(images), "partner": mix.partner, "lam": mix.lam}
    return Batch(images, label, confidence, trusted, truth, names, labeled, **mixed)


class Stop(Exception):
    """Ends a run from within, as abruptly as an exception can."""


def stop_after(count: int):
    """A progress callback that raises Stop when it has been called `count` times."""
    calls = iter(range(count))

    def progress(_):
        if next(calls, None) is None:
            raise Stop

    return progress


def relay(run, every=1, legs=300):
    """Call `run(progress)` until it ends, stopping it whenever it reports something new: a step, or the end of a phase.

    With `every` it is stopped at every so many of them.
    """
    seen = set()

    def progress(told):
        if told not in seen:
            seen.add(told)
            if len(seen) % every == 0:
                raise Stop

    for _ in range(legs):
        with contextlib.suppress(Stop):
            return run(progress)
    raise AssertionError(f"still not finished after {legs} starts")
