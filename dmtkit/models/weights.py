"""Loads weights made elsewhere into DeepLab: torchvision's, COCO's in Caffe style, or a checkpoint of our own.

Every key that the model lacks or the file lacks is listed; nothing is passed over in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from dmtkit.errors import ConfigError, listing

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loaded:
    """What loading did: how many tensors, in which format, and which keys did not meet their counterpart."""

    format: str
    count: int
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        new = f"; newly initialised, not in the file: {', '.join(self.missing)}" if self.missing else ""
        unused = f"; in the file, not used: {', '.join(self.unused)}" if self.unused else ""
        return f"{self.count} tensors of {self.format} weights loaded{new}{unused}"


def load_weights(model: nn.Module, source: str | Path) -> Loaded:
    """Load `imagenet` (torchvision's, for the backbone) or a file into a DeepLab, in place.

    Formats are told by their keys: COCO's Caffe style (layer5.conv2d_list.…; the model then expects BGR), a
    torchvision ResNet (fc.weight), a checkpoint of ours. Raises ConfigError if the file cannot be read, if a
    tensor of the backbone is missing, or if a shape differs.
    """
    state = _imagenet(model) if str(source) == "imagenet" else _read(Path(source))
    found, kind = rename(state)
    own = kind == "dmtkit"  # brings its input convention
    ours = {name: value for name, value in model.state_dict().items() if own or not name.startswith("input.")}
    shapes = {name: (tuple(found[name].shape), tuple(value.shape)) for name, value in ours.items() if name in found}
    wrong = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    if wrong and (own or not all(name.startswith("head.") for name in wrong)):
        lines = [f"{name}: {there} in the file, {here} in the model" for name, (there, here) in wrong.items()]
        raise ConfigError(
            f"{source}: is for another model or another number of classes; tensors that differ:\n{listing(lines)}"
        )
    fitting = {name: found[name] for name in shapes if name not in wrong}  # a head for other classes stays new
    missing = tuple(name for name in ours if name not in fitting and not name.endswith("num_batches_tracked"))
    if lacking := [name for name in missing if not name.startswith("head.")]:
        raise ConfigError(
            f"{source}: {len(lacking)} tensors of the backbone are missing, so this is no {kind} file for this model "
            f"(the file has e.g. {', '.join(list(state)[:3])}):\n{listing(lacking)}"
        )
    model.load_state_dict(fitting, strict=False)
    if not own:
        model.input.expect("bgr" if kind == "COCO (Caffe)" else "rgb")  # type: ignore[union-attr, operator]
    return Loaded(kind, len(fitting), missing, tuple(sorted(found.keys() - fitting.keys())))


def rename(state: State) -> tuple[dict[str, Tensor], str]:
    """The tensors under our names, and the format they came in.

    >>> rename({"conv1.weight": torch.ones(1), "layer5.conv2d_list.0.bias": torch.ones(1)})[0].keys()
    dict_keys(['backbone.conv1.weight', 'head.convs.0.bias'])
    """
    if any(name.startswith("backbone.") for name in state):
        return dict(state), "dmtkit"
    renamed = {}
    for name, value in state.items():
        plain = "backbone." + name.removeprefix("Scale.").removeprefix("module.")
        renamed[re.sub(r"^backbone\.layer5\.conv2d_list\.(\d+\.(weight|bias))$", r"head.convs.\1", plain)] = value
    return renamed, "COCO (Caffe)" if any("layer5." in name for name in state) else "torchvision"


def _read(path: Path) -> State:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such weights file; give a path, `imagenet`, or nothing") from None
    except Exception as error:  # unpickling raises a dozen kinds on damaged files
        raise ConfigError(f"{path}: is no weights file that can be read safely ({type(error).__name__})") from None
    wrappers = ("kept", "model", "state_dict")
    while isinstance(content, dict) and (
        inner := [content[key] for key in wrappers if isinstance(content.get(key), dict)]
    ):
        content = inner[0]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ConfigError(f"{path}: holds no weights (expected a mapping from names to tensors)")
    return content


def _imagenet(model: nn.Module) -> State:
    layer3 = getattr(model.backbone, "layer3", None)
    if layer3 is None:
        raise ConfigError("init: there are no ImageNet weights for deeplab-tiny; leave init_a and init_b empty")
    name = {23: "resnet101", 6: "resnet50", 2: "resnet18"}[len(layer3)]
    try:
        weights = import_module("torchvision.models").get_model_weights(name).IMAGENET1K_V1
        return weights.get_state_dict(check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"init: torchvision's {name} weights cannot be fetched ({error}); download {weights.url} and give the "
            "file's path instead of `imagenet`"
        ) from None
