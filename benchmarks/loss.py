"""The dynamic loss, forward and backward, beside F.cross_entropy and the plain way's loss: eager, and compiled.

Eagerly the dynamic loss is given what our networks give it, logits in channels_last; compiled, both layouts are tried.

Usage: python -m benchmarks.loss [--shape 8 21 321 321] [--device auto] [--name loss]
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import write_result
from benchmarks.rates import in_turn
from benchmarks.reference.loss import dynamic_loss
from dmtkit.losses.dynamic import dynamic_cross_entropy
from dmtkit.runs.environment import pick_device


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    device = pick_device(arguments.device)
    n, k, h, w = arguments.shape
    logits = torch.randn(arguments.shape, device=device, requires_grad=True)
    label = torch.randint(0, k, (n, h, w), device=device)
    label[torch.rand(n, h, w, device=device) < 0.3] = 255
    small, confidence = label.to(torch.uint8), torch.rand(n, h, w, device=device)
    trusted = torch.arange(n, device=device) < 1

    def dynamic(values: Tensor) -> Tensor:
        return dynamic_cross_entropy(values, small, confidence, gamma1=5.0, gamma2=5.0, trusted=trusted)[0]

    def cross_entropy(values: Tensor) -> Tensor:
        return F.cross_entropy(values, label, ignore_index=255)

    last = logits.detach().contiguous(memory_format=torch.channels_last).requires_grad_()  # as our networks give them
    losses: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        "cross_entropy": (cross_entropy, logits),
        "cross_entropy_compiled": (torch.compile(cross_entropy), logits),
        "reference": (lambda values: dynamic_loss(values, label, confidence, 5.0, 5.0, trusted)[0], logits),
        "dynamic": (dynamic, last),
        "dynamic_nchw": (dynamic, logits),
        "dynamic_compiled": (torch.compile(dynamic), logits),
        "dynamic_compiled_channels_last": (torch.compile(lambda values: dynamic(values)), last),
    }

    def forward_and_backward(loss: Callable[[Tensor], Tensor], values: Tensor) -> Callable[[], None]:
        def work() -> None:
            values.grad = None
            loss(values).backward()

        return work

    seconds = in_turn({name: forward_and_backward(*loss) for name, loss in losses.items()}, device, arguments.repeats)
    results = {
        "shape": arguments.shape,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 5) for name, value in seconds.items()},
        "times_cross_entropy": {name: round(value / seconds["cross_entropy"], 3) for name, value in seconds.items()},
        "faster_than_reference": {name: round(seconds["reference"] / value, 3) for name, value in seconds.items()},
    }
    print(results)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=4, default=[8, 21, 321, 321])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="loss", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
