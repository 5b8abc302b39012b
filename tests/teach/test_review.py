"""Errors found against labels reviewed, and what a share keeps: by hand, by enumeration, against scikit-learn and sorting."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dmtkit.labels.keep import class_thresholds, keep_by_class
from dmtkit.metrics.error_search import roc
from dmtkit.teach.error_review import (
    accuracy_of_kept,
    agreement,
    errors_found,
    filtered,
    from_roc,
    percent,
    perfect,
    questions,
    repeated,
    verdict,
)
from dmtkit.teach.keep_rules import accuracy_by_ratio, keep, rules

few = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.8]), st.booleans()), min_size=1, max_size=6)


def test_a_review_by_hand():
    score = np.array([0.9, 0.1, 0.5, 0.5, 0.2])
    wrong = np.array([False, True, True, False, False])
    review = errors_found(score, wrong)
    assert review.reviewed.tolist() == pytest.approx([0, 0.2, 0.4, 0.8, 1])
    assert review.found.tolist() == [0, 0.5, 0.5, 1, 1]
    assert review.at(0.6) == pytest.approx(0.75), "one of two that tie: half of the error that is among them"


@settings(deadline=None, max_examples=60)
@given(few)
def test_ties_count_by_their_mean_over_all_orders(rows):
    """All orders that respect the scores, one by one, are the independent implementation."""
    score, wrong = (np.array(values) for values in zip(*rows, strict=True))
    n, errors = len(rows), wrong.sum()
    orders = [order for order in permutations(range(n)) if (np.diff(score[list(order)]) >= 0).all()]
    review = errors_found(score, wrong)
    for k in range(n + 1):
        mean = np.mean([wrong[list(order[:k])].sum() for order in orders])
        if errors:
            assert review.at(k / n) == pytest.approx(mean / errors)
        else:
            assert np.isnan(review.at(k / n))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.integers(0, 999), st.sampled_from([2, 5, 1000]))
def test_the_area_follows_from_scikit_learns(n, seed, spread):
    rng = np.random.default_rng(seed)
    score, wrong = rng.integers(0, spread, n) / spread, rng.random(n) < 0.3
    wrong[:2] = [False, True]
    review, share = errors_found(score, wrong), wrong.mean()
    area = np.trapezoid(review.found, review.reviewed)
    assert area == pytest.approx(share / 2 + (1 - share) * roc_auc_score(wrong, -score))
    best = perfect(share)
    assert all(review.at(x) <= best.at(x) + 1e-9 for x in np.linspace(0, 1, 21))
    assert best.at(share) == pytest.approx(1)


def test_a_stored_roc_curve_gives_the_same_review():
    rng = np.random.default_rng(0)
    wrong = rng.random(5000) < 0.1
    level = np.clip(rng.normal(600 - 200 * wrong, 150), 0, 999).astype(int)
    histogram = np.stack([np.bincount(level[~wrong], minlength=1000), np.bincount(level[wrong], minlength=1000)])
    exact, shares = errors_found(level, wrong), np.linspace(0, 1, 51)
    for points, tolerance in ((None, 1e-9), (200, 0.01)):
        stored = from_roc(roc(histogram, points), wrong.mean())
        assert np.abs([stored.at(x) - exact.at(x) for x in shares]).max() < tolerance


def test_nothing_wrong_and_nothing_at_all():
    assert np.isnan(errors_found(np.array([0.5, 0.6]), np.array([False, False])).at(0.5))
    assert np.isnan(errors_found(np.array([]), np.array([], bool)).at(0.5))
    assert np.isnan(from_roc(np.array([[0.0, 1], [0, 0]]), 0.0).at(0.5))
    assert np.isnan(accuracy_of_kept(np.array([]), np.array([], bool), np.array([0.5]))).all()
    assert np.isnan(agreement(*(np.array([], int),) * 3).error)
    assert errors_found(np.array([0.1, 0.2]), np.array([True, True])).at(0.25) == 0.25


def test_the_same_scores_find_errors_like_chance():
    review = errors_found(np.full(10, 0.5), np.arange(10) < 3)
    assert review.at(0.37) == pytest.approx(0.37)


@settings(deadline=None, max_examples=60)
@given(few)
def test_accuracy_of_the_kept_over_all_orders_of_ties(rows):
    confidence, wrong = (np.array(values) for values in zip(*rows, strict=True))
    n = len(rows)
    orders = [o for o in permutations(range(n)) if (np.diff(confidence[list(o)]) <= 0).all()]
    found = accuracy_of_kept(confidence, wrong, np.arange(1, n + 1) / n)
    for k in range(1, n + 1):
        assert found[k - 1] == pytest.approx(np.mean([1 - wrong[list(o[:k])].mean() for o in orders]))


def test_agreement_by_hand_and_with_oneself():
    label, other, truth = np.array([1, 1, 2, 2, 3]), np.array([1, 1, 2, 1, 1]), np.array([1, 2, 2, 1, 2])
    found = agreement(label, other, truth)
    assert (found.agree, found.error) == (0.6, 0.6)
    assert (found.error_agree, found.error_disagree, found.found) == pytest.approx((1 / 3, 1, 2 / 3))
    itself = agreement(label, label, truth)
    assert (itself.agree, itself.found) == (1, 0)
    assert np.isnan(itself.error_disagree)
    assert itself.error == itself.error_agree
    assert repeated(label, other, truth) == pytest.approx(1 / 3), "of three errors the other makes the first again"
    assert repeated(label, label, truth) == 1


def test_a_threshold_keeps_and_drops_all_labels():
    confidence, wrong = np.array([0.95, 0.9, 0.6, 0.3]), np.array([False, True, False, True])
    found = filtered(confidence, wrong, 0.9)
    assert found == {"kept right": 0.25, "kept wrong": 0.25, "dropped right": 0.25, "dropped wrong": 0.25}
    assert sum(filtered(confidence, wrong, 0.5).values()) == 1


def test_the_verdict_says_what_came_out_and_asks_only_where_the_second_model_does_not_help():
    found = {"start": (0.5, 0.4), "middle": (0.4, 0.5), "end": (0.405, 0.4)}
    lines = verdict(found).splitlines()
    assert [line.rsplit(": ", 1)[1] for line in lines] == [
        "the second model helps.",
        "the second model does worse.",
        "the second model makes no difference.",
    ]
    asked = questions(found)
    assert "at the middle, nor at the end?" in asked
    assert "by heart" in asked
    assert questions({"start": (0.5, 0.4)}) == ""
    assert "nothing to compare" in verdict({"start": (float("nan"), float("nan"))})
    assert percent(0.5, 0) == "50 %"


def histogram_of(label, level, classes):
    counts = np.zeros((classes, 65536), np.int64)
    np.add.at(counts, (label, level), 1)
    return counts


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.sampled_from([0.1, 0.25, 0.7, 1.0]))
def test_what_is_kept_equals_what_training_keeps(seed, ratio):
    import torch

    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, 4000).astype(np.uint8)  # class 3 is never predicted
    level = rng.integers(0, [400, 65535, 90][seed % 3], 4000).astype(np.uint16)
    counts = histogram_of(label, level, 4)
    found = keep(counts, ratio)
    chosen = keep_by_class(label, level, class_thresholds(torch.from_numpy(counts), ratio))
    trained_on = np.bincount(label[chosen], minlength=4)
    assert np.abs(found.kept - trained_on).max() <= 5, "ties are spread evenly, not counted out"
    np.testing.assert_allclose(found.share[:3], ratio, atol=0.001)
    assert np.isnan(found.share[3])
    assert np.isnan(found.threshold[3])
    for c in range(3):
        own = np.sort(level[label == c])[::-1]
        assert found.threshold[c] == pytest.approx(own[max(round(ratio * len(own)), 1) - 1] / 65535)


def test_one_threshold_for_all_equals_sorting():
    rng = np.random.default_rng(0)
    label, level = rng.integers(0, 3, 5000), rng.permutation(65536)[:5000]
    found = keep(histogram_of(label, level, 3), 0.3, balanced=False)
    order = np.argsort(-level)[:1500]
    np.testing.assert_allclose(found.kept, np.bincount(label[order], minlength=3), atol=1e-3)
    assert len(set(found.threshold.tolist())) == 1


def test_accuracy_by_ratio_equals_sorting_class_by_class():
    rng = np.random.default_rng(1)
    label, confidence, wrong = rng.integers(0, 4, 4000), rng.random(4000), rng.random(4000) < 0.3
    label = np.sort(label)
    counts = np.bincount(label)
    right = sum(
        (~wrong[label == c])[np.argsort(-confidence[label == c])][: counts[c] // 2].mean() * counts[c] for c in range(4)
    )
    found = accuracy_by_ratio(label, confidence, wrong, np.array([0.5, 1.0]))
    assert found[0] == pytest.approx(right / 4000, abs=1e-3)
    assert found[1] == pytest.approx(1 - wrong.mean())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.sampled_from([2, 3, 5]))
def test_the_two_rules_by_their_formulas(seed, k):
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(k, 0.7), 300).astype(np.float32)
    threshold = rng.uniform(0.05, 1, k)
    found = rules(probability, threshold)
    score = probability / threshold
    near = (np.abs(score - 1) < 1e-3).any(1)  # levels of confidence are rounded
    argmax = np.where(score[np.arange(300), probability.argmax(1)] >= 1, probability.argmax(1), -1)
    normalized = np.where(score.max(1) >= 1, score.argmax(1), -1)
    assert (found["argmax"][~near] == argmax[~near]).all()
    close = np.sort(score, 1)[:, -1] - np.sort(score, 1)[:, -2] < 1e-3
    assert (found["normalized"][~near & ~close] == normalized[~near & ~close]).all()
    both = rules(probability, np.maximum(threshold, 0.51))
    assert (both["argmax"] == both["normalized"])[~(np.abs(probability - 0.51) < 1e-2).any(1)].all()
