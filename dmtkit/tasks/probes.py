"""Why each pseudo label has its weight, and how well low weights find wrong labels while a student learns.

At the start, the middle and the end of a phase a student of pixels is asked about the same images of U, un-augmented: a
student may come to memorise its labels, so the time matters. A student of images is asked about all of U at the end.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit.data.pictures import VOID, Part
from dmtkit.data.whole_images import WholeImages, look
from dmtkit.files import once
from dmtkit.labels.keep import PseudoLabels
from dmtkit.labels.predict import Predictions, read_logits
from dmtkit.labels.store import Kept
from dmtkit.losses.dynamic import DynamicWeights, weigh
from dmtkit.losses.levels import LEVELS, TOP, confidence_of, quantise
from dmtkit.methods.lab import Training
from dmtkit.metrics.cases import CASES, case_rows, case_sums, case_table
from dmtkit.metrics.error_search import SCORES, auroc, error_levels, roc
from dmtkit.metrics.scores import mean_iou
from dmtkit.metrics.sums import Sums, gather
from dmtkit.seeds import generator

if TYPE_CHECKING:
    from dmtkit.tasks.segmentation import Segmentation

Weigh = Callable[..., DynamicWeights]  # as a method does
RANDOM, EXTREMES = 96, 24  # images kept for looking at: drawn at random, and of either end of the weights
SAMPLES, PROBES = 6, 48  # pictures kept for looking at, and pictures that errors are searched in
TIMES = ("start", "middle", "end")
POINTS = 200  # of a curve


def explain_labels(
    pseudo: PseudoLabels, student: Predictions, truth: np.ndarray | None, weigh: Weigh
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Weigh every pseudo label of an image by what the finished student says of it, un-augmented.

    y_A, c_A, y_B, c_B, p_B, weight and case of every unlabeled image, and a summary of the kept ones.
    """
    assert student.level_of_given is not None
    c_a, c_b, p = pseudo.confidence, confidence_of(student.level), confidence_of(student.level_of_given)
    columns = {"y_A": pseudo.label, "c_A": c_a, "y_B": student.label, "c_B": c_b, "p_B": p}
    weighed = weigh(*map(torch.from_numpy, columns.values()))
    weight, case, kept = weighed.weight.numpy(), weighed.case.numpy().astype(np.uint8), pseudo.kept
    columns |= {"weight": weight, "case": case, "kept": kept}
    summary: dict[str, Any] = {"kept": int(kept.sum()), "threshold": float(c_a[kept].min())}
    right = None
    if truth is not None:
        columns["truth"] = truth
        right = (pseudo.label == truth)[kept]
        summary["label_accuracy"] = float(100 * right.mean())
    summary |= {"cases": case_rows(case[kept], weight[kept], right), "mean_weight": float(weight[kept].mean())}
    return columns, summary


def looked_at(columns: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The rows kept for looking at: the same random ones in every phase, and both ends of the kept weights."""
    kept = np.flatnonzero(columns["kept"])
    order = kept[np.lexsort((columns["p_B"][kept], columns["weight"][kept]))]
    drawn = np.random.default_rng(seed).permutation(len(columns["kept"]))[:RANDOM]
    index = np.unique(np.concatenate([drawn, order[:EXTREMES], order[-EXTREMES:]]))
    return {"index": index, **{name: values[index] for name, values in columns.items()}}


@dataclass(frozen=True)
class Explanation:
    """What a student says of the labels it was given, for one batch: weights and why, the labels, and the truth."""

    images: WholeImages
    weighed: DynamicWeights
    given: Tensor
    confidence: Tensor
    truth: Tensor


def explain_batch(images: WholeImages, logits: Tensor, part: Part, kept: Kept, weigh: Weigh) -> Explanation:
    """Weigh the kept labels of a batch of whole images by what the student says of them."""
    labels, levels = zip(*(kept.kept(position) for position in images.positions), strict=True)
    given, level = images.stack(labels, VOID), images.stack([each.astype(np.int32) for each in levels], 0)
    truth = images.stack([part.mask(position) for position in images.positions], VOID)
    prediction, own, p = read_logits(logits, given)
    assert p is not None
    c_a, c_b, p_b = (values.float() / TOP for values in (level, own, p))
    return Explanation(images, weigh(given, c_a, prediction, c_b, p_b), given, c_a, truth)


def probed(seed: int, count: int) -> list[int]:
    """Where in U, of `count` images, the probe images lie: the same in all phases of all methods; the first are the samples."""
    return torch.randperm(count, generator=generator(seed, "samples")).tolist()[:PROBES]


class Probe:
    """Watches one student of one phase; what it sees goes into the phase's folder."""

    def __init__(self, task: "Segmentation", training: Training, kept: Kept) -> None:
        self.task, self.kept, self.phase, self.weigh = task, kept, task.phase(training), task.weigh(training)
        self.part, self.classes = task.data.unlabeled, task.data.classes
        self.chosen = probed(task.config.seed, len(self.part))
        self.samples = set(self.chosen[:SAMPLES])
        k, device = len(self.classes), task.device
        self.cases = Sums(
            cases=torch.zeros(3, k, k + 1, dtype=torch.int64, device=device),
            weights=torch.zeros(3, k, dtype=torch.float64, device=device),
        )  # a process may have no image to add

    def visits(self, steps: int) -> Mapping[int, Callable[[nn.Module], None]]:
        """What training is to do at its start and its middle, which are one and the same where a phase has one step."""
        times = {0: TIMES[:1], steps // 2: TIMES[1:2]} if steps > 1 else {0: TIMES[:2]}
        return {step: partial(self.visit, times=asked) for step, asked in times.items()}

    def visit(self, model: nn.Module, times: Sequence[str]) -> None:
        """Ask the student about the probe images and store what it says as probe_<time>."""
        nothing = torch.zeros(len(SCORES), 2, LEVELS, dtype=torch.int64, device=self.task.device)
        search, arrays = Sums(levels=nothing), dict[str, np.ndarray]()
        dynamic = partial(weigh, gamma1=self.task.config.gamma1, gamma2=self.task.config.gamma2)

        def observe(images: WholeImages, logits: Tensor) -> None:
            images = replace(images, positions=[self.chosen[position] for position in images.positions])  # in U
            explained = explain_batch(images, logits, self.part, self.kept, self.weigh)
            seen, known = explained.weighed, explained.truth < len(self.classes)
            opinions = explained.given, explained.confidence, seen.prediction, seen.student_confidence, seen.p
            weighed = dynamic(*opinions)  # whatever method trains: compared is how well such weights find errors
            wrong = explained.given != explained.truth
            search.add(levels=error_levels(weighed, explained.confidence, wrong, known))
            self._keep_samples(arrays, explained)

        look(model, self.task.whole(self.part.select(self.chosen)), observe)
        levels = search.read()["levels"].numpy()
        arrays = {name: values for own in gather(arrays) for name, values in own.items()}
        arrays |= {f"roc/{name}": roc(levels[row], POINTS).astype(np.float32) for row, name in enumerate(SCORES)}
        arrays["auroc"] = np.array([auroc(levels[row]) for row in range(len(SCORES))])
        for time in times:
            self.phase.write_arrays(f"probe_{time}", **arrays)

    def observe(self, images: WholeImages, logits: Tensor) -> None:
        """Take in a batch of U, seen by the finished student."""
        explained = explain_batch(images, logits, self.part, self.kept, self.weigh)
        self.cases.add(**case_sums(explained.weighed, explained.given, explained.truth, len(self.classes)))

    def _keep_samples(self, arrays: dict[str, np.ndarray], explained: Explanation) -> None:
        """The student's class, confidence, probability of the label, and the weight, of the sample images."""
        weighed, images = explained.weighed, explained.images
        maps = {"y_B": weighed.prediction.to(torch.uint8)}
        maps |= {"c_B": quantise(weighed.student_confidence), "p_B": quantise(weighed.p), "w": quantise(weighed.weight)}
        for name, values in maps.items():
            kind = np.uint8 if name == "y_B" else np.uint16
            for position, own in zip(images.positions, images.crop(values), strict=True):
                if position in self.samples:
                    arrays[f"{position}/{name}"] = own.astype(kind)

    def write_samples(self) -> None:
        """Store image, truth, label, confidence and what is kept of the sample images."""
        arrays: dict[str, np.ndarray] = {}
        for position in sorted(self.samples):
            label, level = self.kept.kept(position)
            arrays |= {
                f"{position}/image": self.part.image(position),
                f"{position}/truth": self.part.mask(position),
                f"{position}/y_A": self.kept.store.label(position),
                f"{position}/c_A": level,
                f"{position}/kept": label != VOID,
            }
        self.phase.write_arrays("samples", **arrays)

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Look a last time, and sum the phase up: what was kept of every class, the cases, the search for errors."""
        self.visit(model, ("end",))
        once(self.write_samples)  # and what was written is there for all to read
        count, weights = (values.numpy() for values in self.cases.read().values())
        predicted, kept, total = self.kept.store.predicted, count.sum((0, 2)), int(count.sum())
        searched = {time: self.phase.arrays(f"probe_{time}")["auroc"].tolist() for time in TIMES}
        return {
            "kept": total,
            "pixels": int(predicted.sum()),
            "threshold": [none_for_nan(value) for value in self.kept.thresholds.confidence.tolist()],
            "kept_share": [none_for_nan(k / p if p else math.nan) for k, p in zip(kept, predicted, strict=True)],
            "mean_weight": float(weights.sum() / max(total, 1)),
            **{f"share_{case}": float(count[row].sum() / max(total, 1)) for row, case in enumerate(CASES)},
            "label_miou": none_for_nan(mean_iou(count[:, :, :-1].sum(0).T)),  # rows true, columns labeled
            "cases": case_table(count, weights, self.classes),
            "auroc": {t: dict(zip(SCORES, map(none_for_nan, values), strict=True)) for t, values in searched.items()},
        }


def none_for_nan(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else float(value)
