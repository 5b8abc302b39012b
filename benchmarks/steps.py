"""A DMT training step, data and augmentation included, beside the plain way's: WRN-28-2, DeepLab-v2, tiny scenes.

Usage: python -m benchmarks.steps [CASE …] [--repeats 7] [--compile] [--device auto] [--name steps]

All sides run in one process, a step (of the small network: an epoch) of each in turn, so that whatever slows the machine
slows all of them.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import write_result
from benchmarks.rates import flops_of, in_turn, products, rates
from benchmarks.reference import train as plain
from dmtkit.data.augment import Augment, draw_mix
from dmtkit.data.batches import Batches
from dmtkit.data.crops import Ahead, Crops
from dmtkit.data.images import CIFAR_STATISTICS, Data, Images
from dmtkit.data.pictures import Arrays, Part
from dmtkit.methods import METHODS
from dmtkit.models import build
from dmtkit.models.deeplab import IMAGENET
from dmtkit.runs.environment import pick_device
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance, can_compile

GAMMA = 4.0
Step = Callable[[], object]


def recipe(precision: str, compiled: bool, average: bool) -> Recipe:
    return Recipe(
        steps=10_000,
        seed=1,
        gamma1=GAMMA,
        gamma2=GAMMA,
        gamma_ramp=False,
        lr=0.01,
        keeps="average" if average else "last",
        ema_decay=0.999,
        precision=precision,
        compile=compiled,
    )


def library(model: nn.Module, batches: Callable[[int], Any], how: Recipe) -> Step:
    """Steps as dmtkit.training.loop makes them."""
    network = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loop = begin(METHODS["dmt"], {"model": network}, how)
    if how.compile and not can_compile(loop, batches(0), print):
        raise SystemExit("torch.compile does not work here; leave --compile away")

    def step() -> None:
        advance(loop, batches(loop.step))

    return step


def reference(model: nn.Module, batches: Iterator[Any], trusted: Tensor, mixup: bool) -> Step:
    """Steps as benchmarks.reference makes them."""
    model = copy.deepcopy(model)
    average = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        batch = next(batches)
        if mixup:
            mix = draw_mix(len(trusted), 0.75, generator)
            plain.classification_step(model, average, optimizer, batch, trusted, GAMMA, (mix.lam, mix.partner))
        else:
            plain.segmentation_step(model, optimizer, batch, trusted, GAMMA)

    return step


def classification(
    name: str, labeled: int, pseudo: int, size: int, workers: int, device: torch.device
) -> tuple[nn.Module, Any, Any]:
    """A model, the reference's step and the library's batches, over made-up images."""
    rng = np.random.default_rng(0)
    count = 4096
    pixels = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    truth, confidence = rng.integers(0, 10, count), rng.random(count).astype(np.float32)
    mean, std = CIFAR_STATISTICS
    tensors = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    names = tuple(map(str, range(count)))
    images = Images(tensors, torch.from_numpy(truth), names).to(device)
    data = Data(images, images, images, images, names[:10], mean, std)
    batches = Batches(
        data,
        images,
        images,
        images.labels,
        torch.from_numpy(confidence).to(device),
        batch_labeled=labeled,
        batch_pseudo=pseudo,
        augment=Augment(),
        seed=1,
        mixup=0.75,
        mixup_seed=1,
    )
    model = build(name, 3, 10).to(device)
    trusted = torch.arange(labeled + pseudo, device=device) < labeled
    photographs = plain.Photographs(pixels, truth, confidence, mean, std)
    coming = plain.batches(photographs, photographs, (labeled, pseudo), workers)
    return model, reference(model, coming, trusted, mixup=True), batches


def segmentation(
    name: str,
    classes: int,
    count: int,
    size: int,
    crop: int,
    rates: tuple[int, ...],
    sizes: tuple[int, int],
    workers: int,
    device: torch.device,
) -> tuple[nn.Module, Any, Any]:
    """The same over made-up scenes and stored labels."""
    rng = np.random.default_rng(0)
    labeled, pseudo = sizes
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    label = rng.integers(0, classes, (count, size, size), dtype=np.uint8)
    level = rng.integers(0, 65536, (count, size, size), dtype=np.uint16)
    label[level < 20_000] = 255
    part = Part(Arrays(images, label, tuple(map(str, range(count)))), tuple(range(count)))

    class Kept:
        def kept(self, position: int) -> tuple[np.ndarray, np.ndarray]:
            return label[position], level[position]

    scale, fill = (0.5, 1.5), (124, 116, 104)
    crops = Crops(
        part,
        part,
        Kept(),
        False,
        batch_labeled=labeled,
        batch_pseudo=pseudo,
        crop=(crop, crop),
        scale=scale,
        flip=True,
        fill=fill,
        seed=1,
    )
    model = build(name, 3, classes, rates).to(device)
    bare = copy.deepcopy(model)
    bare.input = nn.Identity()  # the data set normalises, and the memory format stays as it is
    pairs = [(label[i], (level[i] / 65535).astype(np.float32)) for i in range(count)]
    streets = plain.Streets(list(images), pairs, (crop, crop), scale, fill, True, *IMAGENET)
    coming = plain.batches(streets, streets, sizes, workers)
    trusted = torch.arange(labeled + pseudo, device=device) < labeled
    return model, reference(bare, coming, trusted, mixup=False), Ahead(crops, 10_000, workers, device)


@dataclass(frozen=True)
class Case:
    """What is measured: `make` gives model, reference's step and batches for a number of data workers and a device.

    `together` steps are timed as one where a single one is too short to hold the cost of an epoch's start.
    """

    make: Callable[[int, torch.device], tuple[nn.Module, Any, Any]]
    images: int
    mixup: bool
    together: int = 1


CASES = {
    "wrn-28-2, 16+496 of 32×32": Case(lambda *here: classification("wrn-28-2", 16, 496, 32, *here), 512, True),
    "deeplab-resnet101, 1+7 of 321×321": Case(
        lambda *here: segmentation("deeplab-resnet101", 21, 64, 400, 321, (6, 12), (1, 7), *here), 8, False
    ),
    "deeplab-tiny, 4+12 of 48×48": Case(  # reads its data in the process that trains, as params/scenes.yaml has it
        lambda _, device: segmentation("deeplab-tiny", 11, 400, 48, 48, (1, 2), (4, 12), 0, device), 16, False, 33
    ),
    "wrn-10-1, 2+4 of 32×32": Case(lambda *here: classification("wrn-10-1", 2, 4, 32, *here), 6, True),  # for a test
}


def measure(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of a step of every side, in turn; how many times the reference's speed; the share of the best rate."""
    torch.manual_seed(0)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    device = pick_device(arguments.device)
    one = CASES[case]
    model, other, batches = one.make(arguments.workers, device)
    sides: dict[str, Step] = {"reference": other}
    for precision, compiled in (("fp32", False), ("bf16", False), *([("bf16", True)] if arguments.compile else [])):
        how = recipe(precision, compiled, one.mixup)
        sides[precision + (", compiled" if compiled else "")] = library(model, copy.copy(batches), how)
    limits = products(device)
    short = 10 if device.type == "cuda" else 1
    together = dict.fromkeys(sides, max(one.together, short)) | dict.fromkeys(limits, short)
    timed = in_turn({**sides, **limits}, device, arguments.repeats, together)
    seconds, best = {name: timed[name] for name in sides}, rates({name: timed[name] for name in limits})
    print(case, seconds, flush=True)
    gflops = flops_of(sides["fp32"]) / 1e9
    share = {
        name: gflops / value / best["bf16_gflops" if "bf16" in name else "fp32_gflops"]
        for name, value in seconds.items()
    }
    return {
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "images_per_second": {name: round(one.images / value, 1) for name, value in seconds.items()},
        "times_reference": {name: round(seconds["reference"] / value, 2) for name, value in seconds.items()},
        "gflop_a_step": round(gflops, 1),
        "steps_together": together["fp32"],
        "best_rates": {name: round(value, 1) for name, value in best.items()},
        "peak_gib_of_all_sides": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None,
        "share_of_matrix_rate": {name: round(value, 3) for name, value in share.items()},
    }


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = [case for case in list(CASES)[:3] if not arguments.cases]
    chosen += [case for case in CASES if any(case.startswith(word) for word in arguments.cases)]
    found: dict[str, Any] = {}
    results = {"threads": torch.get_num_threads(), "data_workers": arguments.workers, "steps": found}
    for case in chosen:
        found[case] = measure(case, arguments)
        if arguments.name:  # after each case: what is measured is kept if the next one is interrupted
            write_result(arguments.name, results)
    print(results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="how the cases' names begin; all by default")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="processes of every side's DataLoader")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--name", default="steps", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
