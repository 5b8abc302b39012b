"""What labelling costs beside plain inference, and beside the plain way's two passes, in time, bytes and peak memory.

Usage: python -m benchmarks.labelling
"""

import copy
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.common import write_result
from benchmarks.reference.labels import Whole, rank
from benchmarks.reference.labels import label as save_labels
from dmtkit.class_balance import class_thresholds
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Part
from dmtkit.label_store import Kept, open_labels
from dmtkit.labelling import Images, Observe, Reader, explain_batch, label_images
from dmtkit.models import build
from dmtkit.models.deeplab import IMAGENET
from dmtkit.pixels import CaseSums

CASES = {  # model, classes, images, size, head rates
    "deeplab-tiny, 400 scenes of 48×48, 11 classes": ("deeplab-tiny", 11, 400, 48, (1, 2)),
    "deeplab-resnet18, 24 scenes of 240×240, 11 classes": ("deeplab-resnet18", 11, 24, 240, (6, 12)),
    "deeplab-resnet101, 6 scenes of 321×321, 21 classes": ("deeplab-resnet101", 21, 6, 321, (6, 12)),
}
REPEATS = 5
COUNTS = (100, 500, 2000)


@torch.inference_mode()
def plain(model: nn.Module, part: Part, batch: int) -> None:
    """Read, predict, and take the class of every pixel."""
    model.eval()
    for start in range(0, len(part), batch):
        images = np.stack([part.image(i) for i in range(start, min(len(part), start + batch))])
        model(torch.from_numpy(images).permute(0, 3, 1, 2).float()).argmax(1).to(torch.uint8).numpy()


def ratio(network: str, classes: int, count: int, size: int, rates: tuple[int, ...]) -> dict[str, float]:
    """Medians of interleaved repeats."""
    torch.manual_seed(0)
    model = build(network, 3, classes, rates).to(memory_format=torch.channels_last)
    arrays = DigitScenes(count, size).in_memory()
    part, sizes, batch = Part(arrays, tuple(range(count))), np.full((count, 2), size), 16 if size < 100 else 2
    bare = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    bare.input = nn.Identity()  # its data set normalises, and it computes in NCHW
    loader = DataLoader(Whole(list(arrays.images), *IMAGENET), batch, num_workers=2)
    with tempfile.TemporaryDirectory() as place:
        folder, pairs = Path(place, "labels"), Path(place, "pairs")

        def label(name: str, observe: Observe | None = None, precision: str = "fp32") -> None:
            autocast = partial(torch.autocast, "cpu", torch.bfloat16, precision == "bf16")
            reader = Reader(torch.device("cpu"), (0, 0, 0), batch, autocast=autocast)
            label_images(model, part, sizes, reader, Path(place, name), "m", classes, observe=observe)

        def thresholds(precision: str) -> None:
            label("again", precision=precision)
            found = open_labels(Path(place, "again"), "m", part.names)
            class_thresholds(torch.from_numpy(found.histogram), 0.5)

        def reference() -> None:
            pairs.mkdir(exist_ok=True)
            save_labels(bare, loader, rank(bare, loader, classes, 0.5), pairs)

        label("labels")
        store = open_labels(folder, "m", part.names)
        kept, sums = Kept(store, class_thresholds(torch.from_numpy(store.histogram), 0.5)), CaseSums.empty(classes)

        def weigh(images: Images, logits: Tensor) -> None:  # what a phase also does while it labels for the next one
            explained = explain_batch(images, logits, part, kept, (3, 3), "dynamic", truth=True)
            sums.add(explained.found, explained.given, explained.truth)

        functions = {
            "plain": lambda: plain(model, part, batch),
            "labelling": lambda: label("again"),
            "with_weights": lambda: label("weighed", weigh),
            "thresholds_and_labels": lambda: thresholds("fp32"),
            "thresholds_and_labels_bf16": lambda: thresholds("bf16"),
            "reference": reference,
        }
        times: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(REPEATS + 1):
            for name, function in functions.items():
                started = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - started)
        stored = sum((folder / part).stat().st_size for part in ("label.u8", "level.u16"))
        stored_by_reference = sum(path.stat().st_size for path in pairs.iterdir())
    median = {key: statistics.median(values[1:]) for key, values in times.items()}
    return {
        **{f"{key}_seconds": round(value, 3) for key, value in median.items()},
        "ratio": round(median["labelling"] / median["plain"], 3),
        "ratio_with_weights": round(median["with_weights"] / median["plain"], 3),
        "times_reference": round(median["reference"] / median["thresholds_and_labels"], 3),
        "times_reference_bf16": round(median["reference"] / median["thresholds_and_labels_bf16"], 3),
        "bytes_a_pixel": stored / (count * size * size),
        "bytes_a_pixel_reference": round(stored_by_reference / (count * size * size), 2),
    }


def peak(count: int) -> float:
    """Peak memory in MiB of a process of its own that labels `count` scenes, composed as they are read."""
    command = [sys.executable, "-m", "benchmarks.labelling", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def label_and_report(count: int) -> None:
    model = build("deeplab-tiny", 3, 11, (1, 2))
    part, sizes = Part(DigitScenes(count), tuple(range(count))), np.full((count, 2), 64)
    with tempfile.TemporaryDirectory() as place:
        label_images(model, part, sizes, Reader(torch.device("cpu"), (0, 0, 0), 16), Path(place, "labels"), "m", 11)
    status = Path("/proc/self/status").read_text()  # getrusage would count what the parent held when it forked
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main() -> None:
    results = {"time": {name: ratio(*case) for name, case in CASES.items()}}
    results["peak_memory_mib"] = {str(count): round(peak(count), 1) for count in COUNTS}  # type: ignore[assignment]
    print(results)
    write_result("labelling", results)


if __name__ == "__main__":
    label_and_report(int(sys.argv[1])) if len(sys.argv) > 1 else main()
