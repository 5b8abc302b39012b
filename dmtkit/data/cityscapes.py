"""Cityscapes: street scenes of 2048×1024 pixels, label ids mapped to the 19 classes of the benchmark."""

import numpy as np

from dmtkit.config import SegmentationConfig
from dmtkit.data.images import data_dir
from dmtkit.data.pictures import VOID, Files
from dmtkit.data.reader import refuse_outside
from dmtkit.data.segmentation import Scenes, split_scenes
from dmtkit.errors import DataError, listing
from dmtkit.registry import dataset

CLASSES = (
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
    "rider, car, truck, bus, train, motorcycle, bicycle"
)
LABEL_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]  # of those classes, in order
TRAIN_IDS = np.full(256, VOID, np.uint8)  # from label id to class; what is not evaluated is void
TRAIN_IDS[LABEL_IDS] = np.arange(len(LABEL_IDS))
IMAGE, MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


@dataset("cityscapes", task="segmentation")
def cityscapes(config: SegmentationConfig) -> Scenes:
    """leftImg8bit/{train,val} with gtFine, named city/city_xxx_yyy, training images first."""
    folder = data_dir(config)
    train, test = (sorted((folder / "leftImg8bit" / part).glob(f"*/*{IMAGE}")) for part in ("train", "val"))
    if not train or not test:
        raise DataError(
            f"data_dir: {folder} does not hold Cityscapes; expected leftImg8bit/train/<city>/*{IMAGE}, "
            f"leftImg8bit/val/… and gtFine/… (found {len(train)} training and {len(test)} validation images)"
        )
    images = (*train, *test)
    shared = [path.relative_to(folder / "leftImg8bit").as_posix().removesuffix(IMAGE) for path in images]
    masks = tuple(folder / "gtFine" / f"{name}{MASK}" for name in shared)
    missing = [f"{name}{MASK}" for name, mask in zip(shared, masks, strict=True) if not mask.is_file()]
    if missing:
        raise DataError(f"{len(missing)} images have no mask below {folder / 'gtFine'}:\n{listing(missing)}")
    refuse_outside(folder, (*images, *masks))
    names = tuple(name.partition("/")[2] for name in shared)
    files = Files(names, images, masks, config.resize, TRAIN_IDS)
    return split_scenes(config, files, len(train), tuple(CLASSES.split(", ")))
