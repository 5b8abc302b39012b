"""DeepLab-v2 on a GPU: step time and memory of the paper's batch in fp32 and bf16, and images labeled a second.

Usage: python -m benchmarks.gpu_segmentation [--model deeplab-resnet101] [--crop 321] [--batch 8] [--steps 20]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.common import write_result
from dmtkit.data.batches import Batch
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Part
from dmtkit.environment import pick_device
from dmtkit.labelling import Reader, label_images
from dmtkit.models import build
from dmtkit.optim import sgd
from dmtkit.trainer import Recipe, step_loss

CLASSES, WARM = 21, 3


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def made_up_batch(size: int, crop: int, device: torch.device) -> Batch:
    """One labeled image and pseudo-labeled ones, a third of their pixels not kept, already on the device."""
    images = torch.randint(0, 256, (size, 3, crop, crop), device=device).float()
    label = torch.randint(0, CLASSES, (size, crop, crop), device=device, dtype=torch.uint8)
    label[torch.rand(label.shape, device=device) < 0.33] = 255
    confidence = torch.rand(label.shape, device=device)
    return Batch(images, label, confidence, torch.arange(size, device=device) < 1, None, ("made up",) * size)


def step(model: nn.Module, batch: Batch, precision: str, steps: int) -> dict[str, float]:
    """Seconds of a training step, forward, loss, backward and SGD; and the memory it takes."""
    device = batch.images.device
    optimizer = sgd(model, 1e-3, 0.9, 5e-4)
    recipe = Recipe(steps, 0, rule="dynamic", gamma1=5, gamma2=5, gamma_ramp=False, precision=precision)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for number in range(steps + WARM):
        if number == WARM:
            wait(device)
            started = time.perf_counter()
        loss, _ = step_loss(model.train(), batch, recipe, 0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    wait(device)
    result = {"seconds": round((time.perf_counter() - started) / steps, 4)}
    if device.type == "cuda":
        result["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return result


def labelling(model: nn.Module, count: int, size: int, precision: str, device: torch.device) -> float:
    """Images labeled a second, reading (from memory) and writing included."""
    part, sizes = Part(DigitScenes(count, size).in_memory(), tuple(range(count))), np.full((count, 2), size)
    reader = Reader(
        device, (0, 0, 0), 8, autocast=lambda: torch.autocast(device.type, torch.bfloat16, precision == "bf16")
    )
    with tempfile.TemporaryDirectory() as place:
        for name in ("warm", "timed"):
            started = time.perf_counter()
            label_images(model, part, sizes, reader, Path(place, name), "m", CLASSES)
            wait(device)
    return round(count / (time.perf_counter() - started), 2)


def main(arguments: argparse.Namespace) -> dict[str, object]:
    device = pick_device(arguments.device)
    results: dict[str, object] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "model": arguments.model,
        "crop": arguments.crop,
        "batch": arguments.batch,
    }
    for precision in ("fp32", "bf16"):
        model = build(arguments.model, 3, CLASSES, (6, 12)).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batch = made_up_batch(arguments.batch, arguments.crop, device)
        found: dict[str, float] = step(model, batch, precision, arguments.steps)
        found["images_labeled_a_second"] = labelling(model, arguments.images, arguments.size, precision, device)
        results[precision] = found
    print(results)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="deeplab-resnet101")
    parser.add_argument("--crop", type=int, default=321)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--images", type=int, default=128, help="images to label")
    parser.add_argument("--size", type=int, default=505, help="their height and width")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="gpu_segmentation", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
