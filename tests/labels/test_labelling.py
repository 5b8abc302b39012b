"""Labelling by one pass against plain inference image by image; both rules; padding; explanations of whole images."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Reader, look
from dmtkit.labels.keep import ClassThresholds, class_thresholds, confidence_histogram
from dmtkit.labels.predict import label_images
from dmtkit.labels.store import Kept, open_labels
from dmtkit.losses.dynamic import dynamic_weights
from dmtkit.losses.levels import LEVELS
from dmtkit.methods import METHODS
from dmtkit.metrics.evaluate import confusion_matrices
from dmtkit.metrics.scores import confusion_matrix
from dmtkit.models import build
from dmtkit.tasks.probes import explain_batch

FILL = (1, 2, 3)
CPU = torch.device("cpu")


class Mixed:
    """Images of several sizes in memory."""

    names = tuple(f"m{i}" for i in range(7))
    shapes = ((16, 24), (16, 24), (16, 24), (24, 16), (9, 13), (16, 24), (1, 5))

    def image(self, index):
        return np.random.default_rng(index).integers(0, 256, (*self.shapes[index], 3), dtype=np.uint8)

    def mask(self, index):
        mask = np.random.default_rng(index + 50).integers(0, 4, self.shapes[index], dtype=np.uint8)
        mask[0, 0] = 255
        return mask

    def mismatch(self, index):
        return None

    def checksum(self, dates=False):
        return "mixed"


@pytest.fixture(scope="module")
def part():
    return Part(Mixed(), tuple(range(7)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    network = build("deeplab-tiny", 3, 4, (1, 2))
    with torch.no_grad():
        for conv in network.head.convs:  # opinions that differ from pixel to pixel
            conv.weight.mul_(30)
    return network.eval()


SIZES = np.array(Mixed.shapes)


def plain(model, image, pad=(0, 0)):
    h, w = image.shape[:2]
    canvas = np.empty((max(h, pad[0]), max(w, pad[1]), 3), np.uint8)
    canvas[:] = FILL
    canvas[:h, :w] = image
    with torch.no_grad():
        return model(torch.from_numpy(canvas).permute(2, 0, 1)[None].float())[..., :h, :w]


@pytest.mark.parametrize("pad", [None, (20, 20)])
def test_labels_are_those_of_plain_inference(tmp_path, part, model, pad):
    label_images(model, Reader(part, SIZES, CPU, FILL, 2, pad), tmp_path / "labels", "m.pt", 4)
    store = open_labels(tmp_path / "labels", "m.pt", part.names)
    counts = torch.zeros(4, LEVELS, dtype=torch.int64)
    for i in range(7):
        p = plain(model, part.image(i), pad or (0, 0)).softmax(1)[0]
        top, label = p.max(0)
        sure = (p.topk(2, 0).values.diff(dim=0).abs() > 1e-4)[0].numpy()
        np.testing.assert_array_equal(store.label(i)[sure], label.numpy()[sure])
        assert np.abs(store.level(i) / 65535 - top.numpy()).max() < 1e-4
        counts += confidence_histogram(
            torch.from_numpy(store.label(i).ravel().astype(np.int64)),
            torch.from_numpy(store.level(i).ravel().astype(np.int64)),
            4,
        )
    np.testing.assert_array_equal(store.histogram, counts.numpy())


def test_normalized_labels_by_one_pass_are_those_of_two(tmp_path, part, model):
    passes = []
    encode = model.encode
    model.encode = lambda pixels: passes.append(len(pixels)) or encode(pixels)
    try:
        label_images(model, Reader(part, SIZES, CPU, FILL, 2), tmp_path / "labels", "m.pt", 4, normalized_ratio=0.3)
    finally:
        del model.encode
    assert sum(passes) == 7, "the network saw every image once"
    store = open_labels(tmp_path / "labels", "m.pt", part.names)
    assert not list((tmp_path / "labels").glob("*.partial"))
    label_images(model, Reader(part, SIZES, CPU, FILL, 2), tmp_path / "argmax", "m.pt", 4)
    first = open_labels(tmp_path / "argmax", "m.pt", part.names)
    np.testing.assert_array_equal(store.histogram, first.histogram)  # what is kept follows from the same thresholds
    threshold = class_thresholds(torch.from_numpy(first.histogram), 0.3).confidence
    changed = 0
    for i in range(7):
        p = plain(model, part.image(i)).softmax(1)[0].double().numpy()
        score = np.nan_to_num(p / threshold[:, None, None], nan=-1)
        best = np.sort(score, 0)
        sure = best[-1] - best[-2] > 1e-3
        np.testing.assert_array_equal(store.label(i)[sure], score.argmax(0)[sure])
        changed += int((store.label(i) != first.label(i)).sum())
    assert changed, "in some pixels the class itself changes"


def test_confusion_of_models_and_of_their_mean(part, model):
    torch.manual_seed(4)
    other = build("deeplab-tiny", 3, 4, (1, 2)).eval()
    found = confusion_matrices({"A": model, "B": other}, Reader(part, SIZES, CPU, FILL, 3), 4)
    for name in ("A", "B", "A+B"):
        total = torch.zeros(4, 4, dtype=torch.int64)
        for i in range(7):
            a, b = (plain(m, part.image(i)).softmax(1) for m in (model, other))
            p = {"A": a, "B": b, "A+B": a + b}[name][0]
            total += confusion_matrix(p.argmax(0), torch.from_numpy(part.mask(i)), 4)
        assert np.abs(found[name] - total.numpy()).sum() <= 4, "but for ties between classes"
    assert list(confusion_matrices({"A": model}, Reader(part, SIZES, CPU, FILL, 3), 4)) == ["A"]


def test_explanations_are_the_dynamic_weights_of_every_kept_pixel(tmp_path, part, model):
    label_images(model, Reader(part, SIZES, CPU, FILL, 2), tmp_path / "labels", "m.pt", 4)
    store = open_labels(tmp_path / "labels", "m.pt", part.names)
    kept = Kept(store, ClassThresholds(np.array([30000, 30000, 20000, 20000]), np.ones(4)))
    torch.manual_seed(5)
    student = build("deeplab-tiny", 3, 4, (1, 2)).eval()
    seen = []
    how = partial(METHODS["dmt"].weigh, gamma1=2, gamma2=3)

    def observe(images, logits):
        seen.append(explain_batch(images, logits, part, kept, how))

    look(student, Reader(part, SIZES, CPU, FILL, 2, (20, 20)), observe)
    for explained in seen:
        for row, position in enumerate(explained.images.positions):
            h, w = Mixed.shapes[position]
            label, level = kept.kept(position)
            logits = plain(student, part.image(position), (20, 20))
            expected = dynamic_weights(
                logits,
                torch.from_numpy(label)[None],
                torch.from_numpy(level / np.float32(65535))[None],
                gamma1=2,
                gamma2=3,
            )
            np.testing.assert_allclose(explained.weighed.weight[row, :h, :w], expected.weight[0], atol=2e-3)
            np.testing.assert_array_equal(explained.truth[row, :h, :w], part.mask(position))
            assert not explained.weighed.valid[row, h:].any()
            assert not explained.weighed.valid[row, :, w:].any()


def test_a_model_that_is_sure_of_one_class(tmp_path, part):
    class Sure(nn.Module):
        def coarse(self, pixels):
            logits = torch.full((len(pixels), 4, 2, 2), -50.0)
            logits[:, 2] = 50
            return logits

    label_images(Sure(), Reader(part, SIZES, CPU, FILL, 2), tmp_path / "labels", "m.pt", 4)
    store = open_labels(tmp_path / "labels", "m.pt", part.names)
    assert store.histogram[2, 65535] == store.histogram.sum() == sum(h * w for h, w in Mixed.shapes)
    kept = Kept(store, class_thresholds(torch.from_numpy(store.histogram), 0.25))
    labels = np.concatenate([kept.kept(i)[0].ravel() for i in range(7)])
    assert set(np.unique(labels)) == {2, 255}
    assert 0.2 < (labels == 2).mean() < 0.3
