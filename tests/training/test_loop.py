"""The training loop alone: what it keeps."""

import copy

import pytest
import torch
from torch import nn

from dmtkit.config import make_config
from dmtkit.errors import TrainingError
from dmtkit.methods import METHODS
from dmtkit.training.experiment import run_methods
from dmtkit.training.loop import train
from dmtkit.training.state import Recipe, begin
from tests.helpers import TINY, TINY_SEGMENTATION, batch_of


def test_the_best_snapshot_is_the_first_of_the_highest_score():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images, label, seen = torch.randn(6, 1, 8, 8), torch.arange(6) % 3, []
    batch = batch_of(images, label, torch.ones(6), 6, truth=label, names=tuple("abcdef"))

    def evaluate(network):
        seen.append(copy.deepcopy(network.state_dict()))
        return {"val": [10.0, 30.0, 30.0, 20.0][len(seen) - 1]}

    recipe = Recipe(steps=4, seed=1, sync_batchnorm=False, log_points=4, keeps="best", score="val")
    loop = begin(METHODS["supervised"], {"model": model}, recipe)
    train(loop, lambda step: batch, log=lambda record: None, save=lambda state: None, evaluate=evaluate)
    for name, value in loop.networks()["kept"].items():
        assert torch.equal(value, seen[1][name])
        assert not torch.equal(value, seen[2][name])


@pytest.mark.parametrize(
    "values",
    [
        {**TINY, "baseline_epochs": 1, "batch_labeled": 40, "lr": 1e30},
        {**TINY_SEGMENTATION, "baseline_epochs": 1, "batch_labeled": 8, "baseline_lr": 1e30},
    ],
)
def test_weights_that_grow_without_bounds_in_the_last_step_are_said_to(values, tmp_path):
    """The loss of that step was finite."""
    with pytest.raises(TrainingError, match=r"output became NaN or infinite by step 1: .* lower `lr`"):
        run_methods(make_config({**values, "methods": ("supervised",)}), None, tmp_path / "run")


def test_a_network_that_draws_at_random_goes_on_in_the_same_bits():
    label = torch.arange(6) % 3
    batch = batch_of(torch.randn(6, 1, 8, 8), label, torch.ones(6), 6, truth=label, names=tuple("abcdef"))
    recipe = Recipe(steps=4, seed=1, sync_batchnorm=False, checkpoint_seconds=0)
    start = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    saved, loops = [], []
    for state in (None, 1):
        loop = begin(METHODS["supervised"], {"model": copy.deepcopy(start)}, recipe)
        if state is not None:
            torch.manual_seed(123)
            loop.load_state_dict(saved[state])
        train(loop, lambda step: batch, log=lambda record: None, save=lambda state: saved.append(copy.deepcopy(state)))
        loops.append(loop)
    assert len(saved) == 4, "after three steps, and then after the third"
    for one, other in zip(*(loop.current.state_dict().values() for loop in loops), strict=True):
        assert torch.equal(one, other)
