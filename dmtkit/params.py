"""What comes as text: YAML, params files, JSON with its checksum, a notebook's variables, names of files, the project's paths."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dmtkit.errors import ConfigError, unknown_name

SEAL = "sha256"  # in what is written as JSON: a checksum of all the rest
# Settings that change how a run is computed, or where its data lies, but not what comes out of it.
NOT_COMPARED = {
    "device",
    "data_dir",
    "checkpoint_seconds",
    "workers",
    "threads",
    "processes",
    "keep_labels",
    "code_from",
}


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=,-]*")
DEEPEST = 50  # levels of YAML; at some number libyaml crashes
LARGEST = 2**20  # bytes of a params file
LONGEST = 2000  # letters of a text


def read_yaml(text: str) -> Any:
    """What YAML text says, by a safe loader; ValueError, in words, for text that is none or is nested too deeply.

    >>> read_yaml("a: [1, b]")
    {'a': [1, 'b']}
    """
    try:
        depth = 0
        for event in yaml.parse(text, LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"more than {DEEPEST} levels")
        return yaml.load(text, LOADER)  # nosec # a safe one
    except (
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
        yaml.YAMLError,
    ) as error:
        raise ValueError(f"not valid YAML: {str(error)[:300]}") from None  # its constructors raise all of these


def checksum(content: bytes) -> str:
    """Sixteen digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def as_json(value: Any) -> str:
    """JSON for people to read too."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Any:
    """What JSON says, without its checksum; ValueError if it is not what was written."""
    value = json.loads(text)
    if isinstance(value, dict) and SEAL in value and value.pop(SEAL) != checksum(as_json(value).encode()):
        raise ValueError("it is not what was written: its checksum is another")
    return value


def check_name(value: str) -> str:
    """Return `value` if it can name a run folder without leaving its parent, else ValueError."""
    if not NAME.fullmatch(value) or ".." in value or len(value) > 200:
        raise ValueError("expected at most 200 letters, digits and _ . + = , - (no '..', no slash): it names a folder")
    return value


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, however it is nested; what YAML's aliases repeat is looked at once."""
    rest, seen = [value], set()
    while rest:
        each = rest.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, (Mapping, list, tuple)) and id(each) not in seen:
            seen.add(id(each))
            rest += [*each, *(each.values() if isinstance(each, Mapping) else [])]


def unwritable(text: str) -> str:
    """What to expect of a text that no file name or no terminal can have; empty if it is fine.

    >>> unwritable("data/my images"), unwritable("a\\0")
    ('', 'text without control characters')
    """
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text[:LONGEST]):
        return "text without control characters"
    fits = len(text) <= LONGEST and all(len(part.encode()) <= 255 for part in re.split(r"[/\\]", text))
    return "" if fits else f"at most {LONGEST} letters, and 255 bytes between two slashes"


def load_params(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a params file; ConfigError if it is missing, not YAML or not a mapping of names."""
    try:
        if (size := Path(path).stat().st_size) > LARGEST:
            raise ConfigError(f"{path}: found {size / 2**20:.0f} MiB, expected a params file, of a few lines")
        values = read_yaml(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such params file; see params/ for those that exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(
            f"{path}: found a {type(values).__name__}, expected a mapping of parameter names to values "
            "(lines such as 'seed: 1')"
        )
    if isinstance(values.get("code_from"), str):
        values["code_from"] = from_project(Path(path).parent / values["code_from"])
    return values


def from_project(path: Path) -> str:
    """A path as settings hold it: relative to the project, if it lies in it.

    >>> from_project(project_root() / "params" / ".." / "my_methods.py")
    'my_methods.py'
    """
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(project_root()).as_posix() if absolute.is_relative_to(project_root()) else str(absolute)


def check_parameters(namespace: dict[str, Any], known: str) -> None:
    """ConfigError for variables of a notebook that are none of the `known` parameters (words); later calls do nothing.

    >>> check_parameters({"seeds": [1], "worker": 2}, "seeds workers")
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: worker: unknown parameter; did you mean 'workers'?
    """
    unknown = [unknown_name(name, known.split()) for name in variables(namespace) if name not in known.split()]
    if unknown and not namespace.get("_dmtkit_checked"):
        raise ConfigError("; ".join(unknown))
    namespace["_dmtkit_checked"] = True


def project_root() -> Path:
    """The folder that relative `data_dir` and `outputs/` start from: the nearest one upwards that holds params/
    and notebooks/, else the current folder."""
    here = Path.cwd()
    projects = (at for at in (here, *here.parents) if (at / "params").is_dir() and (at / "notebooks").is_dir())
    return next(projects, here)


def kits_own(folder: str) -> Path:
    """The kit's own `notebooks` or `params`: as they were installed, or those of the checkout that it runs from."""
    package = Path(__file__).parent
    places = (package / "project" / folder, package.parent / folder)
    return next(place for place in places if place.is_dir())


def notebook_of(name: str) -> Path:
    """A notebook by its name, the project's own or the kit's; ConfigError where neither has one."""
    for place in (project_root() / "notebooks", kits_own("notebooks")):
        if (place / f"{name}.ipynb").is_file():
            return place / f"{name}.ipynb"
    raise ConfigError(f"task: there is no notebook {name}.ipynb, in {project_root() / 'notebooks'} or in dmtkit itself")


def outputs_root() -> Path:
    """The folder of all runs: outputs/ of the project, or what the environment variable DMTKIT_OUTPUTS names."""
    return Path(os.environ.get("DMTKIT_OUTPUTS") or project_root() / "outputs")


def variables(namespace: dict[str, Any]) -> dict[str, Any]:
    """The variables of a notebook that are plain enough for parameters."""
    plain = (type(None), str, int, float, list, tuple, dict)
    named = {name: value for name, value in namespace.items() if not name.startswith("_") and name not in ("In", "Out")}
    return {name: value for name, value in named.items() if isinstance(value, plain)}
