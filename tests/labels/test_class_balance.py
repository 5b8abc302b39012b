"""Class-balanced thresholds against sorting; ties spread evenly; CBST's own rule against a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtkit.labels.keep import NEVER, ClassThresholds, class_thresholds, confidence_histogram, keep_by_class, normalized
from dmtkit.losses.levels import LEVELS


def kept_of(label, level, ratio, classes=4, offset=0):
    histogram = confidence_histogram(
        torch.from_numpy(label.astype(np.int64)), torch.from_numpy(level.astype(np.int64)), classes
    )
    found = class_thresholds(histogram, ratio)
    return found, keep_by_class(label, level, found, offset)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 400),
    st.integers(0, 9999),
    st.sampled_from([3, 50, LEVELS]),
    st.sampled_from([0.01, 0.2, 0.5, 0.8, 1.0]),
)
def test_every_class_keeps_its_surest(n, seed, spread, ratio):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n).astype(np.uint8)  # class 3 is never predicted
    level = (LEVELS - 1 - rng.integers(0, spread, n)).astype(np.uint16)
    found, kept = kept_of(label, level, ratio)
    assert found.level[3] == NEVER
    assert np.isnan(found.confidence[3])
    for c in range(3):
        own = np.sort(level[label == c])[::-1].astype(int)
        if not len(own):
            assert found.level[c] == NEVER
            continue
        wanted = max(1, int(np.round(len(own) * ratio)))
        assert found.level[c] == own[wanted - 1], "as sorting has it"
        above, at = (own > found.level[c]).sum(), (own == found.level[c]).sum()
        assert found.ties[c] == pytest.approx((wanted - above) / at)
        assert (level[(label == c) & kept] >= found.level[c]).all()
        assert kept[(label == c) & (level > found.level[c])].all()
        if ratio == 1.0:
            assert kept[label == c].all()


def test_shares_are_kept_exactly_up_to_the_evenness_of_ties():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 30000).astype(np.uint8)
    level = np.where(rng.random(30000) < 0.7, LEVELS - 1, rng.integers(0, 60000, 30000)).astype(np.uint16)
    for ratio in (0.1, 0.2, 0.5):  # a teacher sure of 70 % has that many ties
        _, kept = kept_of(label, level, ratio)
        for c in range(3):
            assert abs(kept[label == c].mean() - ratio) < 0.01


def test_ties_depend_on_the_place_in_the_data_alone():
    label, level = np.zeros(1000, np.uint8), np.full(1000, 65535, np.uint16)
    found, kept = kept_of(label, level, 0.3)
    parts = [keep_by_class(label[s], level[s], found, s.start) for s in (slice(0, 333), slice(333, 1000))]
    np.testing.assert_array_equal(np.concatenate(parts), kept)
    assert 290 <= kept.sum() <= 310
    assert 60 <= kept[:250].sum() <= 90, "no end of the list is favoured"


def test_a_class_of_one_pixel():
    found, kept = kept_of(np.array([0, 1, 1, 1], np.uint8), np.array([5, 1, 2, 3], np.uint16), 0.2)
    assert kept.tolist() == [True, False, False, True]
    assert found.level[:2].tolist() == [5, 3]


def test_maps_of_any_shape():
    label, level = np.zeros((3, 4, 5), np.uint8), np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    _, kept = kept_of(label.ravel(), level.ravel(), 0.5)
    found, _ = kept_of(label.ravel(), level.ravel(), 0.5)
    np.testing.assert_array_equal(keep_by_class(label, level, found), kept.reshape(3, 4, 5))


@pytest.mark.parametrize("shape", [(50,), (6, 7)])
def test_normalized_equals_a_loop(shape):
    p = torch.randn(3, 5, *shape).mul(2).softmax(1)
    level = np.array([60000, 20000, 500, NEVER, 33000])
    label, found = normalized(p, ClassThresholds(level, np.zeros(5)))
    threshold = np.where(level == NEVER, np.inf, level / (LEVELS - 1))
    flat = p.movedim(1, -1).reshape(-1, 5).double().numpy()
    for row, c, own in zip(flat, label.ravel().tolist(), found.ravel().tolist(), strict=True):
        assert c == np.argmax(row / threshold)
        assert abs(own - row[c] * (LEVELS - 1)) <= 1
        score = row[c] / threshold[c]
        if abs(score - 1) > 1e-3:
            assert (own >= level[c]) == (score > 1), "kept where the score reaches 1"


def test_normalized_can_change_the_class_and_never_invents_one():
    p = torch.tensor([[0.55, 0.40, 0.05]])
    label, _ = normalized(p, ClassThresholds(np.array([65535, 13107, NEVER]), np.zeros(3)))
    assert label.tolist() == [1]
