"""Lets torchvision (and torchmetrics, which imports it) load beside a CPU-only torch.

On import torchvision registers the Python side of its compiled operators and dies where those were
not loaded. The kit uses none of them, so their schemas are declared here, when and only when they
are missing. Import this module before torchvision.
"""

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_LIBRARIES: list[torch.library.Library] = []  # a schema lives as long as its Library object


def declare_torchvision_operators() -> list[str]:
    """Declare torchvision's operators where they are missing; return the names declared.

    >>> declare_torchvision_operators()  # already done when this module was imported
    []
    """
    spec = find_spec("torchvision")
    for folder in (spec and spec.submodule_search_locations) or []:
        for compiled in Path(folder).glob("_C.*"):
            with suppress(OSError):  # built for another torch: their schemas are declared instead
                torch.ops.load_library(str(compiled))
    missing = [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(_SCHEMAS[name])
        _LIBRARIES.append(library)
    return missing


def torchvision_datasets() -> ModuleType:
    """torchvision.datasets, imported in the order that works everywhere."""
    return import_module("torchvision.datasets")


declare_torchvision_operators()
