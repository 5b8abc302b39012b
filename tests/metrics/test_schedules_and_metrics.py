"""Schedules by hand, EMA against its definition, metrics against scikit-learn and torchmetrics."""

import copy
import math

import numpy as np
import pytest
import torch

import dmtkit.compat  # noqa: F401  before torchmetrics, which imports torchvision
from dmtkit.losses.dynamic import gamma_ramp
from dmtkit.metrics.cases import case_rows, from_sums
from dmtkit.metrics.scores import accuracy, reliability
from dmtkit.training.optim import schedule as make_schedule
from dmtkit.training.optim import update_average


def test_gamma_ramp_by_hand():
    assert [round(gamma_ramp(t, 4), 5) for t in range(5)] == [0.00674, 0.06005, 0.2865, 0.73162, 1.0]


def test_cosine_by_hand_and_resumed():
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = make_schedule("cosine", optimizer, 10)
    rates = []
    for _ in range(10):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates, [0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(10)])
    assert schedule.get_last_lr()[0] == pytest.approx(0)


def test_ema_is_a_true_average_of_weights_and_statistics():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    ema = copy.deepcopy(model)
    expected = None
    for step in range(4):
        model(torch.randn(8, 3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        update_average(ema, model, 0.9 if step else 0)
        now = {k: v.clone().double() for k, v in model.state_dict().items()}
        expected = now if step == 0 else {k: 0.9 * expected[k] + 0.1 * now[k] for k in now}
    for key in ("0.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(ema.state_dict()[key].double(), expected[key], rtol=1e-5, atol=1e-6)


def test_accuracy_equals_scikit_learns():
    from sklearn.metrics import accuracy_score

    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    assert accuracy(prediction, truth) == pytest.approx(100 * accuracy_score(truth, prediction))
    assert math.isnan(accuracy(truth[:0], truth[:0]))


def test_calibration_error_equals_torchmetrics():
    from torchmetrics.functional.classification import binary_calibration_error

    rng = np.random.default_rng(1)
    confidence = rng.random(2000) * 0.98 + 0.01
    correct = rng.random(2000) < confidence**2
    theirs = binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(correct).int(), n_bins=10)
    assert reliability(confidence, correct).error == pytest.approx(float(theirs), abs=1e-5)


def test_reliability_takes_the_edges():
    found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert found.count[0] == found.count[-1] == 1


def test_what_a_method_counts_itself_is_logged_by_the_step_and_losses_of_several_networks_also_as_one():
    record = from_sums({"loss_one": 3.0, "loss_critic": 1.0, "sure": 10, "right": 6}, steps=2)
    assert record == {"loss_one": 1.5, "loss_critic": 0.5, "sure": 5, "right": 3, "loss": 2.0}


def test_records_without_pseudo_labels_are_empty_and_unknown_truth_gives_no_accuracy():
    assert from_sums({"loss": 3.0, "count": 0}, steps=2) == {"loss": 1.5}
    sums = {"count": 4, "weight": 2.0, "agree": 3, "negative": 1, "positive": 0}
    record = from_sums(sums)
    assert record["share_agree"] == 0.75
    assert not [name for name in record if name.startswith("accuracy")]
    rows = case_rows(np.array([0, 0, 1]), np.array([1.0, 0.5, 0.2]), None)
    assert [row["count"] for row in rows] == [2, 1, 0]
    assert not any("accuracy" in row for row in rows)
