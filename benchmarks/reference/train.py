"""Training steps, data included: a DataLoader of single images, then the step as it is usually written."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.reference.augment import augment, scale_crop_flip
from benchmarks.reference.loss import dynamic_loss, mixed_loss, weights_by_masks

VOID = 255


def seed_worker(number: int) -> None:
    """Every worker draws its own numbers."""
    random.seed(torch.initial_seed() % 2**32)


class Photographs(Dataset):
    """Labeled or pseudo-labeled images, one at a time: PIL in, normalised tensor out."""

    def __init__(self, pixels: np.ndarray, label: Any, confidence: Any, mean: Any, std: Any) -> None:
        self.pixels, self.label, self.confidence = pixels, label, confidence
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, float]:
        image = augment(Image.fromarray(self.pixels[index]))
        tensor = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).contiguous().float() / 255
        return (tensor - self.mean) / self.std, int(self.label[index]), float(self.confidence[index])


class Streets(Dataset):
    """Images with masks or stored pseudo labels (float32 pairs), one at a time."""

    def __init__(self, images: list[np.ndarray], maps: list[Any], mean: Any, std: Any, **how: Any) -> None:
        self.images, self.maps, self.how = images, maps, how  # crop, scale, fill and flip of scale_crop_flip
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        label, confidence = self.maps[index]
        maps = [(label, VOID), (confidence, 0)]
        image, (label, confidence) = scale_crop_flip(self.images[index], maps, **self.how)
        tensor = torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous().float()
        label, confidence = torch.from_numpy(label.copy()), torch.from_numpy(confidence.copy())
        return (tensor - self.mean) / self.std, label.long(), confidence


def batches(labeled: Dataset, pseudo: Dataset, sizes: tuple[int, int], workers: int) -> Iterator[Any]:
    """Endless joint batches: labeled ones first."""

    def endless(part: Dataset, size: int, processes: int) -> Iterator[Any]:
        while True:
            how = {"num_workers": processes, "worker_init_fn": seed_worker}
            yield from DataLoader(part, size, shuffle=True, drop_last=True, **how)

    for x, u in zip(endless(labeled, sizes[0], 0), endless(pseudo, sizes[1], workers), strict=True):
        yield [torch.cat(pair) for pair in zip(x, u, strict=True)]


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """The EMA, tensor by tensor."""
    theirs = model.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.mul_(decay).add_(theirs[name], alpha=1 - decay)
        else:
            value.copy_(theirs[name])


def classification_step(
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    trusted: Tensor,
    gamma: float,
    mix: tuple[float, Tensor],
) -> tuple[float, dict[str, float]]:
    """One step of a DMT phase with mixup (method.md §5.1); `mix` is λ and every image's partner."""
    images, label, confidence = (values.to(trusted.device) for values in batch)
    lam, partner = mix
    model.train()
    with torch.no_grad():
        logits = model(images)
    weight, stats = weights_by_masks(logits, label, confidence.float(), gamma, gamma, trusted)
    mixed = lam * images + (1 - lam) * images[partner]
    loss = mixed_loss(model(mixed), label, partner, lam, lam * weight + (1 - lam) * weight[partner])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    update_average(average, model, 0.999)
    return loss.item(), stats


def segmentation_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, trusted: Tensor, gamma: float
) -> tuple[float, dict[str, float]]:
    """One step of a DMT phase over crops (method.md §5.2)."""
    images, label, confidence = (values.to(trusted.device) for values in batch)
    model.train()
    loss, stats = dynamic_loss(model(images), label, confidence.float(), gamma, gamma, trusted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), stats
