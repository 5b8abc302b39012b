"""Files that are whole or not there: atomic writes, checkpoints and JSON that carry their own checksum.

Of several processes rank 0 alone writes and removes; for the others these functions do nothing. Whoever asks the disk a
question on which all depend lets rank 0 ask it (`ask`), since another machine may see a file later.
"""

import errno
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmtkit import distributed
from dmtkit.errors import DamagedError, RunError
from dmtkit.params import SEAL, as_json, checksum, from_json

ask = distributed.broadcast  # a question to the disk, on whose answer all processes depend
in_turn = distributed.in_turn

TEMPORARY = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new, never a part.

    Raises RunError, the old file being untouched, when the disk is full or the folder not writable.
    """
    if not distributed.rank_zero():
        return
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error, len(content)) from error


@contextmanager
def writing(path: Path, size: int = 0) -> Iterator[None]:
    """Say in words what cannot be written."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error, size) from error


def cannot_write(path: Path, error: OSError, size: int = 0) -> RunError:
    """The RunError that says why `path` was not written and what to do."""
    if error.errno in _FULL:
        return RunError(
            f"{path}: the disk is full ({size / 2**20:.1f} MiB were to be written); what was there is untouched. "
            "Free some space and run the same command again: it goes on from the last checkpoint"
        )
    return RunError(f"{path}: cannot be written ({error.strerror}); choose another folder with output_dir")


def once(work: Callable[[], object]) -> None:
    """Let rank 0 change something on disk, between two barriers."""
    distributed.barrier()
    if distributed.rank_zero():
        work()
    distributed.barrier()


@contextmanager
def alone(lock: AbstractContextManager[None], prepare: Callable[[], object]) -> Iterator[None]:
    """Rank 0 holds the lock and runs `prepare`; the other ranks come in afterwards."""
    with lock if distributed.rank_zero() else nullcontext():
        if distributed.rank_zero():
            prepare()
        distributed.barrier()
        yield


def note(run: Path, message: str) -> None:
    """Warn of something that a run met and survived, and add it to its notes.log."""
    if distributed.rank_zero():
        warnings.warn(message, stacklevel=3)
        with suppress(RunError):
            append_line(run / "notes.log", message, durable=False)


def append_line(path: Path, line: str, durable: bool = True) -> None:
    """Add a line to a text file; RunError when it cannot be written."""
    if not distributed.rank_zero():
        return
    with writing(path, len(line)), open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def checksum_of(path: Path) -> str:
    """The checksum of a file, which may be large."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON atomically, for people to read too, with a checksum of its own."""
    text = as_json({**value, SEAL: checksum(as_json(value).encode())})
    write_atomically(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON; DamagedError naming the file, and what to do, if it is not there or not what was written."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(
            f"{path}: cannot be read ({error}). Remove it, and the run's DONE.json if there is one, and run the same again: "
            "what can be made anew is made anew"
        ) from None


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as .npz, atomically."""
    if not distributed.rank_zero():
        return
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays; RunError naming the file if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise a dozen kinds on damaged files
        raise DamagedError(f"{path}: cannot be read ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class Checkpoints:
    """The files `<stem>-<step>-<checksum>.pt` of a folder, of which the newest `keep` stay."""

    folder: Path
    stem: str
    keep: int

    @property
    def paths(self) -> list[Path]:
        """All of them, damaged or not, the newest first."""
        return sorted(self.folder.glob(f"{self.stem}-{'?' * 8}-{'?' * 16}.pt"), reverse=True)

    @property
    def name(self) -> str:
        """The name of the newest, which tells its content; empty if there is none."""
        return next((path.name for path in self.paths), "")

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write one, and drop those that are too old."""
        if not distributed.rank_zero():
            return
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        write_atomically(self.folder / f"{self.stem}-{step:08d}-{checksum(content)}.pt", content)
        self.drop(keep=self.keep)

    def load(self, note: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest whose checksum holds, on the CPU, or None; `note` is told of a damaged one."""
        paths = self.paths
        for path, older in zip_longest(paths, paths[1:]):
            with suppress(OSError):
                content = path.read_bytes()
                if checksum(content) == path.stem.rsplit("-", 1)[1]:
                    buffer = io.BytesIO(content)
                    return torch.load(buffer, map_location="cpu", weights_only=True)
            remedy = f"going back to {older.name}" if older else "that work is done again"
            note(f"{path}: damaged checkpoint, {remedy}")
        return None

    def take(self, other: "Checkpoints") -> None:
        """Put the newest of another folder into this one too, as a hard link where that is possible."""
        if not distributed.rank_zero():
            return
        path = other.folder / other.name
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / path.name).unlink(missing_ok=True)
        try:
            os.link(path, self.folder / path.name)
        except OSError:
            write_atomically(self.folder / path.name, path.read_bytes())

    def drop(self, keep: int = 0) -> None:
        """Remove all but the newest `keep`."""
        for path in self.paths[keep:] if distributed.rank_zero() else []:
            path.unlink(missing_ok=True)
