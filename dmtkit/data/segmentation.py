"""Segmentation data: what any data set of images with masks becomes, X, U, val and test; and the digit scenes."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from dmtkit.config import SegmentationConfig
from dmtkit.data.digit_scenes import CLASSES, DigitScenes
from dmtkit.data.pictures import Files, Joined, Part, Pictures
from dmtkit.data.reader import PLACES, twins
from dmtkit.data.splits import (
    PAPER_SAMPLED,
    Sampling,
    Split,
    check_names,
    difference_maximised,
    list_split,
    own_lists,
    paper_sampling,
    paper_splits,
    read_names,
)
from dmtkit.data.survey import Survey, survey
from dmtkit.errors import DataError, listing
from dmtkit.registry import dataset
from dmtkit.seeds import derive

TEST_SCENES = 160
IN_MEMORY = 10**8  # pixels: 400 MB with their masks
TRAIN_DIGITS, TEST_DIGITS = (0, 1400), (1400, 1797)
VOC_TRAINED = 10582  # how many images the paper trains on


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
    fill = (124, 116, 104)  # around an image smaller than its crop: ImageNet's mean, 0 to the network's eyes

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
        return self.survey.counts[list(self.unlabeled.indices), :-1].sum(1) > 0

    def sizes(self, part: Part) -> Int64[np.ndarray, "n 2"]:
        """Height and width of every image of a part."""
        return self.survey.sizes[list(part.indices)]

    def class_counts(self, part: Part) -> Int64[np.ndarray, " k"]:
        """Pixels of every class in a part, the last entry being void."""
        return self.survey.counts[list(part.indices)].sum(0)

    def overview(self) -> list[str]:
        """The data in a few lines: classes, sizes, and what each part holds."""
        low, high = self.survey.sizes.min(0), self.survey.sizes.max(0)
        shape = f"{low[0]}×{low[1]}" + ("" if (low == high).all() else f" to {high[0]}×{high[1]}")
        lines = [f"{len(self.classes)} classes, images {shape}; truth of U known for {int(self._truths.sum())} images"]
        images = dict[str, tuple[str, Path]]()
        for name in PLACES:
            part = getattr(self, name)
            *counts, void = self.class_counts(part).tolist()
            share = f", {100 * void / (sum(counts) + void):.1f} % of their pixels void" if len(part) else ""
            lines.append(f"  {name:10s} {len(part):7,d} images{share}")
            absent = [c for c, n in zip(self.classes, counts, strict=True) if not n]
            lines += [f"             no pixel of: {', '.join(absent)}"] if absent and any(counts) else []
            if isinstance(files := part.pictures, Files):
                images |= {files.names[i]: (PLACES[name], files.images[i]) for i in part.indices}
        size = 3 * self.sizes(self.unlabeled).prod(1).sum() / 1e6
        lines.append(f"  labels of U take {size:,.1f} MB for each model of each phase; keep_labels: false keeps none")
        return lines + twins(images, Path.read_bytes, lambda path: path.stat().st_size)

    def describe(self, dates: bool = False) -> dict[str, object]:
        """Class names, who is in which part, and a checksum of the data (of its files' dates too)."""
        names = {name: getattr(self, name).names for name in ("labeled", "unlabeled", "val", "test", "left", "right")}
        return {"classes": self.classes, **names, "checksum": self.labeled.pictures.checksum(dates)}


@dataset("scenes", task="segmentation")
def scenes(config: SegmentationConfig) -> Scenes:
    """Scenes composed of handwritten digits."""
    size, difficulty = config.scene_size, config.scene_difficulty
    train = DigitScenes(config.scenes, size, difficulty, "train", TRAIN_DIGITS, config.split)
    test = DigitScenes(TEST_SCENES, size, difficulty, "test", TEST_DIGITS, config.split)
    small = config.scenes * size * size < IN_MEMORY  # more are composed whenever they are looked at
    both = Joined((train.in_memory(), test.in_memory()) if small else (train, test))
    return split_scenes(config, both, config.scenes, CLASSES)


def split_scenes(
    config: SegmentationConfig, pictures: Pictures, trained: int, classes: tuple[str, ...], lists: Path | None = None
) -> Scenes:
    """Pictures, of which the first `trained` are for training and the rest for testing, split as the config says.

    `lists` is the folder where `labeled_list` is looked for.
    """
    names = pictures.names
    check_names(names)
    index = {name: position for position, name in enumerate(names)}
    if len(index) < len(names):
        raise DataError(_twice(pictures))

    def part(chosen: Sequence[str]) -> Part:
        return Part(pictures, tuple(index[name] for name in chosen))

    split = _split(config, names[:trained], lists)
    sampling = _sampling(config, names[:trained], split)
    labeled, unlabeled, val, test, left, right = map(part, (*split, names[trained:], *sampling))
    measured = survey(pictures, len(classes), (*labeled.indices, *test.indices, *val.indices))
    return Scenes(labeled, unlabeled, val, test, left, right, classes, measured)


def _twice(pictures: Pictures) -> str:
    """Which names stand there more than once, and where."""
    places = defaultdict[str, list[str]](list)
    for position, name in enumerate(pictures.names):
        places[name].append(str(pictures.images[position]) if isinstance(pictures, Files) else f"image {position}")
    same = [f"{name}: {' and '.join(where)}" for name, where in places.items() if len(where) > 1]
    return f"two images have the same name; rename one of them:\n{listing(same)}"


def _split(config: SegmentationConfig, train: Sequence[str], lists: Path | None) -> Split:
    """X and U, by own lists, by a list of labeled names, or by the paper's rule; and the held-out slice of X."""
    if config.lists:
        return list_split(train, own_lists(config))
    if config.labeled_list:
        labeled, unlabeled, _ = _listed(config, train, lists)
    elif config.denominator:
        labeled, unlabeled, _ = paper_splits(train, [config.denominator], config.split + 1)[-1][config.denominator]
    else:
        raise DataError("nothing says which images are labeled: set `denominator`, `labeled_list` or `lists`")
    if not labeled or not unlabeled:
        raise DataError(
            f"{len(labeled)} of {len(train)} training images are labeled; some must be and some must not: "
            "choose another denominator or list"
        )
    if config.val >= len(labeled):
        raise DataError(f"val: found {config.val}, but only {len(labeled)} images are labeled; hold out fewer")
    end = len(labeled) - config.val
    return Split(labeled[:end], unlabeled, labeled[end:])


def _listed(config: SegmentationConfig, train: Sequence[str], lists: Path | None) -> Split:
    """X is one of the data's own lists, U the rest of the training images."""
    if lists is None:
        raise DataError(f"labeled_list: {config.dataset} has no lists; use `denominator` or `lists`")
    labeled = read_names(lists, str(config.labeled_list))
    if foreign := sorted(set(labeled) - set(train)):
        raise DataError(f"labeled_list: {len(foreign)} names are no training images:\n{listing(foreign)}")
    chosen = set(labeled)
    random.Random(derive(config.split, "labeled_list")).shuffle(labeled)
    return Split(labeled, [name for name in train if name not in chosen])


def _sampling(config: SegmentationConfig, train: Sequence[str], split: Split) -> Sampling:
    """What A and B see of X in phase 0: all of it, or two overlapping parts.

    Those are own lists' where they name them (a run's split.json does), the paper's own for its own splits, or drawn.
    """
    if config.sampling == "all":
        return Sampling(split.labeled, split.labeled)
    lists = own_lists(config)
    if lists.get("left") and lists.get("right"):
        if foreign := sorted({*lists["left"], *lists["right"]} - set(split.labeled)):
            raise DataError(f"lists: left and right hold images that are not labeled:\n{listing(foreign)}")
        return Sampling(lists["left"], lists["right"])
    of_paper = config.dataset == "voc" and len(train) == VOC_TRAINED and config.split < 3 and not config.val
    if of_paper and not lists and not config.labeled_list and config.denominator in PAPER_SAMPLED:
        return paper_sampling(paper_splits(train, PAPER_SAMPLED))[config.split][float(config.denominator or 0)]
    return difference_maximised(split.labeled, random.Random(derive(config.split, "sampling")))
