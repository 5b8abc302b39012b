"""A DMT training step, data and augmentation included, beside the plain way's: WRN-28-2, DeepLab-v2, tiny scenes; and by threads."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import in_turn, rounded
from benchmarks.reference import train as plain
from dmtkit.data.augment import Augment, draw_mix
from dmtkit.data.batches import Batches
from dmtkit.data.crops import Ahead, Crops
from dmtkit.data.images import CIFAR_STATISTICS, Data, Images
from dmtkit.data.pictures import Arrays, Part
from dmtkit.methods import METHODS
from dmtkit.methods.lab import Training
from dmtkit.models import build
from dmtkit.models.deeplab import IMAGENET
from dmtkit.runs.environment import pick_device, pick_precision
from dmtkit.training.resume import Session, start_loop
from dmtkit.training.state import Loop, Recipe, begin
from dmtkit.training.step import advance, can_compile

GAMMA = 4.0
SIDE, COPIED = 2048, 256 * 2**20
Step = Callable[[], object]


def recipe(precision: str, compiled: bool, average: bool) -> Recipe:
    keeps = "average" if average else "last"
    gammas = {"gamma1": GAMMA, "gamma2": GAMMA, "gamma_ramp": False}
    how = {"keeps": keeps, "ema_decay": 0.999, "precision": precision, "compile": compiled}
    return Recipe(steps=10_000, seed=1, lr=0.01, **gammas, **how)


def loop_of(model: nn.Module, how: Recipe) -> Loop:
    """A loop that trains a copy of a model."""
    network = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return begin(METHODS["dmt"], {"model": network}, how)


def library(model: nn.Module, batches: Callable[[int], Any], how: Recipe) -> Step:
    """Steps as dmtkit.training.loop makes them."""
    loop = loop_of(model, how)
    if how.compile and not can_compile(loop, batches(0), print):
        raise SystemExit("torch.compile does not work here; leave --compile away")
    return lambda: advance(loop, batches(loop.step))


def step_of(session: Session, training: Training) -> Step:
    """Steps of one of a run's trainings."""
    loop, batches = start_loop(session.task, training), session.task.batches(training)
    return lambda: advance(loop, batches(loop.step))


def reference(model: nn.Module, batches: Iterator[Any], trusted: Tensor, mixup: bool) -> Step:
    """Steps as benchmarks.reference makes them."""
    model, average = copy.deepcopy(model), copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        if mixup:
            mix = draw_mix(len(trusted), 0.75, generator)
            lam_and_partner = (mix.lam, mix.partner)
            plain.classification_step(model, average, optimizer, next(batches), trusted, GAMMA, lam_and_partner)
        else:
            plain.segmentation_step(model, optimizer, next(batches), trusted, GAMMA)

    return step


@dataclass(frozen=True)
class Scenes:
    """Of what segmentation is made: so many classes, images, and their side; the rates of the network's head."""

    classes: int
    count: int
    side: int
    rates: tuple[int, int]
    in_process: bool = False  # read by the process that trains, as params/scenes.yaml has it


@dataclass(frozen=True)
class Case:
    """A network, how many of X and of U are in a batch, their side; with scenes it is segmentation.

    `together` steps are timed as one where a single one is too short to hold the cost of an epoch's start.
    """

    network: str
    sizes: tuple[int, int]
    side: int
    scenes: Scenes | None = None
    together: int = 1

    @property
    def mixup(self) -> bool:
        return self.scenes is None

    def make(self, workers: int, device: torch.device) -> tuple[nn.Module, Step, Callable[[int], Any]]:
        """Model, reference's step and the library's batches, for a number of data workers and a device."""
        labeled, pseudo = self.sizes
        of_batch = {"batch_labeled": labeled, "batch_pseudo": pseudo, "seed": 1}
        trusted = torch.arange(labeled + pseudo, device=device) < labeled
        if self.scenes is None:
            return classification(self, of_batch, trusted, workers)
        return segmentation(self, self.scenes, of_batch, trusted, 0 if self.scenes.in_process else workers)


def classification(case: Case, of_batch: dict[str, int], trusted: Tensor, workers: int) -> tuple:
    """Made-up images, in memory."""
    rng, count, side, device = np.random.default_rng(0), 4096, case.side, trusted.device
    pixels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    truth, confidence = rng.integers(0, 10, count), rng.random(count).astype(np.float32)
    tensors, names = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), tuple(map(str, range(count)))
    images = Images(tensors, torch.from_numpy(truth), names).to(device)
    data = Data(images, images, images, images, names[:10], *CIFAR_STATISTICS)
    how = {"augment": Augment(), "mixup": 0.75, "mixup_seed": 1}
    batches = Batches(data, images, images, images.labels, torch.from_numpy(confidence).to(device), **of_batch, **how)
    model = build(case.network, 3, 10).to(device)
    photographs = plain.Photographs(pixels, truth, confidence, *CIFAR_STATISTICS)
    coming = plain.batches(photographs, photographs, case.sizes, workers)
    return model, reference(model, coming, trusted, mixup=True), batches


def segmentation(case: Case, scenes: Scenes, of_batch: dict[str, int], trusted: Tensor, workers: int) -> tuple:
    """Made-up scenes and stored labels."""
    rng, shape = np.random.default_rng(0), (scenes.count, scenes.side, scenes.side)
    images = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    label = rng.integers(0, scenes.classes, shape, dtype=np.uint8)
    level = rng.integers(0, 65536, shape, dtype=np.uint16)
    label[level < 20_000] = 255
    part = Part(Arrays(images, label, tuple(map(str, range(scenes.count)))), tuple(range(scenes.count)))
    how = {"crop": (case.side, case.side), "scale": (0.5, 1.5), "flip": True, "fill": (124, 116, 104)}
    crops = Crops(part, part, Stored(label, level).kept, False, **of_batch, **how)
    model = build(case.network, 3, scenes.classes, scenes.rates).to(trusted.device)
    bare = copy.deepcopy(model)
    bare.input = nn.Identity()  # the data set normalises, and the memory format stays as it is
    pairs = list(zip(label, (level / 65535).astype(np.float32), strict=True))
    streets = plain.Streets(list(images), pairs, *IMAGENET, **how)
    coming = plain.batches(streets, streets, case.sizes, workers)
    return model, reference(bare, coming, trusted, mixup=False), Ahead(crops, 10_000, workers, trusted.device)


@dataclass
class Stored:
    """Pseudo labels in memory."""

    label: np.ndarray
    level: np.ndarray

    def kept(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        return self.label[position], self.level[position]


CASES = {
    "wrn-28-2, 16+496 of 32×32": Case("wrn-28-2", (16, 496), 32),
    "deeplab-resnet101, 1+7 of 321×321": Case("deeplab-resnet101", (1, 7), 321, Scenes(21, 64, 400, (6, 12))),
    "deeplab-tiny, 4+12 of 48×48": Case("deeplab-tiny", (4, 12), 48, Scenes(11, 400, 48, (1, 2), True), together=33),
    "wrn-10-1, 2+4 of 32×32": Case("wrn-10-1", (2, 4), 32),  # for a test
}
BY_THREADS = {
    "digits: wrn-10-1, 16+48 of 8×8": Case("wrn-10-1", (16, 48), 8, together=50),
    "scenes: deeplab-tiny, 4+12 of 48×48": CASES["deeplab-tiny, 4+12 of 48×48"],
    "cifar10_cpu: wrn-10-1, 32+96 of 32×32": Case("wrn-10-1", (32, 96), 32, together=10),
}


def chosen(words: tuple[str, ...]) -> list[str]:
    """The cases whose names begin with one of the words; without any all but the test's."""
    return [case for case in CASES if any(case.startswith(word) for word in words)] or list(CASES)[:3]


def steps(
    *cases: str, repeats: int = 7, workers: int = 2, device: str = "auto", compile: bool = False
) -> Iterator[dict[str, Any]]:
    """Seconds of a step of every side, a step (of the small network: an epoch) of each in turn in one process.

    CASE: how the cases' names begin. --workers: processes of every side's DataLoader. --compile: also with torch.compile.
    """
    found: dict[str, Any] = {}
    for case in chosen(cases):
        found[case] = measure(CASES[case], repeats, workers, pick_device(device), compile)
        yield {"threads": torch.get_num_threads(), "data_workers": workers, "steps": found}


def measure(case: Case, repeats: int, workers: int, device: torch.device, compiled: bool) -> dict[str, Any]:
    """Median seconds of a step of every side, in turn; how many times the reference's speed; the share of the best rate."""
    torch.manual_seed(0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model, other, batches = case.make(workers, device)
    sides: dict[str, Step] = {"reference": other}
    for name, how in {"fp32": ("fp32", False), "bf16": ("bf16", False), "bf16, compiled": ("bf16", True)}.items():
        if compiled or not how[1]:
            sides[name] = library(model, copy.copy(batches), recipe(*how, case.mixup))
    limits = products(device)
    short = 10 if device.type == "cuda" else 1
    together = dict.fromkeys(sides, max(case.together, short)) | dict.fromkeys(limits, short)
    timed = in_turn({**sides, **limits}, device, repeats, together)
    seconds, best = {name: timed[name] for name in sides}, rates(timed)
    with FlopCounterMode(display=False) as counter:  # of matrix products and convolutions
        sides["fp32"]()
    gflops = counter.get_total_flops() / 1e9
    rate = {name: best["bf16_gflops" if "bf16" in name else "fp32_gflops"] for name in sides}
    return {
        "seconds": rounded(seconds, 4),
        "images_per_second": rounded({name: sum(case.sizes) / value for name, value in seconds.items()}, 1),
        "times_reference": rounded({name: seconds["reference"] / value for name, value in seconds.items()}, 2),
        "gflop_a_step": round(gflops, 1),
        "steps_together": together["fp32"],
        "best_rates": rounded(best, 1),
        "peak_gib_of_all_sides": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None,
        "share_of_matrix_rate": rounded({name: gflops / value / rate[name] for name, value in seconds.items()}, 3),
    }


def products(device: torch.device) -> dict[str, Step]:
    """What shows the device's best: a square matrix product in fp32 and in bf16, and a copy; to be timed beside other work."""
    tf32 = torch.backends.cudnn.allow_tf32  # as convolutions compute, else shares mean nothing
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a = torch.randn(SIDE, SIDE, device=device)
    small, source = a.bfloat16(), torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {"matrix fp32": lambda: a @ a, "matrix bf16": lambda: small @ small, "copy": lambda: target.copy_(source)}


def rates(seconds: dict[str, float]) -> dict[str, float]:
    """Thousand millions a second, of the seconds of `products`: operations (a multiply-add is two), bytes read and written."""
    flops = 2 * SIDE**3 / 1e9
    return {
        "fp32_gflops": flops / seconds["matrix fp32"],
        "bf16_gflops": flops / seconds["matrix bf16"],
        "copied_gigabytes": 2 * COPIED / 1e9 / seconds["copy"],
    }


def threads(*, repeats: int = 9) -> dict[str, Any]:
    """A step with one thread and with all, in turn in one process: which is the better default.

    PyTorch's inter-op threads are left out: eager steps never use them.
    """
    results, device, most = {}, torch.device("cpu"), torch.get_num_threads()
    precision = pick_precision("auto", device)
    for name, case in BY_THREADS.items():
        torch.manual_seed(0)
        model, _, batches = case.make(0, device)
        how = recipe(precision, False, case.mixup)
        sides = {str(n): _with_threads(n, library(model, copy.copy(batches), how)) for n in sorted({1, most})}
        seconds = in_turn(sides, device, repeats, dict.fromkeys(sides, case.together))
        torch.set_num_threads(most)
        results[name] = {
            "precision": precision,
            "milliseconds": rounded({count: 1000 * value for count, value in seconds.items()}, 2),
            "faster_with_all": round(seconds["1"] / seconds[str(most)], 2),
        }
    return results


def _with_threads(count: int, step: Step) -> Step:
    def work() -> None:
        torch.set_num_threads(count)  # takes microseconds
        step()

    return work
