"""Segmentation by models side by side, each fine-tuned on the other's labels (method.md §5.2, §6).

Phase 0 trains A and B supervised on X. In each phase k both label U as they are at its start; the labels
that A is surest of, class by class, fine-tune B, and those of B fine-tune A.
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dmtkit.config import Config, SegmentationConfig
from dmtkit.data.batches import Batch
from dmtkit.data.crops import Ahead, Blank, Crops
from dmtkit.data.pictures import Part
from dmtkit.data.segmentation import Scenes
from dmtkit.data.whole_images import Reader, look
from dmtkit.errors import ConfigError, RunError
from dmtkit.files import ask, once
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.predict import label_images
from dmtkit.labels.store import Kept, open_labels
from dmtkit.methods.lab import Score, Training
from dmtkit.methods.plan import Plan
from dmtkit.metrics.evaluate import confusion_matrices
from dmtkit.metrics.scores import class_iou, mean_iou
from dmtkit.models import build
from dmtkit.models.weights import load_weights
from dmtkit.params import project_root
from dmtkit.registry import TASK_FACTS
from dmtkit.tasks.probes import Probe
from dmtkit.tasks.task import TASKS, Task, Visit

DROPPED = "labels-dropped"


@TASKS.register("segmentation")
class Segmentation(Task):
    """The task of one run."""

    facts = TASK_FACTS["segmentation"]
    fine_tunes = True
    config: SegmentationConfig
    data: Scenes

    @staticmethod
    def check(config: Config) -> None:
        """A network that can be built."""
        assert isinstance(config, SegmentationConfig)
        with torch.device("meta"):
            build(config.model, 3, 2, config.aspp_rates, config.task)

    def check_data(self, plan: Plan) -> None:
        """Images to choose a snapshot by, masks for the oracle, weights that fit, and one share where labels are for one."""
        super().check_data(plan)
        config, data = self.config, self.data
        several = [training for training in plan.trainings if len(plan.labelled_for(training)) > 1]
        if config.label_rule == "normalized" and several:
            shares = ", ".join(map(str, plan.labelled_for(several[0])))
            raise ConfigError(
                f"label_rule: 'normalized' labels for one share, but of {several[0]} several are learned ({shares}); "
                "run these methods apart, or take 'argmax'"
            )
        if config.snapshot == "best" and not len(data.val):
            raise ConfigError("val: snapshot 'best' needs labeled images held out to choose by; the lists name none")
        if "oracle" in config.methods and not data.truth_complete:
            raise ConfigError("methods: oracle needs the mask of every unlabeled image, which this data does not have")
        for name in sorted({training.model for training in plan.trainings}):
            if source := self._source(name):
                load_weights(self.build(), source)

    def _source(self, model: str) -> str | Path | None:
        """The weights that a model starts from: `imagenet`, a file relative to the project, or none."""
        source = {"A": self.config.init_a, "B": self.config.init_b}[model]
        return project_root() / source if source and source != "imagenet" else source

    def seen_of_x(self, training: Training) -> Part:
        """What a model sees of X in phase 0: all of it, but for methods with two models of their own (§5.3)."""
        own = training.owner != "supervised" and training.learns == "X"
        return {"A": self.data.left, "B": self.data.right}[training.model] if own else self.data.labeled

    def steps(self, training: Training) -> int:
        """An epoch is one pass over U, or, in phase 0, over what the model sees of X (§6)."""
        config, u = self.config, len(self.data.unlabeled)
        batch = config.batch_labeled + config.batch_pseudo
        if training.learns == "X":
            return config.baseline_epochs * math.ceil(len(self.seen_of_x(training)) / batch)
        if training.learns == "truth":  # as long as all phases together
            whole = len(self.data.labeled) + u
            return config.epochs * len(config.label_ratios) * math.ceil(whole / batch)
        return config.epochs * math.ceil(u / config.batch_pseudo)

    def settings(self, training: Training) -> dict[str, Any]:
        """One learning rate for fine-tuning, another from an initialisation; optimiser and schedule begin anew (§5.2)."""
        config = self.config
        rate = config.baseline_lr if training.after is None else config.lr
        poly = {"schedule": "poly", "poly_power": config.poly_power, "gamma_ramp": False}
        return {"lr": rate, "keeps": config.snapshot, "score": "val_miou", **poly}

    def build(self) -> nn.Module:
        """A network of the config."""
        config = self.config
        return build(config.model, 3, len(self.data.classes), config.aspp_rates, config.task)

    @property
    def image(self) -> tuple[int, ...]:
        """A crop."""
        return 3, *self.config.crop

    def initialisation(self, training: Training) -> tuple[str | int, ...]:
        """A and B have seeds of their own."""
        return (training.model,)

    def pretrained(self, training: Training, network: nn.Module) -> None:
        """From a file, where the settings name one."""
        if source := self._source(training.model):
            self.phase(training).remark(f"model {training.model}: {load_weights(network, source)}")

    def batches(self, training: Training) -> Callable[[int], Batch]:
        """Augmented crops of X and the kept labels; in phase 0 of what this model sees of X, or, for the oracle, of all."""
        config, data = self.config, self.data
        labeled, size, kept = self.seen_of_x(training), config.batch_labeled, None
        if training.learns == "truth":
            labeled = Part(data.labeled.pictures, data.labeled.indices + data.unlabeled.indices)
        if training.learns in ("X", "truth"):
            size += config.batch_pseudo
        else:
            kept = self.kept(training)
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

    def kept(self, training: Training) -> Kept | Blank:
        """Of every class the share of its teacher's labels that it is surest of; blank where none are stored."""
        labels = training.labels
        if labels is None or labels.teacher is None:
            return Blank(self.data.sizes(self.data.unlabeled))
        place = self.phase(labels.teacher)
        if (place.folder / DROPPED).is_file():
            raise RunError(
                f"{self.phase(training).folder}: the labels it needs were dropped; remove the folder of this method and run "
                "again, or set keep_labels"
            )
        store = open_labels(place.folder / "labels", place.model_name, self.data.unlabeled.names)
        return Kept(store, class_thresholds(torch.from_numpy(store.histogram), labels.ratio))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """mIoU, for the curves and for the best snapshot."""
        part, classes = self.data.val, len(self.data.classes)
        confusion = confusion_matrices({"A": model}, part, self.data.sizes(part), self.reader, classes)
        return {"val_miou": mean_iou(confusion["A"])}

    @cached_property
    def reader(self) -> Reader:
        """How this run reads whole images."""
        config = self.config
        batch = config.batch_labeled + config.batch_pseudo
        return Reader(self.device, self.data.fill, batch, config.eval_size, max(2, config.workers), self.autocast)

    def probe(self, training: Training) -> Probe | None:
        """Who watches a student that learns stored labels."""
        if training.learns != "labels":
            return None
        kept = self.kept(training)
        assert isinstance(kept, Kept)
        gammas = self.config.gamma1, self.config.gamma2
        return Probe(
            self.data, self.phase(training), kept, self.reader, self.method_of(training), gammas, self.config.seed
        )

    def visits(self, training: Training) -> Mapping[int, Visit]:
        """The start and the middle of a phase."""
        probe = self.probe(training)
        return probe.visits(training.steps) if probe else {}

    def measure(self, training: Training, model: nn.Module, labelled_for: tuple[float, ...]) -> dict[str, Any]:
        """Let the model label U for later phases, if any learn it, and weigh in the same pass the labels it learned."""
        data, phase, probe = self.data, self.phase(training), self.probe(training)
        sizes = data.sizes(data.unlabeled)
        observe = probe.observe if probe else None
        if labelled_for:
            ratio = labelled_for[0] if self.config.label_rule == "normalized" else None
            label_images(
                model,
                data.unlabeled,
                sizes,
                self.reader,
                phase.folder / "labels",
                phase.model_name,
                len(data.classes),
                normalized_ratio=ratio,
                observe=observe,
            )
        elif observe is not None:
            look(model, data.unlabeled, sizes, self.reader, observe)
        return probe.finish(model) if probe else {}

    def read(self, training: Training, labelled_for: tuple[float, ...]) -> None:
        """Its weights and its labels of U, unless they were dropped."""
        super().read(training, labelled_for)
        phase = self.phase(training)
        if labelled_for and not (phase.folder / DROPPED).is_file():
            open_labels(phase.folder / "labels", phase.model_name, self.data.unlabeled.names)

    def test(self, score: Score) -> float:
        """mIoU in percent of each model and of their mean on the test images, kept in the phase's own phase.json."""
        data, phase, started = self.data, self.run.phase(score.method, score.phase), time.monotonic()
        if ask(lambda: not phase.done):
            models = {name: self.trained(training) for name, training in score.models}
            found = confusion_matrices(models, data.test, data.sizes(data.test), self.reader, len(data.classes))
            phase.write_arrays("confusion", **found)
            iou = {name: [None if math.isnan(v) else v for v in class_iou(c).tolist()] for name, c in found.items()}
            miou = {name: mean_iou(confusion) for name, confusion in found.items()}
            once(lambda: phase.finish({"miou": miou, "iou": iou, "seconds": time.monotonic() - started}))
        return phase.summary["seconds"]

    def headline(self, scores: list[Score]) -> dict[str, object]:
        """A's mIoU after the last phase is the method's, fixed before training (§8); of A, B and their mean."""
        miou = [self.run.phase(score.method, score.phase).summary["miou"] for score in scores]
        last = miou[-1] if len(miou[-1]) > 1 else {}
        return {"miou": miou[-1]["A"], "phases": [each["A"] for each in miou], **last}

    def drop_labels(self, training: Training) -> None:
        """Remove them unless `keep_labels`, and leave a mark."""
        if not self.config.keep_labels:
            once(lambda: _drop(self.phase(training).folder))


def _drop(folder: Path) -> None:
    (folder / DROPPED).touch()
    shutil.rmtree(folder / "labels", ignore_errors=True)
