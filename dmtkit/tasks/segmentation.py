"""Segmentation by models side by side, each fine-tuned on the other's labels (method.md §5.2, §6).

Phase 0 trains A and B supervised on X. In each phase k both label U as they are at its start; the labels
that A is surest of, class by class, fine-tune B, and those of B fine-tune A.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from dmtkit.config import SegmentationConfig
from dmtkit.data.batches import Batch
from dmtkit.data.crops import Ahead, Crops, blank
from dmtkit.data.pictures import Part
from dmtkit.data.segmentation import Scenes
from dmtkit.data.whole_images import Reader, look
from dmtkit.errors import ConfigError
from dmtkit.files import ask, once
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.predict import label_images
from dmtkit.labels.store import Kept, open_labels
from dmtkit.methods.lab import Plan, Score, Training
from dmtkit.metrics.evaluate import confusion_matrices
from dmtkit.metrics.scores import class_iou, mean_iou
from dmtkit.models.weights import load_weights
from dmtkit.tasks.probes import Probe, none_for_nan
from dmtkit.tasks.task import TASKS, Task, Visit, initial_weights

STRIDE = 8  # of the networks, at most


@TASKS.register("segmentation")
class Segmentation(Task):
    """The task of one run."""

    fine_tunes = True
    config: SegmentationConfig
    data: Scenes

    def check_data(self, plan: Plan) -> None:
        """Also images to choose a snapshot by, weights that fit, and one share where labels are for one."""
        super().check_data(plan)
        several = [training for training in plan.trainings if len(plan.labelled_for(training)) > 1]
        if self.config.label_rule == "normalized" and several:
            shares = ", ".join(map(str, plan.labelled_for(several[0])))
            raise ConfigError(
                f"label_rule: 'normalized' labels for one share, but of {several[0]} several are learned ({shares}); "
                "run these methods apart, or take 'argmax'"
            )
        if self.config.snapshot == "best" and not len(self.data.val):
            raise ConfigError("val: snapshot 'best' needs labeled images held out to choose by; the lists name none")
        alone = "views" in {training.learns for training in plan.trainings}  # X goes through the network without U
        if alone and self.config.batch_labeled == 1 and max(self.config.crop) <= STRIDE:
            raise ConfigError(
                f"crop: one image (batch_labeled) of {'×'.join(map(str, self.config.crop))} leaves batch normalisation a single value "
                "to normalise; take larger crops, or more images"
            )
        for name in sorted({training.model for training in plan.trainings}):
            if weights := initial_weights(self.config, name):
                load_weights(self.build(), weights)

    def seen_of_x(self, training: Training) -> Part:
        """What a model sees of X in phase 0: all of it, but for methods with two models of their own (§5.3)."""
        own = training.owner != "supervised" and training.learns == "X"
        return {"A": self.data.left, "B": self.data.right}[training.model] if own else self.data.labeled

    def settings(self, training: Training) -> dict[str, Any]:
        """One learning rate for fine-tuning, another from an initialisation; optimiser and schedule begin anew (§5.2)."""
        rate = self.config.baseline_lr if training.after is None else self.config.lr
        return {"lr": rate, "schedule": "poly", "gamma_ramp": False, "keeps": self.config.snapshot, "score": "val_miou"}

    @property
    def image(self) -> tuple[int, ...]:
        """A crop."""
        return 3, *self.config.crop

    def batches(self, training: Training) -> Callable[[int], Batch]:
        """Augmented crops of X and the kept labels; in phase 0 of what this model sees of X, or, for the oracle, of all."""
        config, data = self.config, self.data
        labeled, size, kept = self.seen_of_x(training), config.batch_labeled, None
        if training.learns == "truth":
            labeled = Part(data.labeled.pictures, data.labeled.indices + data.unlabeled.indices)
        if training.learns in ("X", "truth"):
            size += config.batch_pseudo
        else:
            stored = self.kept(training)
            kept = stored.kept if stored else partial(blank, data.sizes(data.unlabeled))
        crops = Crops(
            labeled,
            data.unlabeled,
            kept,
            data.truth_known and training.learns in ("labels", "unlabeled"),
            batch_labeled=size,
            batch_pseudo=config.batch_pseudo,
            crop=config.crop,
            scale=config.scale,
            flip=config.flip,
            fill=data.fill,
            seed=self.seed("batches", training),
            views=self.method_of(training).views if training.learns == "views" else (),
        )
        return Ahead(crops, training.steps, config.workers, self.device)

    def kept(self, training: Training) -> Kept | None:
        """Of every class the share of its teacher's labels that it is surest of; None where none are stored."""
        if training.teacher is None:
            return None
        place = self.phase(training.teacher)
        store = open_labels(place.folder / "labels", place.models.name, self.data.unlabeled.names)
        return Kept(store, class_thresholds(torch.from_numpy(store.histogram), training.ratio))

    def whole(self, part: Part) -> Reader:
        """The images of a part, read whole."""
        size, threads = self.config.eval_size, max(2, self.config.workers)
        sizes, fill = self.data.sizes(part), self.data.fill
        return Reader(part, sizes, self.device, fill, self.batch, size, threads, self.autocast)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """mIoU."""
        confusion = confusion_matrices({"A": model}, self.whole(self.data.val), len(self.data.classes))
        return {"val_miou": mean_iou(confusion["A"])}

    def visits(self, training: Training) -> Mapping[int, Visit]:
        """The start and the middle of a phase, of a student that learns stored labels."""
        kept = self.kept(training)
        return Probe(self, training, kept).visits(training.steps) if kept else {}

    def measure(
        self, training: Training, model: nn.Module, labelled_for: tuple[float, ...], last: bool
    ) -> dict[str, Any]:
        """Let the model label U for later phases, and for people after the last; weigh in the same pass the labels it learned."""
        phase, kept, u = self.phase(training), self.kept(training), self.whole(self.data.unlabeled)
        probe = Probe(self, training, kept) if kept else None
        observe = probe.observe if probe else None
        if labelled_for or (last and self.config.keep_labels):
            ratio = labelled_for[0] if labelled_for and self.config.label_rule == "normalized" else None
            place = phase.folder / "labels", phase.models.name, len(self.data.classes)
            label_images(model, u, *place, normalized_ratio=ratio, observe=observe)
        elif observe is not None:
            look(model, u, observe)
        return probe.finish(model) if probe else {}

    def test(self, score: Score) -> float:
        """mIoU in percent of each model and of their mean on the test images, kept in the phase's own phase.json."""
        phase, started = self.run.phase(score.method, score.phase), time.monotonic()
        if not ask(phase.intact):
            ask(phase.reopen)
            models = {name: self.trained(training) for name, training in score.models}
            confusions = confusion_matrices(models, self.whole(self.data.test), len(self.data.classes))
            phase.write_arrays("confusion", **confusions)
            iou = {name: [none_for_nan(value) for value in class_iou(c).tolist()] for name, c in confusions.items()}
            miou = {name: mean_iou(confusion) for name, confusion in confusions.items()}
            once(lambda: phase.finish({"miou": miou, "iou": iou, "seconds": time.monotonic() - started}))
        return phase.summary["seconds"]

    def headline(self, scores: list[Score]) -> dict[str, object]:
        """mIoU of A, fixed before training (§8); after the last phase also of B and of their mean."""
        miou = [self.run.phase(score.method, score.phase).summary["miou"] for score in scores]
        last = miou[-1] if len(miou[-1]) > 1 else {}
        return {"miou": miou[-1]["A"], "phases": [each["A"] for each in miou], **last}

    def drop_labels(self, training: Training) -> None:
        """Remove them unless `keep_labels`, and leave a mark."""
        if not self.config.keep_labels:
            once(self.phase(training).drop_labels)
