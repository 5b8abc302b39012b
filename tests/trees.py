"""Made-up data sets in the layouts of the real ones: VOC with its augmentations, Cityscapes, CIFAR, a VOC-style folder."""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image


def blob(
    rng: np.random.Generator, size: tuple[int, int], classes: int, void: int = 255
) -> tuple[np.ndarray, np.ndarray]:
    """An image whose brightness tells the class, and its mask with a border of void."""
    h, w = size
    mask = np.zeros((h, w), np.uint8)
    for _ in range(3):
        y, x = rng.integers(0, h), rng.integers(0, w)
        mask[y : y + h // 2, x : x + w // 2] = rng.integers(1, classes)
    image = (mask[..., None] * (200 // classes) + rng.integers(0, 40, (h, w, 3))).astype(np.uint8)
    mask[0, :2] = void
    return image, mask


def save_mask(path: Path, mask: np.ndarray, palette: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    if palette:
        picture.putpalette([value for i in range(256) for value in (i, (7 * i) % 256, (31 * i) % 256)])
    picture.save(path)


def write_list(folder: Path, name: str, names: list[str]) -> None:
    place = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(f"{name}\n" for name in names))


def make_voc_style(
    folder: Path,
    train: int = 8,
    test: int = 3,
    classes: int = 3,
    sizes: tuple[tuple[int, int], ...] = ((24, 32), (30, 20)),
) -> Path:
    """A VOC-style folder, images of several sizes, palette masks and grey ones in turn."""
    rng = np.random.default_rng(0)
    names = [f"im_{i:03d}" for i in range(train + test)]
    (folder / "JPEGImages").mkdir(parents=True)
    for i, name in enumerate(names):
        image, mask = blob(rng, sizes[i % len(sizes)], classes)
        Image.fromarray(image).save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
        save_mask(folder / "SegmentationClass" / f"{name}.png", mask, palette=i % 2 == 0)
    write_list(folder, "train", names[:train])
    write_list(folder, "val", names[train:])
    return folder


def make_voc2012(folder: Path, augmented: bool) -> Path:
    """A tiny VOC 2012: 4 own training images, 3 of val, 6 more from SBD (one of them is in VOC's val)."""
    from scipy.io import savemat

    rng = np.random.default_rng(1)
    voc = folder / "VOCdevkit" / "VOC2012"
    own, val, more = ([f"2007_{i:06d}" for i in part] for part in (range(4), range(10, 13), range(20, 25)))
    for name in (*own, *val, *more):
        image, mask = blob(rng, (24, 30), 21)
        (voc / "JPEGImages").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(voc / "JPEGImages" / f"{name}.jpg")
        if name not in more:
            save_mask(voc / "SegmentationClass" / f"{name}.png", mask)
        if augmented:
            save_mask(voc / "SegmentationClassAug" / f"{name}.png", mask, palette=False)
            continue
        if name in (*more, val[0], own[0]):
            sbd = folder / "SBD"
            for part in ("cls", "img"):
                (sbd / part).mkdir(parents=True, exist_ok=True)
            mask[mask == 255] = 0
            savemat(str(sbd / "cls" / f"{name}.mat"), {"GTcls": {"Segmentation": mask}})
            Image.fromarray(image).save(sbd / "img" / f"{name}.jpg")
    write_list(voc, "train", own)
    write_list(voc, "val", val)
    if not augmented:
        (folder / "SBD" / "train.txt").write_text("\n".join([*more[:3], own[0]]) + "\n")
        (folder / "SBD" / "val.txt").write_text("\n".join([*more[3:], val[0]]) + "\n")
    return folder


def make_cityscapes(folder: Path, train: int = 6, val: int = 2) -> Path:
    """A tiny Cityscapes with label ids, among them ids that are not evaluated."""
    rng = np.random.default_rng(2)
    ids = np.array([7, 8, 11, 21, 23, 26, 4, 0], np.uint8)
    for part, count in (("train", train), ("val", val)):
        for i in range(count):
            city = ("aachen", "bochum")[i % 2]
            name = f"{city}_{i + 100 * (part == 'val'):06d}_000019"
            image, mask = blob(rng, (32, 64), 8, void=7)
            place = folder / "leftImg8bit" / part / city
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{name}_leftImg8bit.png")
            save_mask(folder / "gtFine" / part / city / f"{name}_gtFine_labelIds.png", ids[mask], palette=False)
    return folder


def make_cifar10(folder: Path, train: int = 6, test: int = 10) -> Path:
    """A tiny CIFAR-10, pickled as the archive is: `train` images in each of five files, the classes in turn.

    Its checksums are its own, so torchvision takes it only where `check_integrity` is told not to compare them.
    """
    rng = np.random.default_rng(3)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    for file, count in (*((f"data_batch_{i}", train) for i in range(1, 6)), ("test_batch", test)):
        labels = [i % 10 for i in range(count)]
        low = 20 * np.array(labels, np.uint8)[:, None]
        content = {
            "batch_label": file,
            "labels": labels,
            "data": low + rng.integers(0, 50, (count, 3 * 32 * 32), dtype=np.uint8),
            "filenames": [f"{names[label]}_s_{i:06d}.png" for i, label in enumerate(labels)],
        }
        (place / file).write_bytes(pickle.dumps(content, protocol=2))
    meta = {"num_cases_per_batch": train, "label_names": list(names), "num_vis": 3072}
    (place / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return folder
