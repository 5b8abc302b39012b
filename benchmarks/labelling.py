"""What labelling costs beside plain inference, and beside the plain way's two passes, in time, bytes and peak memory.

Usage: python -m benchmarks.labelling [CASE …] [--device auto] [--repeats 5] [--name labelling]
"""

import argparse
import copy
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.common import write_result
from benchmarks.rates import in_turn
from benchmarks.reference.labels import Whole, rank
from benchmarks.reference.labels import label as save_labels
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Images, Observe, Reader
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


@torch.inference_mode()
def plain(model: nn.Module, part: Part, batch: int, device: torch.device) -> None:
    """Read, predict, and take the class of every pixel."""
    model.eval()
    for start in range(0, len(part), batch):
        images = np.stack([part.image(i) for i in range(start, min(len(part), start + batch))])
        pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
        model(pixels).argmax(1).to(torch.uint8).cpu().numpy()


def measure(
    network: str, classes: int, count: int, size: int, rates: tuple[int, ...], batch: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Medians of repeats in turn, and bytes a pixel."""
    torch.manual_seed(0)
    device, count = pick_device(arguments.device), arguments.images or count
    model = build(network, 3, classes, rates).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    arrays = DigitScenes(count, size).in_memory()
    part, sizes = Part(arrays, tuple(range(count))), np.full((count, 2), size)
    bare = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    bare.input = nn.Identity()  # its data set normalises, and it computes in NCHW
    loader = DataLoader(Whole(list(arrays.images), *IMAGENET), batch, num_workers=arguments.workers)
    with tempfile.TemporaryDirectory() as place:
        folder, pairs = Path(place, "labels"), Path(place, "pairs")
        pairs.mkdir()

        def label(name: str, observe: Observe | None = None, precision: str = "fp32") -> None:
            autocast = partial(torch.autocast, device.type, torch.bfloat16, precision == "bf16")
            reader = Reader(device, (0, 0, 0), batch, autocast=autocast)
            label_images(model, part, sizes, reader, Path(place, name), "m", classes, observe=observe)

        def thresholds(precision: str) -> None:
            label("again", precision=precision)
            found = open_labels(Path(place, "again"), "m", part.names)
            class_thresholds(torch.from_numpy(found.histogram), RATIO)

        label("labels")
        store = open_labels(folder, "m", part.names)
        kept, sums = Kept(store, class_thresholds(torch.from_numpy(store.histogram), RATIO)), Sums()
        how = partial(METHODS["dmt"].weigh, gamma1=3.0, gamma2=3.0)

        def weigh(images: Images, logits: Tensor) -> None:  # what a phase also does while it labels for the next one
            explained = explain_batch(images, logits, part, kept, how, truth=True)
            sums.add(**case_sums(explained.weighed, explained.given, explained.truth, classes))

        sides = {
            "plain": lambda: plain(model, part, batch, device),
            "labelling": lambda: label("again"),
            "with_weights": lambda: label("weighed", weigh),
            "fp32": lambda: thresholds("fp32"),
            "bf16": lambda: thresholds("bf16"),
            "reference": lambda: save_labels(bare, loader, rank(bare, loader, classes, RATIO), pairs),
        }
        seconds = in_turn(sides, device, arguments.repeats)
        stored = sum((folder / name).stat().st_size for name in ("label.u8", "level.u16"))
        stored_by_reference = sum(path.stat().st_size for path in pairs.iterdir())
    return {
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "images_per_second": {name: round(count / value, 1) for name, value in seconds.items()},
        "ratio": round(seconds["labelling"] / seconds["plain"], 3),
        "ratio_with_weights": round(seconds["with_weights"] / seconds["plain"], 3),
        "times_reference": {name: round(seconds["reference"] / seconds[name], 3) for name in ("fp32", "bf16")},
        "bytes_a_pixel": stored / (count * size * size),
        "bytes_a_pixel_reference": round(stored_by_reference / (count * size * size), 2),
    }


def peak(count: int) -> float:
    """Peak memory in MiB of a process of its own that labels `count` scenes, composed as they are read."""
    command = [sys.executable, "-m", "benchmarks.labelling", "--peak", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def label_and_report(count: int) -> None:
    model = build("deeplab-tiny", 3, 11, (1, 2))
    part, sizes = Part(DigitScenes(count), tuple(range(count))), np.full((count, 2), 64)
    with tempfile.TemporaryDirectory() as place:
        label_images(model, part, sizes, Reader(torch.device("cpu"), (0, 0, 0), 16), Path(place, "labels"), "m", 11)
    status = Path("/proc/self/status").read_text()  # getrusage would count what the parent held when it forked
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = {case: CASES[case] for case in CASES if any(case.startswith(word) for word in arguments.cases or [""])}
    results: dict[str, Any] = {"device": pick_device(arguments.device).type, "data_workers": arguments.workers}
    results["time"] = {name: measure(*case, arguments) for name, case in chosen.items()}
    if not arguments.cases:
        results["peak_memory_mib"] = {str(count): round(peak(count), 1) for count in COUNTS}
    print(results)
    if arguments.name:
        write_result(arguments.name, results)
    return results


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="how the cases' names begin; all by default")
    parser.add_argument("--images", type=int, help="how many images, whatever the case says")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="processes of the reference's DataLoader; none is fastest for images in memory",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="labelling", help="name of the result; empty for none")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(words)


if __name__ == "__main__":
    given = parse()
    label_and_report(given.peak) if given.peak else main(given)
