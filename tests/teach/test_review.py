"""Errors found against labels reviewed, two models compared, and what is said of it: by hand, by enumeration, against scikit-learn."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dmtkit.metrics.error_search import roc
from dmtkit.teach import about_disagreement, about_search, agreement, percent
from dmtkit.teach.pixel_labels import from_roc

few = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.8]), st.booleans()), min_size=1, max_size=6)


def errors_found(score, wrong):
    """Review labels from the lowest score to the highest, ties by their mean; the reference that stored curves are held to."""
    _, group = np.unique(score, return_inverse=True)
    reviewed, bad = np.bincount(group), np.bincount(group, weights=wrong)
    steps = np.cumsum([reviewed / len(score), bad / (bad.sum() or np.nan)], 1)
    return np.concatenate([steps[:, :1] * 0, steps], 1)


def at(share, curve):
    return float(np.interp(share, *curve))


def test_a_review_by_hand():
    score = np.array([0.9, 0.1, 0.5, 0.5, 0.2])
    wrong = np.array([False, True, True, False, False])
    review = errors_found(score, wrong)
    assert review[0].tolist() == pytest.approx([0, 0.2, 0.4, 0.8, 1])
    assert review[1].tolist() == [0, 0.5, 0.5, 1, 1]
    assert at(0.6, review) == pytest.approx(0.75), "one of two that tie: half of the error that is among them"


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
            assert at(k / n, review) == pytest.approx(mean / errors)
        else:
            assert np.isnan(at(k / n, review))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.integers(0, 999), st.sampled_from([2, 5, 1000]))
def test_the_area_follows_from_scikit_learns(n, seed, spread):
    rng = np.random.default_rng(seed)
    score, wrong = rng.integers(0, spread, n) / spread, rng.random(n) < 0.3
    wrong[:2] = [False, True]
    review, share = errors_found(score, wrong), wrong.mean()
    area = np.trapezoid(review[1], review[0])
    assert area == pytest.approx(share / 2 + (1 - share) * roc_auc_score(wrong, -score))
    best = from_roc(np.array([[0, 0, 1], [0, 1, 1]]), share)
    assert all(at(x, review) <= at(x, best) + 1e-9 for x in np.linspace(0, 1, 21))
    assert at(share, best) == pytest.approx(1)


def test_a_stored_roc_curve_gives_the_same_review():
    rng = np.random.default_rng(0)
    wrong = rng.random(5000) < 0.1
    level = np.clip(rng.normal(600 - 200 * wrong, 150), 0, 999).astype(int)
    histogram = np.stack([np.bincount(level[~wrong], minlength=1000), np.bincount(level[wrong], minlength=1000)])
    exact, shares = errors_found(level, wrong), np.linspace(0, 1, 51)
    for points, tolerance in ((None, 1e-9), (200, 0.01)):
        stored = from_roc(roc(histogram, points), wrong.mean())
        assert np.abs([at(x, stored) - at(x, exact) for x in shares]).max() < tolerance


def test_nothing_wrong_and_nothing_at_all():
    assert np.isnan(at(0.5, from_roc(np.array([[0.0, 1], [0, 0]]), 0.0)))
    assert agreement(pd.DataFrame({"label": [], "wrong": []}, dtype=bool), []).isna().all()
    assert (
        "nothing to compare"
        in about_search({"start": {name: np.array([[0, 1], [np.nan] * 2]) for name in ("w", "c_A")}}).data
    )


def test_the_same_scores_find_errors_like_chance():
    review = errors_found(np.full(10, 0.5), np.arange(10) < 3)
    assert at(0.37, review) == pytest.approx(0.37)


def test_agreement_by_hand_and_with_oneself():
    label, other, truth = np.array([1, 1, 2, 2, 3]), np.array([1, 1, 2, 1, 1]), np.array([1, 2, 2, 1, 2])
    table = pd.DataFrame({"label": label, "wrong": label != truth})
    shares = agreement(table, other)
    assert (shares.agree, shares.error) == (0.6, 0.6)
    assert shares[["error_agree", "error_disagree", "contradicted"]].tolist() == pytest.approx([1 / 3, 1, 2 / 3])
    assert shares.repeated == pytest.approx(1 / 3), "of three errors the other makes the first again"
    itself = agreement(table, label)
    assert (itself.agree, itself.contradicted, itself.repeated) == (1, 0, 1)
    assert np.isnan(itself.error_disagree)
    assert itself.error == itself.error_agree


def test_disagreement_is_called_a_clue_only_where_it_is_one():
    shares = pd.Series({"agree": 0.9, "error_agree": 0.1, "error_disagree": 0.5, "contradicted": 0.4})
    assert (
        "Of these 50.0 % are wrong, of the others 10.0 %. So disagreement is a clue" in about_disagreement(shares).data
    )
    shares.error_disagree = 0.1
    assert "does **not** mark the wrong labels" in about_disagreement(shares).data
    shares.error_disagree = np.nan
    assert "– (none) are wrong" in about_disagreement(shares).data


def test_what_is_said_of_the_search_asks_only_where_the_second_model_does_not_help():
    def curves(**shares):
        both = {time: dict(zip(("w", "c_A"), pair, strict=True)) for time, pair in shares.items()}
        return {time: {name: np.array([[0, 0.1, 1], [0, v, 1]]) for name, v in d.items()} for time, d in both.items()}

    said = about_search(curves(start=(0.5, 0.4), middle=(0.4, 0.5), end=(0.405, 0.4))).data
    words = [line.rsplit(": ", 1)[1] for line in said.splitlines() if line.startswith("- ")]
    assert words == ["the second model helps.", "the second model does worse.", "the second model makes no difference."]
    assert "50.0 % of the wrong labels by $w$, 40.0 % by $c_A$" in said
    assert "at the middle, nor at the end?" in said
    assert "by heart" in said
    assert "Why" not in about_search(curves(start=(0.5, 0.4))).data
    assert "Why" not in about_search(curves(start=(0.4, 0.5)), who="asking itself again").data
    assert percent(0.5, 0) == "50 %"
