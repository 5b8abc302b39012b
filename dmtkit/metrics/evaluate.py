"""Models tested on whole images: one confusion matrix each, and one of their mean."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from dmtkit.data.pictures import VOID
from dmtkit.data.whole_images import Reader
from dmtkit.metrics.scores import confusion_matrix
from dmtkit.metrics.sums import Sums


@torch.inference_mode()
def confusion_matrices(models: Mapping[str, nn.Module], reader: Reader, classes: int) -> dict[str, np.ndarray]:
    """The confusion matrix of every model and, where there are two, of the mean of their softmax (`A+B`)."""
    names = [*models, *(["+".join(models)] if len(models) > 1 else [])]
    sums = Sums(**{name: torch.zeros(classes, classes, dtype=torch.int64) for name in names})
    for model in models.values():
        model.eval()
    for images in reader:
        with reader.autocast():
            logits = {name: model(images.pixels).float() for name, model in models.items()}
        truth = images.stack([reader.part.mask(position) for position in images.positions], VOID)
        if len(models) > 1:
            logits["+".join(models)] = sum(values.softmax(1) for values in logits.values())  # type: ignore[assignment]
        sums.add(**{name: confusion_matrix(values.argmax(1), truth, classes).cpu() for name, values in logits.items()})
    return {name: confusion.numpy() for name, confusion in sums.read().items()}
