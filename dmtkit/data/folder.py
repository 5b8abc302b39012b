"""Reads a folder of class folders into one array; every offender is reported by name, all at once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image, UnidentifiedImageError

from dmtkit.errors import DataError, listing

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Tree:
    """All images below a folder: names are paths relative to it, labels −1 below `unlabeled/`."""

    pixels: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]
    names: tuple[str, ...]
    classes: tuple[str, ...]


def read_tree(folder: Path) -> Tree:
    """Read `train/<class>/*`, `test/<class>/*` (optional) and `unlabeled/*` (optional) below `folder`.

    Raises DataError listing empty or unexpected class folders, unreadable images and images of another
    size than the first, or saying that there are fewer than two classes or more than 255.
    """
    if not (folder / "train").is_dir():
        raise DataError(f"data_dir: {folder} holds no train/ folder with one folder for each class")
    classes = _class_names(folder / "train")
    problems = []
    entries: list[tuple[Path, int]] = []
    for part in ("train", "test"):
        found = _class_names(folder / part) if (folder / part).is_dir() else ()
        problems += [f"{part}/{name}: a class that train/ does not have" for name in found if name not in classes]
        for label, name in enumerate(classes):
            files = _files(folder / part / name)
            if not files and (part == "train" or found):
                problems.append(f"{part}/{name}: no images (jpg, png, bmp, webp) in this class folder")
            entries += [(file, label) for file in files]
    if (folder / "unlabeled").is_dir():
        entries += [(file, -1) for file in _files(folder / "unlabeled")]
    if not 2 <= len(classes) <= 255:
        problems.append(f"train: found {len(classes)} class folders, expected 2 to 255")
    if problems:
        raise DataError(f"data_dir: {folder} is not a complete folder of class folders:\n{listing(problems)}")
    pixels = _read_all(folder, [file for file, _ in entries])
    names = tuple(file.relative_to(folder).as_posix() for file, _ in entries)
    return Tree(pixels, np.array([label for _, label in entries], dtype=np.int64), names, classes)


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def _read_all(folder: Path, files: list[Path]) -> UInt8[np.ndarray, "n c h w"]:
    """Decode every file into one array, colour wherever one image has colour."""
    results = [_read(file) for file in files]  # small images: threads would only fight for the interpreter
    images = [result for result in results if isinstance(result, np.ndarray)]
    size = images[0].shape[:2] if images else (0, 0)
    problems = []
    for file, result in zip(files, results, strict=True):
        name = file.relative_to(folder).as_posix()
        if isinstance(result, str):
            problems.append(f"{name}: {result}")
        elif result.shape[:2] != size:
            problems.append(f"{name}: {result.shape[1]}×{result.shape[0]} pixels, the first has {size[1]}×{size[0]}")
    if problems:
        raise DataError(
            f"data_dir: {len(problems)} of {len(files)} images below {folder} cannot be used (all must be "
            f"readable and of one size); repair, resize or remove them:\n{listing(problems)}"
        )
    channels = max(image.shape[2] for image in images)
    pixels = np.empty((len(images), channels, *size), dtype=np.uint8)
    for position, image in enumerate(images):
        pixels[position] = image.transpose(2, 0, 1)  # a grey image fills all three channels
    return pixels


def _read(file: Path) -> UInt8[np.ndarray, "h w c"] | str:
    """The image as height × width × (1 or 3), or what is wrong with it."""
    try:
        with Image.open(file) as image:
            if image.mode.startswith("I;16"):  # convert() would cut everything above 255
                return (np.asarray(image).astype(np.float64) / 257).round().astype(np.uint8)[..., None]
            if image.mode in ("I", "F"):
                return f"has {image.mode!r} pixels (32 bits); store it with 8 bits a channel"
            mode = "L" if image.mode in ("1", "L") else "RGB"
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"unreadable ({type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else 'no detail'})"
    return pixels[..., None] if pixels.ndim == 2 else pixels
