"""`dmtkit doctor`: is this machine ready to train, and with what?"""

import os
import shutil
import tempfile
from pathlib import Path

import torch

from dmtkit.params import outputs_root, project_root
from dmtkit.runs.environment import computes_bf16, machine, pick_device, pick_precision, versions

ENOUGH_GIB = 2


def examine() -> tuple[list[tuple[str, str]], list[str]]:
    """What was found, as (subject, finding) lines, and what is wrong, each with its remedy."""
    found = list(versions().items())
    problems = [f"{name} is not installed; run `make setup`" for name, text in found if text == "not installed"]
    found += [
        ("machine", machine()),
        *_devices(),
        ("bf16 in hardware", "yes" if computes_bf16(pick_device()) else "no"),
    ]
    found.append(("precision: auto", pick_precision("auto", pick_device())))
    outputs = outputs_root()
    found.append(("outputs", str(outputs)))
    problems += _writable(outputs)
    free = shutil.disk_usage(outputs if outputs.is_dir() else project_root()).free / 2**30
    found.append(("free disk", f"{free:.1f} GiB"))
    if free < ENOUGH_GIB:
        problems.append(f"only {free:.1f} GiB of disk are free; a run keeps its models, so free some space")
    return found, problems


def _devices() -> list[tuple[str, str]]:
    if not torch.cuda.is_available():
        return [("accelerator", "none: the CPU will be used")]
    lines = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        lines.append((f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    return lines


def _writable(folder: Path) -> list[str]:
    place = folder if folder.is_dir() else folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            return []
    except OSError as error:
        return [f"{place} cannot be written ({os.strerror(error.errno or 0)}); run from a folder of your own"]
