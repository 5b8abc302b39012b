"""Data sets and networks of one's own: a decorated function, and a config may name it."""

import numpy as np
import pytest
import torch
from torch import nn

import dmtkit
from dmtkit.config import make_config
from dmtkit.data.images import Images, split_images
from dmtkit.data.pictures import Arrays
from dmtkit.data.segmentation import split_scenes
from dmtkit.errors import ConfigError
from dmtkit.registry import DATASETS, MODELS
from dmtkit.training.experiment import check
from tests.helpers import TINY, TINY_SEGMENTATION


@pytest.fixture
def own():
    """Striped images, and networks of a few layers; forgotten afterwards."""

    @dmtkit.dataset("stripes", task="classification")
    def stripes(config):
        torch.manual_seed(0)
        labels = torch.arange(120) % 2
        pixels = (torch.rand(120, 1, 8, 8) * 100 + 100 * labels.view(-1, 1, 1, 1)).byte()
        every = Images(pixels, labels, tuple(map(str, range(120))))
        return split_images(config, every.select(range(100)), every.select(range(100, 120)), ("dark", "bright"))

    @dmtkit.dataset("patches", task="segmentation")
    def patches(config):
        rng = np.random.default_rng(0)
        masks = rng.integers(0, 3, (20, 24, 24), dtype=np.uint8)
        images = np.repeat(masks[..., None] * 80, 3, 3).astype(np.uint8)
        return split_scenes(config, Arrays(images, masks, tuple(map(str, range(20)))), 16, ("a", "b", "c"))

    @dmtkit.model("plain", task="classification")
    def plain(channels, classes):
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, classes))

    @dmtkit.model("pointwise", task="segmentation")
    def pointwise(classes, name):
        assert name == "pointwise-2", "whatever stands behind the family's name is the function's to read"
        return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, classes, 1))

    yield
    for registry, name in (
        (DATASETS["classification"], "stripes"),
        (DATASETS["segmentation"], "patches"),
        (MODELS["classification"], "plain"),
        (MODELS["segmentation"], "pointwise"),
    ):
        registry._known.pop(name)


def test_own_data_and_own_networks_train(own, tmp_path):
    config = make_config({**TINY, "dataset": "stripes", "model": "plain", "methods": ("cl", "dmt"), "epochs": 4})
    run = dmtkit.run_methods(config, output_dir=tmp_path / "images")
    assert run.results["dmt"]["accuracy"] > 60
    config = make_config({**TINY_SEGMENTATION, "dataset": "patches", "model": "pointwise-2", "methods": ("dmt",)})
    run = dmtkit.run_methods(config, output_dir=tmp_path / "pixels")
    assert run.finished
    assert run.phases("dmt")[0].model_folder("A").summary["pixels"] == 12 * 24 * 24


def test_a_run_on_ones_own_data_opens_where_nobody_knows_it(own, tmp_path):
    config = make_config({**TINY, "dataset": "stripes", "methods": ("supervised",)})
    dmtkit.run_methods(config, output_dir=tmp_path / "run")
    builder = DATASETS["classification"]._known.pop("stripes")
    try:
        assert dmtkit.load_run(tmp_path / "run").config.dataset == "stripes"
        with pytest.raises(ConfigError, match="dataset: stripes: unknown data set"):
            check(config)
    finally:
        DATASETS["classification"]._known["stripes"] = builder


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"dataset": "cifar01"}, "dataset: cifar01: unknown data set; did you mean 'cifar10'"),
        ({"dataset": "voc"}, "dataset: voc: unknown data set; known are: cifar10, cifar100, digits, folder"),
        ({"task": "segmentation", "dataset": "digits"}, "unknown data set"),
        (
            {"model": "wnr"},
            r"model: found 'wnr', expected wrn-.* or a network of your own \(wnr: .* did you mean 'wrn'",
        ),
        ({"model": "deeplab-tiny"}, "model: found 'deeplab-tiny', expected wrn-"),
        ({"task": "segmentation", "model": "wrn-10-1"}, "model: found 'wrn-10-1', expected deeplab-resnet101"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest_known(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check(make_config(values))


def test_a_task_that_does_not_exist_has_neither():
    for decorator in (dmtkit.dataset, dmtkit.model):
        with pytest.raises(ConfigError, match="task: found 'depth', expected one of classification, segmentation"):
            decorator("x", task="depth")
