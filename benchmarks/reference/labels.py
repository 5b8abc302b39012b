"""Pseudo labels in two passes: one ranks the confidences of every class, one labels, float32 pairs on disk."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

VOID = 255


class Whole(Dataset):
    """Whole images, one at a time, normalised."""

    def __init__(self, images: list[np.ndarray], mean: object, std: object) -> None:
        self.images = images
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        tensor = torch.from_numpy(self.images[index]).permute(2, 0, 1).contiguous().float()
        return (tensor - self.mean) / self.std


@torch.no_grad()
def rank(model: nn.Module, images: DataLoader, classes: int, ratio: float) -> np.ndarray:
    """Per class the confidence of the last of the `ratio` of its pixels that the model is surest of; NaN without any."""
    model.eval()
    confidences: list[list[np.ndarray]] = [[] for _ in range(classes)]
    for batch in images:
        confidence, label = F.softmax(model(batch.to(device_of(model))), dim=1).max(dim=1)
        for c in range(classes):
            confidences[c].append(confidence[label == c].cpu().numpy())
    found = np.full(classes, np.nan)
    for c in range(classes):
        ordered = np.sort(np.concatenate(confidences[c]))[::-1]
        if len(ordered):
            found[c] = ordered[max(1, round(ratio * len(ordered))) - 1]
    return found


@torch.no_grad()
def label(model: nn.Module, images: DataLoader, thresholds: np.ndarray, folder: Path) -> None:
    """Save label (255 where it is not kept) and confidence of every image, as float32, a file an image."""
    model.eval()
    needed = torch.from_numpy(np.nan_to_num(thresholds, nan=2.0)).float().to(device_of(model))
    number = 0
    for batch in images:
        confidence, found = F.softmax(model(batch.to(device_of(model))), dim=1).max(dim=1)
        found[confidence < needed[found]] = VOID
        for one, own in zip(found, confidence, strict=True):
            np.save(folder / f"{number}.npy", torch.stack([one.float(), own]).cpu().numpy())
            number += 1


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights lie."""
    return next(model.parameters()).device
