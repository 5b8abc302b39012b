"""Each method's loss beside hand-computed values and an implementation of its formula in loops; networks here are identities."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dmtkit.data.batches import Batch
from dmtkit.losses.consistency import draw_boxes, draw_partners, inside
from dmtkit.methods import METHODS
from dmtkit.methods.adversarial import Critic, label_map
from dmtkit.methods.fixmatch import flexible
from dmtkit.methods.given import Nets, Now
from dmtkit.methods.parameters import for_task

END = 100  # the step of a run of 100: all ramps are at 1


class Says(nn.Module):
    """A network whose logits are the images, of which the features are the same."""

    def __init__(self, channels=3):
        super().__init__()
        self.channels = channels

    def encode(self, x):
        return x

    def decode(self, features, size):
        return features

    def forward(self, x):
        return x


class Tells(nn.Module):
    """A critic that says the same of every pixel."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, p):
        return torch.full((p.shape[0], *p.shape[2:]), self.logit)


def batch_of(x, y, valid, *, y2=None, **u):
    index = torch.arange(len(valid))
    one = torch.ones(len(x), *x.shape[2:])
    trusted = torch.ones(len(x), dtype=torch.bool)
    return Batch(x, y, one, trusted, None, (), len(x), u=u, valid=valid, index=index, unlabeled=len(valid), y2=y2)


def loss_of(name, task, batch, *, drawn=None, step=END, memory=None, networks=None, **given):
    method = for_task(type(METHODS[name]), task, given)
    names = [*method.nets, *method.averages]
    nets = Nets({each: Says() for each in names} | (networks or {}))
    return method.losses(nets, batch, Now(step, END, memory=memory or {}, drawn=drawn or {}))


def images(*rows):
    return torch.tensor(rows, dtype=torch.float32)


X, Y = images([2.0, 0, 0]), torch.tensor([1])
CE_X = math.log(math.exp(2) + 2)


def test_fixmatch_divides_by_all_valid_elements_and_not_by_those_it_keeps():
    weak, strong = images([4.0, 0, 0], [1.0, 0, 0]), images([1.0, 0, 0], [0, 5.0, 0])
    found = loss_of(
        "fixmatch", "classification", batch_of(X, Y, torch.ones(2, dtype=torch.bool), weak=weak, strong=strong)
    )
    assert float(found.losses["model"]) == pytest.approx(CE_X + 0.5514 / 2, abs=1e-4)
    assert int(found.statistics["sure"]) == 1
    none = loss_of(
        "fixmatch",
        "classification",
        batch_of(X, Y, torch.ones(2, dtype=torch.bool), weak=strong, strong=strong),
        threshold=0.999,
    )
    assert float(none.losses["model"]) == pytest.approx(CE_X)


def test_fixmatchs_threshold_is_inclusive():
    weak = images([0.0, 0, 0])
    at = float(weak.softmax(1).max())
    found = loss_of(
        "fixmatch",
        "classification",
        batch_of(X, Y, torch.ones(1, dtype=torch.bool), weak=weak, strong=weak),
        threshold=at,
    )
    assert int(found.statistics["sure"]) == 1


@pytest.mark.parametrize(
    ("counts", "thresholds"),
    [
        ([50, 25, 0, 25], [0.95, 0.31667, 0]),
        ([10, 5, 0, 85], [0.05938, 0.02879, 0]),
        ([10, 5, 0, 0], [0.95, 0.31667, 0]),
    ],
)
def test_flexmatchs_thresholds(counts, thresholds):
    np.testing.assert_allclose(flexible(torch.tensor(counts), 0.95), thresholds, atol=1e-5)


def test_flexmatch_remembers_the_last_sure_label_of_every_image():
    method = METHODS["flexmatch"]
    memory = method.memory(4, 3)
    assert memory["counts"].tolist() == [0, 0, 0, 4]
    weak = images([9.0, 0, 0], [0, 1.0, 0])
    batch = batch_of(X, Y, torch.ones(2, dtype=torch.bool), weak=weak, strong=weak)
    found = loss_of("flexmatch", "classification", batch, memory=memory)
    assert int(found.statistics["sure"]) == 2, "while most images have no label yet, thresholds are low"
    assert found.memory["labels"].tolist() == [0, 3, 3, 3]
    assert found.memory["counts"].tolist() == [1, 0, 0, 3]
    again = loss_of(
        "flexmatch",
        "classification",
        batch,
        memory={"labels": torch.tensor([1, 1, 1, 0]), "counts": torch.tensor([1, 3, 0, 0])},
    )
    assert int(again.statistics["sure"]) == 1, "class 1, which has most, wants the whole threshold"
    assert again.memory["labels"].tolist() == [0, 1, 1, 0]


def test_mean_teachers_distance_is_a_mean_over_classes_too():
    mine, theirs = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([[0.5, 0.3, 0.2]]).log()
    batch = batch_of(X, Y, torch.ones(1, dtype=torch.bool), weak=mine, weak2=theirs)
    for step, ramp in ((END, 1), (40, 1), (20, 0.5), (0, 0)):
        found = loss_of("mean_teacher", "classification", batch, step=step)
        assert float(found.losses["model"]) == pytest.approx(CE_X + 50 * ramp * 0.02, rel=1e-5)
    pixels = {name: value[:, :, None, None].expand(1, 3, 2, 2) for name, value in (("strong", mine), ("weak", theirs))}
    on_x = X[:, :, None, None].expand(1, 3, 2, 2)
    batch = batch_of(on_x, torch.full((1, 2, 2), 1), torch.ones(1, 2, 2, dtype=torch.bool), **pixels)
    found = loss_of("mean_teacher", "segmentation", batch, step=5)
    assert float(found.losses["model"]) == pytest.approx(CE_X + 100 * 0.2865 * 0.02, rel=1e-4)
    assert for_task(type(METHODS["mean_teacher"]), "segmentation").reports == "teacher"


def test_cps_of_two_networks_that_know_nothing():
    zero = torch.zeros(1, 21, 2, 2)
    batch = batch_of(zero, torch.zeros(1, 2, 2, dtype=torch.int64), torch.ones(1, 2, 2, dtype=torch.bool), weak=zero)
    found = loss_of("cps", "segmentation", batch, weight=1.0)
    assert {name: round(float(loss), 4) for name, loss in found.losses.items()} == {"model": 6.0890, "second": 6.0890}


@pytest.mark.parametrize(("logit", "kept"), [(0.0, 4), (-1.3862, 4), (-1.3870, 0)])
def test_adversarial_learning_believes_what_the_critic_takes_for_real(logit, kept):
    zero, valid = torch.zeros(1, 3, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    label = torch.zeros(1, 2, 2, dtype=torch.int64)
    batch = batch_of(zero, label, valid, weak=zero, y2=label)
    how = {"networks": {"critic": Tells(logit)}}
    fool = math.log(1 + math.exp(-logit)) * 0.011
    for step, weight in ((END, 0.1 * bool(kept)), (24, 0), (25, 0.1 * bool(kept))):
        found = loss_of("adversarial", "segmentation", batch, step=step, **how)
        assert float(found.losses["model"]) == pytest.approx(math.log(3) * (1 + weight) + fool, rel=1e-4)
    assert int(found.statistics["believed"]) == kept
    told = (math.log(1 + math.exp(logit)) + math.log(1 + math.exp(-logit))) / 2
    assert float(found.losses["critic"]) == pytest.approx(told, rel=1e-5)


def test_what_has_no_label_is_0_in_a_critics_maps():
    maps = label_map(torch.tensor([[[0, 2, 255]]]), 3)
    assert maps[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert Critic(3)(torch.zeros(1, 3, 17, 70)).shape == (1, 17, 70)


def test_partners_and_boxes_are_drawn_as_said():
    generator = torch.Generator().manual_seed(0)
    for n in (2, 3, 8):
        partner = draw_partners(n, generator)
        assert sorted(partner.tolist()) == list(range(n))
        assert (partner != torch.arange(n)).all(), "nobody is their own"
    box = draw_boxes(20_000, generator)
    there = box.sum(1) > 0
    assert there.float().mean() == pytest.approx(0.5, abs=0.02)
    top, left, bottom, right = box[there].unbind(1)
    area, aspect = (bottom - top) * (right - left), (bottom - top) / (right - left)
    assert area.mean() == pytest.approx(0.21, abs=0.005), "uniform"
    assert 0.0199 < area.min() < 0.03
    assert 0.3 < area.max() < 0.4001
    assert 0.299 < aspect.min() < 0.4
    assert 2.5 < aspect.max() < 3.34
    assert int(inside(torch.tensor([[0.0, 0.0, 0.7071, 0.7071]]), (321, 321))[0].sum(0).max()) == 227


def by_loops(weak, strong, valid, box, partner, threshold):
    """FixMatch of pixels, pixel by pixel: Σ 1[c ≥ τ] CE / valid."""
    n, _, h, w = weak.shape
    total = count = 0
    for i in range(n):
        for y in range(h):
            for x in range(w):
                top, left, bottom, right = box[i].tolist()
                mixed = top <= (y + 0.5) / h < bottom and left <= (x + 0.5) / w < right
                j = int(partner[i]) if mixed else i
                if not valid[j, y, x]:
                    continue
                count += 1
                p = np.exp(weak[j, :, y, x]) / np.exp(weak[j, :, y, x]).sum()
                if p.max() >= threshold:
                    q = np.exp(strong[j, :, y, x]) / np.exp(strong[j, :, y, x]).sum()
                    total -= np.log(q[p.argmax()])
    return total / count


def random_pixels(seed):
    torch.manual_seed(seed)
    weak, strong, strong2, on_x = (2 * torch.randn(3, 3, 5, 7) for _ in range(4))
    valid = torch.rand(3, 5, 7) > 0.3
    generator = torch.Generator().manual_seed(seed)
    boxes = [draw_boxes(3, generator, 1.0, area=(0.2, 0.4)) for _ in range(2)]
    batch = batch_of(on_x, torch.randint(0, 3, (3, 5, 7)), valid, weak=weak, strong=strong, strong2=strong2)
    return batch, boxes, draw_partners(3, generator)


def supervised(batch):
    return float(nn.functional.cross_entropy(batch.images, batch.label))


@pytest.mark.parametrize("seed", range(3))
def test_fixmatch_of_pixels_is_its_formula(seed):
    batch, (box, _), partner = random_pixels(seed)
    found = loss_of("fixmatch", "segmentation", batch, drawn={"box": box, "partner": partner}, threshold=0.6, weight=2)
    u = by_loops(batch.u["weak"].numpy(), batch.u["strong"].numpy(), batch.valid, box, partner, 0.6)
    assert float(found.losses["model"]) == pytest.approx(supervised(batch) + 2 * u, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_unimatch_is_its_formula(seed):
    batch, (one, two), partner = random_pixels(seed)
    stays = torch.tensor([[True, False, True], [True, True, False], [False, False, True]])
    found = loss_of(
        "unimatch",
        "segmentation",
        batch,
        drawn={"strong": one, "strong2": two, "partner": partner, "stays": stays},
        threshold=0.6,
    )
    weak, nothing = batch.u["weak"].numpy(), torch.zeros(3, 4)
    dropped = weak * 2 * stays.numpy()[:, :, None, None]
    terms = [
        by_loops(weak, batch.u["strong"].numpy(), batch.valid, one, partner, 0.6) / 4,
        by_loops(weak, batch.u["strong2"].numpy(), batch.valid, two, partner, 0.6) / 4,
        by_loops(weak, dropped, batch.valid, nothing, partner, 0.6) / 2,
    ]
    assert float(found.losses["model"]) == pytest.approx(supervised(batch) + sum(terms), rel=1e-5)
