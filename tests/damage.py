"""Damages every file of a run, in every way, and lets the run go on: it ends in the same bits, or says what to do.

By hand: `python -m tests.damage [RUN …] [every]` prints a table of what was tried as JSON.
"""

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dmtkit.errors import DmtkitError
from dmtkit.runs.verify import verify
from dmtkit.training.experiment import run_methods
from tests.crash import SETTINGS, Crashes, differing, fork
from tests.helpers import Stop, fingerprint, stop_after

DMT = {"methods": ("supervised", "dmt")}
RUNS: dict[str, tuple[dict, int]] = {  # its settings, and after how many steps it is stopped
    "classification, finished": (SETTINGS["classification"] | DMT, 0),
    "classification, stopped": (SETTINGS["classification"] | DMT, 16),
    "segmentation, finished": (SETTINGS["segmentation"] | DMT, 0),
    "segmentation, stopped": (SETTINGS["segmentation"] | DMT, 15),
    "segmentation, labels dropped": (SETTINGS["segmentation"] | DMT | {"keep_labels": False}, 0),
}
FOR_PEOPLE = (".lock", "notes.log")  # empty, or text that nothing reads
GOOD = {
    "equal": "equal",
    "removed as verify said, then equal": "removed",
    "refused with a remedy": "refused",
    "such already": "unchanged",
}
REMEDIES = ("remove", "put it back", "run the same again")


def flip(content: bytes, seed: int = 0) -> bytes:
    """One bit another."""
    place, bit = random.Random(seed + len(content)).randrange(len(content) or 1), 1 << random.Random(seed).randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :] if content else content


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "flipped": flip,
    "flipped elsewhere": lambda content: flip(content, 7),
}


def damage(path: Path, way: str) -> bool:
    """Damage a file, or remove it or a folder; False where that changes nothing."""
    if way == "removed":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return True
    content = path.read_bytes()
    path.unlink()  # it may be a hard link
    path.write_bytes(WAYS[way](content))
    return WAYS[way](content) != content


class Damages(Crashes):
    """One run, finished or stopped, of which copies are damaged."""

    def __init__(self, settings: dict, place: Path, stop: int = 0) -> None:
        super().__init__(settings, place)
        self.whole = place / "whole"
        if stop:
            self.whole = place / "stopped"
            self.go_on(self.whole, stop_after(stop))

    def go_on(self, folder: Path, progress=lambda progress: None) -> str:
        """Run it in a process of its own; what an error says."""

        def work() -> None:
            try:
                run_methods(self.config, self.data, folder, progress)
            except Stop:
                pass
            except DmtkitError as error:
                said.write_text(str(error))
            except Exception as error:
                said.write_text(f"traceback: {type(error).__name__}: {error}")

        said = self.place / "said"
        said.write_text("")
        fork(work)
        return said.read_text()

    @property
    def cases(self) -> list[tuple[str, str]]:
        """Every file and folder, by every way."""
        paths = [path for path in sorted(self.whole.rglob("*")) if path.name not in FOR_PEOPLE]
        names = [(path.relative_to(self.whole).as_posix(), path.is_dir()) for path in paths]
        return [(name, way) for name, is_folder in names for way in (["removed"] if is_folder else [*WAYS, "removed"])]

    def try_one(self, name: str, way: str) -> str:
        """What became of it: `equal`, `refused` with a remedy, or what is wrong."""
        folder = self.place / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.whole, folder)
        if not damage(folder / name, way):
            return "such already"
        finished = (self.whole / "DONE.json").is_file()
        if finished and name != "DONE.json" and not name.startswith(".") and not verify(folder)[1]:
            return f"undetected by verify: {name} {way}"
        if name != "DONE.json":
            (folder / "DONE.json").unlink(missing_ok=True)
        words = self.go_on(folder)
        if "run the same again: it is made anew" in words:  # labels are compared as they are read
            words = self.go_on(folder)
        if words:
            good = not words.startswith("traceback") and any(remedy in words for remedy in REMEDIES)
            return "refused with a remedy" if good else f"{name} {way}: {words}"
        if left := verify(folder)[1]:  # labels that are not read any more: verify says so, and what to do
            for path in (*left, folder / "DONE.json"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            self.go_on(folder)
        if other := [*differing(fingerprint(folder), self.bits), *verify(folder)[1]]:
            return f"{name} {way}: other bits: {', '.join(map(str, other))}"
        return "removed as verify said, then equal" if left else "equal"


def try_all(name: str, place: Path, every: int = 1) -> dict[str, Any]:
    """Try every so many cases; what became of them, in all and by way, and what is wrong."""
    settings, stop = RUNS[name]
    damages, ways, wrong = Damages(settings, place, stop), Counter(), []
    for file, way in damages.cases[::every]:
        outcome = damages.try_one(file, way)
        if outcome in GOOD:
            ways[way, outcome] += 1
        else:
            wrong.append(outcome)
    sums = {short: sum(n for (_, said), n in ways.items() if said == outcome) for outcome, short in GOOD.items()}
    by_way = {f"{way}: {outcome}": n for (way, outcome), n in sorted(ways.items())}
    return {"tried": sum(sums.values()) + len(wrong), **sums, "by way": by_way, "wrong": wrong}


if __name__ == "__main__":
    torch.set_num_threads(1)
    every = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1)
    for name in [word for word in sys.argv[1:] if not word.isdigit()] or RUNS:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps({name: try_all(name, Path(place), every)}, indent=1, ensure_ascii=False), flush=True)
