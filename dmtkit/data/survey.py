"""Looks at every image and mask once, before training: names all that cannot be used, counts the classes.

What it says of files is kept below outputs/, so that the next start does not read everything again.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from dmtkit.data.pictures import VOID, Files, Pictures
from dmtkit.data.reader import why
from dmtkit.errors import DataError, RunError, listing
from dmtkit.files import read_arrays, write_arrays
from dmtkit.params import outputs_root


@dataclass(frozen=True)
class Survey:
    """Height and width of every image, and how many of its pixels each class has, the last column being void."""

    sizes: Int64[np.ndarray, "n 2"]
    counts: Int64[np.ndarray, "n k"]


def survey(pictures: Pictures, classes: int, needed: Sequence[int]) -> Survey:
    """Read every image and mask; DataError lists all that cannot be used.

    Those are: unreadable images or masks, masks of another size than their image, labels that are no class,
    and among the `needed` (to train or to measure on) masks that are missing or void everywhere.
    """
    cache = None
    if isinstance(pictures, Files):
        key = repr((pictures.checksum(dates=True), classes, sorted(needed), "upright")).encode()
        cache = outputs_root() / ".surveys" / f"{hashlib.sha256(key).hexdigest()[:32]}.npz"
        with contextlib.suppress(RunError, TypeError):  # not there, damaged, or foreign: they are looked at
            return Survey(**read_arrays(cache))
    wanted = set(needed)
    with ThreadPoolExecutor(4) as pool:  # decoding leaves the interpreter alone
        rows = list(pool.map(lambda i: _look(pictures, i, classes, i in wanted), range(len(pictures.names))))
    if problems := [row for row in rows if isinstance(row, str)]:
        raise DataError(
            f"{len(problems)} of {len(rows)} images or masks cannot be used; repair or remove them (or mend the list "
            f"of classes, which has {classes} names):\n{listing(problems)}"
        )
    table = np.array(rows, np.int64)
    measured = Survey(table[:, :2], table[:, 2:])
    if cache is not None:
        with contextlib.suppress(RunError):  # a full or read-only disk: they are looked at again next time
            write_arrays(cache, vars(measured))
    return measured


def _look(pictures: Pictures, index: int, classes: int, needed: bool) -> list[int] | str:
    """Height, width and class counts of one image, or what is wrong with it."""
    name, what = pictures.names[index], "image"
    stored = replace(pictures, resize=None) if isinstance(pictures, Files) else pictures
    try:
        height, width, _ = stored.image(index).shape
        what = "mask"
        mask = stored.mask(index)
    except Exception as error:
        return f"{name}: unreadable {what} ({why(error)})"
    if mask.shape != (height, width):
        turned = "; does EXIF turn one of them? store both upright" * (mask.shape == (width, height))
        return f"{name}: the mask is {mask.shape[1]}×{mask.shape[0]} pixels, the image {width}×{height}{turned}"
    if isinstance(pictures, Files):
        mask = pictures.resized(mask)
    counts = np.bincount(mask.ravel(), minlength=256)
    strange = (np.flatnonzero(counts[classes:VOID]) + classes).tolist()
    if strange:
        labels = ", ".join(map(str, strange[:5])) + (" …" if len(strange) > 5 else "")
        return f"{name}: the mask holds label {labels}, expected 0 to {classes - 1}, and {VOID} for void"
    if needed and not counts[:classes].any():
        return f"{name}: the mask is missing, or void everywhere; an image to learn from or to measure on needs labels"
    return [*mask.shape, *counts[:classes].tolist(), int(counts[VOID])]
