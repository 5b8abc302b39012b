"""PASCAL VOC 2012 with its augmented training set, and any folder laid out as VOC is."""

from collections import Counter
from pathlib import Path

from dmtkit.data.pictures import Files
from dmtkit.errors import DataError, listing

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
TRAINAUG = 10582
SUFFIXES = (".jpg", ".jpeg", ".png")
LISTS = Path("ImageSets", "Segmentation")


def read_list(folder: Path, name: str) -> list[str]:
    """The names in ImageSets/Segmentation/<name>.txt; DataError says which lists there are."""
    path = folder / LISTS / f"{name}.txt"
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        there = sorted(p.stem for p in (folder / LISTS).glob("*.txt"))
        raise DataError(
            f"data_dir: there is no readable list {path}; lists found: {', '.join(there) or 'none'}"
        ) from None
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice or not names:
        raise DataError(f"{path}: " + (f"names that stand there twice:\n{listing(twice)}" if twice else "is empty"))
    return names


def voc_folder(folder: Path, train_list: str, test_list: str, resize: tuple[int, int] | None) -> tuple[Files, int]:
    """Images in JPEGImages/, masks in SegmentationClass/, lists in ImageSets/Segmentation/; and how many train.

    The training images come first, sorted by name. A mask may be missing where an image is not labeled.
    DataError lists every name without an image and every name in both lists.
    """
    train, test = sorted(read_list(folder, train_list)), read_list(folder, test_list)
    both = sorted(set(train) & set(test))
    if both:
        raise DataError(f"{len(both)} images stand in both lists, {train_list} and {test_list}:\n{listing(both)}")
    names = (*train, *test)
    images = find_images(folder, names)
    masks = [folder / "SegmentationClass" / f"{name}.png" for name in names]
    files = Files(names, images, tuple(mask if mask.is_file() else None for mask in masks), resize)
    return files, len(train)


def find_images(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """JPEGImages/<name>.jpg (or .jpeg, .png) of every name; DataError lists the missing."""
    found, missing = [], []
    for name in names:
        there = [p for s in SUFFIXES if (p := folder / "JPEGImages" / f"{name}{s}").is_file()]
        found += there[:1]
        missing += [] if there else [name]
    if missing:
        raise DataError(
            f"{len(missing)} names in the lists have no image in {folder / 'JPEGImages'}:\n{listing(missing)}"
        )
    return tuple(found)


def voc2012(data_dir: Path, resize: tuple[int, int] | None) -> tuple[Files, int]:
    """VOC 2012: the 10 582 images of `trainaug`, then the 1 449 of `val`; and how many train.

    The augmented masks are read from SegmentationClassAug/ where it is there; else from SBD's .mat files (in
    `data_dir`/SBD or /benchmark_RELEASE/dataset), VOC's own masks where VOC has one.
    """
    folder = find_voc(data_dir)
    own_train, val = read_list(folder, "train"), read_list(folder, "val")
    augmented = folder / "SegmentationClassAug"
    if augmented.is_dir():
        names = {p.stem for p in augmented.glob("*.png")} | set(own_train)
        masks = {name: augmented / f"{name}.png" for name in names}
    else:
        masks = sbd_masks(data_dir, folder)
    masks |= {
        name: own
        for name in (*own_train, *val)
        if not augmented.is_dir() and (own := folder / "SegmentationClass" / f"{name}.png").is_file()
    }
    train = sorted(set(masks) - set(val))
    masks |= {name: folder / "SegmentationClass" / f"{name}.png" for name in val}
    every = (*train, *val)
    missing = [name for name in every if not masks[name].is_file()]
    if missing:
        raise DataError(f"{len(missing)} images have no mask below {data_dir}:\n{listing(missing)}")
    return Files(every, find_images(folder, every), tuple(masks[name] for name in every), resize), len(train)


def find_voc(data_dir: Path) -> Path:
    """The folder that holds JPEGImages/, at `data_dir` or where the archive puts it."""
    for folder in (data_dir / "VOCdevkit" / "VOC2012", data_dir / "VOC2012", data_dir):
        if (folder / "JPEGImages").is_dir():
            return folder
    raise DataError(
        f"data_dir: {data_dir} does not hold VOC 2012; expected VOCdevkit/VOC2012/JPEGImages below it "
        "(VOCtrainval_11-May-2012.tar, unpacked)"
    )


def sbd_masks(data_dir: Path, voc: Path) -> dict[str, Path]:
    """SBD's mask files by name, as torchvision finds them."""
    from dmtkit.compat import torchvision_datasets

    root = next(
        (
            f
            for f in (data_dir / "SBD", data_dir / "sbd", data_dir / "benchmark_RELEASE" / "dataset")
            if (f / "cls").is_dir()
        ),
        None,
    )
    if root is None:
        raise DataError(
            f"data_dir: {data_dir} holds neither {voc.name}/SegmentationClassAug nor SBD (SBD/cls, SBD/img, "
            "SBD/train.txt, SBD/val.txt); one of them gives the masks of trainaug"
        )
    found: dict[str, Path] = {}
    for part in ("train", "val"):
        try:
            dataset = torchvision_datasets().SBDataset(str(root), image_set=part, mode="segmentation")
        except (RuntimeError, OSError) as error:
            raise DataError(f"data_dir: {root} is not complete ({error})") from None
        found |= {Path(path).stem: Path(path) for path in dataset.masks}
    return found
