"""Files that are whole or not there: atomic writes, checkpoints that carry their own checksum.

Of several processes rank 0 alone writes and removes; for the others these functions do nothing. Whoever asks the disk a
question on which all depend lets rank 0 ask it (`ask`), since another machine may see a file later.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmtkit import distributed
from dmtkit.errors import RunError

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
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error, len(content)) from error


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
    if not distributed.rank_zero():
        distributed.barrier()
        yield
        return
    with lock:
        prepare()
        distributed.barrier()
        yield


def note(run: Path, message: str) -> None:
    """Warn of something that a run met and survived, and add it to its notes.log."""
    if distributed.rank_zero():
        warnings.warn(message, stacklevel=3)
        with contextlib.suppress(RunError):
            append_line(run / "notes.log", message, durable=False)


def append_line(path: Path, line: str, durable: bool = True) -> None:
    """Add a line to a text file; RunError when it cannot be written."""
    if not distributed.rank_zero():
        return
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
            if durable:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error, len(line)) from error


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, for people to read too."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON; RunError naming the file if it is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from None


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
        raise RunError(f"{path}: cannot be read ({type(error).__name__}: {error})") from None


def save_state(folder: Path, stem: str, step: int, state: dict[str, Any], keep: int = 2) -> None:
    """Write a checkpoint named `<stem>-<step>-<checksum>.pt` and drop all but the newest `keep`."""
    if not distributed.rank_zero():
        return
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = folder / f"{stem}-{step:08d}-{hashlib.sha256(content).hexdigest()[:16]}.pt"
    write_atomically(path, content)
    for old in _states(folder, stem)[keep:]:
        old.unlink(missing_ok=True)


def load_newest_state(folder: Path, stem: str, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest checkpoint whose checksum holds, on the CPU, or None; `note` is told of a damaged one."""
    checkpoints = _states(folder, stem)
    for path, older in zip_longest(checkpoints, checkpoints[1:]):
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest()[:16] == path.stem.rsplit("-", 1)[1]:
                buffer = io.BytesIO(content)
                return torch.load(buffer, map_location="cpu", weights_only=True)
        except OSError:
            pass
        remedy = f"going back to {older.name}" if older else "that work is done again"
        note(f"{path}: damaged checkpoint, {remedy}")
    return None


def take_state(path: Path, folder: Path) -> None:
    """Put a finished file into another folder too, as a hard link where that is possible."""
    if not distributed.rank_zero():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).unlink(missing_ok=True)
    try:
        os.link(path, folder / path.name)
    except OSError:
        write_atomically(folder / path.name, path.read_bytes())


def newest_name(folder: Path, stem: str) -> str:
    """The file name of the newest checkpoint, damaged or not; empty if there is none."""
    return next((path.name for path in _states(folder, stem)), "")


def drop_states(folder: Path, stem: str) -> None:
    """Remove every checkpoint of this name."""
    for path in _states(folder, stem) if distributed.rank_zero() else []:
        path.unlink(missing_ok=True)


def _states(folder: Path, stem: str) -> list[Path]:
    """Checkpoints of this name, the newest first."""
    pattern = re.compile(rf"{re.escape(stem)}-\d{{8}}-[0-9a-f]{{16}}\.pt")
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if pattern.fullmatch(p.name)), reverse=True)
