"""The dynamic loss by masks: a softmax for the weights, another in the cross-entropy, statistics read at once."""

import torch
from torch import Tensor
from torch.nn import functional as F


def weights_by_masks(
    logits: Tensor, label: Tensor, confidence: Tensor, gamma1: float, gamma2: float, trusted: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """The weight of every element, 1 for trusted samples, and what a progress bar would show."""
    with torch.no_grad():
        probability = F.softmax(logits, dim=1)
        student, prediction = probability.max(dim=1)
        valid = label != 255
        p = probability.gather(1, (label * valid).unsqueeze(1)).squeeze(1)
        agree = valid & (prediction == label)
        negative = valid & (prediction != label) & (confidence >= student)
        positive = valid & (prediction != label) & (confidence < student)
        weight = torch.zeros_like(p)
        weight[agree] = p[agree] ** gamma1
        weight[negative] = p[negative] ** gamma2
        weight[positive] = 0
        ours = valid & ~trusted.view(-1, *[1] * (label.dim() - 1))
        stats = {
            "agree": (agree & ours).sum().item(),
            "negative": (negative & ours).sum().item(),
            "positive": (positive & ours).sum().item(),
            "weight": weight[ours].sum().item(),
            "count": ours.sum().item(),
        }
        weight[trusted] = valid[trusted].float()
    return weight, stats


def dynamic_loss(
    logits: Tensor, label: Tensor, confidence: Tensor, gamma1: float, gamma2: float, trusted: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Σ w · CE / number of valid elements, for pixels or images."""
    weight, stats = weights_by_masks(logits, label, confidence, gamma1, gamma2, trusted)
    loss = F.cross_entropy(logits, label, ignore_index=255, reduction="none")
    return (loss * weight).sum() / (label != 255).sum().clamp(min=1), stats


def mixed_loss(logits: Tensor, label: Tensor, partner: Tensor, lam: float, weight: Tensor) -> Tensor:
    """The loss of a batch that was mixed up, weights mixed alike."""
    own = F.cross_entropy(logits, label, reduction="none")
    other = F.cross_entropy(logits, label[partner], reduction="none")
    return (weight * (lam * own + (1 - lam) * other)).mean()
