"""Parameters as people give them: params files, a notebook's variables, paths relative to the project."""

import os
from pathlib import Path
from typing import Any

import yaml

from dmtkit.errors import ConfigError, unknown_name

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


def load_params(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a params file; ConfigError if it is missing, not YAML or not a mapping of names."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such params file; see params/ for those that exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
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
