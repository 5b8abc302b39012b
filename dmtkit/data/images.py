"""Classification data, small enough to lie in memory as bytes: digits, CIFAR, and what any such data set becomes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from dmtkit.config import ClassificationConfig, Config
from dmtkit.data.digit_scenes import load_digits
from dmtkit.data.reader import PLACES, twins
from dmtkit.data.splits import UNKNOWN, Split, check_names, class_split, list_split, own_lists
from dmtkit.errors import DataError
from dmtkit.params import project_root
from dmtkit.registry import dataset

CIFAR_STATISTICS = ((0.49137, 0.48235, 0.44667), (0.24706, 0.24353, 0.26157))  # method.md §6
Statistics = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Images:
    """Images with their truth: pixels 0–255, labels −1 where the truth is unknown, and names."""

    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, indices: Sequence[int]) -> "Images":
        """The images at `indices`, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return Images(self.pixels[chosen], self.labels[chosen], tuple(self.names[i] for i in indices))

    def to(self, device: torch.device | str) -> "Images":
        """The same images with their tensors on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device), self.names)


@dataclass(frozen=True)
class Data:
    """The four parts of a data set, X = `labeled` and U = `unlabeled`, and what is needed to read them."""

    labeled: Images
    unlabeled: Images
    val: Images
    test: Images
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Images]:
        """The four by name."""
        return {name: getattr(self, name) for name in ("labeled", "unlabeled", "val", "test")}

    @cached_property
    def truth_known(self) -> bool:
        """Whether every unlabeled image has a truth to measure against (it is never trained on)."""
        return bool((self.unlabeled.labels != UNKNOWN).all())

    def overview(self) -> list[str]:
        """The data in a few lines: classes, sizes, and what each part holds."""
        shape, known = "×".join(map(str, self.test.pixels.shape[1:])), "known" if self.truth_known else "unknown"
        lines = [f"{len(self.classes)} classes, images {shape}; truth of U {known}"]
        for name, part in self.parts.items():
            counts = torch.bincount(part.labels[part.labels >= 0], minlength=len(self.classes))
            detail = f", {int(counts.min())} to {int(counts.max())} a class" if counts.sum() else ""
            lines.append(f"  {name:10s} {len(part):7,d} images{detail}")
        images = {
            name: (f"{PLACES[kind]}/{self.classes[label]}" if label != UNKNOWN else kind, pixels)
            for kind, part in self.parts.items()
            for name, label, pixels in zip(part.names, part.labels.tolist(), part.pixels.cpu().numpy(), strict=True)
        }
        return [*lines, *self.notes, *twins(images, np.ndarray.tobytes, len)]

    def describe(self, dates: bool = False) -> dict[str, object]:
        """Class names, who is in which part, and a checksum of all pixels and labels."""
        digest = hashlib.sha256()
        for part in self.parts.values():
            digest.update(part.pixels.cpu().numpy().tobytes())
            digest.update(part.labels.cpu().numpy().tobytes())
        names = {name: part.names for name, part in self.parts.items()}
        return {"classes": self.classes, **names, "checksum": digest.hexdigest()[:32]}

    def normalise(self, pixels: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Pixels 0–255 as the network reads them: scaled to 0–1, then standardised per channel."""
        mean, std = _on_device(self.mean, self.std, pixels.device)
        return (pixels / 255 - mean) / std


@lru_cache(maxsize=32)
def _on_device(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation as tensors "1 c 1 1", copied to the device once and not in every step."""
    return torch.tensor(mean, device=device).view(1, -1, 1, 1), torch.tensor(std, device=device).view(1, -1, 1, 1)


@dataset("digits", task="classification")
def digits(config: ClassificationConfig) -> Data:
    """scikit-learn's 1 797 handwritten digits, 8×8; 50 of every class are always the test set."""
    pixels, labels = load_digits()
    names = tuple(f"digit-{i:04d}" for i in range(len(labels)))
    every = Images(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)), names)
    parts = class_split(labels.tolist(), per_class=None, val_per_class=50, seed=0)
    return split_images(config, every.select(sorted(parts.labeled)), every.select(sorted(parts.val)), (*"0123456789",))


@dataset("cifar100", task="classification")
@dataset("cifar10", task="classification")
def cifar(config: ClassificationConfig) -> Data:
    """CIFAR-10, standardised as the paper has it, or CIFAR-100; in the archives' own format, read by torchvision."""
    from dmtkit.compat import torchvision_datasets

    archive, folder = getattr(torchvision_datasets(), config.dataset.upper()), data_dir(config)
    try:
        sets = {kind: archive(str(folder), train=kind == "train") for kind in ("train", "test")}
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"data_dir: {folder} does not hold {config.dataset} ({error}); fetch it once with "
            f'`python -c "import dmtkit.compat, torchvision; '
            f"torchvision.datasets.{archive.__name__}('{folder}', download=True)\"`"
        ) from None
    parts = []
    for kind, source in sets.items():
        pixels = torch.from_numpy(np.ascontiguousarray(source.data.transpose(0, 3, 1, 2)))
        names = tuple(f"{kind}/{i:05d}" for i in range(len(pixels)))
        parts.append(Images(pixels, torch.tensor(source.targets, dtype=torch.int64), names))
    statistics = CIFAR_STATISTICS if config.dataset == "cifar10" else None
    return split_images(config, parts[0], parts[1], tuple(sets["train"].classes), statistics)


def split_images(
    config: ClassificationConfig,
    train: Images,
    test: Images,
    classes: tuple[str, ...],
    statistics: Statistics | None = None,
) -> Data:
    """Training images split as the config says; mean and deviation of the channels are measured where they are not given."""
    check_names((*classes, *train.names, *test.names))
    labeled, unlabeled, val = (train.select(part) for part in _split(config, train, classes))
    test = test if len(test) else val  # without a test folder the held-out slice is all there is to measure on
    if not len(test):
        raise DataError("nothing to measure on: there is no test/ folder and `val` is 0; set `val` to 5 or more")
    if not len(unlabeled):
        raise DataError("no unlabeled images are left; lower `labels`, or add some in unlabeled/, not in sub-folders")
    mean, std = statistics or _statistics(train)
    return Data(labeled, unlabeled, val, test, classes, mean, std)


def _split(config: ClassificationConfig, train: Images, classes: tuple[str, ...]) -> Split:
    """Places in the training set, by own lists or so many of each class."""
    if not config.lists:
        return class_split(train.labels.tolist(), config.labels, config.val, config.seed, classes)
    place = {name: position for position, name in enumerate(train.names)}
    split = Split(*([place[name] for name in part] for part in list_split(train.names, own_lists(config))))
    if unknown := [train.names[i] for i in (*split.labeled, *split.val) if train.labels[i] == UNKNOWN]:
        raise DataError(f"lists: labeled or val holds an image outside the class folders: {unknown[0]}")
    seen = set(train.labels[split.labeled].tolist())
    if missing := [name for number, name in enumerate(classes) if number not in seen]:
        raise DataError(f"lists: labeled holds no image of these classes: {', '.join(missing)}; add one of each")
    return split


def data_dir(config: Config) -> Path:
    """The folder of the config's data, relative to the project."""
    folder = project_root() / (config.data_dir or "data")
    if not folder.is_dir():
        raise DataError(
            f"data_dir: there is no folder {folder}; put the data there or give its place with -p data_dir PATH"
        )
    return folder


def _statistics(images: Images) -> Statistics:
    """Mean and standard deviation per channel, of pixels scaled to 0–1, from histograms (exact, no float copy)."""
    mean, std = [], []
    values = np.arange(256) / 255
    for channel in images.pixels.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).double().numpy()
        share = counts / counts.sum()
        mean.append(float(share @ values))
        std.append(max(float(np.sqrt(share @ (values - mean[-1]) ** 2)), 1e-3))
    return tuple(mean), tuple(std)
