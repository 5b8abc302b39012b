"""What a device can do at best, measured here: multiplying matrices, copying memory."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turn(
    sides: Mapping[str, Callable[[], object]], device: torch.device, repeats: int, inner: int = 1
) -> dict[str, float]:
    """Median seconds of every side, one after the other in each of `repeats` turns, after two turns to warm up.

    Whatever slows the machine for a while slows all sides. `inner` calls are timed together.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 2):
        for name, work in sides.items():
            wait(device)
            started = time.perf_counter()
            for _ in range(inner):
                work()
            wait(device)
            times[name].append((time.perf_counter() - started) / inner)
    return {name: statistics.median(values[2:]) for name, values in times.items()}


def best_rates(device: torch.device, side: int = 2048, megabytes: int = 256) -> dict[str, float]:
    """Operations a second of a square matrix product in fp32 and bf16 (a multiply-add is two), and bytes copied a second."""
    a = torch.randn(side, side, device=device)
    small, source = a.bfloat16(), torch.ones(megabytes * 2**20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    sides = {"fp32": lambda: a @ a, "bf16": lambda: small @ small, "copy": lambda: target.copy_(source)}
    seconds = in_turn(sides, device, repeats=5)
    return {
        "fp32_flops": 2 * side**3 / seconds["fp32"],
        "bf16_flops": 2 * side**3 / seconds["bf16"],
        "copied_bytes": 2 * len(source) / seconds["copy"],  # read and written
    }


def flops_of(work: Callable[[], object]) -> int:
    """Floating point operations of the matrix products and convolutions that `work` computes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())
