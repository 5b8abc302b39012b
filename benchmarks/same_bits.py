"""What every method leaves behind, in this checkout and in another one: for a change that must not change a bit.

Usage: python -m benchmarks.same_bits OTHER_CHECKOUT [--only CASE] [--name same_bits]

Trains all methods of both tasks, tiny, in fp32, on one thread, in one process and in two, and compares checksums of models,
labels, maps, logs and results. A model is hashed by its tensors, whatever the layout of its file.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT, commit_of, write_result
from tests.helpers import TINY, TINY_SEGMENTATION

CLASSIFICATION = {**TINY, "methods": ("supervised", "oracle", "online_st", "cl", "dst", "dmt_naive", "dmt_flip", "dmt")}
SEGMENTATION = {
    **TINY_SEGMENTATION,
    "methods": ("supervised", "oracle", "online_st", "cbst", "dst", "dmt_naive", "dmt_flip", "dmt"),
}
CASES: dict[str, dict[str, Any]] = {
    "classification": CLASSIFICATION,
    "classification, no mixup": {**CLASSIFICATION, "mixup": 0.0, "gamma_ramp": False},
    "segmentation": SEGMENTATION,
    "segmentation, dms": {**SEGMENTATION, "sampling": "dms"},
    "segmentation, one model": {**SEGMENTATION, "methods": ("supervised", "cbst", "online_st")},
    "segmentation, normalized, best": {
        **SEGMENTATION,
        "methods": ("cbst", "dmt"),
        "label_rule": "normalized",
        "val": 1,
        "snapshot": "best",
    },
}
TEAMS = ("classification", "segmentation")  # these also in two processes
STARTED = """
import json, sys, torch
from pathlib import Path
torch.set_num_threads(1)
import dmtkit
if __name__ == "__main__":
    case, folder, processes = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    dmtkit.train(dmtkit.make_config(case), output_dir=folder, processes=processes)
"""


def tensors(state: Any, name: str = "") -> Iterator[str]:
    """A line for every tensor in nested dictionaries: its own name and a checksum of its bytes."""
    if isinstance(state, torch.Tensor):
        yield f"{name} {hashlib.sha256(state.numpy().tobytes()).hexdigest()}"
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from tensors(value, str(key))


def content(path: Path) -> Any:
    """What a file of a phase says, without times and without the names that carry them."""
    if path.suffix == ".pt":
        return sorted(tensors(torch.load(io.BytesIO(path.read_bytes()), weights_only=True)))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return [f"{key} {hashlib.sha256(arrays[key].tobytes()).hexdigest()}" for key in sorted(arrays.files)]
    if path.suffix == ".json":
        return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("seconds", "owner")}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checksums(run: Path) -> dict[str, str]:
    """A checksum of every file of every phase, of the log and of the results."""
    bits = {}
    for path in sorted(p for p in run.glob("*/phase_*/**/*") if p.is_file()):
        name = path.relative_to(run).as_posix()
        name = name.rsplit("-", 1)[0] if path.suffix == ".pt" else name  # its name covers the seconds
        bits[name] = content(path)
    bits["results"] = json.loads((run / "DONE.json").read_text())["results"]
    bits["log"] = (run / "metrics.jsonl").read_text()
    return {name: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16] for name, value in bits.items()}


def train(checkout: Path, case: dict[str, Any], processes: int) -> dict[str, str]:
    """Train in a fresh process, or two; the checksums."""
    with tempfile.TemporaryDirectory() as place:
        program = Path(place) / "started.py"
        program.write_text(STARTED)
        arguments = [json.dumps(case), f"{place}/run", str(processes)]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        command = [sys.executable, str(program), *arguments]
        subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
        return checksums(Path(place) / "run")


def main(arguments: argparse.Namespace) -> None:
    """Train, compare, write."""
    other = Path(arguments.other).resolve()
    results: dict[str, Any] = {"before": commit_of(other), "cases": {}}
    for name, case in CASES.items():
        for processes in (1, 2) if name in TEAMS else (1,):
            label = f"{name}, {processes} processes" if processes > 1 else name
            if arguments.only in label:
                before, after = (train(checkout, case, processes) for checkout in (other, ROOT))
                differing = sorted(file for file in before | after if before.get(file) != after.get(file))
                row = {"checksums": len(before), "equal": len(before) - len(differing), "differing": differing}
                results["cases"][label] = row
                print(label, row, flush=True)
    if arguments.name:
        write_result(arguments.name, results)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "other", help="the folder of another checkout, such as `git worktree add ../before HEAD~1` makes"
    )
    parser.add_argument("--only", default="", help="what a case's name holds; all by default")
    parser.add_argument("--name", default="same_bits", help="name of the result; empty for none")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
