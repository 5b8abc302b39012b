"""The dynamic loss against a hand-computed table, an element-by-element reference and its invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dmtkit.losses.dynamic import dynamic_cross_entropy, dynamic_weights, mixed_cross_entropy

RULES = ["uniform", "naive", "dynamic", "flip"]

# y_A, c_A, student probabilities, rule, γ1, γ2 → weight, learned label. Computed by hand from method.md §3 and §4.
TABLE = [
    (0, 0.90, (0.8, 0.1, 0.1), "dynamic", 2, 3, 0.64, 0),  # agreement: 0.8²
    (0, 0.90, (0.2, 0.5, 0.3), "dynamic", 2, 3, 0.008, 0),  # student 0.5 ≤ teacher 0.9: 0.2³
    (0, 0.40, (0.2, 0.5, 0.3), "dynamic", 2, 3, 0.0, 0),  # student 0.5 > teacher 0.4
    (0, 0.50, (0.25, 0.5, 0.25), "dynamic", 1, 1, 0.25, 0),  # a tie of confidences is negative disagreement
    (0, 0.10, (0.8, 0.1, 0.1), "dynamic", 1, 1, 0.8, 0),  # surer, but of the same class: agreement
    (0, 0.40, (0.2, 0.5, 0.3), "dynamic", 0, 0, 0.0, 0),  # γ = 0 still zeroes positive disagreement
    (0, 0.90, (0.2, 0.5, 0.3), "dynamic", 0, 0, 1.0, 0),
    (0, 0.40, (0.2, 0.5, 0.3), "uniform", 2, 3, 1.0, 0),
    (0, 0.40, (0.2, 0.5, 0.3), "naive", 2, 3, 0.04, 0),  # 0.2² everywhere, no cases
    (0, 0.40, (0.2, 0.5, 0.3), "flip", 2, 3, 0.216, 1),  # flipped to y_B with (1 − 0.4)³
    (0, 0.90, (0.2, 0.5, 0.3), "flip", 2, 3, 0.008, 0),
    (255, 0.90, (0.8, 0.1, 0.1), "dynamic", 2, 3, 0.0, 255),  # ignored
    (0, 0.90, (0.8, 0.1, 0.1), "naive", 2, 3, 0.64, 0),  # the same where they agree
]


@pytest.mark.parametrize(("y", "c", "probability", "rule", "gamma1", "gamma2", "weight", "label"), TABLE)
def test_hand_computed_table(y, c, probability, rule, gamma1, gamma2, weight, label):
    logits = torch.tensor([probability]).log()
    found = dynamic_weights(logits, torch.tensor([y]), torch.tensor([c]), gamma1=gamma1, gamma2=gamma2, rule=rule)
    assert found.weight.item() == pytest.approx(weight, rel=1e-5)
    assert found.label.item() == label


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(Exception, match="uniform"):
        dynamic_weights(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([0.5]), gamma1=1, gamma2=1, rule="x")


def reference(logits, label, confidence, gamma1, gamma2, rule, trusted, ignore=255):
    """The loss element by element, in plain Python."""
    n, k = logits.shape[:2]
    flat = logits.double().reshape(n, k, -1)
    total, valid = 0.0, 0
    for i in range(n):
        for s in range(flat.shape[2]):
            y = int(label.reshape(n, -1)[i, s])
            if y == ignore:
                continue
            p = torch.softmax(flat[i, :, s], 0).tolist()
            c_b, y_b = max(p), int(np.argmax(p))
            valid += 1
            c_a = float(confidence.reshape(n, -1)[i, s])
            w, target = p[y] ** (gamma1 if y_b == y else gamma2), y
            if rule == "naive":
                w = p[y] ** gamma1
            if rule == "uniform":
                w = 1.0
            if rule in ("dynamic", "flip") and y_b != y and c_b > c_a:
                w = 0.0
                if rule == "flip":
                    w, target = (1 - c_a) ** gamma2, y_b
            if trusted[i]:
                w, target = 1.0, y
            total += -w * math.log(p[target])
    return total / max(valid, 1)


@st.composite
def problems(draw):
    n, k = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    space = draw(st.sampled_from([(), (2, 3)]))
    torch.manual_seed(draw(st.integers(0, 10_000)))
    logits = torch.randn(n, k, *space) * draw(st.sampled_from([0.1, 1.0, 5.0]))
    label = torch.randint(0, k, (n, *space))
    label[torch.rand(n, *space) < 0.2] = 255
    confidence = torch.rand(n, *space)
    trusted = torch.rand(n) < 0.3
    gamma1, gamma2 = (draw(st.sampled_from([0.0, 0.5, 1.0, 4.0])) for _ in range(2))
    return logits, label, confidence, trusted, gamma1, gamma2, draw(st.sampled_from(RULES))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_loss_equals_the_plain_reference(problem):
    logits, label, confidence, trusted, gamma1, gamma2, rule = problem
    loss, _ = dynamic_cross_entropy(logits, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule, trusted=trusted)
    expected = reference(logits, label, confidence, gamma1, gamma2, rule, trusted)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_invariants(problem):
    logits, label, confidence, trusted, gamma1, gamma2, rule = problem
    before = label.clone()
    found = dynamic_weights(logits, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule)
    assert torch.equal(label, before), "the stored labels are never altered"
    assert ((found.weight >= 0) & (found.weight <= 1)).all()
    cases = found.agree.int() + found.negative.int() + found.surer.int()
    assert torch.equal(cases, found.valid.int()), "every valid element is in exactly one case"
    assert (found.weight[~found.valid] == 0).all()
    assert (found.prediction[found.agree] == label[found.agree]).all()
    if rule == "dynamic":
        assert (found.weight[found.surer] == 0).all()
    if rule != "flip":
        assert torch.equal(found.label, label)
    loss, stats = dynamic_cross_entropy(
        logits, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule, trusted=trusted
    )
    assert loss >= 0
    assert stats["agree"] + stats["negative"] + stats["positive"] == stats["count"]
    untrusted = ~trusted.view(-1, *[1] * (label.dim() - 1)) & found.valid
    assert stats["count"] == untrusted.sum()


@settings(deadline=None, max_examples=30)
@given(problems())
def test_no_gradient_flows_through_the_weight(problem):
    logits, label, confidence, _, gamma1, gamma2, rule = problem
    logits = logits.clone().requires_grad_()
    found = dynamic_weights(logits, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule)
    assert not found.weight.requires_grad
    loss, stats = dynamic_cross_entropy(logits, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule)
    (gradient,) = torch.autograd.grad(loss, logits)
    target = found.label.masked_fill(~found.valid, 0)
    constant = (F.cross_entropy(logits, target, reduction="none") * found.weight).sum() / max(found.valid.sum(), 1)
    (expected,) = torch.autograd.grad(constant, logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    assert not any(value.requires_grad for value in stats.values())


@settings(deadline=None, max_examples=30)
@given(problems())
def test_pixels_are_samples_of_another_shape(problem):
    """An "n k h w" problem is the "n k" problem of its pixels: one function serves both."""
    logits, label, confidence, _, gamma1, gamma2, rule = problem
    k = logits.shape[1]
    rows = logits.reshape(len(logits), k, -1).movedim(1, 2).reshape(-1, k)
    arguments = {"gamma1": gamma1, "gamma2": gamma2, "rule": rule}
    there, _ = dynamic_cross_entropy(logits, label, confidence, **arguments)
    here, _ = dynamic_cross_entropy(rows, label.reshape(-1), confidence.reshape(-1), **arguments)
    torch.testing.assert_close(there, here)


def test_larger_gamma_never_raises_a_weight():
    logits, label, confidence = torch.randn(200, 4), torch.randint(0, 4, (200,)), torch.rand(200)
    weights = [dynamic_weights(logits, label, confidence, gamma1=gamma, gamma2=gamma).weight for gamma in (0, 1, 2, 5)]
    for small, large in zip(weights[1:], weights, strict=False):
        assert (small <= large + 1e-6).all()


def test_division_is_by_valid_elements_not_by_weights():
    """Low agreement lowers the loss: a mean over Σw would hide it."""
    logits = torch.tensor([[0.0, 0.0]]).repeat(4, 1)
    loss, _ = dynamic_cross_entropy(
        logits, torch.zeros(4, dtype=torch.int64), torch.full((4,), 0.9), gamma1=2, gamma2=2
    )
    assert loss.item() == pytest.approx(0.25 * math.log(2))


def test_everything_ignored_is_zero_and_finite():
    logits = torch.randn(2, 3, requires_grad=True)
    loss, stats = dynamic_cross_entropy(logits, torch.full((2,), 255), torch.ones(2), gamma1=1, gamma2=1)
    loss.backward()
    assert loss.item() == 0
    assert stats["count"] == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision_logits_are_computed_in_single():
    logits = torch.randn(8, 5)
    label, confidence = torch.randint(0, 5, (8,)), torch.rand(8)
    half, _ = dynamic_cross_entropy(logits.bfloat16(), label, confidence, gamma1=2, gamma2=2)
    full, _ = dynamic_cross_entropy(logits.bfloat16().float(), label, confidence, gamma1=2, gamma2=2)
    torch.testing.assert_close(half, full)


def test_mixed_loss_equals_soft_target_cross_entropy():
    logits, label = torch.randn(6, 4), torch.randint(0, 4, (6,))
    partner, weight, lam = torch.randperm(6), torch.rand(6), 0.7
    soft = lam * F.one_hot(label, 4) + (1 - lam) * F.one_hot(label[partner], 4)
    expected = (weight * F.cross_entropy(logits, soft.float(), reduction="none")).mean()
    torch.testing.assert_close(mixed_cross_entropy(logits, label, partner, lam, weight), expected)


def test_statistics_count_right_labels_in_each_case():
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 0.1]])
    label, truth = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 0])
    _, stats = dynamic_cross_entropy(logits, label, torch.full((3,), 0.9), gamma1=1, gamma2=1, truth=truth)
    assert [int(stats[name]) for name in ("agree", "negative", "positive")] == [1, 1, 1]
    assert [int(stats[f"right_{name}"]) for name in ("agree", "negative", "positive")] == [1, 1, 0]


@pytest.mark.parametrize("rule", RULES)
def test_the_form_for_compilers_is_the_same_loss(monkeypatch, rule):
    torch.manual_seed(2)
    label, confidence = torch.randint(0, 5, (3, 6, 7), dtype=torch.uint8), torch.rand(3, 6, 7)
    label[torch.rand(label.shape) < 0.3] = 255
    found = []
    for compiling in (False, True):
        monkeypatch.setattr("torch.compiler.is_compiling", lambda answer=compiling: answer)
        logits = (torch.randn(3, 5, 6, 7, generator=torch.Generator().manual_seed(1)) * 4).requires_grad_()
        loss, stats = dynamic_cross_entropy(
            logits, label, confidence, gamma1=2, gamma2=3, rule=rule, trusted=torch.tensor([True, False, False])
        )
        loss.backward()
        found.append((loss.detach(), logits.grad, stats["weight"], stats["positive"]))
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(eager, compiled)


def test_losses_of_shares_add_up_to_the_batchs():
    logits, label = torch.randn(7, 4), torch.randint(0, 4, (7,))
    label[2] = 255
    confidence, gammas = torch.rand(7), {"gamma1": 2.0, "gamma2": 3.0}
    whole, _ = dynamic_cross_entropy(logits, label, confidence, **gammas)
    shares = [slice(0, None, 2), slice(1, None, 2)]
    parts = [
        dynamic_cross_entropy(logits[s], label[s], confidence[s], **gammas, total=lambda count: torch.tensor(6))[0]
        for s in shares
    ]
    torch.testing.assert_close(sum(parts), whole)
    label, partner, weight = label.clamp(max=3), torch.randperm(7), torch.rand(7)
    mixed = mixed_cross_entropy(logits, label, partner, 0.7, weight)
    parts = [mixed_cross_entropy(logits[s], label, partner, 0.7, weight[s], s) for s in shares]
    torch.testing.assert_close(sum(parts), mixed)


def test_a_truth_that_nobody_knows_is_neither_right_nor_known():
    logits, label = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 0, 0])
    truth = torch.tensor([0, 1, 255])
    _, sums = dynamic_cross_entropy(logits, label, torch.full((3,), 0.9), gamma1=1, gamma2=1, truth=truth)
    assert (int(sums["agree"]), int(sums["known_agree"]), int(sums["right_agree"])) == (3, 2, 1)
