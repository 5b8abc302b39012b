"""Thresholds from histograms against sorting; labels from one pass; ties without favour."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtkit.labels.keep import NEVER, confidence_histogram, keep_most_confident, thresholds
from dmtkit.labels.predict import predict
from dmtkit.losses.levels import LEVELS, quantise


@st.composite
def confidences(draw):
    n = draw(st.integers(1, 200))
    torch.manual_seed(draw(st.integers(0, 9999)))
    spread = draw(st.sampled_from([3, 50, LEVELS]))  # few values make many ties
    return torch.randint(0, spread, (n,)), torch.randint(0, 4, (n,)), draw(st.sampled_from([0.01, 0.2, 0.5, 0.77, 1.0]))


@settings(deadline=None, max_examples=80)
@given(confidences())
def test_thresholds_equal_sorting(problem):
    level, group, ratio = problem
    found = thresholds(confidence_histogram(group, level, 5), ratio)
    for c in range(5):
        own = level[group == c].sort(descending=True).values
        if not len(own):
            assert found[c] == NEVER
            continue
        wanted = max(1, round(len(own) * ratio))
        assert found[c] == own[wanted - 1]


@settings(deadline=None, max_examples=80)
@given(confidences())
def test_exactly_the_share_is_kept_and_it_is_the_surest(problem):
    level, _, ratio = problem
    kept = keep_most_confident(level, ratio, torch.Generator().manual_seed(0))
    assert kept.sum() == max(1, round(len(level) * ratio))
    if not kept.all():
        assert level[kept].min() >= level[~kept].max()


@pytest.mark.parametrize("total", [2**24 + 3, 1_400_000_099])
def test_classes_of_more_pixels_than_a_float_can_count(total):
    """A street has a billion pixels; a 32-bit product once rounded above them and left no threshold."""
    histogram = torch.zeros(2, LEVELS, dtype=torch.int64)
    histogram[0, 7], histogram[0, 9] = 1, total - 1
    assert thresholds(histogram, 1.0).tolist() == [7, NEVER]
    assert thresholds(histogram, (total - 1) / total).tolist() == [9, NEVER]


def test_ties_favour_no_position():
    level = torch.full((1000,), 65535)
    kept = keep_most_confident(level, 0.5, torch.Generator().manual_seed(0))
    assert 200 < kept[:500].sum() < 300


@given(confidences())
@settings(deadline=None, max_examples=20)
def test_histograms_add_up(problem):
    level, group, _ = problem
    half = len(level) // 2
    parts = [confidence_histogram(group[s], level[s], 4) for s in (slice(half), slice(half, None))]
    assert torch.equal(parts[0] + parts[1], confidence_histogram(group, level, 4))


def test_predict_equals_a_plain_softmax():
    torch.manual_seed(1)
    logits, given_label = torch.randn(50, 7) * 3, np.random.default_rng(0).integers(0, 7, 50).astype(np.uint8)
    found = predict(lambda x: x, logits.split(16), given_label)
    probability = logits.softmax(1)
    assert found.label.tolist() == probability.argmax(1).tolist()
    np.testing.assert_allclose(found.level / 65535, probability.max(1).values, atol=1e-5)
    expected = probability[torch.arange(50), torch.from_numpy(given_label).long()]
    np.testing.assert_allclose(found.level_of_given / 65535, expected, atol=1e-5)
    assert found.label.dtype == np.uint8
    assert found.level.dtype == np.uint16


def test_quantise_is_exact_at_both_ends():
    assert quantise(torch.tensor([0.0, 1.0])).tolist() == [0, 65535]


def test_pixels_are_labeled_like_images():
    logits = torch.randn(2, 3, 4, 5)
    found = predict(lambda x: x, [logits])
    assert found.label.shape == (2, 4, 5)
    assert found.label.tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("ratio", [0.2, 1.0])
def test_one_element_is_kept(ratio):
    assert keep_most_confident(torch.tensor([4]), ratio, torch.Generator()).tolist() == [True]
