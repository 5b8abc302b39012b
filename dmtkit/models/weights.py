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
        text = f"{self.count} tensors of {self.format} weights loaded"
        if self.missing:
            text += f"; newly initialised, not in the file: {', '.join(self.missing)}"
        if self.unused:
            text += f"; in the file, not used: {', '.join(self.unused)}"
        return text


def load_weights(model: nn.Module, source: str | Path) -> Loaded:
    """Load `imagenet` (torchvision's, for the backbone) or a file into a DeepLab, in place.

    Formats are told by their keys: COCO's Caffe style (layer5.conv2d_list.…; the model then expects BGR), a
    torchvision ResNet (fc.weight), a checkpoint of ours. Raises ConfigError if the file cannot be read, if a
    tensor of the backbone is missing, or if a shape differs.
    """
    path = Path(source)
    state = _imagenet(model) if str(source) == "imagenet" else _read(path)
    found, kind = rename(state)
    ours = {name: value for name, value in model.state_dict().items() if not name.startswith("input.")}
    if kind == "dmtkit":
        ours = model.state_dict()
    wrong = [
        f"{name}: {tuple(found[name].shape)} in the file, {tuple(value.shape)} in the model"
        for name, value in ours.items()
        if name in found and found[name].shape != value.shape
    ]
    heads = [line for line in wrong if line.startswith("head.")]
    if kind != "dmtkit" and len(heads) == len(wrong):  # a head for other classes is replaced, and listed
        found = {name: value for name, value in found.items() if name not in {line.split(":")[0] for line in heads}}
    elif wrong:
        raise ConfigError(
            f"{source}: is for another model or another number of classes; tensors that differ:\n{listing(wrong)}"
        )
    missing = tuple(n for n in ours if n not in found and not n.endswith("num_batches_tracked"))
    unused = tuple(sorted({*(n for n in found if n not in ours), *(line.split(":")[0] for line in heads)}))
    lacking = [name for name in missing if not name.startswith("head.")]
    if lacking:
        raise ConfigError(
            f"{source}: {len(lacking)} tensors of the backbone are missing, so this is no {kind} file for this model "
            f"(the file has e.g. {', '.join(list(state)[:3])}):\n{listing(lacking)}"
        )
    model.load_state_dict({name: value for name, value in found.items() if name in ours}, strict=False)
    if kind != "dmtkit":
        model.input.expect("bgr" if kind == "COCO (Caffe)" else "rgb")  # type: ignore[union-attr, operator]
    return Loaded(kind, len(found) - len(set(unused) & set(found)), missing, unused)


def rename(state: State) -> tuple[dict[str, Tensor], str]:
    """The tensors under our names, and the format they came in.

    >>> rename({"conv1.weight": torch.ones(1), "layer5.conv2d_list.0.bias": torch.ones(1)})[0].keys()
    dict_keys(['backbone.conv1.weight', 'head.convs.0.bias'])
    """
    if any(name.startswith("backbone.") for name in state):
        return dict(state), "dmtkit"
    caffe = any("layer5." in name for name in state)
    renamed = {}
    for name, value in state.items():
        plain = name.removeprefix("Scale.").removeprefix("module.")
        head = re.fullmatch(r"layer5\.conv2d_list\.(\d+)\.(weight|bias)", plain)
        renamed[f"head.convs.{head[1]}.{head[2]}" if head else f"backbone.{plain}"] = value
    return renamed, "COCO (Caffe)" if caffe else "torchvision"


def _read(path: Path) -> State:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such weights file; give a path, `imagenet`, or nothing") from None
    except Exception as error:  # unpickling raises a dozen kinds on damaged files
        raise ConfigError(f"{path}: is no weights file that can be read safely ({type(error).__name__})") from None
    while isinstance(found, dict):
        inner = next((found[key] for key in ("kept", "model", "state_dict") if isinstance(found.get(key), dict)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, dict) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise ConfigError(f"{path}: holds no weights (expected a mapping from names to tensors)")
    return found


def _imagenet(model: nn.Module) -> State:
    depth = {23: "resnet101", 6: "resnet50", 2: "resnet18"}
    layer3 = getattr(model.backbone, "layer3", None)  # type: ignore[union-attr]
    if layer3 is None:
        raise ConfigError("init: there are no ImageNet weights for deeplab-tiny; leave init_a and init_b empty")
    name = depth[len(layer3)]
    try:
        weights = import_module("torchvision.models").get_model_weights(name).IMAGENET1K_V1
        return weights.get_state_dict(check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"init: torchvision's {name} weights cannot be fetched ({error}); download {weights.url} and give the "
            "file's path instead of `imagenet`"
        ) from None
