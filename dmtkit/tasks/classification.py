"""Classification (method.md §5.1, §6): images that lie in memory, students that start anew in each phase.

Phase 0 trains a supervised model on X. In each phase k the previous model labels U, the share α that it is
surest of is kept, and a newly initialised model is trained on X plus the kept labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit.config import ClassificationConfig, Config
from dmtkit.data.augment import Augment
from dmtkit.data.batches import Batch, Batches
from dmtkit.data.images import Data, Images
from dmtkit.labels.keep import PseudoLabels, keep_most_confident
from dmtkit.labels.predict import Predictions, predict_shared
from dmtkit.methods.lab import Labels, Score, Training
from dmtkit.metrics.scores import accuracy
from dmtkit.runs.folder import RunFolder
from dmtkit.seeds import derive, generator
from dmtkit.tasks.probes import explain_labels, looked_at
from dmtkit.tasks.task import TASKS, Task

PREDICTED = 500  # images predicted at once


@TASKS.register("classification")
class Classification(Task):
    """The task of one run."""

    fine_tunes = False
    config: ClassificationConfig
    data: Data

    def start(self, run: RunFolder) -> None:
        """All images go to the device."""
        super().start(run)
        parts: dict[str, Any] = {name: part.to(self.device) for name, part in self.data.parts.items()}
        self.data = replace(self.data, **parts)

    @classmethod
    def check(cls, config: Config) -> None:
        """Also operations that do not exist."""
        super().check(config)
        augmentation(config)

    def settings(self, training: Training) -> dict[str, Any]:
        """The EMA labels and is reported; γ rises, since a student that starts from nothing has opinions worth little."""
        return {"schedule": "cosine", "keeps": "average"}

    @property
    def image(self) -> tuple[int, ...]:
        """Like those of the test set."""
        return tuple(self.data.test.pixels.shape[1:])

    def batches(self, training: Training) -> Callable[[int], Batch]:
        """Joint batches of X and the kept pseudo labels, or all of U; of X alone, or of every truth, where there are none."""
        config, x, u = self.config, self.data.labeled, self.data.unlabeled
        size, kept, label, confidence = config.batch_labeled, None, None, None
        if training.learns == "truth":
            x = Images(torch.cat([x.pixels, u.pixels]), torch.cat([x.labels, u.labels]), x.names + u.names)
        if training.learns in ("X", "truth"):
            size += config.batch_pseudo
        else:
            pseudo = self.pseudo(training.labels)
            chosen = np.flatnonzero(pseudo.kept)
            kept = u.select(chosen.tolist()) if len(chosen) < len(u) else u
            label = torch.from_numpy(pseudo.label[chosen].astype(np.int64)).to(self.device)
            confidence = torch.from_numpy(pseudo.confidence[chosen]).to(self.device)
        views = self.method_of(training).views if training.learns == "views" else ()
        if self.image[0] == 1 and any(view.startswith("strong") for view in views):
            self.phase(training).remark(
                "strong views of images of one channel: what changes colours leaves them as they are"
            )
        return Batches(
            self.data,
            x,
            kept,
            label,
            confidence,
            batch_labeled=size,
            batch_pseudo=config.batch_pseudo,
            augment=augmentation(config),
            seed=self.seed("batches", training),
            mixup=config.mixup,
            mixup_seed=self.seed("steps", training),
            views=views,
        )

    def pseudo(self, labels: Labels | None) -> PseudoLabels:
        """Stored labels, the share that their teacher is surest of being kept; all of U, blank, where none are stored."""
        if labels is None or labels.teacher is None:
            blank = np.zeros(len(self.data.unlabeled), np.uint16)
            return PseudoLabels(blank.astype(np.uint8), blank, np.ones(len(blank), bool))
        arrays = self.phase(labels.teacher).arrays("predictions")
        level = torch.from_numpy(arrays["level"].astype(np.int64))
        ties = generator(derive(self.config.seed, "ties", labels.phase))
        return PseudoLabels(arrays["label"], arrays["level"], keep_most_confident(level, labels.ratio, ties).numpy())

    def predict(self, model: nn.Module, images: Images, given: np.ndarray | None = None) -> Predictions:
        """One pass of `model`, in evaluation mode, over images as they are."""
        model.eval()

        def read(start: int, end: int) -> Iterator[Tensor]:
            for pixels in images.pixels[start:end].split(PREDICTED):
                yield self.data.normalise(pixels).contiguous(memory_format=torch.channels_last)

        with self.autocast():
            return predict_shared(model, read, len(images), PREDICTED, given)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy."""
        return {"val_accuracy": accuracy(self.predict(model, self.data.val).label, _numpy(self.data.val.labels))}

    def measure(
        self, training: Training, model: nn.Module, labelled_for: tuple[float, ...], last: bool
    ) -> dict[str, Any]:
        """Test the phase's EMA, and ask it about U: its labels for the next phase, and each weight it would give."""
        data, phase, truth = self.data, self.phase(training), _numpy(self.data.test.labels)
        pseudo = self.pseudo(training.labels) if training.learns == "labels" else None
        test = self.predict(model, data.test)
        on_u = self.predict(model, data.unlabeled, None if pseudo is None else pseudo.label)
        phase.write_arrays("test", label=test.label, level=test.level, truth=truth)
        phase.write_arrays("predictions", label=on_u.label, level=on_u.level)
        summary: dict[str, Any] = {"accuracy": accuracy(test.label, truth), "kept": 0}
        if pseudo is not None and on_u.level_of_given is not None:
            columns, cases = explain_labels(
                pseudo, on_u, _numpy(data.unlabeled.labels) if data.truth_known else None, self.weigh(training)
            )
            chosen = looked_at(columns, seed=derive(self.config.seed, "samples"))
            pixels = _numpy(data.unlabeled.pixels[torch.from_numpy(chosen["index"])])
            labels = {"label": pseudo.label, "level": pseudo.level, "kept": pseudo.kept, "p": on_u.level_of_given}
            phase.write_arrays("pseudo_labels", **labels)
            phase.write_arrays("samples", pixels=pixels, **chosen)
            summary |= cases
        return summary

    def headline(self, scores: list[Score]) -> dict[str, object]:
        """Accuracies."""
        accuracies = [self.phase(training).summary["accuracy"] for score in scores for _, training in score.models]
        return {"accuracy": accuracies[-1], "phases": accuracies}


def augmentation(config: Config) -> Augment:
    """The config's augmentation; outside and Cutout are black for digits and grey elsewhere (§6)."""
    assert isinstance(config, ClassificationConfig)
    fill = 0 if config.dataset == "digits" else 128
    return Augment(config.crop_padding, config.flip, config.augment, fill)


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
