"""Where the time of a training step goes, by kind of work: a table for docs/performance.md.

Usage: python -m benchmarks.profile [CASE …] [--steps 3] [--precision bf16] [--device auto] [--name profile]
"""

import argparse
import copy
import time
from collections import defaultdict
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks import steps
from benchmarks.common import write_result
from benchmarks.rates import wait
from dmtkit.methods import METHODS
from dmtkit.runs.environment import pick_device, pick_precision
from dmtkit.training.state import begin
from dmtkit.training.step import advance

KINDS = {  # how an operation's name begins, or what it holds → the kind of work
    "convolution_backward": "convolution, backward",
    "mkldnn_convolution": "convolution, forward",
    "cudnn_convolution": "convolution, forward",
    "conv2d": "convolution, forward",
    "batch_norm": "batch normalisation",
    "threshold_backward": "activation",
    "clamp_min": "activation",
    "relu": "activation",
    "upsample": "enlarging the logits",
    "sgd": "optimiser and average",
    "_foreach": "optimiser and average",
    "lerp": "optimiser and average",
    "copy_": "copies and casts",
    "_to_copy": "copies and casts",
    "add": "sums and products",
    "mul": "sums and products",
}


def kind_of(name: str) -> str:
    """The kind of work of an operation.

    >>> kind_of("aten::native_batch_norm_backward")
    'batch normalisation'
    """
    plain = name.removeprefix("aten::").lower()
    return next((kind for word, kind in KINDS.items() if word in plain), "loss, weights, everything else")


def measure(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step of every kind of work, and of making the batch."""
    torch.manual_seed(0)
    device = pick_device(arguments.device)
    precision = pick_precision(arguments.precision, device)
    one = steps.CASES[case]
    model, _, batches = one.make(0, device)
    how = steps.recipe(precision, False, one.mixup)
    network = copy.deepcopy(model).to(memory_format=torch.channels_last)
    loop = begin(METHODS["dmt"], {"model": network}, how)
    for _ in range(2):
        advance(loop, batches(loop.step))
    wait(device)
    started = time.perf_counter()
    ready = [batches(loop.step + number) for number in range(arguments.steps)]
    wait(device)
    making = (time.perf_counter() - started) / arguments.steps
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as found:
        started = time.perf_counter()
        for batch in ready:
            advance(loop, batch)
        wait(device)
        whole = (time.perf_counter() - started) / arguments.steps
    spent: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        if cuda and event.device_type != DeviceType.CPU:  # a kernel, whose time its operation has already
            continue
        microseconds = event.self_device_time_total if cuda else event.self_cpu_time_total
        spent[kind_of(event.key)] += microseconds / 1000 / arguments.steps
    spent = dict(sorted(spent.items(), key=lambda item: -item[1]))
    total = sum(spent.values()) + 1000 * making
    return {
        "precision": precision,
        "step_ms": round(1000 * whole, 2),
        "batch_ms": round(1000 * making, 2),
        "ms": {kind: round(value, 2) for kind, value in spent.items()},
        "share": {"making the batch": round(1000 * making / total, 4)}
        | {kind: round(value / total, 4) for kind, value in spent.items()},
    }


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = [case for case in list(steps.CASES)[:3] if not arguments.cases]
    chosen += [case for case in steps.CASES if any(case.startswith(word) for word in arguments.cases)]
    results = {case: measure(case, arguments) for case in chosen}
    print(results)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="how the cases' names begin; the three of benchmarks.steps by default")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="profile", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
