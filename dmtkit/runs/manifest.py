"""What a folder holds, by checksum: written down as a phase or a run ends, compared when it goes on and by `dmtkit verify`.

Whatever a later version stores joins by a name that `PHASE` or `RUN` matches.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dmtkit.errors import RunError
from dmtkit.files import checksum_of, read_json
from dmtkit.params import checksum

PHASE = ("*.npz", "model-*.pt", "labels/*")
ROOT = ("config.yaml", "methods.json", "environment.json", "split.json")
RUN = (*ROOT, "metrics.jsonl", "*.py", "*/phase_*/**/phase.json")
BY_IMAGE = (".u8", ".u16")  # large: a checksum of every image is in their index.json, and compared as it is read
LINES = "lines of metrics.jsonl"
WHERE = ("method", "phase", "model")
Key = tuple[str, int, str]
Record = dict[str, Any]


def contents(folder: Path, patterns: Iterable[str] = PHASE) -> dict[str, str]:
    """Size and checksum of every file that is matched, by its place in the folder; hidden ones are the system's."""
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): content(path) for path in paths}


def content(path: Path) -> str:
    """Size and checksum of a file, of a large one its size; `gone` if there is none, RunError if it cannot be read."""
    try:
        size = path.stat().st_size
        return str(size) if path.suffix in BY_IMAGE else f"{size} {checksum_of(path)}"
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None


def differing(folder: Path, recorded: dict[str, str]) -> list[str]:
    """The files that are not what was recorded."""
    return [name for name, there in recorded.items() if content(folder / name) != there]


def read_log(path: Path) -> Iterator[Record]:
    """The records of a metrics.jsonl; what is none, such as a line torn by a crash, is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {type(record.get(name)) for name in ("phase", "step")} == {int}:
            yield record


def key_of(record: Record) -> Key:
    """The method, phase and model that a record is of."""
    return str(record.get("method", "")), record["phase"], str(record.get("model", ""))


def lines_of(records: Iterable[Record], key: Key) -> list[Record]:
    """What is logged of one training, without whose it is."""
    own = (record for record in records if key_of(record) == key)
    return [{name: value for name, value in record.items() if name not in WHERE} for record in own]


def checksums_of_log(path: Path) -> dict[Key, str]:
    """A checksum of what a metrics.jsonl holds of every training; read again when the file has changed."""
    stat = path.stat() if path.is_file() else None
    return _checksums_of_log(path, stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=1)
def _checksums_of_log(path: Path, state: object) -> dict[Key, str]:
    by_key = defaultdict[Key, list[Record]](list)
    for record in read_log(path):
        by_key[key_of(record)].append(record)
    return {key: checksum(json.dumps(lines_of(own, key)).encode()) for key, own in by_key.items()}


def damaged_images(labels: Path) -> list[str]:
    """The images of a label store whose labels are not those that were written."""
    try:
        index = read_json(labels / "index.json")
        areas = [height * width for height, width in index["sizes"]]
        parts = index.get("checksums", {})
        maps = {part: np.memmap(labels / part, np.uint8, "r") for part in parts}
    except (RunError, OSError, ValueError, KeyError, TypeError):
        return []  # is named as a file
    wrong = []
    for part, known in parts.items():
        ends = np.cumsum(areas) * (len(maps[part]) // max(sum(areas), 1))
        blocks = zip(index["names"], known, np.split(maps[part], ends[:-1]), strict=True)
        wrong += [f"{part}: {name}" for name, there, block in blocks if there not in (None, zlib.crc32(block))]
    return wrong
