"""All that is to be measured on a GPU, in one call: steps, loss, labelling, augmentation, the device's own rates.

Usage: python -m benchmarks.gpu [DATA_DIR] [--minutes 25] [--device auto] [--tiny]

With a DATA_DIR (CIFAR-10 as class folders, or see --dataset) also the 4 000-label run of benchmarks.gpu_cifar at the
largest schedule that fits `--minutes`; call it again to go on with an interrupted one. `--tiny` is for trying it out.
"""

import argparse
from typing import Any

import torch

from benchmarks import augmentation, gpu_cifar, labelling, loss, steps
from benchmarks.common import write_result
from dmtkit.runs.environment import pick_device

TINY = {
    "steps": ["wrn-10-1", "--repeats", "1", "--workers", "0"],
    "loss": ["--shape", "2", "3", "8", "8", "--repeats", "1"],
    "labelling": ["deeplab-tiny", "--images", "4", "--repeats", "1", "--workers", "0"],
    "augmentation": ["--count", "8", "--repeats", "1"],
}


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    device = pick_device(arguments.device)
    results: dict[str, Any] = {"device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}
    for module in (steps, loss, labelling, augmentation):
        name = module.__name__.rsplit(".", 1)[1]
        words = [*(TINY[name] if arguments.tiny else []), "--device", arguments.device, "--name", ""]
        words += ["--compile"] if name == "steps" and not arguments.tiny else []
        results[name] = module.main(module.parse(words))
        if arguments.name:  # after each part: what is measured is kept if a later part fails
            write_result(arguments.name, results)
    if arguments.data:
        words = [arguments.data, "--minutes", str(arguments.minutes), "--dataset", arguments.dataset]
        gpu_cifar.main(gpu_cifar.parse(words))
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--dataset", default="folder", choices=["folder", "cifar10"])
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--name", default="gpu", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
