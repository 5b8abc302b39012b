"""Runs with samples to explore, made by hand in a moment: smooth random maps that look like what models say."""

import json
from pathlib import Path

import numpy as np
import torch

from dmtkit.files import write_arrays
from dmtkit.losses.dynamic import weigh
from dmtkit.methods import METHODS
from tests.made_runs import put

TOP = 65535


def said(generator: torch.Generator, shape: tuple[int, int], classes: int) -> torch.Tensor:
    """Probabilities "k h w" of some model: blobs, unsure at their borders, with a little noise."""
    coarse = torch.randn(1, classes, 7, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bilinear", align_corners=False)[0]
    return (4 * smooth + 0.05 * torch.randn(classes, *shape, generator=generator)).softmax(0)


def level(p: torch.Tensor) -> np.ndarray:
    return (p * TOP).round().numpy().astype(np.uint16)


def explorable(
    root: Path, shape=(40, 48), classes=5, phases=3, samples=(3, 7), methods=("supervised", "cbst", "dmt"), seed=0
) -> Path:
    """A finished segmentation run whose folder holds what the explorer reads."""
    generator = torch.Generator().manual_seed(seed)
    ratios = tuple((k + 1) / phases for k in range(phases))
    names = ["background", *(f"class {k}" for k in range(1, classes))]
    folder = put(root, dict.fromkeys(methods, 50.0), task="segmentation", experiment="made", label_ratios=ratios)
    (folder / "split.json").write_text(json.dumps({"classes": names, "unlabeled": [f"im-{i:02d}" for i in range(20)]}))
    write_version(folder, "0.1.0")
    truths = {s: said(generator, shape, classes).argmax(0) for s in samples}
    images = {s: (255 * torch.rand(*shape, 3, generator=generator)).numpy().astype(np.uint8) for s in samples}
    for method in methods:
        if METHODS[method].teacher not in ("itself", "other"):
            continue
        for student in "AB" if METHODS[method].teacher == "other" else "A":
            for k in range(1, phases + 1):
                place = folder / method / f"phase_{k}" / student
                place.mkdir(parents=True)
                samples_of(place, generator, images, truths, ratios[k - 1], classes, METHODS[method].rule)
                (place / "phase.json").write_text("{}")
        for k in range(1, phases + 1):
            (folder / method / f"phase_{k}" / "phase.json").write_text("{}")
    return folder


def samples_of(place: Path, generator, images, truths, ratio, classes, rule) -> None:
    fixed, asked = {}, {time: {} for time in ("start", "middle", "end")}
    for s, truth in truths.items():
        p_a = said(generator, truth.shape, classes)
        c_a, y_a = p_a.max(0)
        kept = c_a >= torch.quantile(c_a.flatten()[::16], 1 - ratio)
        fixed |= {f"{s}/image": images[s], f"{s}/truth": truth.numpy().astype(np.uint8), f"{s}/kept": kept.numpy()}
        fixed |= {f"{s}/y_A": y_a.numpy().astype(np.uint8), f"{s}/c_A": level(c_a)}
        for arrays in asked.values():
            p = (p_a + 0.6 * said(generator, truth.shape, classes)) / 1.6
            c_b, y_b = p.max(0)
            p_b = p.gather(0, y_a[None])[0]
            found = weigh(
                y_a,
                torch.tensor(level(c_a) / TOP),
                y_b,
                torch.tensor(level(c_b) / TOP),
                torch.tensor(level(p_b) / TOP),
                gamma1=3.0,
                gamma2=3.0,
                rule=rule,
            )
            arrays |= {f"{s}/y_B": y_b.numpy().astype(np.uint8), f"{s}/c_B": level(c_b), f"{s}/p_B": level(p_b)}
            arrays[f"{s}/w"] = level(found.weight * kept)
    write_arrays(place / "samples.npz", fixed)
    for time, arrays in asked.items():
        write_arrays(place / f"probe_{time}.npz", arrays)


def write_version(folder: Path, version: str) -> None:
    """What environment.json says of the version that made a run."""
    (folder / "environment.json").write_text(json.dumps({"versions": {"dmtkit": version}}))


def gallery(root: Path, count=30, phases=2, seed=0, truth=True) -> Path:
    """A finished classification run with samples."""
    rng = np.random.default_rng(seed)
    folder = put(
        root, {"dmt": 90.0}, experiment="pictures", label_ratios=tuple((k + 1) / phases for k in range(phases))
    )
    (folder / "split.json").write_text(
        json.dumps({"classes": list("abcd"), "unlabeled": [f"im-{i}" for i in range(99)]})
    )
    write_version(folder, "0.1.0")
    for k in range(1, phases + 1):
        place = folder / "dmt" / f"phase_{k}"
        place.mkdir(parents=True)
        p = rng.dirichlet(np.full(4, 0.4), count).astype(np.float32)
        y_a, c_a = rng.integers(0, 4, count), rng.uniform(0.3, 1, count)
        rows = {
            "index": np.sort(rng.permutation(99)[:count]),
            "pixels": rng.integers(0, 256, (count, 1, 8, 8)),
            "y_A": y_a,
            "y_B": p.argmax(1),
            "kept": rng.random(count) < k / phases,
        }
        rows = {
            name: values.astype(np.int64 if name == "index" else bool if name == "kept" else np.uint8)
            for name, values in rows.items()
        }
        rows |= {"c_A": c_a.astype(np.float32), "c_B": p.max(1), "p_B": p[np.arange(count), y_a]}
        rows |= {"weight": rows["p_B"] ** 4, "case": (y_a != rows["y_B"]).astype(np.uint8)}
        if truth:
            rows["truth"] = rng.integers(0, 4, count)
        write_arrays(place / "samples.npz", rows)
        (place / "phase.json").write_text("{}")
    return folder
