"""A training step with one thread and with all: which number of threads is the better default.

Usage: python -m benchmarks.threads [--repeats 9] [--name threads]

The thread counts take turns in one process. PyTorch's inter-op threads are left out: eager steps never use them.
"""

import argparse
import copy
from collections.abc import Callable
from typing import Any

import torch

from benchmarks import steps
from benchmarks.common import write_result
from benchmarks.rates import in_turn
from dmtkit.runs.environment import pick_precision

CASES = {  # what a step is of → how, and how many steps are timed as one
    "digits: wrn-10-1, 16+48 of 8×8": (
        steps.Case(lambda *here: steps.classification("wrn-10-1", 16, 48, 8, *here), 64, True),
        50,
    ),
    "scenes: deeplab-tiny, 4+12 of 48×48": (steps.CASES["deeplab-tiny, 4+12 of 48×48"], 33),
    "cifar10_cpu: wrn-10-1, 32+96 of 32×32": (
        steps.Case(lambda *here: steps.classification("wrn-10-1", 32, 96, 32, *here), 128, True),
        10,
    ),
}


def with_threads(count: int, step: Callable[[], object]) -> Callable[[], object]:
    """The step with so many threads; setting the number takes microseconds."""

    def work() -> None:
        torch.set_num_threads(count)
        step()

    return work


def measure(case: steps.Case, together: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of a step for every number of threads, and how much faster the most are than one."""
    torch.manual_seed(0)
    device = torch.device("cpu")
    model, _, batches = case.make(0, device)
    how = steps.recipe(pick_precision("auto", device), False, 0.75 if case.mixup else 0.0, case.mixup)
    most = torch.get_num_threads()
    counts = sorted({1, most})
    sides = {str(count): with_threads(count, steps.library(model, copy.copy(batches), how)) for count in counts}
    seconds = in_turn(sides, device, repeats, dict.fromkeys(sides, together))
    torch.set_num_threads(most)
    print({name: round(1000 * value, 2) for name, value in seconds.items()}, flush=True)
    return {
        "precision": how.precision,
        "milliseconds": {name: round(1000 * value, 2) for name, value in seconds.items()},
        "faster_with_all": round(seconds["1"] / seconds[str(most)], 2),
    }


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    results = {name: measure(case, together, arguments.repeats) for name, (case, together) in CASES.items()}
    if arguments.name:
        write_result(arguments.name, results)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--name", default="threads", help="name of the result; empty for none")
    main(parser.parse_args())
