"""Parameters of a method: its typed fields, under flat names such as `fixmatch_threshold`, checked for type, bounds and spelling."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from dmtkit.errors import ConfigError, quoted, unknown_name
from dmtkit.registry import METHODS

if TYPE_CHECKING:
    from dmtkit.methods.method import Method


@dataclass(frozen=True, eq=False)
class PerTask:
    """A value for each task."""

    values: Mapping[str, Any]


def per_task(**values: Any) -> Any:
    """A fact or the default of a parameter that differs by task.

    >>> per_task(classification=50, segmentation=100).values["segmentation"]
    100
    """
    return PerTask(values)


def names_of(kind: type["Method"]) -> tuple[str, ...]:
    """The names of a method's parameters."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def for_task(kind: type["Method"], task: str, given: Mapping[str, Any] | None = None) -> "Method":
    """A method as a run has it: facts and defaults of its task, and the parameters that are `given`, checked.

    ConfigError for what it does not know, or of the wrong type.
    """
    return _bound(kind, task)(**parameters(kind, task, given or {}))  # type: ignore[arg-type]  # a class is hashable


@cache
def _bound(kind: type["Method"], task: str) -> type["Method"]:
    """The class with its facts of one task: another class, so that methods of two tasks are never taken for one."""
    parameters = names_of(kind)
    differing = [name for name in dir(kind) if isinstance(getattr(kind, name), PerTask) and name not in parameters]
    facts = {name: _of_task(kind, name, getattr(kind, name), task) for name in differing}
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__, **facts})


def _of_task(kind: type["Method"], name: str, value: Any, task: str) -> Any:
    if isinstance(value, PerTask) and task not in value.values:
        raise ConfigError(f"{kind.name}: {name}: per_task has no value for {task}")
    return value.values[task] if isinstance(value, PerTask) else value


def parameters(kind: type["Method"], task: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of a method for a task: its default, or what is `given`; ConfigError naming all that cannot be."""
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise ConfigError(f"{kind.name}: the type of a parameter cannot be read ({error})") from None
    known = {name: f"{kind.name}_{name}" for name in names_of(kind)}
    foreign = [f"{kind.name}_{name}" for name in given if name not in known]
    wrong = [f"{name}: unknown parameter; {kind.name} has none" for name in foreign if not known]
    wrong += [unknown_name(name, list(known.values())) for name in foreign if known]
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name, hint = known[field.name], hints[field.name]
        default = _of_task(kind, field.name, field.default, task)
        value = given.get(field.name, default)
        if default is MISSING:
            wrong.append(f"{name}: a parameter needs a default value, one that cannot change (a tuple, no list)")
            continue
        try:
            values[field.name] = _checked(hint, value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Input should be ")
            wrong.append(f"{name}: found {quoted(value)}, expected {reason}")
        except PydanticSchemaGenerationError:
            wrong.append(f"{name}: found the type {hint}, expected a number, text, or a tuple of them")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return values


def _checked(hint: Any, value: Any) -> Any:
    """A value as its type has it: text is read as YAML would mean it, but a yes or no is no number."""
    if isinstance(value, str) and get_origin(hint) is tuple:
        value = [part.strip() for part in value.split(",")]
    yes_or_no = any(isinstance(part, bool) for part in (value if isinstance(value, list | tuple) else [value]))
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False)).validate_python(value, strict=yes_or_no)


def refuse_clash(kind: type["Method"]) -> None:
    """ConfigError where a parameter's flat name is already that of a setting, or of another method's parameter."""
    from dmtkit.config import TASKS

    settings = [name for config in TASKS.values() for name in [*config.model_fields, "output_dir"]]
    taken = dict.fromkeys(settings, "a setting")
    for other in METHODS.loaded() if METHODS.is_kits(kind.name) else list(METHODS.values()):
        if other.name != kind.name:
            taken |= dict.fromkeys(other.flat_names, f"a parameter of {other.name}")
    flat = sorted(f"{kind.name}_{name}" for name in names_of(kind))
    if clashes := [f"{name} is {taken[name]}" for name in flat if name in taken]:
        raise ConfigError(f"{kind.name}: {'; '.join(clashes)}; give the method or its parameter another name")
