"""Ends a run at its k-th file operation, for every k; the next start must end in the bits of a run that nothing disturbed.

An operation is an open, a write (half of it is done), an fsync, a rename, a link, a removal or a new folder, in the run's folder.
Every start is a fork of this process, which has loaded torch and the data but computed nothing, so that no thread is lost.
By hand: `python -m tests.crash [TASK …] [every]`, an hour for both tasks; what it counted is printed as JSON.
"""

import builtins
import io
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dmtkit.config import make_config
from dmtkit.files import TEMPORARY
from dmtkit.training.experiment import load_data, run_methods
from tests.helpers import TINY, TINY_SEGMENTATION, fingerprint
from tests.ranks import Team

SETTINGS = {
    task: {**tiny, "checkpoint_seconds": 0}
    for task, tiny in {"classification": TINY, "segmentation": TINY_SEGMENTATION}.items()
}
EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
DIED = 77


class Operations:
    """Counts the file operations below a folder, in the order they are made, and says so before each; of a write half is done.

    Hooks cannot be taken back: for a process of its own.
    """

    def __init__(self, folder: Path, reached: Callable[[int], object] = lambda count: None) -> None:
        self.folder, self.reached, self.count = str(folder) + os.sep, reached, 0
        self.open, self.fsync = builtins.open, os.fsync
        builtins.open = io.open = self._open
        os.fsync = self._fsync
        sys.addaudithook(self._hear)

    def next(self) -> None:
        self.count += 1
        self.reached(self.count)

    def _hear(self, event: str, words: tuple) -> None:
        if event not in EVENTS:
            return
        by_folder = event not in ("open", "os.truncate") and words[-1] > 2  # a descriptor: rmtree's way
        reads = event == "open" and not words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        nothing = reads or (event == "os.mkdir" and os.path.isdir(words[0]))
        if (by_folder or str(words[0]).startswith(self.folder)) and not nothing:
            self.next()

    def _fsync(self, descriptor: int) -> None:
        self.next()
        self.fsync(descriptor)

    def _open(self, path, mode="r", *words, **more):
        file = self.open(path, mode, *words, **more)
        return Half(file, self) if set(mode) & set("wa+x") and str(path).startswith(self.folder) else file


class Half:
    """A file that is written in halves."""

    def __init__(self, file, operations: Operations) -> None:
        self._file, self._operations = file, operations

    def write(self, content):
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._operations.next()
        self._file.write(content[half:])

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def fork(work: Callable[[], object]) -> int:
    """The exit status of a fork that does the work: 0 where it came to its end."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        warnings.simplefilter("ignore")
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


class Crashes:
    """Runs of one config, each in a folder of its own below `place`, that die at chosen operations and are started again."""

    def __init__(self, settings: dict, place: Path, ranks: int = 1) -> None:
        self.config, self.place, self.ranks = make_config(settings), place, ranks
        self.data = load_data(self.config)
        if fork(lambda: self._note_undisturbed(place / "whole")):
            raise RuntimeError("the run that nothing disturbs failed")
        self.operations, self.bits = json.loads((place / "bits.json").read_text())

    def _note_undisturbed(self, folder: Path) -> None:
        counter = self._run(folder)
        (self.place / "bits.json").write_text(json.dumps([counter.count, fingerprint(folder)]))

    def _run(self, folder: Path, reached: Callable[[int], object] = lambda count: None) -> Operations:
        counter, work = Operations(folder, reached), partial(run_methods, self.config, self.data, folder)
        Team(self.ranks).run(work) if self.ranks > 1 else work()
        return counter

    def deaths(self, chosen: range) -> Iterator[tuple[int, Path]]:
        """The number of an operation, and the folder as a process leaves it that ends there: one run, looked at on its way."""
        there, here, left = os.pipe(), os.pipe(), self.place / "left"

        def reached(k: int) -> None:
            if k in chosen:
                shutil.copytree(self.place / "run", left, copy_function=shutil.copy)
                os.write(there[1], b"%d\n" % k)
                if not os.read(here[0], 1):
                    os._exit(DIED)

        if not (child := os.fork()):
            os.close(here[1])
            warnings.simplefilter("ignore")
            self._run(self.place / "run", reached)
            os._exit(0)
        os.close(there[1])
        try:
            with os.fdopen(there[0]) as lines:
                for line in lines:
                    yield int(line), left
                    shutil.rmtree(left)
                    os.write(here[1], b".")
        finally:  # also where nobody wants to know more
            os.close(here[1])
            end = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os.close(here[0])
            shutil.rmtree(self.place / "run")
        if end:
            raise RuntimeError("the run that was looked at failed")

    def go_on(self, folder: Path, second: int = 0) -> list[str]:
        """What is wrong after a death, and another at the `second` operation of the next start: nothing."""
        wrong = []
        if second:
            end = fork(lambda: self._run(folder, lambda k: k == second and os._exit(DIED)))
            wrong += [f"then ended with {end}"] if end not in (DIED, 0) else []  # 0: it had less to do by then
        if fork(lambda: self._run(folder)):
            wrong.append("cannot go on")
        elif other := differing(fingerprint(folder), self.bits):
            wrong.append(f"other bits: {', '.join(other)}")
        return wrong + [f"left over: {path.name}" for path in folder.rglob("*") if is_left_over(path)]


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The names whose values differ."""
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]


def is_left_over(path: Path) -> bool:
    """A file that no finished run has; the name beside a lock is read while that is held, and the next holder's replaces it."""
    return path.name.endswith(TEMPORARY) or path.name.startswith("checkpoint-")


def try_all(
    settings: dict, place: Path, every: int = 1, ranks: int = 1, so_far: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Die at every so many operations of a run; with every third, the next start dies too, somewhere: the counts so far."""
    crashes = Crashes(settings, place, ranks)
    count = crashes.operations
    told = {"operations": count, "next": 1, "once": 0, "twice": 0, "wrong": [], **(so_far or {})}
    yield told
    for k, folder in crashes.deaths(range(told["next"], count + 1, every)):
        second = 1 + (37 * k) % max(1, count - k) if k // every % 3 == 2 and k < count else 0
        told["wrong"] += [f"{k}, {second}: {each}" for each in crashes.go_on(folder, second)]
        told["twice" if second else "once"] += 1
        told["next"] = k + every
        yield told


if __name__ == "__main__":
    torch.set_num_threads(1)
    every = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1)
    for task in [word for word in sys.argv[1:] if not word.isdigit()] or SETTINGS:
        for ranks, step in ((1, every), (2, 25 * every)):
            with tempfile.TemporaryDirectory() as place:
                *_, told = try_all(SETTINGS[task], Path(place), step, ranks)
                print(json.dumps({f"{task}, processes: {ranks}": told}, indent=1), flush=True)
