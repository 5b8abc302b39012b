"""What a folder holds, by checksum: written down as a phase or a run ends, compared when it goes on and by `dmtkit verify`.

Whatever a later version stores joins by a name that `PHASE` or `RUN` matches.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dmtkit.errors import RunError
from dmtkit.files import checksum_of, read_json
from dmtkit.params import checksum

PHASE = ("*.npz", "model-*.pt", "labels/*")
RUN = ("config.yaml", "*.json", "metrics.jsonl", "*.py", "*/phase_*/**/phase.json")
BY_IMAGE = (".u8", ".u16")  # large: a checksum of every image is in their index.json, and compared as it is read
ITSELF = ("DONE.json", ".writer.json")  # the one says of the others; the other is there while a run is written
WHERE = ("method", "phase", "model")
Key = tuple[str, int, str]


def contents(folder: Path, patterns: Iterable[str] = PHASE) -> dict[str, str]:
    """Size and checksum of every file that is matched, by its place in the folder."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.name not in ITSELF})
    return {path.relative_to(folder).as_posix(): content(path) for path in paths}


def content(path: Path) -> str:
    """Size and checksum of a file, of a large one its size; `gone` if it cannot be read."""
    try:
        size = path.stat().st_size
        return str(size) if path.suffix in BY_IMAGE else f"{size} {checksum_of(path)}"
    except OSError:
        return "gone"


def differing(folder: Path, recorded: dict[str, str]) -> list[str]:
    """The files that are not what was recorded."""
    return [name for name, there in recorded.items() if content(folder / name) != there]


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a metrics.jsonl; what is none, such as a line torn by a crash, is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(record, dict)
            and WHERE[0] in record
            and {int} >= {type(record.get(n)) for n in ("phase", "step")}
        ):
            yield record


def key_of(record: dict[str, Any]) -> Key:
    """The method, phase and model that a record is of."""
    return record["method"], record["phase"], record.get("model", "")


def checksum_of_log(path: Path, key: Key, until: float = float("inf")) -> str:
    """A checksum of what a metrics.jsonl holds of one training up to a step, wherever it is kept."""
    own = [record for record in read_log(path) if key_of(record) == key and record["step"] <= until]
    return checksum(json.dumps([{name: r[name] for name in r if name not in WHERE} for r in own]).encode())


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
        wrong += [f"{part}: {name}" for name, there, block in blocks if zlib.crc32(block) != there]
    return wrong
