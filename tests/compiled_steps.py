"""Compiled steps beside plain ones, in a process of its own: shape checks, which tests add to every function, cannot be compiled.

Run by tests/training/test_speed.py: `python -m tests.compiled_steps`.
"""

import copy
import sys
from dataclasses import replace

import torch
from torch import nn

from dmtkit.data.augment import Mix
from dmtkit.methods import METHODS
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance, can_compile
from tests.helpers import batch_of


def main() -> None:
    """Exit with a message unless both ways agree and nothing is compiled again from step to step."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    label = torch.randint(0, 4, (12,))
    images, confidence, names = torch.randn(12, 3, 4, 4), torch.rand(12), tuple("abcdefghijkl")
    batch = batch_of(images, label, confidence, 4, truth=label, names=names, mix=Mix(0.7, torch.randperm(12)))
    loops = {}
    for compiled in (False, True):
        how = Recipe(steps=100, seed=1, gamma1=4.0, gamma2=4.0, keeps="average", compile=compiled)
        loops[compiled] = begin(METHODS["dmt"], {"model": copy.deepcopy(model)}, how)
        if compiled and not can_compile(loops[compiled], batch, print):
            sys.exit(77)
        counted = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        for number in range(4):
            advance(loops[compiled], replace(batch, names=(str(number),) * 12, lam=0.6 + number / 10))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == counted > 0, "γ, λ and names were compiled in"
    for key, value in loops[False].modules["model"].state_dict().items():
        torch.testing.assert_close(loops[True].modules["model"].state_dict()[key], value, rtol=1e-4, atol=1e-6)
    print("equal")


if __name__ == "__main__":
    main()
