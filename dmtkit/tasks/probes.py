"""What is looked at while a student learns: fixed samples, and how well low weights find wrong labels, over time.

At the start, the middle and the end of a phase the student is asked about the same images of U, un-augmented:
a student may come to memorise its labels, so the time matters.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit.data.segmentation import Scenes
from dmtkit.data.whole_images import Reader, WholeImages, look
from dmtkit.files import once
from dmtkit.labels.store import Kept
from dmtkit.losses.dynamic import DynamicWeights, weigh
from dmtkit.losses.levels import LEVELS, quantise
from dmtkit.methods.method import Method
from dmtkit.metrics.cases import CASES, case_sums, case_table
from dmtkit.metrics.error_search import SCORES, auroc, error_levels, roc
from dmtkit.metrics.scores import mean_iou
from dmtkit.metrics.sums import Sums, gather
from dmtkit.runs.run import Phase
from dmtkit.seeds import generator
from dmtkit.tasks.explain import Explanation, explain_batch

SAMPLES, PROBES = 6, 48  # images kept for looking at, and images that errors are searched in
TIMES = ("start", "middle", "end")
POINTS = 200  # of a curve


def probed(seed: int, count: int) -> list[int]:
    """Where in U, of `count` images, the probe images lie: the same in all phases of all methods; the first are the samples."""
    return torch.randperm(count, generator=generator(seed, "samples")).tolist()[:PROBES]


class Probe:
    """Watches one student of one phase; what it sees goes into the phase's folder."""

    def __init__(
        self,
        data: Scenes,
        phase: Phase,
        kept: Kept,
        reader: Reader,
        method: Method,
        gammas: tuple[float, float],
        seed: int,
    ) -> None:
        self.data, self.phase, self.kept, self.reader, self.method = data, phase, kept, reader, method
        self.gammas: dict[str, Any] = {"gamma1": gammas[0], "gamma2": gammas[1]}
        self.part = data.unlabeled
        self.chosen = probed(seed, len(data.unlabeled))
        self.samples = set(self.chosen[:SAMPLES])
        k = len(data.classes)
        self.cases = Sums(
            cases=torch.zeros(3, k, k + 1, dtype=torch.int64, device=reader.device),
            weights=torch.zeros(3, k, dtype=torch.float64, device=reader.device),
        )  # a process may have no image to add

    def visits(self, steps: int) -> Mapping[int, Callable[[nn.Module], None]]:
        """What training is to do at its start and its middle, which are one and the same where a phase has one step."""

        def look_at(step: int, model: nn.Module) -> None:
            for time, at in {"start": 0, "middle": steps // 2}.items():
                if step == at:
                    self.visit(model, time)

        return {step: partial(look_at, step) for step in (0, steps // 2)}

    def visit(self, model: nn.Module, time: str) -> None:
        """Ask the student about the probe images and store what it says as probe_<time>."""
        nothing = torch.zeros(len(SCORES), 2, LEVELS, dtype=torch.int64, device=self.reader.device)
        search, arrays = Sums(levels=nothing), dict[str, np.ndarray]()
        part = self.part.select(self.chosen)

        def observe(images: WholeImages, logits: Tensor) -> None:
            place = WholeImages([self.chosen[p] for p in images.positions], images.pixels, images.sizes)
            explained = self._explain(place, logits)
            known = explained.truth < len(self.data.classes)
            wrong = explained.given != explained.truth
            search.add(levels=error_levels(self._weights_of_dmt(explained), explained.confidence, wrong, known))
            self._keep_samples(arrays, explained)

        look(model, part, self.data.sizes(part), self.reader, observe)
        levels = search.read()["levels"].numpy()
        arrays = {name: values for found in gather(arrays) for name, values in found.items()}
        arrays |= {f"roc/{name}": roc(levels[row], POINTS).astype(np.float32) for row, name in enumerate(SCORES)}
        arrays["auroc"] = np.array([auroc(levels[row]) for row in range(len(SCORES))])
        self.phase.write_arrays(f"probe_{time}", **arrays)

    def observe(self, images: WholeImages, logits: Tensor) -> None:
        """Take in a batch of U, seen by the finished student."""
        explained = self._explain(images, logits)
        self.cases.add(**case_sums(explained.found, explained.given, explained.truth, len(self.data.classes)))

    def _explain(self, images: WholeImages, logits: Tensor) -> Explanation:
        how = partial(self.method.weigh, **self.gammas)
        return explain_batch(images, logits, self.part, self.kept, how, self.data.truth_known)

    def _weights_of_dmt(self, explained: Explanation) -> DynamicWeights:
        """The dynamic weights, whatever method trains: what is compared is how well they find errors."""
        seen = explained.found
        return weigh(
            explained.given, explained.confidence, seen.prediction, seen.student_confidence, seen.p, **self.gammas
        )

    def _keep_samples(self, arrays: dict[str, np.ndarray], explained: Explanation) -> None:
        """The student's class, confidence, probability of the label, and the weight, of the sample images."""
        found, images = explained.found, explained.images
        maps = {"y_B": found.prediction.to(torch.uint8)}
        maps |= {"c_B": quantise(found.student_confidence), "p_B": quantise(found.p), "w": quantise(found.weight)}
        for name, values in maps.items():
            kind = np.uint8 if name == "y_B" else np.uint16
            for position, own in zip(images.positions, images.crop(values), strict=True):
                if position in self.samples:
                    arrays[f"{position}/{name}"] = own.astype(kind)

    def write_samples(self) -> None:
        """Store image, truth, label, confidence and what is kept of the sample images."""
        arrays: dict[str, np.ndarray] = {}
        for position in sorted(self.samples):
            level = self.kept.store.level(position)
            arrays |= {
                f"{position}/image": self.part.image(position),
                f"{position}/truth": self.part.mask(position),
                f"{position}/y_A": self.kept.store.label(position),
                f"{position}/c_A": level,
                f"{position}/kept": self.kept.kept(position)[0] != self.kept.ignore_index,
            }
        self.phase.write_arrays("samples", **arrays)

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Look a last time, and sum the phase up: what was kept of every class, the cases, the search for errors."""
        self.visit(model, "end")
        once(self.write_samples)  # and what was written is there for all to read
        read = self.cases.read()
        count, weights = read["cases"].numpy(), read["weights"].numpy()
        predicted, kept = self.kept.store.predicted, count.sum((0, 2))
        known = count[:, :, :-1].sum(0).T  # rows true, columns labeled
        total = int(count.sum())
        return {
            "kept": total,
            "pixels": int(predicted.sum()),
            "threshold": [none_for_nan(value) for value in self.kept.thresholds.confidence.tolist()],
            "kept_share": [none_for_nan(k / p if p else math.nan) for k, p in zip(kept, predicted, strict=True)],
            "mean_weight": float(weights.sum() / max(total, 1)),
            **{f"share_{case}": float(count[row].sum() / max(total, 1)) for row, case in enumerate(CASES)},
            "label_miou": none_for_nan(mean_iou(known)),
            "cases": case_table(count, weights, self.data.classes),
            "auroc": {time: self._auroc(time) for time in TIMES},
        }

    def _auroc(self, time: str) -> dict[str, float | None]:
        values = self.phase.arrays(f"probe_{time}")["auroc"].tolist()
        return {name: none_for_nan(value) for name, value in zip(SCORES, values, strict=True)}


def none_for_nan(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else float(value)
