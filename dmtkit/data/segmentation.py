"""Segmentation data: digit scenes, VOC, Cityscapes and any VOC-style folder, split into X, U, val and test."""

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from dmtkit.config import SegmentationConfig
from dmtkit.data import cityscapes, digit_scenes, voc
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.images import data_dir, read_lists
from dmtkit.data.pictures import Part, Pictures
from dmtkit.data.splits import (
    PAPER_DENOMINATORS,
    PAPER_SAMPLED,
    NamedSplit,
    Sampling,
    difference_maximised,
    list_split,
    paper_sampling,
    paper_splits,
)
from dmtkit.data.survey import Survey, survey
from dmtkit.errors import DataError, listing
from dmtkit.params import outputs_root, project_root
from dmtkit.registry import DATASETS, dataset
from dmtkit.seeds import derive

TEST_SCENES = 160
IN_MEMORY = 10**8  # pixels: 400 MB with their masks
TRAIN_DIGITS, TEST_DIGITS = (0, 1400), (1400, 1797)


@dataclass(frozen=True)
class Scenes:
    """The parts of a data set, X = `labeled` and U = `unlabeled`; `left` and `right` are X as A and B first see it."""

    labeled: Part
    unlabeled: Part
    val: Part
    test: Part
    left: Part
    right: Part
    classes: tuple[str, ...]
    survey: Survey

    @property
    def truth_known(self) -> bool:
        """Whether any unlabeled image has a mask to measure against (it is never trained on)."""
        return bool(self._truths.any())

    @property
    def truth_complete(self) -> bool:
        """Whether every unlabeled image has a mask, which an oracle could learn from."""
        return bool(self._truths.all())

    @cached_property
    def _truths(self) -> np.ndarray:
        return self.class_counts(self.unlabeled, each=True)[:, :-1].sum(1) > 0

    @property
    def fill(self) -> tuple[int, int, int]:
        """The colour around an image that is smaller than its crop: a mean grey, 0 to the network's eyes."""
        return (124, 116, 104)  # ImageNet's mean, which both normalisations subtract

    def sizes(self, part: Part) -> Int64[np.ndarray, "n 2"]:
        """Height and width of every image of a part."""
        return self.survey.sizes[list(part.indices)]

    def class_counts(self, part: Part, each: bool = False) -> np.ndarray:
        """Pixels of every class in a part, the last entry being void; of each image with `each`."""
        counts = self.survey.counts[list(part.indices)]
        return counts if each else counts.sum(0)

    def overview(self) -> list[str]:
        """The data in a few lines: classes, sizes, and what each part holds."""
        low, high = self.survey.sizes.min(0), self.survey.sizes.max(0)
        shape = f"{low[0]}×{low[1]}" + ("" if (low == high).all() else f" to {high[0]}×{high[1]}")
        lines = [f"{len(self.classes)} classes, images {shape}; truth of U known for {int(self._truths.sum())} images"]
        for name in ("labeled", "unlabeled", "val", "test"):
            part = getattr(self, name)
            counts = self.class_counts(part)
            absent = [c for c, n in zip(self.classes, counts, strict=False) if not n] if counts[:-1].any() else []
            void = 100 * counts[-1] / max(counts.sum(), 1)
            lines.append(
                f"  {name:10s} {len(part):7,d} images, {void:.1f} % of their pixels void"
                if len(part)
                else f"  {name:10s}       0 images"
            )
            lines += [f"             no pixel of: {', '.join(absent)}"] if absent and len(part) else []
        return lines

    def describe(self, dates: bool = False) -> dict[str, object]:
        """Class names, who is in which part, and a checksum of the data (of its files' dates too)."""
        names = {name: getattr(self, name).names for name in ("labeled", "unlabeled", "val", "test", "left", "right")}
        return {"classes": self.classes, **names, "checksum": self.labeled.pictures.checksum(dates)}


@dataclass(frozen=True)
class Joined:
    """Two sets as one, the second after the first."""

    first: Pictures
    second: Pictures

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of both."""
        return (*self.first.names, *self.second.names)

    def _find(self, index: int) -> tuple[Pictures, int]:
        n = len(self.first.names)
        return (self.first, index) if index < n else (self.second, index - n)

    def image(self, index: int) -> np.ndarray:
        """The image, red, green and blue."""
        source, place = self._find(index)
        return source.image(place)

    def mask(self, index: int) -> np.ndarray:
        """The class of every pixel."""
        source, place = self._find(index)
        return source.mask(place)

    def mismatch(self, index: int) -> str | None:
        """What is wrong between an image and its mask."""
        source, place = self._find(index)
        return source.mismatch(place)

    def checksum(self, dates: bool = False) -> str:
        """Of both."""
        return f"{self.first.checksum(dates)}-{self.second.checksum(dates)}"


def load(config: SegmentationConfig) -> Scenes:
    """Load and survey the data set that `config` names, split; DataError names every offender at once.

    >>> data = load(SegmentationConfig(scenes=40, scene_size=32))
    >>> len(data.labeled), len(data.unlabeled), data.classes[0]
    (6, 34, 'background')
    """
    return DATASETS["segmentation"][config.dataset](config)


@dataset("scenes", task="segmentation")
def scenes(config: SegmentationConfig) -> Scenes:
    """Scenes composed of handwritten digits."""
    size, difficulty = config.scene_size, config.scene_difficulty
    train = DigitScenes(config.scenes, size, difficulty, "train", TRAIN_DIGITS, config.split)
    test = DigitScenes(TEST_SCENES, size, difficulty, "test", TEST_DIGITS, config.split)
    small = config.scenes * size * size < IN_MEMORY  # more are composed whenever they are looked at
    both = Joined(train.in_memory(), test.in_memory()) if small else Joined(train, test)
    return split_scenes(config, both, config.scenes, digit_scenes.CLASSES)


@dataset("voc", task="segmentation")
def voc2012(config: SegmentationConfig) -> Scenes:
    """PASCAL VOC 2012 with its augmented masks."""
    return split_scenes(config, *voc.voc2012(data_dir(config), config.resize), voc.CLASSES, surveys())


@dataset("cityscapes", task="segmentation")
def streets(config: SegmentationConfig) -> Scenes:
    """Cityscapes."""
    pictures = cityscapes.cityscapes(data_dir(config), config.resize)
    return split_scenes(config, *pictures, cityscapes.CLASSES, surveys())


@dataset("folder", task="segmentation")
def folder(config: SegmentationConfig) -> Scenes:
    """Own images and masks, laid out as VOC's."""
    assert config.classes is not None
    pictures = voc.voc_folder(data_dir(config), config.train_list, config.test_list, config.resize)
    return split_scenes(config, *pictures, config.classes, surveys())


def surveys() -> Path:
    """Where surveys of files are kept from run to run."""
    return outputs_root() / ".surveys"


def split_scenes(
    config: SegmentationConfig, pictures: Pictures, trained: int, classes: tuple[str, ...], cache: Path | None = None
) -> Scenes:
    """Pictures, of which the first `trained` are for training and the rest for testing, split as the config says."""
    names = pictures.names
    if len(set(names)) < len(names):
        raise DataError("two images have the same name")
    split, val = _split(config, names[:trained])
    index = {name: position for position, name in enumerate(names)}

    def part(chosen: list[str] | tuple[str, ...]) -> Part:
        return Part(pictures, tuple(index[name] for name in chosen))

    sampling = _listed_sampling(config, split) or _sampling(config, names[:trained], split)
    test = part(names[trained:])
    labeled = part(split.labeled)
    found = survey(pictures, len(classes), (*labeled.indices, *test.indices, *part(val).indices), cache)
    return Scenes(
        labeled, part(split.unlabeled), part(val), test, part(sampling.left), part(sampling.right), classes, found
    )


def _split(config: SegmentationConfig, train: tuple[str, ...]) -> tuple[NamedSplit, tuple[str, ...]]:
    """X and U, by own lists, by a list of labeled names, or by the paper's rule; and the held-out slice of X."""
    if config.lists:
        found = list_split(train, read_lists(project_root() / config.lists))
        labeled, unlabeled, val = ([train[i] for i in part] for part in (found.labeled, found.unlabeled, found.val))
        return NamedSplit(labeled, unlabeled), tuple(val)
    if config.labeled_list:
        split = _listed(config, train)
    elif config.denominator:
        split = paper_splits(train, [config.denominator], config.split + 1)[config.split][config.denominator]
    else:
        raise DataError("nothing says which images are labeled: set `denominator`, `labeled_list` or `lists`")
    if not split.labeled or not split.unlabeled:
        raise DataError(
            f"{len(split.labeled)} of {len(train)} training images are labeled; some must be and some must not: "
            "choose another denominator or list"
        )
    if config.val >= len(split.labeled):
        raise DataError(f"val: found {config.val}, but only {len(split.labeled)} images are labeled; hold out fewer")
    end = len(split.labeled) - config.val
    return NamedSplit(split.labeled[:end], split.unlabeled), tuple(split.labeled[end:])


def _listed(config: SegmentationConfig, train: tuple[str, ...]) -> NamedSplit:
    """X is a list of ImageSets/Segmentation, U the rest of the training images."""
    if config.dataset not in ("voc", "folder"):
        raise DataError(f"labeled_list: {config.dataset} has no lists; use `denominator` or `lists`")
    folder = data_dir(config)
    if config.dataset == "voc":
        folder = voc.find_voc(folder)
    labeled = voc.read_list(folder, str(config.labeled_list))
    foreign = sorted(set(labeled) - set(train))
    if foreign:
        raise DataError(f"labeled_list: {len(foreign)} names are no training images:\n{listing(foreign)}")
    chosen = set(labeled)
    unlabeled = [name for name in train if name not in chosen]
    random.Random(derive(config.split, "labeled_list")).shuffle(labeled)
    return NamedSplit(labeled, unlabeled)


def _listed_sampling(config: SegmentationConfig, split: NamedSplit) -> Sampling | None:
    """What A and B see of X, where own lists say so (a run's split.json does)."""
    lists = read_lists(project_root() / config.lists) if config.lists and config.sampling == "dms" else {}
    if not lists.get("left") or not lists.get("right"):
        return None
    foreign = sorted({*lists["left"], *lists["right"]} - set(split.labeled))
    if foreign:
        raise DataError(f"lists: left and right hold images that are not labeled:\n{listing(foreign)}")
    return Sampling(lists["left"], lists["right"])


def _sampling(config: SegmentationConfig, train: tuple[str, ...], split: NamedSplit) -> Sampling:
    """What A and B see of X in phase 0: all of it, or two overlapping parts (the paper's own for its own splits)."""
    if config.sampling == "all":
        return Sampling(split.labeled, split.labeled)
    of_paper = config.dataset == "voc" and len(train) == voc.TRAINAUG and config.split < 3 and not config.val
    if of_paper and not config.lists and not config.labeled_list and config.denominator in PAPER_SAMPLED:
        splits = paper_splits(train, PAPER_DENOMINATORS["voc"])
        return paper_sampling(splits)[config.split][float(config.denominator or 0)]
    return difference_maximised(split.labeled, random.Random(derive(config.split, "sampling")))
