"""Cityscapes: street scenes of 2048×1024 pixels, label ids mapped to the 19 classes of the benchmark."""

from pathlib import Path

import numpy as np

from dmtkit.data.pictures import VOID, Files
from dmtkit.errors import DataError, listing

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # of those classes, in order
IMAGE, MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


def train_ids() -> np.ndarray:
    """The table from label id to train id; everything that is not evaluated becomes void.

    >>> train_ids()[[7, 33, 0, 4]].tolist()
    [0, 18, 255, 255]
    """
    table = np.full(256, VOID, np.uint8)
    table[list(LABEL_IDS)] = np.arange(len(LABEL_IDS))
    return table


def cityscapes(folder: Path, resize: tuple[int, int] | None) -> tuple[Files, int]:
    """leftImg8bit/{train,val} with gtFine, named city/city_xxx_yyy, training images first; and how many train."""
    names, images, masks, missing, counts = [], [], [], [], []
    for part in ("train", "val"):
        found = sorted((folder / "leftImg8bit" / part).glob(f"*/*{IMAGE}"))
        for path in found:
            name = f"{path.parent.name}/{path.name.removesuffix(IMAGE)}"
            mask = folder / "gtFine" / part / f"{name}{MASK}"
            names.append(name)
            images.append(path)
            masks.append(mask)
            missing += [] if mask.is_file() else [f"{part}/{name}{MASK}"]
        counts.append(len(found))
    if not all(counts):
        raise DataError(
            f"data_dir: {folder} does not hold Cityscapes; expected leftImg8bit/train/<city>/*{IMAGE}, "
            f"leftImg8bit/val/… and gtFine/… (found {counts[0]} training and {counts[1]} validation images)"
        )
    if missing:
        raise DataError(f"{len(missing)} images have no mask below {folder / 'gtFine'}:\n{listing(missing)}")
    return Files(tuple(names), tuple(images), tuple(masks), resize, train_ids()), counts[0]
