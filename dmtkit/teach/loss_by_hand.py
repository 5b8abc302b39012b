"""The dynamic loss taken apart on made-up opinions: what the teaching notebook on it computes.

Everything here asks dmtkit.losses.dynamic, so that what is taught is what trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dmtkit.losses.dynamic import DynamicWeights, Rule, dynamic_cross_entropy, dynamic_weights, weigh

if TYPE_CHECKING:
    import pandas as pd

IGNORED = 255


@dataclass(frozen=True)
class Anatomy:
    """One pseudo label: both opinions as probabilities, what follows from them, and the gradient for the student.

    `gradient` is that of the weighted loss with respect to the student's logits, `plain` the same with weight 1.
    """

    teacher: np.ndarray
    student: np.ndarray
    label: int
    confidence: float
    case: str
    weight: float
    loss: float
    gradient: np.ndarray
    plain: np.ndarray

    @property
    def p(self) -> float:
        """p_B: the student's probability of the teacher's class."""
        return float(self.student[self.label])


def take_apart(
    teacher: Sequence[float], student: Sequence[float], gamma1: float = 3, gamma2: float = 3, rule: Rule = "dynamic"
) -> Anatomy:
    """What the dynamic loss makes of a teacher's and a student's logits; the gradient is autograd's.

    >>> found = take_apart([2, 0, 0], [0, 1, 0], gamma1=1, gamma2=1)
    >>> found.case, round(found.weight, 3), found.gradient.round(3).tolist()
    ('negative', 0.212, [-0.167, 0.122, 0.045])
    """
    (opinion,) = torch.tensor([list(map(float, teacher))]).softmax(1)
    logits = torch.tensor([list(map(float, student))], requires_grad=True)
    confidence, label = opinion.max(0)
    given: Any = (label.view(1), confidence.view(1))
    gammas: Any = {"gamma1": gamma1, "gamma2": gamma2}
    found = dynamic_weights(logits, *given, rule=rule, **gammas)
    loss, _ = dynamic_cross_entropy(logits, *given, rule=rule, **gammas)
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    plain, _ = dynamic_cross_entropy(logits, *given, rule="uniform", **gammas)
    (unweighted,) = torch.autograd.grad(plain, logits)
    return Anatomy(
        opinion.numpy(),
        logits.detach().softmax(1)[0].numpy(),
        int(label),
        float(confidence),
        case_names(found)[0],
        float(found.weight),
        float(loss.detach()),
        gradient[0].double().numpy(),
        unweighted[0].double().numpy(),
    )


def case_names(found: DynamicWeights) -> list[str]:
    """The case of every element: agree, negative, positive, or ignored."""
    cases = {"agree": found.agree, "negative": found.negative, "positive": found.surer}
    names = np.full(found.weight.numel(), "ignored", dtype=object)
    for name, mask in cases.items():
        names[mask.flatten().numpy()] = name
    return [str(name) for name in names]


@dataclass(frozen=True)
class Surface:
    """Weights over the plane of c_B and p_B; NaN where no student of so many classes can stand."""

    student_confidence: np.ndarray
    p: np.ndarray
    weight: np.ndarray
    positive: np.ndarray


def weight_surface(
    confidence: float, gamma1: float, gamma2: float, classes: int = 3, rule: Rule = "dynamic", size: int = 121
) -> Surface:
    """The weight of every possible *disagreement* of a student with a teacher of confidence c_A; "size size" arrays.

    p_B is at most c_B and at most 1 − c_B; and the classes beside these two take at most c_B each, which sets the
    least p_B. Agreement is no area: there p_B is c_B (see `agreement_weights`).
    """
    c_b, p = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 0.5, size))
    low, high = disagreement_range(c_b, classes)
    weight, positive = _weigh(c_b, p, 1, confidence, gamma1, gamma2, rule)
    # Two classes leave a line, p_B = 1 − c_B: half a cell to either side of it makes it visible.
    possible = (p >= low - 0.5 / size) & (p <= high + 0.5 / size) & (c_b >= 1 / classes)
    return Surface(c_b, p, np.where(possible, weight, np.nan), possible & positive)


def disagreement_range(student_confidence: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest p_B of a student that is sure of another class to c_B.

    >>> [bound.round(2).tolist() for bound in disagreement_range(np.array([0.4, 0.5, 0.9]), classes=3)]
    [[0.2, 0.0, 0.0], [0.4, 0.5, 0.1]]
    """
    c_b = np.asarray(student_confidence)
    return np.maximum(0, 1 - (classes - 1) * c_b), np.minimum(c_b, 1 - c_b)


def agreement_weights(student_confidence: np.ndarray, gamma1: float, rule: Rule = "dynamic") -> np.ndarray:
    """The weight in agreement, where p_B is c_B; the teacher's confidence plays no part."""
    return _weigh(student_confidence, student_confidence, 0, 1.0, gamma1, 0.0, rule)[0]


def disagreement_weights(student_confidence: np.ndarray, p: np.ndarray, confidence: float, gamma2: float) -> np.ndarray:
    """The dynamic weight in disagreement with a teacher of confidence c_A."""
    return _weigh(student_confidence, p, 1, confidence, 0.0, gamma2, "dynamic")[0]


def _weigh(
    c_b: Any, p: Any, prediction: int, confidence: float, gamma1: float, gamma2: float, rule: Rule
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and positive disagreements of students that say `prediction` where the teacher says 0."""
    c_b, p = (torch.as_tensor(np.asarray(values), dtype=torch.float64) for values in (c_b, p))
    zeros = torch.zeros(c_b.shape, dtype=torch.long)
    found = weigh(
        zeros,
        torch.full_like(c_b, confidence),
        zeros + prediction,
        c_b,
        p.clamp(0, 1),
        gamma1=gamma1,
        gamma2=gamma2,
        rule=rule,
    )
    return found.weight.numpy(), found.surer.numpy()


def gradient_sizes(p: np.ndarray, gamma: float, classes: int = 3) -> dict[str, np.ndarray]:
    """The length of the gradient of a batch whose students all give the label the probability p, for every p.

    `count` divides Σ w·CE by the number of elements, as the method does; `weights` divides it by Σ w. The other classes
    share what p leaves, and the teacher is certain, so that disagreement is negative.
    """
    sizes: dict[str, list[float]] = {"count": [], "weights": []}
    for share in p:
        others = torch.full((1, classes - 1), (1 - float(share)) / (classes - 1))
        logits = torch.cat([torch.tensor([[float(share)]]), others], 1).log().requires_grad_()
        label, confidence = torch.zeros(1, dtype=torch.long), torch.ones(1)
        loss, stats = dynamic_cross_entropy(logits, label, confidence, gamma1=gamma, gamma2=gamma)
        (gradient,) = torch.autograd.grad(loss, logits)
        sizes["count"].append(float(gradient.norm()))
        sizes["weights"].append(float(gradient.norm() * stats["count"] / stats["weight"]))
    return {name: np.array(values) for name, values in sizes.items()}


# What the rules of the ablations are compared on: what it is, c_A, and the student's probabilities; y_A is class 0.
EXAMPLES: tuple[tuple[str, float, tuple[float, ...]], ...] = (
    ("both are sure of it", 0.95, (0.90, 0.07, 0.03)),
    ("agrees, but is unsure", 0.80, (0.50, 0.30, 0.20)),
    ("says another, less sure", 0.80, (0.30, 0.60, 0.10)),
    ("says another, surer", 0.60, (0.20, 0.78, 0.02)),
)
RULES: tuple[Rule, ...] = ("uniform", "naive", "dynamic", "flip")


def rule_table(gamma: float = 3, examples: Sequence[tuple[str, float, tuple[float, ...]]] = EXAMPLES) -> "pd.DataFrame":
    """What every rule of the ablations makes of the same labels: weights, and the class that `flip` learns.

    >>> rule_table(gamma=1)["naive"].round(2).tolist()
    [0.9, 0.5, 0.3, 0.2]
    """
    import pandas as pd

    names, confidences, students = zip(*examples, strict=True)
    logits = torch.tensor(students).log()
    given: Any = (torch.zeros(len(names), dtype=torch.long), torch.tensor(confidences))
    gammas: Any = {"gamma1": gamma, "gamma2": gamma}
    found = {rule: dynamic_weights(logits, *given, rule=rule, **gammas) for rule in RULES}
    table = pd.DataFrame(
        {
            "the student …": names,
            "c_A": confidences,
            "c_B": [max(row) for row in students],
            "p_B": [row[0] for row in students],
            "case": case_names(found["dynamic"]),
        }
    )
    for rule, weights in found.items():
        table[rule] = weights.weight.double().numpy()
    table["flip learns"] = np.where(found["flip"].label.numpy() == 0, "y_A", "y_B")
    return table.set_index("the student …")


@dataclass(frozen=True)
class LabelMap:
    """A made-up label map: the teacher's labels, the student's word and the weights, each "h w"; 255 is ignored."""

    logits: Tensor
    pseudo_label: Tensor
    confidence: Tensor
    prediction: np.ndarray
    case: np.ndarray
    weight: np.ndarray


def made_label_map(gamma1: float = 3, gamma2: float = 3, rule: Rule = "dynamic", size: int = 16) -> LabelMap:
    """Two models see a disc at places that differ a little; each is unsure near its edge, and there the teacher's least sure labels are ignored.

    >>> sorted(set(made_label_map().case.flatten().tolist()))  # agreement, negative, positive, ignored
    [0, 1, 2, 255]
    """
    y, x = np.mgrid[:size, :size] / (size - 1)

    def logits(centre_x: float, centre_y: float, sharp: float) -> Tensor:
        inside = sharp * (0.3 - np.hypot(x - centre_x, y - centre_y))
        return torch.tensor(np.stack([np.zeros_like(inside), inside, np.full_like(inside, -2.0)])[None]).float()

    teacher, student = logits(0.42, 0.48, 14), logits(0.60, 0.52, 17)
    confidence, label = teacher.softmax(1).max(1)
    label = label.masked_fill(confidence < 0.56, IGNORED)
    found = dynamic_weights(student, label, confidence, gamma1=gamma1, gamma2=gamma2, rule=rule)
    codes = {"agree": 0, "negative": 1, "positive": 2, "ignored": IGNORED}
    case = np.array([codes[name] for name in case_names(found)]).reshape(size, size)
    weight = np.where(case == IGNORED, np.nan, found.weight[0].numpy())
    return LabelMap(student, label, confidence, found.prediction[0].numpy(), case, weight)
