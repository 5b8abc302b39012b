"""Predicted labels of whole images on disk: three bytes a pixel, mapped and never read whole, images of any size.

`<folder>/label.u8` and `level.u16` hold one image after the other; `index.json`, written last, says whose
they are and where each image lies. A folder without it is not there yet.
"""

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from dmtkit.errors import DamagedError, DataError
from dmtkit.files import TEMPORARY, once, read_arrays, read_json, write_arrays, write_json, writing
from dmtkit.labels.keep import ClassThresholds, keep_by_class
from dmtkit.losses.levels import LEVELS

PARTS: dict[str, np.dtype[Any]] = {"label.u8": np.dtype(np.uint8), "level.u16": np.dtype("<u2")}


@dataclass(frozen=True)
class LabelStore:
    """The labels that one model gave to a list of images; opens no file before it is asked for an image."""

    folder: Path
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    checksums: Mapping[str, Sequence[int | None]] = field(default_factory=dict)  # by part, of every image

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " n1"]:
        """The first pixel of every image, and the number of all pixels."""
        areas = [height * width for height, width in self.sizes]
        return np.concatenate([[0], np.cumsum(areas, dtype=np.int64)]).astype(np.int64)

    @cached_property
    def histogram(self) -> Int64[np.ndarray, "k levels"]:
        """How many pixels of every class have each level of confidence."""
        stored = read_arrays(self.folder / "histogram.npz")
        counts = np.zeros(len(stored["predicted"]) * LEVELS, np.int64)
        counts[stored["index"]] = stored["count"]
        return counts.reshape(-1, LEVELS)

    @cached_property
    def predicted(self) -> Int64[np.ndarray, " k"]:
        """How many pixels have each class as their label."""
        return read_arrays(self.folder / "histogram.npz")["predicted"]

    def label(self, position: int) -> UInt8[np.ndarray, "h w"]:
        """The predicted classes of an image, mapped from disk."""
        return self._view("label.u8", position)

    def level(self, position: int) -> UInt16[np.ndarray, "h w"]:
        """The confidence levels of an image, mapped from disk."""
        return self._view("level.u16", position)

    def _view(self, part: str, position: int) -> np.ndarray:
        start, end = self.offsets[position], self.offsets[position + 1]
        values = self._mapped[part][start:end]
        if (part, position) not in self._read:  # the first time alone
            known = self.checksums[part][position] if part in self.checksums else None
            if known not in (None, zlib.crc32(values.data)):
                raise DamagedError(
                    f"{self.folder / part}: the labels of {self.names[position]} are not those that were written"
                )
            self._read.add((part, position))
        return values.reshape(self.sizes[position])

    @cached_property
    def _read(self) -> set[tuple[str, int]]:
        return set()

    @cached_property
    def _mapped(self) -> dict[str, np.ndarray]:
        total = int(self.offsets[-1])
        return {part: np.memmap(self.folder / part, kind, "r", shape=(total,)) for part, kind in PARTS.items()}

    def __getstate__(self) -> dict[str, object]:
        """What a worker process is sent: where the files are, not what is in them."""
        return {name: value for name, value in self.__dict__.items() if name != "_mapped"}


@dataclass(frozen=True)
class Kept:
    """The labels of a store that a phase keeps: those above their class's threshold."""

    store: LabelStore
    thresholds: ClassThresholds
    ignore_index: int = 255

    def kept(self, position: int) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
        """y_A of an image, 255 where it is not kept, and the level of c_A."""
        label, level = self.store.label(position), self.store.level(position)
        keep = keep_by_class(label, level, self.thresholds, int(self.store.offsets[position]))
        return np.where(keep, label, np.uint8(self.ignore_index)), level


@contextmanager
def write_labels(folder: Path, owner: str, names: Sequence[str], sizes: np.ndarray) -> Iterator["Writer"]:
    """Write a store image by image; it is there once the block ends well. `owner` names the model that labels.

    `names` and `sizes` (height, width) are those of all images, so that each of several processes can write its own.
    """
    store = LabelStore(folder, tuple(names), tuple((int(h), int(w)) for h, w in sizes))
    with writing(folder):
        once(partial(_clear, folder))
        files: dict[str, BinaryIO] = {name: open(folder / f"{name}{TEMPORARY}", "r+b") for name in PARTS}  # noqa: SIM115
    writer = Writer(store, files)
    try:
        yield writer
        writer.close()
    finally:
        for file in files.values():
            with contextlib.suppress(OSError):  # a full disk has been reported by then
                file.close()
    once(lambda: _complete(store, owner, writer))


def _clear(folder: Path) -> None:
    """An empty folder with empty files, for all processes to write into."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in PARTS:
        (folder / f"{name}{TEMPORARY}").touch()


def _complete(store: LabelStore, owner: str, writer: "Writer") -> None:
    """Give the files their names, and write what makes them a store."""
    folder = store.folder
    for name in PARTS:
        with writing(folder / name):
            os.replace(folder / f"{name}{TEMPORARY}", folder / name)
    if writer.histogram is not None:
        predicted = writer.histogram.sum(1) if writer.predicted is None else writer.predicted
        counts = writer.histogram.ravel()
        index = np.flatnonzero(counts)  # most levels of most classes never occur
        write_arrays(folder / "histogram.npz", {"index": index, "count": counts[index], "predicted": predicted})
    known = {part: [own.get(n) for n in range(len(store.names))] for part, own in writer.checksums.items()}
    told = {"owner": owner, "names": store.names, "sizes": store.sizes, "checksums": known}
    write_json(folder / "index.json", told)


class Writer:
    """Puts images into a store under way; where several processes do, each its own. Best in order."""

    def __init__(self, store: LabelStore, files: dict[str, BinaryIO]) -> None:
        self.store, self.files, self._place = store, files, 0
        self.checksums: dict[str, dict[int, int]] = {part: {} for part in PARTS}
        self.histogram: np.ndarray | None = None
        self.predicted: np.ndarray | None = None

    def add(self, position: int, label: UInt8[np.ndarray, "h w"], level: UInt16[np.ndarray, "h w"]) -> None:
        """Put one image in its place; DataError if its size is not what it was."""
        if label.shape != (size := self.store.sizes[position]):
            found, expected = ("×".join(map(str, each)) for each in (label.shape, size))
            raise DataError(
                f"{self.store.names[position]}: found {found}, expected {expected}; was the image replaced?"
            )
        start = int(self.store.offsets[position])
        for part, values in (("label.u8", label), ("level.u16", level)):
            with writing(self.store.folder / part, values.nbytes):
                if start != self._place:
                    self.files[part].seek(start * PARTS[part].itemsize)
                content = np.ascontiguousarray(values, PARTS[part])
                self.files[part].write(content.data)
                self.checksums[part][position] = zlib.crc32(content.data)
        self._place = start + label.size

    def close(self) -> None:
        """Make what was written durable."""
        for name, file in self.files.items():
            with writing(self.store.folder / name):
                file.flush()
                os.fsync(file.fileno())
                file.close()


def open_labels(folder: Path, owner: str, names: tuple[str, ...]) -> LabelStore:
    """Open a complete store; DamagedError if it is missing, truncated, or of another model or other images."""
    index = read_json(folder / "index.json")
    sizes, checksums = tuple((int(h), int(w)) for h, w in index["sizes"]), index.get("checksums", {})
    store = LabelStore(folder, tuple(index["names"]), sizes, checksums)
    if index["owner"] != owner:
        raise DamagedError(f"{folder}: holds the labels of another model ({index['owner']}, expected {owner})")
    if store.names != names:
        raise DamagedError(f"{folder}: holds the labels of other images")
    for part, kind in PARTS.items():
        size = (folder / part).stat().st_size if (folder / part).is_file() else 0
        if size != (expected := int(store.offsets[-1]) * kind.itemsize):
            raise DamagedError(
                f"{folder / part}: found {size} bytes, expected {expected}; the file is truncated or foreign"
            )
    _ = store.histogram, store.predicted
    return store
