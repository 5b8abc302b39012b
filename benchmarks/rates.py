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
    sides: Mapping[str, Callable[[], object]],
    device: torch.device,
    repeats: int,
    together: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Median seconds of every side, one after the other in each of `repeats` turns, after two turns to warm up.

    Whatever slows the machine for a while slows all sides. As many calls of a side are timed as one as `together` says.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 2):
        for name, work in sides.items():
            wait(device)
            started = time.perf_counter()
            count = (together or {}).get(name, 1)
            for _ in range(count):
                work()
            wait(device)
            times[name].append((time.perf_counter() - started) / count)
    return {name: statistics.median(values[2:]) for name, values in times.items()}


SIDE, COPIED = 2048, 256 * 2**20


def products(device: torch.device) -> dict[str, Callable[[], object]]:
    """What shows the device's best: a square matrix product in fp32 and in bf16, and a copy; to be timed beside other work."""
    torch.backends.cuda.matmul.allow_tf32 = (
        torch.backends.cudnn.allow_tf32
    )  # as convolutions compute, else shares mean nothing
    a = torch.randn(SIDE, SIDE, device=device)
    small, source = a.bfloat16(), torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {"matrix fp32": lambda: a @ a, "matrix bf16": lambda: small @ small, "copy": lambda: target.copy_(source)}


def rates(seconds: Mapping[str, float]) -> dict[str, float]:
    """Thousand millions a second, of the seconds of `products`: operations (a multiply-add is two), bytes read and written."""
    flops = 2 * SIDE**3 / 1e9
    return {
        "fp32_gflops": flops / seconds["matrix fp32"],
        "bf16_gflops": flops / seconds["matrix bf16"],
        "copied_gigabytes": 2 * COPIED / 1e9 / seconds["copy"],
    }


def flops_of(work: Callable[[], object]) -> int:
    """Floating point operations of the matrix products and convolutions that `work` computes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())
