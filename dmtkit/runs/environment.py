"""What a result was computed with: versions, commit, device; and whether this machine is ready to train."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dmtkit.config import Config
from dmtkit.errors import ConfigError
from dmtkit.params import outputs_root, project_root

PACKAGES = ("dmtkit", "torch", "torchvision", "numpy", "pillow", "scikit-learn", "papermill", "jupyterlab")
ENOUGH_GIB = 2  # of free disk
CPUINFO = Path("/proc/cpuinfo")  # Linux alone names its processor; psutil does not


def pick_device(name: str = "auto") -> torch.device:
    """The device that `name` means: `auto` takes CUDA where there is one, else the CPU.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("only the CPU and CUDA are supported")  # MPS has no 64-bit floats, which we use
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device: {name!r} cannot be used here ({reason}); use auto or cpu") from None
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16; `auto` takes bf16 where the hardware computes in it, and fp32 elsewhere.

    >>> pick_precision("fp32", torch.device("cpu"))
    'fp32'
    """
    if name == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    return name


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16: CUDA from compute capability 8 on, x86 with AVX-512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def operations(network: nn.Module, image: Sequence[int]) -> int:
    """Operations of a training step on one image (channels, height, width), counted by running it: the way back costs twice the way there.

    >>> operations(nn.Linear(6, 4, bias=False), (6,))
    144
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *image))
    return 3 * counter.get_total_flops()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages a result depends on."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = version(package)
        except PackageNotFoundError:
            numbers[package] = "not installed"
    return numbers


def commit() -> str | None:
    """The commit of the checkout that dmtkit is imported from, with + if it has changes."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    asked = ["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run([*git, *asked], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def machine(processes: int = 1) -> str:
    """Processor, cores and accelerator in one line, and how many processes train together if several do."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    processor = next(named, platform.processor() or platform.machine())
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    several = f", {processes} processes" if processes > 1 else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}{several}"


def describe_environment(config: Config, processes: int = 1) -> dict[str, Any]:
    """The content of environment.json."""
    device = pick_device(config.device)
    return {
        "versions": versions(),
        "commit": commit(),
        "device": str(device),
        "precision": pick_precision(config.precision, device),
        "machine": machine(),
        "processes": processes,
        "platform": platform.platform(),
        "seed": config.seed,
    }


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
