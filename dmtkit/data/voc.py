"""PASCAL VOC 2012 with its augmented training set, and own images and masks in folders laid out as VOC's are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dmtkit.config import SegmentationConfig
from dmtkit.data.images import data_dir
from dmtkit.data.pictures import Files
from dmtkit.data.reader import files_of, refuse_outside
from dmtkit.data.segmentation import Scenes, split_scenes
from dmtkit.data.splits import read_names
from dmtkit.errors import DataError, listing, quoted
from dmtkit.registry import dataset

CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
LISTS = Path("ImageSets", "Segmentation")


@dataset("folder", task="segmentation")
def voc_folder(config: SegmentationConfig) -> Scenes:
    """Images in JPEGImages/, masks in SegmentationClass/, lists in ImageSets/Segmentation/.

    A mask may be missing where an image is not labeled. DataError lists every name without an image and every
    name in both lists.
    """
    folder, lists = data_dir(config), (config.train_list, config.test_list)
    train, test = (read_names(folder / LISTS, name) for name in lists)
    if both := sorted(set(train) & set(test)):
        raise DataError(f"{len(both)} images stand in both lists, {' and '.join(lists)}:\n{listing(both)}")
    return _scenes(config, folder, sorted(train), test, _own_masks(folder, (*train, *test)))


@dataset("voc", task="segmentation")
def voc2012(config: SegmentationConfig) -> Scenes:
    """VOC 2012: the 10 582 images of `trainaug`, and the 1 449 of `val` to test on.

    The augmented masks are read from SegmentationClassAug/ where it is there; else from SBD's .mat files (in
    `data_dir`/SBD or /benchmark_RELEASE/dataset), VOC's own masks where VOC has one.
    """
    place = data_dir(config)
    folder = _find(place / "VOCdevkit" / "VOC2012", place / "VOC2012", place, holding="JPEGImages")
    if folder is None:
        raise DataError(
            f"data_dir: {place} does not hold VOC 2012; expected VOCdevkit/VOC2012/JPEGImages below it "
            "(VOCtrainval_11-May-2012.tar, unpacked)"
        )
    own_train, val = (read_names(folder / LISTS, name) for name in ("train", "val"))
    augmented = folder / "SegmentationClassAug"
    if augmented.is_dir():
        names = {path.stem for path in augmented.glob("*.*") if path.suffix.lower() == ".png"} | set(own_train)
        masks = {name: augmented / f"{name}.png" for name in names} | files_of(augmented, names, (".png",))
    else:
        masks = _sbd_masks(place, folder) | _own_masks(folder, own_train)
    masks |= {name: folder / "SegmentationClass" / f"{name}.png" for name in val} | _own_masks(folder, val)
    if missing := sorted(name for name, mask in masks.items() if not mask.is_file()):
        raise DataError(f"{len(missing)} images have no mask below {place}:\n{listing(missing)}")
    return _scenes(config, folder, sorted(set(masks) - set(val)), val, masks)


def _scenes(
    config: SegmentationConfig, folder: Path, train: Sequence[str], test: Sequence[str], masks: Mapping[str, Path]
) -> Scenes:
    """The images JPEGImages/<name>.jpg (or .jpeg, .png …), training images first; DataError lists the missing."""
    names = (*train, *test)
    images = files_of(folder / "JPEGImages", names)
    if missing := [quoted(name) for name in names if name not in images]:
        raise DataError(
            f"{len(missing)} names in the lists have no image file in {folder / 'JPEGImages'}; expected one name a line, "
            f"such as im00 for im00.jpg:\n{listing(missing)}"
        )
    refuse_outside(data_dir(config), (*images.values(), *masks.values()))
    files = Files(names, tuple(map(images.__getitem__, names)), tuple(map(masks.get, names)), config.resize)
    return split_scenes(config, files, len(train), config.classes or tuple(CLASSES.split()), folder / LISTS)


def _own_masks(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    return files_of(folder / "SegmentationClass", names, (".png",))


def _find(*places: Path, holding: str) -> Path | None:
    return next((folder for folder in places if (folder / holding).is_dir()), None)


def _sbd_masks(data_dir: Path, voc: Path) -> dict[str, Path]:
    """The mask files of SBD's two lists, by name."""
    root = _find(data_dir / "SBD", data_dir / "sbd", data_dir / "benchmark_RELEASE" / "dataset", holding="cls")
    if root is None:
        raise DataError(
            f"data_dir: {data_dir} holds neither {voc.name}/SegmentationClassAug nor SBD (SBD/cls, SBD/img, "
            "SBD/train.txt, SBD/val.txt); one of them gives the masks of trainaug"
        )
    return {name: root / "cls" / f"{name}.mat" for part in ("train", "val") for name in read_names(root, part)}
