"""Two parts of a training step beside the plain way's: the dynamic loss, and augmentation."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import in_turn, rounded
from benchmarks.reference.augment import augment as by_pil
from benchmarks.reference.loss import dynamic_loss
from dmtkit.data.augment import Augment
from dmtkit.losses.dynamic import dynamic_cross_entropy
from dmtkit.runs.environment import pick_device

SIZES = {"32×32 (CIFAR)": (32, 3, 4), "8×8 (digits)": (8, 1, 1)}  # side, channels, padding


def loss(*, shape: tuple[int, ...] = (8, 21, 321, 321), repeats: int = 11, device: str = "auto") -> dict[str, Any]:
    """The dynamic loss, forward and backward, beside F.cross_entropy and the plain way's loss: eager, and compiled.

    Eagerly the dynamic loss is given what our networks give it, logits in channels_last; compiled, both layouts are tried.
    """
    torch.manual_seed(0)
    here, (n, k, *pixels) = pick_device(device), shape
    logits = torch.randn(shape, device=here, requires_grad=True)
    label = torch.randint(0, k, (n, *pixels), device=here)
    label[torch.rand(n, *pixels, device=here) < 0.3] = 255
    small, confidence = label.to(torch.uint8), torch.rand(n, *pixels, device=here)
    trusted = torch.arange(n, device=here) < 1

    def dynamic(values: Tensor) -> Tensor:
        return dynamic_cross_entropy(values, small, confidence, gamma1=5.0, gamma2=5.0, trusted=trusted)[0]

    def cross_entropy(values: Tensor) -> Tensor:
        return F.cross_entropy(values, label, ignore_index=255)

    def plain(values: Tensor) -> Tensor:
        return dynamic_loss(values, label, confidence, 5.0, 5.0, trusted)[0]

    def forward_and_backward(compute: Callable[[Tensor], Tensor], values: Tensor) -> None:
        values.grad = None
        compute(values).backward()

    last = logits.detach().contiguous(memory_format=torch.channels_last).requires_grad_()  # as our networks give them
    losses: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        "cross_entropy": (cross_entropy, logits),
        "cross_entropy_compiled": (torch.compile(cross_entropy), logits),
        "reference": (plain, logits),
        "dynamic": (dynamic, last),
        "dynamic_nchw": (dynamic, logits),
        "dynamic_compiled": (torch.compile(dynamic), logits),
        "dynamic_compiled_channels_last": (torch.compile(lambda values: dynamic(values)), last),
    }
    seconds = in_turn({name: partial(forward_and_backward, *one) for name, one in losses.items()}, here, repeats)
    return {
        "shape": shape,
        "device": here.type,
        "threads": torch.get_num_threads(),
        "seconds": rounded(seconds, 5),
        "times_cross_entropy": rounded({name: value / seconds["cross_entropy"] for name, value in seconds.items()}, 3),
        "faster_than_reference": rounded({name: seconds["reference"] / value for name, value in seconds.items()}, 3),
    }


def augmentation(*, count: int = 512, repeats: int = 15, device: str = "auto") -> dict[str, Any]:
    """Padded crop, flip and one random operation an image: in batches, beside PIL image by image on the same cores."""
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(threads, get_context("spawn")) as pool:  # CUDA forbids a fork
        sizes = {name: augmented(*size, count, repeats, pick_device(device), pool) for name, size in SIZES.items()}
    return {"count": count, "threads": threads, "sizes": sizes}


def augmented(
    size: int, channels: int, padding: int, count: int, repeats: int, device: torch.device, pool: ProcessPoolExecutor
) -> dict[str, Any]:
    """Images a second, in turn; PIL in one process, and in as many as there are threads."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)
    pictures = pixels.squeeze(3) if channels == 1 else pixels
    threads, generator, augment = torch.get_num_threads(), torch.Generator().manual_seed(0), Augment(padding)
    sides: dict[str, Callable[[], object]] = {
        "PIL, one process": lambda: one_by_one(pictures),
        f"PIL, {threads} processes": lambda: list(pool.map(one_by_one, np.array_split(pictures, threads))),
        "batched": lambda: augment(batch, generator),
    }
    seconds = in_turn(sides, device, repeats)
    return {
        "images_per_second": {name: round(count / value) for name, value in seconds.items()},
        "batched_times": rounded({name: value / seconds["batched"] for name, value in seconds.items()}, 2),
    }


def one_by_one(pixels: np.ndarray) -> np.ndarray:
    """Each image through PIL and back, as a data set's __getitem__ does."""
    return np.stack([np.asarray(by_pil(Image.fromarray(image))) for image in pixels])
