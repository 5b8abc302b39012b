"""Image files of both tasks: found, read in one way (8 bits, upright as EXIF says), and compared; refused in words."""

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from dmtkit.errors import DataError, listing

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # in any case; of several files of one name the first counts
PLACES = {"labeled": "train", "unlabeled": "train", "val": "val", "test": "test"}  # X and U are drawn from the same

# Beyond twice its limit Pillow refuses an image; below that it only warns, once for each thread.
warnings.filterwarnings("ignore", "Image size", Image.DecompressionBombWarning)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, decoded and turned as its EXIF orientation says; any Exception for one that is damaged."""
    if not os.path.isfile(path):  # a FIFO would be waited for
        raise ValueError("missing, a broken link, a folder or a device; expected a file")
    with Image.open(path) as image:
        image.load()
        with suppress(Exception):  # EXIF that nobody can read says nothing
            ImageOps.exif_transpose(image, in_place=True)
        yield image


def read_image(path: Path, colour: bool = False) -> Image.Image:
    """An image of 8 bits a channel, grey or in colour; an Exception, whose reason is `why`, if it cannot be used."""
    with opened(path) as image:
        if image.mode in ("I", "F"):
            raise ValueError(f"has {image.mode!r} pixels (32 bits); store it with 8 bits a channel")
        if image.mode.startswith("I;16"):  # convert() would cut everything above 255
            image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
        return image.convert("L" if image.mode in ("1", "L") and not colour else "RGB")


def why(error: Exception) -> str:
    """The reason of an Exception while reading, short, on one line: decoders raise a dozen kinds on damaged files."""
    reason = next(iter(str(error).splitlines()), "no detail")[:100]
    return reason if isinstance(error, ValueError) else f"{type(error).__name__}: {reason}"


def files_of(folder: Path, names: Iterable[str], suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """The file `folder`/<name>.<ending> of every name that has one, whatever the case of the ending."""
    paths = {name: folder / name for name in names}
    there = [each for place in {path.parent for path in paths.values()} for each in place.glob("*.*")]
    there = [path for path in there if path.suffix.lower() in suffixes]
    there.sort(key=lambda path: (suffixes.index(path.suffix.lower()), path.suffix), reverse=True)
    found = {path.with_suffix(""): path for path in there}
    return {name: found[path] for name, path in paths.items() if os.path.isfile(found.get(path, path))}


def refuse_outside(root: Path, files: Iterable[Path]) -> None:
    """DataError for files that are links out of the data's folder; the folders themselves may be links."""
    real = cache(lambda path: Path(os.path.realpath(path)))
    links = [file for file in files if os.path.islink(file)]
    leaving = [file for file in links if not any(real(file).is_relative_to(real(at)) for at in (root, file.parent))]
    if leaving:
        shown = listing([f"{file.relative_to(root)} → {real(file)}" for file in leaving])
        raise DataError(f"data_dir: links lead out of {root}; copy the files, or name a folder with all:\n{shown}")


def twins(images: Mapping[str, tuple[str, Any]], read: Callable[[Any], bytes], size: Callable[[Any], int]) -> list[str]:
    """A warning with examples, where images (place and source by name) of different places have the same content."""
    sizes, contents = Counter(size(source) for _, source in images.values()), defaultdict[bytes, list[str]](list)
    for name, (_, source) in images.items():
        if sizes[size(source)] > 1:
            contents[hashlib.sha256(read(source)).digest()].append(name)
    same = [names for names in contents.values() if len({images[name][0] for name in names}) > 1]
    lines = [" = ".join(f"{name} ({images[name][0]})" for name in names[:4]) for names in same]
    return [f"warning: {len(same)} × identical images where there should be none:\n{listing(lines, 5)}"] if same else []
