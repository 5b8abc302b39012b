"""`dmtkit doctor`: is this machine ready to train, and with what?"""

import os
import shutil
import tempfile

import torch

from dmtkit.params import outputs_root, project_root
from dmtkit.runs.environment import computes_bf16, machine, pick_device, pick_precision, versions

ENOUGH_GIB = 2


def examine() -> tuple[list[tuple[str, str]], list[str]]:
    """What was found, as (subject, text) lines, and what is wrong, each with its remedy."""
    device, outputs = pick_device(), outputs_root()
    cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    place = outputs if outputs.is_dir() else project_root()
    free = shutil.disk_usage(place).free / 2**30
    lines = [
        *versions().items(),
        ("machine", machine()),
        *((f"cuda:{n}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB") for n, card in enumerate(cards)),
        *([] if cards else [("accelerator", "none: the CPU will be used")]),
        ("bf16 in hardware", "yes" if computes_bf16(device) else "no"),
        ("precision: auto", pick_precision("auto", device)),
        ("outputs", str(outputs)),
        ("free disk", f"{free:.1f} GiB"),
    ]
    problems = [f"{name} is not installed; run `make setup`" for name, text in lines if text == "not installed"]
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        problems.append(f"{place} cannot be written ({reason}); run from a folder of your own")
    if free < ENOUGH_GIB:
        problems.append(f"only {free:.1f} GiB of disk are free; a run keeps its models, so free some space")
    return lines, problems
