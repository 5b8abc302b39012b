"""Time and peak memory of labelling, splitting, reporting and the explorer as the data grows: 10³, 10⁴, 10⁵ images.

The images are made up: a network takes as long for noise as for photographs.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.common import alone, peak_mib
from dmtkit.config import make_config
from dmtkit.data.images import Data, Images
from dmtkit.data.pictures import Part
from dmtkit.data.splits import class_split, paper_splits
from dmtkit.data.whole_images import Reader
from dmtkit.labels.keep import class_thresholds, keep_most_confident
from dmtkit.labels.predict import label_images, predict
from dmtkit.labels.store import Kept, open_labels
from dmtkit.models import build
from dmtkit.training.experiment import run_methods

SIDE, CLASSES = 48, 11


class Repeated:
    """As many pictures as are wanted, of 64 that differ; nothing else lies in memory."""

    def __init__(self, count: int) -> None:
        self.names = tuple(f"image-{i:08d}" for i in range(count))
        self.pixels = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), dtype=np.uint8)

    def image(self, index: int) -> np.ndarray:
        return self.pixels[index % 64]


def label_pixels(count: int, folder: Path) -> None:
    """Label `count` images of 48×48 pixels into a store, and find the thresholds."""
    model = build("deeplab-tiny", 3, CLASSES, (1, 2)).to(memory_format=torch.channels_last)
    part, sizes = Part(Repeated(count), tuple(range(count))), np.full((count, 2), SIDE)  # type: ignore[arg-type]
    reader = Reader(part, sizes, torch.device("cpu"), (0, 0, 0), 16)
    label_images(model, reader, folder / "labels", "m", CLASSES)
    store = open_labels(folder / "labels", "m", part.names)
    Kept(store, class_thresholds(torch.from_numpy(store.histogram), 0.5)).kept(count - 1)


def made_up(count: int) -> Data:
    """Small images of two classes that can be told apart."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(count + 300) % 2
    pixels = (torch.randint(0, 120, (len(truth), 1, 8, 8), generator=generator) + 100 * truth.view(-1, 1, 1, 1)).byte()
    images = Images(pixels, truth, tuple(f"image-{i:08d}" for i in range(len(truth))))
    parts = [images.select(range(a, b)) for a, b in ((0, 100), (300, count + 300), (100, 200), (200, 300))]
    return Data(*parts, classes=("dark", "bright"), mean=(0.5,), std=(0.25,))


def label_images_8x8(count: int, folder: Path) -> None:
    """Label `count` images of 8×8 pixels that lie in memory, and keep the surer half."""
    data = made_up(count)
    model = build("wrn-10-1", 1, 2).to(memory_format=torch.channels_last).eval()
    found = predict(model, (data.normalise(pixels) for pixels in data.unlabeled.pixels.split(500)))
    keep_most_confident(torch.from_numpy(found.level.astype(np.int64)), 0.5, torch.Generator().manual_seed(0))


def split(count: int, folder: Path) -> None:
    """Both kinds of splits of `count` images."""
    class_split([i % 10 for i in range(count)], 25, 20, seed=1)
    paper_splits([f"city_{i:08d}" for i in range(count)], [2, 4, 8, 20, 50], 3)


def make_run(count: int, folder: Path) -> None:
    """A finished run over `count` unlabeled images, trained for a few steps."""
    tiny = {"labels": None, "epochs": 1, "baseline_epochs": 2, "label_ratios": [0.5, 1.0], "device": "cpu"}
    config = make_config(
        {"experiment": "made_up", "methods": ["cl", "dmt"], "batch_pseudo": max(1, count // 10), **tiny}
    )
    run_methods(config, made_up(count), folder / "outputs" / "run")


def report(count: int, folder: Path) -> None:
    """Every table of that run."""
    from dmtkit.results.tables import all_tables, collect, to_markdown

    for table in all_tables(collect(folder / "outputs")):
        to_markdown(table)


def explorer(count: int, folder: Path) -> None:
    """The explorer opened on that run, first view drawn."""
    from dmtkit import explore

    explore(folder / "outputs" / "run").figure()


PARTS: dict[str, Callable[[int, Path], None]] = {
    "nothing": lambda count, folder: None,
    "label pixels, 48×48": label_pixels,
    "label images, 8×8": label_images_8x8,
    "split": split,
    "make a run": make_run,
    "report": report,
    "explorer": explorer,
}


def scaling(*sizes: int) -> dict[str, Any]:
    """Every part at every size in a process of its own, so that its peak memory is its own."""
    results: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for count in sizes or (1_000, 10_000, 100_000):
        with TemporaryDirectory() as folder:
            for part in PARTS:
                results[part][str(count)] = alone(measure, part, count, Path(folder))
                print(part, count, results[part][str(count)], flush=True)
    return results


def measure(part: str, count: int, folder: Path) -> dict[str, float]:
    """Seconds of one part, and this process's peak memory."""
    if part.startswith("label"):
        PARTS[part](min(count, 100), folder / "warm")
    started = time.perf_counter()
    PARTS[part](count, folder)
    return {"seconds": round(time.perf_counter() - started, 4), "peak_mib": round(peak_mib(), 1)}
