"""This checkout beside another state of the code: what a change costs or saves, and whether it changes a bit.

The other is a commit, or the folder of a checkout.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, answer, checkout, git
from tests.helpers import TINY, TINY_SEGMENTATION, fingerprint

STEPS = """
import json, sys, time, torch
from benchmarks import steps
found, device = {}, torch.device("cpu")
for case in json.loads(sys.argv[1]):
    torch.manual_seed(0)
    one = steps.CASES[case]
    model, _, batches = one.make(0, device)
    step = steps.library(model, batches, steps.recipe(sys.argv[3], False, one.mixup))
    step()
    seconds = []
    for _ in range(int(sys.argv[2]) * one.together):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    found[f"{case}, {sys.argv[3]}"] = sorted(seconds)[len(seconds) // 2]
print(json.dumps(found))
"""
DEMO = """
import json, sys, time
import dmtkit
config = dmtkit.make_config(dmtkit.load_params(sys.argv[1]))
data = dmtkit.load_data(config)
started = time.perf_counter()
dmtkit.run_methods(config, data, sys.argv[2])
print(json.dumps({config.experiment: time.perf_counter() - started}))
"""
TIMED = ["wrn-28-2, 16+496 of 32×32", "deeplab-resnet101, 1+7 of 321×321", "deeplab-tiny, 4+12 of 48×48"]
TRAIN = """
import json, sys, torch
torch.set_num_threads(1)
import dmtkit
dmtkit.train(dmtkit.make_config(json.loads(sys.argv[1])), output_dir=sys.argv[2], processes=int(sys.argv[3]))
print("true")
"""
METHODS = ("supervised", "oracle", "online_st", "{}", "dst", "dmt_naive", "dmt_flip", "dmt")
CLASSIFICATION = {**TINY, "methods": [name.format("cl") for name in METHODS]}
SEGMENTATION = {**TINY_SEGMENTATION, "methods": [name.format("cbst") for name in METHODS]}
BEST = {"methods": ("cbst", "dmt"), "label_rule": "normalized", "val": 1, "snapshot": "best"}
TRAINED: dict[str, tuple[dict[str, Any], int]] = {  # settings, processes
    "classification": (CLASSIFICATION, 1),
    "classification, 2 processes": (CLASSIFICATION, 2),
    "classification, no mixup": ({**CLASSIFICATION, "mixup": 0.0, "gamma_ramp": False}, 1),
    "segmentation": (SEGMENTATION, 1),
    "segmentation, 2 processes": (SEGMENTATION, 2),
    "segmentation, dms": ({**SEGMENTATION, "sampling": "dms"}, 1),
    "segmentation, one model": ({**SEGMENTATION, "methods": ("supervised", "cbst", "online_st")}, 1),
    "segmentation, normalized, best": ({**SEGMENTATION, **BEST}, 1),
}


def beside(other: str, *, turns: int = 5, steps: int = 3, precision: str = "fp32", demos: int = 0) -> dict[str, Any]:
    """Training steps, the library's alone, batch and augmentation included, in this checkout and the other.

    Each turn is a fresh process in one checkout, then one in the other, so that whatever slows the machine slows both.
    --demos: turns of the two demonstrations, run whole, without their notebooks.
    """
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"before": [], "after": []})
    with checkout(other) as before:
        for turn in range(max(turns, demos)):
            for side, folder in {"before": before, "after": ROOT}.items():
                found = {}
                if turn < turns:
                    found |= answer(STEPS, json.dumps(TIMED), str(steps), precision, folder=folder)
                for params in ("digits", "scenes") if turn < demos else ():
                    with TemporaryDirectory() as place:
                        found |= answer(DEMO, str(ROOT / "params" / f"{params}.yaml"), f"{place}/run", folder=folder)
                for case, value in found.items():
                    seconds[case][side].append(value)
                print(turn, side, {case: round(value, 4) for case, value in found.items()}, flush=True)
        commit = commit_of(before)
    cases = {case: compared(both["before"], both["after"]) for case, both in seconds.items()}
    return {"before": commit, "turns": turns, "demo_turns": demos, "cases": cases}


def compared(before: list[float], after: list[float]) -> dict[str, float]:
    """Medians of both sides, and of the ratios of the turns."""
    return {
        "seconds_before": round(statistics.median(before), 4),
        "seconds_after": round(statistics.median(after), 4),
        "ratio": round(statistics.median(b / a for a, b in zip(before, after, strict=True)), 3),
    }


def commit_of(folder: Path) -> str:
    return git("-C", str(folder), "rev-parse", "--short=12", "HEAD")


def same_bits(other: str, *, only: str = "") -> Iterator[dict[str, Any]]:
    """What every method leaves behind, here and in the other checkout: for a change that must not change a bit.

    Trains all methods of both tasks, tiny, in fp32, on one thread, in one process and in two, and compares checksums of
    models, labels, maps, logs and results. --only: what a case's name holds.
    """
    with checkout(other) as before:
        results: dict[str, Any] = {"before": commit_of(before), "cases": {}}
        for name, (case, processes) in TRAINED.items():
            if only in name:
                old, new = (train(folder, case, processes) for folder in (before, ROOT))
                differing = sorted(file for file in old | new if old.get(file) != new.get(file))
                row = {"checksums": len(old), "equal": len(old) - len(differing), "differing": differing}
                results["cases"][name] = row
                print(name, row, flush=True)
                yield results


def train(folder: Path, case: dict[str, Any], processes: int) -> dict[str, str]:
    """Train in a fresh process, or two; the checksums."""
    with TemporaryDirectory() as place:
        answer(TRAIN, json.dumps(case), f"{place}/run", str(processes), folder=folder)
        return fingerprint(Path(place, "run"))
