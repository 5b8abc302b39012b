"""What labelling costs beside plain inference, and beside the plain way's two passes, in time, bytes and peak memory."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.common import alone, in_turn, peak_mib, rounded
from benchmarks.reference.labels import Whole, rank
from benchmarks.reference.labels import label as save_labels
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Observe, Reader, WholeImages
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.predict import label_images
from dmtkit.labels.store import Kept, open_labels
from dmtkit.methods import METHODS
from dmtkit.metrics.cases import case_sums
from dmtkit.metrics.sums import Sums
from dmtkit.models import build
from dmtkit.models.deeplab import IMAGENET
from dmtkit.runs.environment import pick_device
from dmtkit.tasks.probes import explain_batch

CASES = {  # model, classes, images, size, head rates, images at a time
    "deeplab-tiny, 400 scenes of 48×48, 11 classes": ("deeplab-tiny", 11, 400, 48, (1, 2), 16),
    "deeplab-resnet18, 24 scenes of 240×240, 11 classes": ("deeplab-resnet18", 11, 24, 240, (6, 12), 2),
    "deeplab-resnet101, 6 scenes of 321×321, 21 classes": ("deeplab-resnet101", 21, 6, 321, (6, 12), 2),
}
RATIO = 0.5
COUNTS = (100, 500, 2000)


def labelling(*cases: str, images: int = 0, workers: int = 0, repeats: int = 5, device: str = "auto") -> dict[str, Any]:
    """Seconds of all sides in turn; CASE: how the cases' names begin, by default all, and then also the peak memory.

    --images: how many, whatever the case says. --workers: of the reference's DataLoader; none is fastest in memory.
    """
    here = pick_device(device)
    results: dict[str, Any] = {"device": here.type, "data_workers": workers, "time": {}}
    for name, case in CASES.items():
        if not cases or any(name.startswith(word) for word in cases):
            results["time"][name] = measure(case, images, workers, repeats, here)
    if not cases:
        results["peak_memory_mib"] = {str(count): round(alone(peak_of_labelling, count), 1) for count in COUNTS}
    return results


def measure(case: tuple, images: int, workers: int, repeats: int, device: torch.device) -> dict[str, Any]:
    """Medians of repeats in turn, and bytes a pixel."""
    network, classes, count, size, rates, batch = case
    count = images or count
    torch.manual_seed(0)
    model = build(network, 3, classes, rates).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    arrays = DigitScenes(count, size).in_memory()
    part, sizes = Part(arrays, tuple(range(count))), np.full((count, 2), size)
    bare = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    bare.input = nn.Identity()  # its data set normalises, and it computes in NCHW
    loader = DataLoader(Whole(list(arrays.images), *IMAGENET), batch, num_workers=workers)
    with TemporaryDirectory() as place:
        pairs = Path(place, "pairs")
        pairs.mkdir()

        def label(name: str, observe: Observe | None = None, precision: str = "fp32") -> None:
            autocast = partial(torch.autocast, device.type, torch.bfloat16, precision == "bf16")
            reader = Reader(part, sizes, device, (0, 0, 0), batch, autocast=autocast)
            label_images(model, reader, Path(place, name), "m", classes, observe=observe)

        def thresholds(name: str) -> Kept:
            store = open_labels(Path(place, name), "m", part.names)
            return Kept(store, class_thresholds(torch.from_numpy(store.histogram), RATIO))

        label("labels")
        kept, sums = thresholds("labels"), Sums()
        how = partial(METHODS["dmt"].weigh, gamma1=3.0, gamma2=3.0)

        def weigh(
            images: WholeImages, logits: Tensor
        ) -> None:  # what a phase also does while it labels for the next one
            explained = explain_batch(images, logits, part, kept, how)
            sums.add(**case_sums(explained.weighed, explained.given, explained.truth, classes))

        sides: dict[str, Callable[[], object]] = {
            "plain": lambda: plain(model, part, batch, device),
            "labelling": lambda: label("again"),
            "with_weights": lambda: label("weighed", weigh),
            "fp32": lambda: (label("again"), thresholds("again")),
            "bf16": lambda: (label("again", precision="bf16"), thresholds("again")),
            "reference": lambda: save_labels(bare, loader, rank(bare, loader, classes, RATIO), pairs),
        }
        seconds = in_turn(sides, device, repeats)
        stored = sum(Path(place, "labels", name).stat().st_size for name in ("label.u8", "level.u16"))
        stored_by_reference = sum(path.stat().st_size for path in pairs.iterdir())
    return {
        "seconds": rounded(seconds, 4),
        "images_per_second": rounded({name: count / value for name, value in seconds.items()}, 1),
        "ratio": round(seconds["labelling"] / seconds["plain"], 3),
        "ratio_with_weights": round(seconds["with_weights"] / seconds["plain"], 3),
        "times_reference": rounded({name: seconds["reference"] / seconds[name] for name in ("fp32", "bf16")}, 3),
        "bytes_a_pixel": stored / (count * size * size),
        "bytes_a_pixel_reference": round(stored_by_reference / (count * size * size), 2),
    }


@torch.inference_mode()
def plain(model: nn.Module, part: Part, batch: int, device: torch.device) -> None:
    """Read, predict, and take the class of every pixel."""
    model.eval()
    for start in range(0, len(part), batch):
        images = np.stack([part.image(i) for i in range(start, min(len(part), start + batch))])
        pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
        model(pixels).argmax(1).to(torch.uint8).cpu().numpy()


def peak_of_labelling(count: int) -> float:
    """Peak memory in MiB of a process that labels `count` scenes, composed as they are read."""
    model = build("deeplab-tiny", 3, 11, (1, 2))
    part, sizes = Part(DigitScenes(count), tuple(range(count))), np.full((count, 2), 64)
    with TemporaryDirectory() as place:
        reader = Reader(part, sizes, torch.device("cpu"), (0, 0, 0), 16)
        label_images(model, reader, Path(place, "labels"), "m", 11)
    return peak_mib()
