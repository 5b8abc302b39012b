"""The dynamic loss of DMT: three cases, the weight of every pseudo label, the weighted cross-entropy (method.md §3).

| case                  | when                     | weight w |
|-----------------------|--------------------------|----------|
| agreement             | y_B = y_A                | p_B^γ1   |
| negative disagreement | y_B ≠ y_A and c_A ≥ c_B  | p_B^γ2   |
| positive disagreement | y_B ≠ y_A and c_A < c_B  | 0        |

    loss = Σ w · CE(student logits, y_A) / number of valid elements

Pure functions of tensors. `*s` is empty for classification and `h w` for segmentation, so that one function serves both.
Names are those of the paper (§2): y_A `pseudo_label`, c_A `confidence`, y_B `prediction`, c_B `student_confidence`,
p_B `p`, w `weight`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from dmtkit.losses.softmax import Softmax, read_softmax, weighted_cross_entropy

Rule = Literal["uniform", "naive", "dynamic", "flip"]
Gamma = float | Float[Tensor, ""]


@dataclass(frozen=True)
class DynamicWeights:
    """The weight of every element and why it has it; nothing here carries a gradient.

    `agree`, `surer` (positive disagreement) and neither of them (negative disagreement) are the three cases; all three
    are False and the weight is 0 where an element is not `valid` (ignored). `label` is the label to learn: y_A, except
    where the rule `flip` turns it into y_B.
    """

    weight: Float[Tensor, "n *s"]
    agree: Bool[Tensor, "n *s"]
    surer: Bool[Tensor, "n *s"]
    valid: Bool[Tensor, "n *s"]
    label: Integer[Tensor, "n *s"]
    prediction: Integer[Tensor, "n *s"]
    student_confidence: Float[Tensor, "n *s"]
    p: Float[Tensor, "n *s"]

    @property
    def negative(self) -> Bool[Tensor, "n *s"]:
        """Negative disagreement: another class, but the student is not surer than the teacher."""
        return self.valid & ~self.agree & ~self.surer

    @property
    def case(self) -> Integer[Tensor, "n *s"]:
        """0 agreement, 1 negative, 2 positive disagreement."""
        return torch.where(self.agree, 0, torch.where(self.surer, 2, 1))


def weigh(
    pseudo_label: Integer[Tensor, "n *s"],
    confidence: Float[Tensor, "n *s"],
    prediction: Integer[Tensor, "n *s"],
    student_confidence: Float[Tensor, "n *s"],
    p: Float[Tensor, "n *s"],
    *,
    gamma1: Gamma,
    gamma2: Gamma,
    rule: Rule = "dynamic",
    ignore_index: int = 255,
) -> DynamicWeights:
    """The three cases and their weights from y_A, c_A, y_B, c_B and p_B alone, as a finished run stores them.

    The ablations (§4) are other rules: `uniform` weighs 1, `naive` p_B^γ1 everywhere; `flip` learns y_B in positive
    disagreement, with (1 − c_A)^γ2. Raises ValueError for an unknown rule.

    >>> values = [torch.tensor([x]) for x in (3, 0.6, 4, 0.5, 0.25)]
    >>> weigh(*values, gamma1=1, gamma2=2).weight.tolist()  # negative disagreement: ¼ squared
    [0.0625]
    """
    valid = pseudo_label != ignore_index
    agree = valid & (prediction == pseudo_label)
    surer = valid & ~agree & (student_confidence > confidence)  # positive disagreement
    label = pseudo_label
    if rule == "uniform":
        weight = torch.ones_like(p)
    elif rule == "naive":
        weight = p.pow(gamma1)
    elif rule in ("dynamic", "flip"):
        weight = p.pow(torch.where(agree, gamma1, gamma2)).masked_fill(surer, 0)
        if rule == "flip":
            weight = torch.where(surer, (1 - confidence).clamp(min=0).pow(gamma2), weight)
            label = torch.where(surer, prediction, pseudo_label).to(pseudo_label.dtype)
    else:
        raise ValueError(f"rule: found {rule!r}, expected one of {', '.join(get_args(Rule))}")
    return DynamicWeights(weight * valid, agree, surer, valid, label, prediction, student_confidence, p)


@torch.no_grad()
def dynamic_weights(
    logits: Float[Tensor, "n k *s"] | Softmax,
    pseudo_label: Integer[Tensor, "n *s"],
    confidence: Float[Tensor, "n *s"],
    *,
    gamma1: Gamma,
    gamma2: Gamma,
    rule: Rule = "dynamic",
    ignore_index: int = 255,
) -> DynamicWeights:
    """Weigh every pseudo label by what the student, whose logits (or their softmax) these are, says of it; see `weigh`.

    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).log_softmax(1)
    >>> result = dynamic_weights(logits, torch.tensor([0, 0]), torch.tensor([0.9, 0.6]), gamma1=1, gamma2=1)
    >>> [round(w, 2) for w in result.weight.tolist()], result.agree.tolist(), result.surer.tolist()
    ([0.88, 0.0], [True, False], [False, True])
    """
    seen = logits if isinstance(logits, Softmax) else read_softmax(logits)
    p = seen.of(pseudo_label.masked_fill(pseudo_label == ignore_index, 0))
    opinions = pseudo_label, confidence, seen.prediction, seen.confidence, p
    return weigh(*opinions, gamma1=gamma1, gamma2=gamma2, rule=rule, ignore_index=ignore_index)


def dynamic_cross_entropy(
    logits: Float[Tensor, "n k *s"],
    pseudo_label: Integer[Tensor, "n *s"],
    confidence: Float[Tensor, "n *s"],
    *,
    gamma1: Gamma,
    gamma2: Gamma,
    rule: Rule = "dynamic",
    trusted: Bool[Tensor, " n"] | None = None,
    truth: Integer[Tensor, "n *s"] | None = None,
    ignore_index: int = 255,
    total: Callable[[Tensor], Tensor] = lambda count: count,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Σ w · CE(student logits, label) / number of valid elements, and detached statistics.

    `trusted` marks labeled samples: their weight is 1 and they count in no statistic. One softmax
    gives weights, loss and statistics (see `statistics`, also for `truth`); no gradient flows through w.
    `total` makes the number of all valid elements of a batch from that of those here, where several processes share it;
    their losses then add up to the batch's.

    >>> one = torch.zeros(1, 4), torch.tensor([0]), torch.tensor([0.9])
    >>> loss, stats = dynamic_cross_entropy(*one, gamma1=1, gamma2=1)
    >>> round(float(loss), 4), float(stats["weight"])  # ln 4 · ¼
    (0.3466, 0.25)
    """
    seen = read_softmax(logits)
    if torch.compiler.is_compiling():  # masks as wide as the numbers: those of bytes take four times as long
        pseudo_label = pseudo_label.to(torch.int32)
    weighed = dynamic_weights(
        seen, pseudo_label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule, ignore_index=ignore_index
    )
    weight, label = trust(weighed, pseudo_label, trusted)
    scale = weight / total(weighed.valid.sum()).clamp(min=1)
    loss = weighted_cross_entropy(logits, seen, label.masked_fill(~weighed.valid, 0), scale)
    return loss, statistics(weighed, trusted, truth, ignore_index)


def trust(
    weighed: DynamicWeights, pseudo_label: Integer[Tensor, "n *s"], trusted: Bool[Tensor, " n"] | None
) -> tuple[Float[Tensor, "n *s"], Integer[Tensor, "n *s"]]:
    """Weights and labels to learn: `trusted` samples have weight 1, where they are valid, and the label as given."""
    if trusted is None:
        return weighed.weight, weighed.label
    sample = trusted.view(-1, *[1] * (pseudo_label.dim() - 1))
    weight = torch.where(sample, weighed.valid.to(weighed.weight.dtype), weighed.weight)
    return weight, torch.where(sample, pseudo_label, weighed.label)


def statistics(
    weighed: DynamicWeights,
    trusted: Bool[Tensor, " n"] | None = None,
    truth: Integer[Tensor, "n *s"] | None = None,
    ignore_index: int = 255,
) -> dict[str, Tensor]:
    """Sums over the pseudo-labeled elements, as tensors on their device: reading them is for log points.

    `count`, `weight` (Σ w), and how many there are of each case: `agree`, `negative` and `positive`
    disagreement; with `truth` also of how many of each the truth is known (`known_agree`, …: not `ignore_index`)
    and how many of them are right (`right_agree`, …).
    """
    pseudo = weighed.valid
    if trusted is not None:
        pseudo = pseudo & ~trusted.view(-1, *[1] * (pseudo.dim() - 1))
    cases = {"agree": weighed.agree & pseudo, "negative": weighed.negative & pseudo, "positive": weighed.surer & pseudo}
    sums = {"count": pseudo.sum(), "weight": (weighed.weight * pseudo).sum()}
    sums |= {case: mask.sum() for case, mask in cases.items()}
    if truth is not None:
        right, known = weighed.label == truth, truth != ignore_index
        sums |= {f"right_{case}": (mask & right).sum() for case, mask in cases.items()}
        sums |= {f"known_{case}": (mask & known).sum() for case, mask in cases.items()}
    return sums


def mixed_cross_entropy(
    logits: Float[Tensor, "m k"],
    label: Integer[Tensor, " n"],
    partner: Integer[Tensor, " n"],
    lam: float | Float[Tensor, ""],
    weight: Float[Tensor, " m"],
    rows: slice = slice(None),
) -> Float[Tensor, ""]:
    """Σ w · (λ CE(label) + (1 − λ) CE(partner's label)) / n, for inputs, targets and weights mixed alike (§5.1).

    Logits and weights may be those of some `rows` of the batch alone; the losses of all rows add up to the batch's.

    >>> zeros, label = torch.zeros(2, 2), torch.tensor([0, 1])
    >>> round(float(mixed_cross_entropy(zeros, label, torch.tensor([1, 0]), 0.7, torch.ones(2))), 4)
    0.6931
    """
    log_p = logits.float().log_softmax(1)
    own = log_p.gather(1, label[rows].long().unsqueeze(1)).squeeze(1)
    other = log_p.gather(1, label[partner[rows]].long().unsqueeze(1)).squeeze(1)
    return -(weight * (lam * own + (1 - lam) * other)).sum() / len(label)


def gamma_ramp(step: float, steps: float) -> float:
    """The share of γ_max at `step` of `steps`: exp(−5 (1 − t/T)²), rising from e⁻⁵ to 1 (§5.1).

    A student that starts from nothing has opinions worth little at first.

    >>> round(gamma_ramp(0, 100), 4), gamma_ramp(100, 100)
    (0.0067, 1.0)
    """
    return math.exp(-5 * (1 - step / steps) ** 2)
