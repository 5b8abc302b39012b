"""Sums over pixels against scikit-learn, torchmetrics and counting by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import roc_auc_score

import dmtkit.compat  # noqa: F401  before torchmetrics, which imports torchvision
from dmtkit.losses.dynamic import weigh
from dmtkit.metrics.cases import case_sums, case_table
from dmtkit.metrics.error_search import SCORES, auroc, error_levels, roc
from dmtkit.metrics.scores import class_iou, confusion_matrix, mean_iou


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 6), st.integers(0, 999))
def test_confusion_and_iou_equal_other_libraries(classes, seed):
    from torchmetrics.classification import MulticlassJaccardIndex

    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (3, 8, 9))
    truth[rng.random(truth.shape) < 0.2] = 255
    prediction = np.where(
        rng.random(truth.shape) < 0.6, np.minimum(truth, classes - 1), rng.integers(0, classes, truth.shape)
    )
    found = confusion_matrix(torch.from_numpy(prediction), torch.from_numpy(truth), classes)
    known = truth != 255
    expected = sklearn_confusion(truth[known], prediction[known], labels=range(classes))
    np.testing.assert_array_equal(found, expected)
    jaccard = MulticlassJaccardIndex(classes, average="none", ignore_index=255)
    theirs = 100 * jaccard(torch.from_numpy(prediction), torch.from_numpy(truth)).numpy()
    ours = class_iou(found.numpy())
    np.testing.assert_allclose(np.nan_to_num(ours), theirs, rtol=1e-4)
    assert mean_iou(found.numpy()) == pytest.approx(np.nanmean(ours))


def test_void_is_no_class_even_beside_as_many_classes_as_there_can_be():
    assert confusion_matrix(torch.tensor([0, 0]), torch.tensor([255, 254]), 255).sum() == 1


def test_a_class_that_is_nowhere_counts_nowhere():
    confusion = np.array([[5, 0, 0], [5, 0, 0], [0, 0, 0]])
    assert class_iou(confusion)[:2].tolist() == [50, 0]
    assert np.isnan(class_iou(confusion)[2])
    assert mean_iou(confusion) == 25
    assert np.isnan(mean_iou(np.zeros((2, 2), int)))


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 300), st.integers(0, 999), st.sampled_from([2, 5, 65536]))
def test_auroc_equals_scikit_learns_with_ties(n, seed, spread):
    rng = np.random.default_rng(seed)
    wrong, level = rng.random(n) < 0.3, rng.integers(0, spread, n)
    wrong[:2] = [False, True]
    histogram = np.stack([np.bincount(level[~wrong], minlength=65536), np.bincount(level[wrong], minlength=65536)])
    assert auroc(histogram) == pytest.approx(roc_auc_score(wrong, -level))
    curve = roc(histogram, 20)
    assert curve.shape[1] <= 21
    assert curve[:, 0].tolist() == [0, 0]
    assert curve[:, -1] == pytest.approx([1, 1])


def test_nothing_wrong_is_nothing_to_find():
    assert np.isnan(auroc(np.array([[3, 1], [0, 0]])))


def example():
    """Six pixels: agreement (right, wrong), negative (wrong), positive (right, wrong), ignored."""
    given = torch.tensor([0, 1, 0, 1, 1, 255], dtype=torch.uint8)
    truth = torch.tensor([0, 0, 1, 1, 0, 0], dtype=torch.uint8)
    prediction = torch.tensor([0, 1, 1, 0, 0, 0])
    c_a = torch.tensor([0.9, 0.9, 0.9, 0.5, 0.5, 0.0])
    c_b = torch.tensor([0.8, 0.6, 0.7, 0.8, 0.9, 0.9])
    p = torch.tensor([0.8, 0.6, 0.3, 0.2, 0.1, 0.0])
    return weigh(given, c_a, prediction, c_b, p, gamma1=1, gamma2=2), given, truth, c_a


def test_cases_by_hand():
    found, given, truth, _ = example()
    cases, weights = (values.numpy() for values in case_sums(found, given, truth, 2).values())
    assert cases.sum() == 5
    assert cases[0].tolist() == [[1, 0, 0], [1, 0, 0]]  # agreement: label 0 truly 0, label 1 truly 0
    assert cases[1].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert cases[2].tolist() == [[0, 0, 0], [1, 1, 0]]
    np.testing.assert_allclose(weights, [[0.8, 0.6], [0.09, 0], [0, 0]], rtol=1e-6)
    rows = {(r["case"], r["class"]): r for r in case_table(cases, weights, ("x", "y"))}
    assert rows["agree", "all"]["precision"] == 50
    assert rows["agree", "x"] == {
        "case": "agree",
        "class": "x",
        "count": 1,
        "share": 0.2,
        "mean_weight": pytest.approx(0.8),
        "precision": 100,
        "recall": pytest.approx(100 / 3),
    }
    assert rows["all", "y"]["precision"] == pytest.approx(100 / 3)
    assert rows["all", "y"]["recall"] == 50
    assert "precision" not in rows["negative", "y"]
    assert rows["all", "all"]["mean_weight"] == pytest.approx((0.8 + 0.6 + 0.09) / 5)


def test_unknown_truth_gives_cases_without_precision():
    found, given, truth, _ = example()
    cases, weights = (values.numpy() for values in case_sums(found, given, torch.full_like(truth, 255), 2).values())
    rows = case_table(cases, weights, ("x", "y"))
    assert not any("precision" in row or "recall" in row for row in rows)
    assert cases[:, :, 2].sum() == 5


def test_the_search_for_errors_by_hand():
    found, given, truth, c_a = example()
    levels = error_levels(found, c_a, given != truth, truth < 2).numpy()
    right, wrong = [0, 3], [1, 2, 4]
    for row, score in enumerate((found.weight, found.p, c_a, found.p * c_a)):
        expected = roc_auc_score([0] * 2 + [1] * 3, (-score[right + wrong]).numpy())
        assert auroc(levels[row]) == pytest.approx(expected), SCORES[row]
