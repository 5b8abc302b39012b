"""Code of one's own, from a file (`code_from`) or a notebook's cells: imported by what runs, told apart by its source."""

import ast
import hashlib
import inspect
import os
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from dmtkit.config import Config, make_config
from dmtkit.errors import ConfigError
from dmtkit.params import project_root
from dmtkit.registry import DATASETS, METHODS, MODELS, Registry

PREFIX = "dmtkit_own_"  # of the names of modules that are imported from such files
GENERATED = {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__"}  # by dataclass
PLAIN = (str, int, float, type(None))
_imported: dict[Path, bytes] = {}  # the file whose classes are registered now, as it was imported
_announced: set[tuple[Path, str]] = set()


def import_code(code_from: Any) -> None:
    """Import a file of one's own, unless it is there and has not changed, in place of any other such file; a line says so.

    ConfigError, with its line, for one that is missing or fails. Without a name only what other files registered is forgotten.
    """
    if not isinstance(code_from, str):  # none, or what the config will refuse
        return _forget()
    path = place_of(code_from)
    content = _read(path)
    if _imported.get(path) == content:
        return
    _forget()
    if (path, _sum(content)) not in _announced and os.environ.get("RANK", "0") == "0":  # before several processes meet
        print(f"{path}: importing this file of your own (code_from)")
        _announced.add((path, _sum(content)))
    module = ModuleType(PREFIX + path.stem, f"{path}, by code_from")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(content, str(path), "exec"), vars(module))  # nosec # the one place that runs what code_from names
    except (Exception, SystemExit) as error:
        _forget()
        if isinstance(error, ConfigError):
            raise ConfigError(f"{path}: {error}") from None
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        lines += [error.lineno] if isinstance(error, SyntaxError) and error.filename == str(path) else []
        where = f", line {lines[-1]}" if lines and lines[-1] else ""
        raise ConfigError(f"{path}{where}: {type(error).__name__}: {error}") from None
    _imported[path] = content


def with_code(config: Config) -> Config:
    """Import what a config names; the config as it is where that is known, its parameters checked."""
    import_code(config.code_from)
    return make_config(config.model_dump()) if config.parameters else config


def _forget() -> None:
    """Take what such a file registered out of the registries."""
    _imported.clear()
    registries: list[Registry[Any]] = [METHODS, *DATASETS.values(), *MODELS.values()]
    for registry in registries:
        registry.forget(PREFIX)


def place_of(code_from: str) -> Path:
    """Where a file lies: relative to the project or, where a notebook was only given the file's name, to params/."""
    places = [Path(os.path.abspath(project_root() / part / code_from)) for part in ("", "params")]
    return places[1] if places[1].is_file() and not places[0].is_file() else places[0]


def content_of(code_from: str) -> bytes:
    """The file as it was imported or, where it was not, as it is."""
    path = place_of(code_from)
    return _imported.get(path) or _read(path)


def _read(path: Path) -> bytes:
    if path.suffix != ".py":
        raise ConfigError(f"code_from: found {path.name}, expected a Python file, such as my_methods.py")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"code_from: {path}: cannot be read ({error.strerror}); a params file names it relative to itself, a notebook relative "
            "to the project or to its params/"
        ) from None


def own_code(config: Config, baseline: bool = False) -> dict[str, str]:
    """The checksum of every piece of one's own code that decides a run: of its file, or of a cell's class such as `method mine`.

    For a `baseline` methods do not count. ConfigError where a source cannot be read.
    """
    things = {name: thing for name, thing in _own(config).items() if not (baseline and name.startswith("method "))}
    file = {Path(config.code_from).name: _sum(content_of(config.code_from))} if config.code_from else {}
    sums = {
        name: next(iter(file.values())) if is_from_file(thing) else _source(name, thing)
        for name, thing in things.items()
    }
    return sums if baseline else file | sums


def describe(config: Config) -> dict[str, Any]:
    """The content of methods.json: what a run's methods are, for whoever looks at it, and the checksums of one's own code."""
    methods = {name: METHODS[name].facts(config.task, config.parameters.get(name, {})) for name in config.methods}
    return {"methods": methods, "own": own_code(config)}


def refuse_unshared(config: Config) -> None:
    """ConfigError for what other processes cannot import: what a notebook's cell defines."""
    lost = [name for name, thing in _own(config).items() if not is_from_file(thing)]
    if lost:
        raise ConfigError(
            f"{', '.join(lost)}: defined in this notebook or program alone, and other processes cannot import it; put it into a "
            "file and name that with code_from"
        )


def _own(config: Config) -> dict[str, Any]:
    """What of a run is registered by someone else than the kit: classes and functions by what they are."""
    family = config.model if config.model in MODELS[config.task] else config.model.partition("-")[0]
    named: list[tuple[Registry[Any], str]] = [(METHODS, name) for name in config.methods]
    named += [(DATASETS[config.task], config.dataset), (MODELS[config.task], family)]
    owned = {f"{registry.kind} {name}": registry[name] for registry, name in named if registry.is_own(name)}
    return {name: thing if callable(thing) else type(thing) for name, thing in owned.items()}


def is_from_file(thing: Any) -> bool:
    """Whether a class, or an instance of it, comes from the file that `code_from` names."""
    return thing.__module__.startswith(PREFIX)


def _source(name: str, thing: Any) -> str:
    try:
        return _sum("\n".join(_text(thing, {})).encode())
    except (OSError, TypeError):
        raise ConfigError(
            f"{name}: its source cannot be read here, so a resumed run could not tell whether it is the same; define it in a "
            "notebook cell, or in a file that code_from names"
        ) from None


def _text(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    """What decides a value: of functions and classes the source, and all of the same notebook that they name."""
    if isinstance(value, property | cached_property | staticmethod | classmethod):
        value = getattr(value, "fget", None) or getattr(value, "func", None) or value.__func__  # type: ignore[union-attr]
    value = inspect.unwrap(value) if callable(value) else value
    if id(value) in seen and not isinstance(value, PLAIN):
        return
    seen[id(value)] = value
    if isinstance(value, type):
        for base in (each for each in value.__mro__ if each.__module__ == value.__module__):
            for name, part in sorted(vars(base).items()):
                special = name.startswith("__")
                if not special or (inspect.isfunction(part) and not (is_dataclass(base) and name in GENERATED)):
                    yield name
                    yield from _text(part, seen)
    elif inspect.isfunction(value):
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)).lstrip(". "))
        yield ast.unparse(tree)
        for name in sorted(
            {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & value.__globals__.keys()
        ):
            other = value.__globals__[name]
            if isinstance(other, (*PLAIN, tuple, list, dict)) or getattr(other, "__module__", "") == value.__module__:
                yield name
                yield from _text(other, seen)
    elif is_dataclass(value):
        yield from _text([getattr(value, field.name) for field in fields(value)], seen)
    elif isinstance(value, Mapping | tuple | list):
        for part in [each for pair in value.items() for each in pair] if isinstance(value, Mapping) else value:
            yield from _text(part, seen)
    else:
        yield repr(value) if isinstance(value, PLAIN) else type(value).__name__


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
