"""Padded crop, flip and one random operation an image: in batches, beside PIL image by image on the same cores.

Usage: python -m benchmarks.augmentation [--count 512] [--repeats 15] [--device auto] [--name augmentation]
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.common import write_result
from benchmarks.rates import in_turn
from benchmarks.reference.augment import augment as by_pil
from dmtkit.data.augment import Augment
from dmtkit.runs.environment import pick_device

SIZES = {"32×32 (CIFAR)": (32, 3, 4), "8×8 (digits)": (8, 1, 1)}


def one_by_one(pixels: np.ndarray) -> np.ndarray:
    """Each image through PIL and back, as a data set's __getitem__ does."""
    return np.stack([np.asarray(by_pil(Image.fromarray(image))) for image in pixels])


def measure(size: int, channels: int, padding: int, arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> Any:
    """Medians of repeats in turn; PIL in one process, and in as many as there are threads."""
    device, count = pick_device(arguments.device), arguments.count
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)
    pictures = pixels.squeeze(3) if channels == 1 else pixels
    threads, generator, augment = torch.get_num_threads(), torch.Generator().manual_seed(0), Augment(padding)
    sides: dict[str, Callable[[], object]] = {
        "PIL, one process": lambda: one_by_one(pictures),
        f"PIL, {threads} processes": lambda: list(pool.map(one_by_one, np.array_split(pictures, threads))),
        "batched": lambda: augment(batch, generator),
    }
    seconds = in_turn(sides, device, arguments.repeats)
    return {
        "images_per_second": {name: round(count / value) for name, value in seconds.items()},
        "batched_times": {name: round(value / seconds["batched"], 2) for name, value in seconds.items()},
    }


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    with ProcessPoolExecutor(torch.get_num_threads(), get_context("spawn")) as pool:  # CUDA forbids a fork
        sizes = {name: measure(*size, arguments, pool) for name, size in SIZES.items()}
    results = {"count": arguments.count, "threads": torch.get_num_threads(), "sizes": sizes}
    print(results)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="augmentation", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
