"""Looks at every image and mask once, before training: names all that cannot be used, counts the classes.

What was found is kept below outputs/, so that the next start does not read everything again.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from dmtkit.data.pictures import VOID, Pictures
from dmtkit.errors import DataError, RunError, listing
from dmtkit.files import write_arrays

Sizes = Int64[np.ndarray, "n 2"]
Counts = Int64[np.ndarray, "n k"]


@dataclass(frozen=True)
class Survey:
    """Height and width of every image, and how many of its pixels each class has, the last column being void."""

    sizes: Sizes
    counts: Counts


def survey(pictures: Pictures, classes: int, needed: Sequence[int], cache: Path | None = None) -> Survey:
    """Read every image and mask; DataError lists all that cannot be used.

    Those are: unreadable images or masks, masks of another size than their image, labels that are no class,
    and among the `needed` (to train or to measure on) masks that are missing or void everywhere. `cache` is a
    folder where the answer is kept, by the data's checksum.
    """
    place = None
    if cache is not None:
        key = hashlib.sha256(repr((pictures.checksum(dates=True), classes, sorted(needed))).encode()).hexdigest()[:32]
        place = cache / f"{key}.npz"
        if place.is_file():
            try:
                with np.load(place, allow_pickle=False) as found:
                    return Survey(found["sizes"], found["counts"])
            except Exception:  # damaged: look again
                place.unlink(missing_ok=True)
    wanted = set(needed)
    with ThreadPoolExecutor(4) as pool:  # decoding leaves the interpreter alone
        rows = list(pool.map(lambda i: _look(pictures, i, classes, i in wanted), range(len(pictures.names))))
    problems = [row for row in rows if isinstance(row, str)]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(rows)} images or masks cannot be used; repair or remove them (or mend the list "
            f"of classes, which has {classes} names):\n{listing(problems)}"
        )
    good = [row for row in rows if not isinstance(row, str)]
    sizes, counts = np.array([size for size, _ in good]), np.stack([count for _, count in good])
    if place is not None:
        with contextlib.suppress(RunError):  # a full or read-only disk: it is looked at again next time
            write_arrays(place, {"sizes": sizes, "counts": counts})
    return Survey(sizes, counts)


def _look(pictures: Pictures, index: int, classes: int, needed: bool) -> tuple[tuple[int, int], np.ndarray] | str:
    """Size and class counts of one image, or what is wrong with it."""
    name = pictures.names[index]
    try:
        height, width, _ = pictures.image(index).shape
    except Exception as error:  # decoders raise a dozen kinds on damaged files
        return f"{name}: unreadable image ({_reason(error)})"
    try:
        mask = pictures.mask(index)
    except Exception as error:
        return f"{name}: unreadable mask ({_reason(error)})"
    if complaint := pictures.mismatch(index):
        return f"{name}: {complaint}"
    counts = np.bincount(mask.ravel(), minlength=256)
    strange = np.flatnonzero(counts[classes:VOID]) + classes
    if len(strange):
        found = ", ".join(map(str, strange[:5])) + (" …" if len(strange) > 5 else "")
        return f"{name}: the mask holds label {found}, expected 0 to {classes - 1}, and {VOID} for void"
    if needed and not counts[:classes].any():
        return f"{name}: the mask is missing, or void everywhere; an image to learn from or to measure on needs labels"
    return (height, width), np.append(counts[:classes], counts[VOID])


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0][:100] if str(error) else "no detail"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
