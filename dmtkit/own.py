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
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from dmtkit.config import Config
from dmtkit.errors import ConfigError
from dmtkit.params import project_root
from dmtkit.registry import DATASETS, METHODS, MODELS, Registry

PREFIX = "dmtkit_own_"  # of the names of modules that are imported from such files
IMPORTED: dict[Path, str] = {}  # such files, and the checksums of what was imported


def import_code(code_from: Any) -> None:
    """Import a file of one's own, relative to the project, unless it was and has not changed; a line says so.

    ConfigError, with its line, for one that is missing or fails.
    """
    if not isinstance(code_from, str):  # none, or what the config will refuse
        return
    path = place_of(code_from)
    content = read(path)
    if IMPORTED.get(path) == _sum(content):
        return
    if os.environ.get("RANK", "0") == "0":  # before several processes meet
        print(f"{path}: importing this file of your own (code_from)")
    module = ModuleType(PREFIX + path.stem, f"{path}, by code_from")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1]
        raise ConfigError(f"{path}, line {line}: {type(error).__name__}: {error}") from None
    IMPORTED[path] = _sum(content)


def place_of(code_from: str) -> Path:
    """Where the file lies."""
    return Path(os.path.abspath(project_root() / code_from))


def read(path: Path) -> bytes:
    """Its content; ConfigError if there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"code_from: {path}: cannot be read ({error.strerror})") from None


def own_code(config: Config, baseline: bool = False) -> dict[str, str]:
    """The checksum of every piece of one's own code that decides a run, by what it is: `my_methods.py`, or `method mine`.

    For a `baseline` methods do not count. ConfigError where a source cannot be read.
    """
    things = {} if baseline else {f"method {name}": _found(METHODS, name) for name in config.methods}
    family = config.model if config.model in MODELS[config.task] else config.model.partition("-")[0]
    things |= {
        f"data set {config.dataset}": _found(DATASETS[config.task], config.dataset),
        f"model {family}": _found(MODELS[config.task], family),
    }
    ours = {name: thing for name, thing in things.items() if thing is not None}
    filed = {name for name, thing in ours.items() if thing.__module__.startswith(PREFIX)}
    found = {name: _source(name, thing) for name, thing in ours.items() if name not in filed}
    if config.code_from and (filed or not baseline):
        found[Path(config.code_from).name] = _sum(read(place_of(config.code_from)))
    return found


def describe(config: Config) -> dict[str, Any]:
    """The content of methods.json: what a run's methods are, for whoever looks at it, and the checksums of one's own code."""
    methods = {name: METHODS[name].facts(config.task, config.parameters.get(name, {})) for name in config.methods}
    return {"methods": methods, "own": own_code(config)}


def refuse_unshared(config: Config) -> None:
    """ConfigError for what other processes cannot import: what a notebook's cell defines."""
    lost = [name for name in own_code(config) if not name.endswith(".py")]
    if lost:
        raise ConfigError(
            f"{', '.join(lost)}: defined in this notebook or program alone, and other processes cannot import it; put it into a "
            "file and name that with code_from"
        )


def _found(registry: Registry[Any], name: str) -> Any:
    """What is registered by someone else than the kit, as a class or function; None otherwise."""
    if registry.is_ours(name) or name not in registry:
        return None
    thing = registry[name]
    return thing if inspect.isroutine(thing) else type(thing)


def _source(name: str, thing: Any) -> str:
    try:
        return _sum("\n".join(_told(thing, set())).encode())
    except (OSError, TypeError):
        raise ConfigError(
            f"{name}: its source cannot be read here, so a resumed run could not tell whether it is the same; define it in a "
            "notebook cell, or in a file that code_from names"
        ) from None


def _told(value: Any, seen: set[int]) -> Iterator[str]:
    """What decides a value, as text: of functions and classes the source, and that of all of the same module that they name."""
    if id(value) in seen and not isinstance(value, str | int | float | None):
        return
    seen.add(id(value))
    if isinstance(value, type):
        for base in value.__mro__:
            if base.__module__ == value.__module__:
                for name, part in sorted(vars(base).items()):
                    if not name.startswith("_") or (name == "__init__" and not is_dataclass(base)):
                        yield name
                        yield from _told(part, seen)
    elif isinstance(value, property | staticmethod | classmethod):
        yield from _told(value.fget if isinstance(value, property) else value.__func__, seen)
    elif inspect.isfunction(value):
        yield _plain(inspect.getsource(value))
        for name in sorted(_names(value.__code__)):
            other = value.__globals__.get(name)
            if getattr(other, "__module__", None) == value.__module__:
                yield from _told(other, seen)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _told(getattr(value, field.name), seen)
    elif isinstance(value, Mapping | tuple | list):
        for part in value.items() if isinstance(value, Mapping) else value:
            yield from _told(part, seen)
    else:
        yield repr(value) if isinstance(value, str | int | float | None) else type(value).__name__


def _plain(source: str) -> str:
    """Source without comments and layout, as far as it parses by itself."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(source)))
    except SyntaxError:  # a lambda amid a line
        return source


def _names(code: CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
