"""Time and peak memory of labelling, splitting, reporting and the explorer as the data grows: 10³, 10⁴, 10⁵ images.

Usage: python -m benchmarks.scaling [--sizes 1000 10000 100000] [--name scaling]

Every figure is a process of its own, so that its peak memory is its own. The images are made up: a network takes as
long for noise as for photographs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import write_result
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
    label_images(model, part, sizes, Reader(torch.device("cpu"), (0, 0, 0), 16), folder / "labels", "m", CLASSES)
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
    config = make_config(
        {
            "experiment": "made_up",
            "methods": ["cl", "dmt"],
            "labels": None,
            "epochs": 1,
            "baseline_epochs": 2,
            "label_ratios": [0.5, 1.0],
            "batch_pseudo": max(1, count // 10),
            "device": "cpu",
        }
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


def alone(part: str, count: int, folder: Path) -> None:
    """One part in this process: its seconds and this process's peak memory, as JSON."""
    PARTS[part](min(count, 100), folder / "warm") if part in ("label pixels, 48×48", "label images, 8×8") else None
    started = time.perf_counter()
    PARTS[part](count, folder)
    seconds = time.perf_counter() - started
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) if sys.platform == "linux" else 0
    peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": round(seconds, 4), "peak_mib": round(peak / 1024, 1)}))


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for count in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            for part in PARTS:
                words = [
                    sys.executable,
                    "-m",
                    "benchmarks.scaling",
                    "--alone",
                    part,
                    "--sizes",
                    str(count),
                    "--folder",
                    folder,
                ]
                done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
                results[part][str(count)] = json.loads(done.stdout.splitlines()[-1])
                print(part, count, results[part][str(count)], flush=True)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--name", default="scaling", help="name of the result; empty for none")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    return parser.parse_args(words)


if __name__ == "__main__":
    given = parse()
    alone(given.alone, given.sizes[0], Path(given.folder)) if given.alone else main(given)
