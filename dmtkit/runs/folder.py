"""The run folder of a run that is being computed: locked, appended to, and never mixed with another run's."""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from dmtkit.config import Config
from dmtkit.errors import DamagedError, LockedError, RunError
from dmtkit.files import TEMPORARY, alone, append_line, note, read_json, write_atomically, write_json, writing
from dmtkit.own import content_of, describe, own_code
from dmtkit.params import NOT_COMPARED, outputs_root
from dmtkit.runs import manifest
from dmtkit.runs.manifest import read_log
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import Run, read_config
from dmtkit.runs.search import read_settings, sealed

HOST = socket.gethostname()
# What must stay as it was for a resumed run to end in the same bits.
SAME_BITS = ("device", "precision", "machine", "versions", "processes")


def default_folder(config: Config) -> Path:
    """outputs/<experiment>/<variant>."""
    return outputs_root() / config.experiment / config.variant


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run that is being computed; `open_run` makes one."""

    path: Path

    def phase(self, method: str, number: int, model: str = "") -> Phase:
        """The folder of a method's phase, or of one of the models trained in it."""
        return Phase(self.path / method / f"phase_{number}" / model, self.path)

    def log(self, key: manifest.Key, line: manifest.Record) -> None:
        """Append a line of a training to metrics.jsonl."""
        append_line(self.path / "metrics.jsonl", json.dumps(where(key) | line))  # durable before the next checkpoint

    def lines(self, key: manifest.Key) -> list[manifest.Record]:
        """What was logged of one training."""
        return manifest.lines_of(read_log(self.path / "metrics.jsonl"), key)

    def put_lines(self, key: manifest.Key, lines: Sequence[manifest.Record]) -> None:
        """Let the log hold these lines of one training, and none torn by a crash."""
        others = [record for record in read_log(self.path / "metrics.jsonl") if manifest.key_of(record) != key]
        self._write_log([*others, *(where(key) | line for line in lines)])

    def _write_log(self, records: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(record) + "\n" for record in records)
        write_atomically(self.path / "metrics.jsonl", text.encode())

    def sort_log(self, keys: Sequence[manifest.Key]) -> None:
        """Bring the log into the order of these trainings, which is another where one was done again; drop what is of none."""
        records, place = list(read_log(self.path / "metrics.jsonl")), {key: n for n, key in enumerate(keys)}
        known = [record for record in records if manifest.key_of(record) in place]
        if (sorted_ := sorted(known, key=lambda record: place[manifest.key_of(record)])) != records:
            self._write_log(sorted_)

    def keep_split(self, split: dict[str, Any]) -> None:
        """Store the split (usable as a file of own `lists`); RunError if the run was started on other data."""
        path = self.path / "split.json"
        if not path.is_file():
            if (self.path / "metrics.jsonl").is_file():
                note(self.path, f"{path}: gone, made anew from the data as it is now")
            return write_json(path, split)
        there = read_json(path)
        differing = [name for name, value in split.items() if there.get(name) != json.loads(json.dumps(value))]
        if differing:
            raise RunError(
                f"{self.path}: was started on other data (differing: {', '.join(differing)}); put the data back "
                "as it was, or choose another folder with output_dir"
            )

    def finish(self, done: dict[str, Any]) -> None:
        """Write DONE.json: from now on the run is finished."""
        write_json(self.path / "DONE.json", {**done, "files": manifest.contents(self.path, manifest.RUN)})


def where(key: manifest.Key) -> dict[str, Any]:
    """What a line of the log says of whose it is."""
    return {name: value for name, value in zip(manifest.WHERE, key, strict=True) if value != ""}


def rounded(record: Mapping[str, Any]) -> manifest.Record:
    """A line of the log: values that are NaN are left out, floats have the nine digits of 32 bits."""
    kept = {key: value for key, value in record.items() if value == value}
    return {key: float(f"{value:.9g}") if isinstance(value, float) else value for key, value in kept.items()}


@contextmanager
def open_run(config: Config, path: Path, environment: dict[str, Any]) -> Iterator[RunFolder]:
    """Lock `path` for this run, creating it if needed; another writer or other settings are a RunError."""

    def prepare() -> None:
        for torn in path.rglob(f"*{TEMPORARY}"):
            torn.unlink(missing_ok=True)
        if (path / "DONE.json").is_file() and not Run(path).finished:
            note(path, f"{path / 'DONE.json'}: damaged, made anew")
        begun, whole = is_begun(path), config_is_whole(path)
        if begun and not (path / "methods.json").is_file():
            note(path, f"{path / 'methods.json'}: gone, made anew from the methods as they are now")
        write_json(path / "methods.json", described)  # code may have changed that nothing was trained with
        if config.code_from:
            write_atomically(path / Path(config.code_from).name, content_of(config.code_from))
        if begun:
            _note_other_machine(path, environment)
        else:
            write_json(path / "environment.json", environment)
        if not whole:
            if begun:
                note(path, f"{path / 'config.yaml'}: damaged or gone, made anew from methods.json")
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
            write_atomically(path / "config.yaml", sealed(text).encode())

    refuse_other_run(config, path)
    described = {**describe(config), "settings": config.model_dump(mode="json")}
    with alone(hold(path), prepare):
        yield RunFolder(path)


@contextmanager
def hold(
    path: Path, name: str = ".lock", seconds: float = 3, waiting: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold the lock file `name` in the folder `path`, making the folder, and tell there who does.

    Where another process holds it: LockedError, or, after `waiting` was told whose it is, patience. The lock ends with its
    process, however that ends.
    """
    lock, sign = FileLock(path / name), path / ".writer.json"
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0 if waiting else seconds)
        except Timeout:
            if waiting is None:
                raise _locked(path) from None
            waiting(lock_holder(path))
            lock.acquire()
    try:
        if name == ".lock":
            write_json(sign, {"pid": os.getpid(), "host": HOST})
        yield
    finally:
        if name == ".lock":
            sign.unlink(missing_ok=True)
        lock.release()


def refuse_locked(path: Path, *names: str) -> None:
    """LockedError if another process holds one of these locks of a run, `.lock` by default; what is not there is not made."""
    for lock in (path / name for name in names or (".lock",)):
        with writing(path):
            try:
                if lock.is_file():
                    with FileLock(lock, timeout=3):
                        pass
            except Timeout:
                raise _locked(path) from None


def writer_of(path: Path) -> dict[str, Any]:
    """The `pid` and `host` of the process that writes the run, as far as the folder tells."""
    try:
        return read_json(path / ".writer.json")
    except RunError:
        return {}


def lock_holder(path: Path) -> str:
    """Who writes the run, for people."""
    try:
        return "process {pid} on {host}".format_map(writer_of(path))
    except KeyError:
        return "its process did not say who it is"


def _locked(path: Path) -> LockedError:
    return LockedError(
        f"{path}: another run is writing here ({lock_holder(path)}); wait for it, stop it, or choose "
        "another folder with output_dir"
    )


def _note_other_machine(path: Path, environment: dict[str, Any]) -> None:
    """Say, and record, that a run goes on under other conditions than it was started in."""
    try:
        there = read_json(path / "environment.json")
    except DamagedError:
        note(
            path, f"{path / 'environment.json'}: damaged or gone, and with it where this run began; the bits may differ"
        )
        return write_json(path / "environment.json", environment)
    with contextlib.suppress(KeyError):
        last = {"processes": 1} | [there, *there.get("resumed", [])][-1]
        differing = [name for name in SAME_BITS if last[name] != environment[name]]
        if differing:
            what = ", ".join(differing).replace("processes", "number of processes")
            note(path, f"{path}: goes on with another {what}; the bits may differ from one go's")
            write_json(path / "environment.json", {**there, "resumed": [*there.get("resumed", []), environment]})


def is_begun(path: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (path / "config.yaml").is_file() or any(path.glob("*/phase_*/*"))


def config_is_whole(path: Path) -> bool:
    """Whether config.yaml is what was written."""
    try:
        return bool(read_settings(path / "config.yaml"))
    except (OSError, ValueError):
        return False


def refuse_other_run(config: Config, path: Path) -> None:
    """RunError if `path` holds a run of other settings, naming those that differ, or is no folder."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a folder; choose another with output_dir")
    if not is_begun(path):
        return
    recorded = read_json(path / "methods.json") if (path / "methods.json").is_file() else None
    there, here = read_config(path).model_dump(mode="json"), config.model_dump(mode="json")
    left_out = NOT_COMPARED | ({"parameters"} if recorded else set())  # which are compared with their defaults
    differing = _differing(there, here, [name for name in here if name not in left_out])
    if not differing and recorded:
        _refuse_other_code(config, path, recorded["own"])
        for method, facts in json.loads(json.dumps(describe(config)["methods"])).items():
            told = {"parameters": {}} | recorded["methods"][method]  # by the version that began the run
            differing += _differing(told, facts, sorted(facts.keys() - {"title", "parameters"}), method + "'s {}")
            old, new = told["parameters"], facts["parameters"]
            differing += _differing(old, new, dict.fromkeys([*old, *new]), method + "_{}")
    if differing:
        raise RunError(
            f"{path}: holds a run of other settings ({'; '.join(differing)}); choose another folder with output_dir (or another "
            "`experiment`), or remove this one"
        )


def _refuse_other_code(config: Config, path: Path, there: Mapping[str, str]) -> None:
    """RunError where a run was started with other code of one's own that it has used by now, or with some that is not here."""
    here, file = own_code(config), next((name for name in there if name.endswith(".py")), "")
    for name in {**there, **here}:
        filed = bool(file) and there.get(name) == there[file]
        copy = f" (a copy: {path / file})" if filed else ""
        if name not in here:
            raise RunError(
                f"{path}: was started with {name}, which is not here{copy}; name its file with code_from, or run the cell that "
                "defines it"
            )
        kind, _, method = name.rpartition(" ")
        begun = path.glob(f"{method}/phase_*/**/*.*" if kind == "method" else "*/phase_*/**/*.*")
        if there.get(name) != here[name] and kind and any(begun):
            raise RunError(
                f"{path}: {name}{f' in {file}' * filed} has changed since this run began; restore it{copy}, or give --output: in a "
                "notebook, another `experiment` or output_dir, so that the new one is trained beside it"
            )


def _differing(there: Mapping[str, Any], here: Mapping[str, Any], names: Iterable[str], label: str = "{}") -> list[str]:
    """Which of the `names` stand for another value there than here, for people."""
    other = [name for name in names if there.get(name) != here.get(name)]
    return [f"{label.format(name)}: {there.get(name)!r} there, {here.get(name)!r} now" for name in other]
