"""What speed is measured against computes the same: weights, losses, thresholds, labels and whole training steps."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.reference import augment, labels
from benchmarks.reference.loss import dynamic_loss, mixed_loss, weights_by_masks
from benchmarks.reference.train import classification_step, segmentation_step, update_average
from dmtkit.data import ops
from dmtkit.data.augment import draw_mix
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Reader
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.predict import label_images
from dmtkit.labels.store import Kept, open_labels
from dmtkit.losses.dynamic import dynamic_cross_entropy, dynamic_weights, mixed_cross_entropy
from dmtkit.losses.levels import LEVELS
from dmtkit.methods import METHODS
from dmtkit.models import build
from dmtkit.models.deeplab import IMAGENET
from dmtkit.seeds import generator
from dmtkit.training.optim import update_average as ours_update_average
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance
from tests.helpers import batch_of

SHAPES = [(64,), (4, 9, 7)]


def example(shape, classes=5):
    logits = torch.randn(shape[0], classes, *shape[1:]) * 3
    label = torch.randint(0, classes, shape)
    label[torch.rand(shape) < 0.2] = 255
    return logits, label, torch.rand(shape), torch.arange(shape[0]) < shape[0] // 4


def test_operations_have_the_librarys_ranges():
    ours = {name: [op.weakest, op.strongest, op.signed] for name, op in ops.OPERATIONS.items()}
    assert ours == {name: ranges for name, (_, *ranges) in augment.OPERATIONS.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_and_statistics_are_the_librarys(shape):
    logits, label, confidence, trusted = example(shape)
    weight, stats = weights_by_masks(logits, label, confidence, 2.0, 3.0, trusted)
    ours = dynamic_weights(logits, label, confidence, gamma1=2.0, gamma2=3.0)
    own = ~trusted
    torch.testing.assert_close(weight[own], ours.weight[own])
    assert (weight[trusted] == (label[trusted] != 255)).all()
    _, sums = dynamic_cross_entropy(logits, label, confidence, gamma1=2.0, gamma2=3.0, trusted=trusted)
    for name, value in stats.items():
        assert float(sums[name]) == pytest.approx(value, rel=1e-5), name
    assert min(stats["agree"], stats["negative"], stats["positive"]) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradient_are_the_librarys(shape):
    logits, label, confidence, trusted = example(shape)
    found = []
    for compute in (
        lambda x: dynamic_loss(x, label, confidence, 2.0, 3.0, trusted)[0],
        lambda x: dynamic_cross_entropy(x, label, confidence, gamma1=2.0, gamma2=3.0, trusted=trusted)[0],
    ):
        values = logits.clone().requires_grad_()
        loss = compute(values)
        loss.backward()
        found.append((loss.detach(), values.grad))
    torch.testing.assert_close(found[0], found[1])


def test_mixed_loss_is_the_librarys():
    logits, label, weight, _ = example((64,))
    label[label == 255] = 0
    partner = torch.randperm(64)
    theirs = mixed_loss(logits, label, partner, 0.7, weight)
    torch.testing.assert_close(theirs, mixed_cross_entropy(logits, label, partner, 0.7, weight))


def recipe(**changes):
    return Recipe(steps=10**9, seed=1, gamma1=4.0, gamma2=4.0, gamma_ramp=False, lr=0.05, **changes)


def same_weights(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    for name, value in one.state_dict().items():
        if name in theirs:
            torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)


def test_classification_steps_lead_to_the_same_weights():
    model = build("wrn-10-1", 3, 4)
    plain, average = copy.deepcopy(model), copy.deepcopy(model)
    how = recipe(keeps="average", ema_decay=0.999)
    loop = begin(METHODS["dmt"], {"model": model.to(memory_format=torch.channels_last)}, how)
    optimizer = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    trusted = torch.arange(24) < 8
    for step in range(3):
        images, label, confidence = torch.randn(24, 3, 8, 8), torch.randint(0, 4, (24,)), torch.rand(24)
        mix = draw_mix(24, 0.75, generator(1, "mixup", step))
        loss, _ = classification_step(
            plain, average, optimizer, (images, label, confidence), trusted, 4.0, (mix.lam, mix.partner)
        )
        advance(loop, batch_of(images, label, confidence, 8, mix=mix))
        assert float(loop.losses[-1]["model"]) == pytest.approx(loss, rel=1e-4)
    same_weights(loop.modules["model"], plain)


def test_the_average_is_the_librarys():
    model, other = build("wrn-10-1", 1, 4), build("wrn-10-1", 1, 4)
    plain = copy.deepcopy(other)
    update_average(plain, model, 0.9)
    ours_update_average(other, model, 0.9)
    same_weights(other, plain)


def bare(model: nn.Module) -> nn.Module:
    """The same network for images that are normalised already, memory format untouched."""
    plain = copy.deepcopy(model)
    plain.input = nn.Identity()
    return plain


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
    return (images - mean) / std


def test_segmentation_steps_lead_to_the_same_weights():
    model = build("deeplab-tiny", 3, 4, (1, 2))
    plain = bare(model)
    how = recipe()
    loop = begin(METHODS["dmt"], {"model": model.to(memory_format=torch.channels_last)}, how)
    optimizer = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    trusted = torch.arange(4) < 1
    for _ in range(3):
        images, label = torch.randint(0, 256, (4, 3, 24, 24)).float(), torch.randint(0, 4, (4, 24, 24))
        label[torch.rand(label.shape) < 0.2] = 255
        confidence = torch.rand(label.shape)
        batch = (normalised(images), label, confidence)
        loss, _ = segmentation_step(plain, optimizer, batch, trusted, 4.0)
        advance(loop, batch_of(images, label.to(torch.uint8), confidence, 1))
        assert float(loop.losses[-1]["model"]) == pytest.approx(loss, rel=1e-4)
    same_weights(loop.modules["model"], plain)


def test_thresholds_and_labels_are_the_librarys(tmp_path: Path):
    torch.manual_seed(3)
    scenes, classes, ratio = DigitScenes(12, size=33), 4, 0.3
    model = build("deeplab-tiny", 3, classes, (1, 2))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    for conv in model.head.convs:
        nn.init.normal_(conv.weight, std=0.3)
    part, sizes = Part(scenes, tuple(range(12))), np.full((12, 2), 33)
    reader = Reader(part, sizes, torch.device("cpu"), (0, 0, 0), 4)
    label_images(model.to(memory_format=torch.channels_last), reader, tmp_path / "ours", "m", classes)
    store = open_labels(tmp_path / "ours", "m", part.names)
    found = class_thresholds(torch.from_numpy(store.histogram), ratio)
    kept = Kept(store, found)

    loader = DataLoader(labels.Whole([part.image(i) for i in range(12)], *IMAGENET), 4)
    thresholds = labels.rank(bare(model), loader, classes, ratio)
    (tmp_path / "plain").mkdir()
    labels.label(bare(model), loader, thresholds, tmp_path / "plain")

    np.testing.assert_allclose(found.confidence, thresholds, atol=1.5 / (LEVELS - 1))
    present = ~np.isnan(thresholds)
    assert present.sum() >= 2, "the example shows several classes"
    kept_pixels = 0
    for i in range(12):
        label, level = kept.kept(i)
        theirs, confidence = np.load(tmp_path / "plain" / f"{i}.npy")
        np.testing.assert_allclose(level / (LEVELS - 1), confidence, atol=1e-4)
        differs = label != theirs
        at_threshold = np.abs(level.astype(int) - found.level[store.label(i)]) <= 2
        assert not (differs & ~at_threshold).any(), "only pixels at their class's threshold may differ"
        kept_pixels += int((label != 255).sum())
    assert kept_pixels == pytest.approx(ratio * 12 * 33 * 33, rel=0.01)
