"""The dynamic loss at 8×21×321×321, forward and backward, beside F.cross_entropy and the plain way's loss: eager, and compiled.

Usage: python -m benchmarks.loss
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import write_result
from benchmarks.reference.loss import dynamic_loss
from dmtkit.dynamic import dynamic_cross_entropy

SHAPE = (8, 21, 321, 321)
REPEATS = 9


def timed(functions: dict[str, Callable[[Tensor], Tensor]], logits: Tensor) -> dict[str, float]:
    """Median seconds of forward and backward, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(REPEATS + 2):
        for name, function in functions.items():
            logits.grad = None
            started = time.perf_counter()
            function(logits).backward()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[2:]) for name, values in times.items()}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    n, k, h, w = SHAPE
    logits = torch.randn(SHAPE, requires_grad=True)
    label = torch.randint(0, k, (n, h, w))
    label[torch.rand(n, h, w) < 0.3] = 255
    small, confidence = label.to(torch.uint8), torch.rand(n, h, w)
    trusted = torch.arange(n) < 1

    def dynamic(values: Tensor) -> Tensor:
        return dynamic_cross_entropy(values, small, confidence, gamma1=5.0, gamma2=5.0, trusted=trusted)[0]

    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "cross_entropy": lambda values: F.cross_entropy(values, label, ignore_index=255),
        "cross_entropy_compiled": torch.compile(lambda values: F.cross_entropy(values, label, ignore_index=255)),
        "reference": lambda values: dynamic_loss(values, label, confidence, 5.0, 5.0, trusted)[0],
        "dynamic": dynamic,
        "dynamic_compiled": torch.compile(dynamic),
    }
    seconds = timed(functions, logits)
    base = seconds["cross_entropy"]
    results = {
        "shape": SHAPE,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "reference_times": {name: round(seconds["reference"] / value, 3) for name, value in seconds.items()},
        "times_cross_entropy": {name: round(value / base, 3) for name, value in seconds.items()},
    }
    print(results)
    write_result("loss", results)


if __name__ == "__main__":
    main()
