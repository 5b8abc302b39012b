"""The networks: sizes as published, shapes, names that are refused."""

import pytest
import torch

from dmtkit.errors import ConfigError
from dmtkit.models import build


def test_wrn_28_2_has_the_published_size():
    assert sum(p.numel() for p in build("wrn-28-2", 3, 10).parameters()) == pytest.approx(1.5e6, rel=0.03)


def test_convolutional_depth():
    for depth in (10, 16, 28):
        model = build(f"wrn-{depth}-1", 3, 10)
        three = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
        assert len(three) + 3 == depth, "3×3 convolutions, and the three 1×1 projections or the head as usually counted"


@pytest.mark.parametrize("size", [8, 12, 32])
def test_any_size_and_channels(size):
    assert build("wrn-10-1", 1, 7)(torch.zeros(2, 1, size, size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["wrn-11-2", "wrn-4-1", "resnet", "wrn-28-0", "wrn-28", ""])
def test_bad_names_say_what_is_expected(name):
    with pytest.raises(ConfigError, match="6n"):
        build(name, 3, 10)
