"""Where the time of a training step goes, by kind of work."""

import time
from collections import defaultdict
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity
from torch.profiler import profile as watch

from benchmarks.common import rounded, wait
from benchmarks.steps import CASES, Case, chosen, loop_of, recipe
from dmtkit.runs.environment import pick_device, pick_precision
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


def profile(*cases: str, steps: int = 3, precision: str = "auto", device: str = "auto") -> dict[str, Any]:
    """Milliseconds of every kind of work; CASE: how the names of benchmarks.steps' cases begin."""
    here = pick_device(device)
    return {case: measure(CASES[case], steps, pick_precision(precision, here), here) for case in chosen(cases)}


def measure(case: Case, steps: int, precision: str, device: torch.device) -> dict[str, Any]:
    """Milliseconds a step of every kind of work, and of making the batch."""
    torch.manual_seed(0)
    model, _, batches = case.make(0, device)
    loop = loop_of(model, recipe(precision, False, case.mixup))
    for _ in range(2):
        advance(loop, batches(loop.step))
    wait(device)
    started = time.perf_counter()
    ready = [batches(loop.step + number) for number in range(steps)]
    wait(device)
    making = 1000 * (time.perf_counter() - started) / steps
    cuda = device.type == "cuda"
    with watch(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as found:
        started = time.perf_counter()
        for batch in ready:
            advance(loop, batch)
        wait(device)
        whole = 1000 * (time.perf_counter() - started) / steps
    spent: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        if not cuda or event.device_type == DeviceType.CPU:  # not a kernel, whose time its operation has already
            microseconds = event.self_device_time_total if cuda else event.self_cpu_time_total
            spent[kind_of(event.key)] += microseconds / 1000 / steps
    spent = dict(sorted(spent.items(), key=lambda item: -item[1]))
    total = sum(spent.values()) + making
    share = {name: value / total for name, value in {"making the batch": making, **spent}.items()}
    return {
        "precision": precision,
        "step_ms": round(whole, 2),
        "batch_ms": round(making, 2),
        "ms": rounded(spent, 2),
        "share": rounded(share, 4),
    }
