"""Classification data, small enough to lie in memory as uint8: digits, CIFAR, any folder of class folders."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import yaml
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from dmtkit.config import ClassificationConfig, Config
from dmtkit.data.folder import read_tree
from dmtkit.data.splits import Split, class_split, list_split
from dmtkit.errors import DataError
from dmtkit.params import project_root
from dmtkit.registry import DATASETS, dataset

UNKNOWN = -1  # the truth of an image that nobody labeled
IGNORED = 255  # never a class: pseudo labels are stored as uint8

CIFAR_STATISTICS = ((0.49137, 0.48235, 0.44667), (0.24706, 0.24353, 0.26157))  # method.md §6


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

    @property
    def truth_known(self) -> bool:
        """Whether every unlabeled image has a truth to measure against (it is never trained on)."""
        return bool((self.unlabeled.labels != UNKNOWN).all())

    def overview(self) -> list[str]:
        """The data in a few lines: classes, sizes, and what each part holds."""
        shape = "×".join(str(size) for size in self.test.pixels.shape[1:])
        lines = [
            f"{len(self.classes)} classes, images {shape}; truth of U {'known' if self.truth_known else 'unknown'}"
        ]
        for name in ("labeled", "unlabeled", "val", "test"):
            part = getattr(self, name)
            counts = torch.bincount(part.labels[part.labels >= 0], minlength=len(self.classes))
            detail = f", {int(counts.min())} to {int(counts.max())} a class" if len(part) and counts.sum() else ""
            lines.append(f"  {name:10s} {len(part):7,d} images{detail}")
        return lines

    def describe(self, dates: bool = False) -> dict[str, object]:
        """Class names, who is in which part, and a checksum of all pixels and labels."""
        parts = {name: getattr(self, name) for name in ("labeled", "unlabeled", "val", "test")}
        digest = hashlib.sha256()
        for part in parts.values():
            digest.update(part.pixels.cpu().numpy().tobytes())
            digest.update(part.labels.cpu().numpy().tobytes())
        names = {name: part.names for name, part in parts.items()}
        return {"classes": self.classes, **names, "checksum": digest.hexdigest()[:32]}

    def normalise(self, pixels: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Pixels 0–255 as the network reads them: scaled to 0–1, then standardised per channel."""
        mean, std = _on_device(self.mean, self.std, pixels.device)
        return (pixels / 255 - mean) / std


@lru_cache(maxsize=32)
def _on_device(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation as tensors "1 c 1 1", copied to the device once and not in every step."""
    return torch.tensor(mean, device=device).view(1, -1, 1, 1), torch.tensor(std, device=device).view(1, -1, 1, 1)


def load(config: ClassificationConfig) -> Data:
    """Load the data set that `config` names, split; DataError names every offender at once.

    >>> data = load(ClassificationConfig())
    >>> len(data.labeled), tuple(data.test.pixels.shape[1:])
    (20, (1, 8, 8))
    """
    return DATASETS["classification"][config.dataset](config)


@dataset("digits", task="classification")
def digits(config: ClassificationConfig) -> Data:
    """scikit-learn's 1 797 handwritten digits."""
    return split_images(config, *_digits())


@dataset("cifar10", task="classification")
def cifar10(config: ClassificationConfig) -> Data:
    """CIFAR-10, standardised as the paper has it."""
    return split_images(config, *_cifar("cifar10", data_dir(config)), CIFAR_STATISTICS)


@dataset("cifar100", task="classification")
def cifar100(config: ClassificationConfig) -> Data:
    """CIFAR-100."""
    return split_images(config, *_cifar("cifar100", data_dir(config)))


@dataset("folder", task="classification")
def folder(config: ClassificationConfig) -> Data:
    """Folders of images."""
    return split_images(config, *_folder(data_dir(config)))


Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def split_images(
    config: ClassificationConfig,
    train: Images,
    test: Images,
    classes: tuple[str, ...],
    statistics: Statistics | None = None,
) -> Data:
    """Training images split as the config says; mean and deviation of the channels are measured where they are not given."""
    split = _split(config, train, classes)
    labeled, unlabeled, val = (train.select(part) for part in (split.labeled, split.unlabeled, split.val))
    if not len(test):  # own data without a test folder: the held-out slice is all there is to measure on
        test = val
    if not len(test):
        raise DataError("nothing to measure on: there is no test/ folder and `val` is 0; set `val` to 5 or more")
    if not len(unlabeled):
        raise DataError("no unlabeled images are left; lower `labels`, or add an unlabeled/ folder")
    mean, std = statistics or _statistics(train)
    return Data(labeled, unlabeled, val, test, classes, mean, std)


def _split(config: ClassificationConfig, train: Images, classes: tuple[str, ...]) -> Split:
    if config.lists:
        split = list_split(train.names, read_lists(project_root() / config.lists))
        unknown = [train.names[i] for i in (*split.labeled, *split.val) if train.labels[i] == UNKNOWN]
        if unknown:
            raise DataError(f"lists: labeled or val holds an image outside the class folders: {unknown[0]}")
        seen = set(train.labels[list(split.labeled)].tolist())
        missing = [name for number, name in enumerate(classes) if number not in seen]
        if missing:
            raise DataError(f"lists: labeled holds no image of these classes: {', '.join(missing)}; add one of each")
        return split
    known = (train.labels != UNKNOWN).nonzero().flatten().tolist()
    extra = tuple((train.labels == UNKNOWN).nonzero().flatten().tolist())
    inner = class_split(train.labels[known].tolist(), config.labels, config.val, config.seed)
    labeled, unlabeled, val = (tuple(known[i] for i in p) for p in (inner.labeled, inner.unlabeled, inner.val))
    return Split(labeled, unlabeled + extra, val)


def read_lists(path: Path) -> dict[str, list[str]]:
    """A YAML file of own lists, checked for its form."""
    try:
        lists = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"lists: {path} cannot be read: {error}") from None
    if not isinstance(lists, dict):
        raise DataError(f"lists: {path} must map labeled, unlabeled (and val) to lists of image names")
    parts = {str(key): value for key, value in lists.items() if key in ("labeled", "unlabeled", "val", "left", "right")}
    if not parts or not all(isinstance(value, list) for value in parts.values()):
        raise DataError(f"lists: {path} must map labeled, unlabeled (and val) to lists of image names")
    return {str(key): [str(name) for name in parts.get(key, [])] for key in lists}


def data_dir(config: Config) -> Path:
    """The folder of the config's data, relative to the project."""
    folder = project_root() / (config.data_dir or "data")
    if not folder.is_dir():
        raise DataError(
            f"data_dir: there is no folder {folder}; put the data there or give its place with -p data_dir PATH"
        )
    return folder


def _digits() -> tuple[Images, Images, tuple[str, ...]]:
    """scikit-learn's 1 797 handwritten digits, 8×8; 50 of every class are always the test set."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    every = Images(pixels, labels, tuple(f"digit-{i:04d}" for i in range(len(labels))))
    parts = class_split(labels.tolist(), per_class=None, val_per_class=50, seed=0)
    return every.select(sorted(parts.labeled)), every.select(sorted(parts.val)), tuple("0123456789")


def _cifar(name: str, folder: Path) -> tuple[Images, Images, tuple[str, ...]]:
    """CIFAR-10 or CIFAR-100 in the archives' own format, read by torchvision."""
    from dmtkit.compat import torchvision_datasets

    archive = getattr(torchvision_datasets(), name.upper())
    try:
        sets = [archive(str(folder), train=train) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"data_dir: {folder} does not hold {name} ({error}); fetch it once with "
            f'`python -c "import dmtkit.compat, torchvision; '
            f"torchvision.datasets.{archive.__name__}('{folder}', download=True)\"`"
        ) from None
    parts = []
    for kind, source in zip(("train", "test"), sets, strict=True):
        pixels = torch.from_numpy(np.ascontiguousarray(source.data.transpose(0, 3, 1, 2)))
        names = tuple(f"{kind}/{i:05d}" for i in range(len(pixels)))
        parts.append(Images(pixels, torch.tensor(source.targets, dtype=torch.int64), names))
    return parts[0], parts[1], tuple(sets[0].classes)


def _folder(folder: Path) -> tuple[Images, Images, tuple[str, ...]]:
    """Own data: `train/<class>/*`, optional `test/<class>/*` and `unlabeled/*`; images of one size."""
    tree = read_tree(folder)
    pixels, names = torch.from_numpy(tree.pixels), tree.names
    every = Images(pixels, torch.from_numpy(tree.labels), names)
    parts = [[i for i, name in enumerate(names) if name.startswith("test/") is test] for test in (False, True)]
    return every.select(parts[0]), every.select(parts[1]), tree.classes


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of pixels scaled to 0–1, from histograms (exact, no float copy)."""
    mean, std = [], []
    values = np.arange(256) / 255
    for channel in range(images.pixels.shape[1]):
        counts = torch.bincount(images.pixels[:, channel].flatten(), minlength=256).double().numpy()
        share = counts / counts.sum()
        mean.append(float(share @ values))
        std.append(max(float(np.sqrt(share @ (values - mean[-1]) ** 2)), 1e-3))
    return tuple(mean), tuple(std)
