"""Own images for classification: a folder of class folders; every file that cannot be used is named, all at once."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from dmtkit.config import ClassificationConfig
from dmtkit.data.images import Data, Images, data_dir, split_images
from dmtkit.data.reader import SUFFIXES, read_image, refuse_outside, why
from dmtkit.data.splits import UNKNOWN, check_names
from dmtkit.errors import DataError, listing
from dmtkit.registry import dataset

READ = ", ".join(SUFFIXES).replace(".", "")
SILENT = re.compile(r"/(\.|thumbs\.db$|desktop\.ini$)", re.IGNORECASE)  # what systems leave behind


@dataset("folder", task="classification")
def folder(config: ClassificationConfig) -> Data:
    """`train/<class>/*`, optional `test/<class>/*` and `unlabeled/*`, images of one size, named by their paths.

    Raises DataError listing empty or unexpected class folders, unreadable images and images of another
    size than the first, or saying that there are fewer than two classes or more than 255.
    """
    root = data_dir(config)
    if not (root / "train").is_dir():
        raise DataError(f"data_dir: {root} holds no train/ folder with one folder for each class")
    classes = _class_names(root / "train")
    check_names(classes)
    problems, empty = list[str](), list[str]()
    entries: dict[str, list[tuple[Path, int]]] = {}
    for part in ("train", "test"):
        there = _class_names(root / part)
        problems += [f"{part}/{name}: a class that train/ does not have" for name in there if name not in classes]
        files = {name: _files(root / part / name) for name in classes}
        if part == "train" or there:
            empty = [name for name in classes if not files[name] and name not in empty]  # each once
            problems += [f"{part}/{name}: no images ({READ}) right in this class folder" for name in empty]
        entries[part] = [(file, label) for label, name in enumerate(classes) for file in files[name]]
    if not 2 <= len(classes) <= 255:
        problems.append(f"train: found {len(classes)} class folders, expected 2 to 255")
    if problems:
        raise DataError(f"data_dir: {root} is not a complete folder of class folders:\n{listing(problems)}")
    train = entries["train"] + [(file, UNKNOWN) for file in _files(root / "unlabeled")]
    read = [file for file, _ in (*train, *entries["test"])]
    refuse_outside(root, read)
    every, end, notes = _read_all(root, train + entries["test"]), len(train), _passed_over(root, {*read})
    data = split_images(config, every.select(range(end)), every.select(range(end, len(every))), classes)
    return replace(data, notes=notes)


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.name for p in folder.glob("[!.]*") if p.is_dir()))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in SUFFIXES)


def _passed_over(root: Path, read: set[Path]) -> tuple[str, ...]:
    """A note of the files that lie there and are not read, by folder and ending."""
    parts = [root / part for part in ("train", "test", "unlabeled", "val")]
    found = Counter(f"{part.name}, a file instead of a folder" for part in parts if part.is_file())
    for path in (path for part in parts for path in part.rglob("*") if path not in read and path.is_file()):
        place = path.relative_to(root).parent.as_posix()
        found[f"{place}/*{path.suffix}"] += not SILENT.search(f"{place}/{path.name}")
    lines = [f"{count} × {what}" for what, count in found.items() if count]
    where = f"passed over, as only {READ} right in train/<class>, test/<class> and unlabeled/ are read"
    return (f"{where}:\n{listing(lines)}",) if lines else ()


def _read_all(root: Path, entries: list[tuple[Path, int]]) -> Images:
    """Decode every file into one array, colour wherever one image has colour."""
    files, labels = zip(*entries, strict=True)
    names = tuple(file.relative_to(root).as_posix() for file in files)
    images = [_read(file) for file in files]  # small images: threads would only fight for the interpreter
    good = [image for image in images if isinstance(image, np.ndarray)]
    size = good[0].shape[:2] if good else (0, 0)
    problems = []
    for name, image in zip(names, images, strict=True):
        if isinstance(image, str):
            problems.append(f"{name}: {image}")
        elif image.shape[:2] != size:
            problems.append(f"{name}: {image.shape[1]}×{image.shape[0]} pixels, the first has {size[1]}×{size[0]}")
    if problems:
        raise DataError(
            f"data_dir: {len(problems)} of {len(files)} images below {root} cannot be used (all must be "
            f"readable and of one size); repair, resize or remove them:\n{listing(problems)}"
        )
    pixels = np.empty((len(good), max(image.shape[2] for image in good), *size), dtype=np.uint8)
    for position, image in enumerate(good):
        pixels[position] = image.transpose(2, 0, 1)  # a grey image fills all three channels
    return Images(torch.from_numpy(pixels), torch.tensor(labels), names)


def _read(file: Path) -> UInt8[np.ndarray, "h w c"] | str:
    """The image as height × width × (1 or 3), or what is wrong with it."""
    try:
        return np.atleast_3d(np.asarray(read_image(file)))
    except Exception as error:
        return f"unreadable ({why(error)})"
