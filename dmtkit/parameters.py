"""Parameters of methods in a config: flat names such as `fixmatch_threshold`, kept as `parameters: {fixmatch: {threshold: 0.9}}`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dmtkit.errors import ConfigError
from dmtkit.registry import METHODS

Parameters = dict[str, dict[str, Any]]


def methods_in(values: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """The methods of a run before it is checked: a list, or `a,b`; those of the `settings`, pydantic's fields, by default."""
    given = values.get("methods", settings["methods"].default)
    names = given.split(",") if isinstance(given, str) else given if isinstance(given, (list, tuple)) else []
    return [name.strip() for name in names if isinstance(name, str)]


def owner_of(name: str, methods: Sequence[str]) -> str | None:
    """Which of the `methods` a flat name sets a parameter of; None if it can be of none.

    >>> owner_of("cps_weight", ["supervised", "cps"])
    'cps'
    """
    possible = sorted((each for each in methods if name.startswith(f"{each}_")), key=len)
    having = [each for each in possible if each in METHODS and name in METHODS[each].flat_names]
    return next(iter([*having, *reversed(possible)]), None)


def flat_names(methods: Sequence[str]) -> list[str]:
    """The flat names of the parameters of these methods, of those that are known here."""
    return [name for each in methods if each in METHODS for name in METHODS[each].flat_names]


def gather(values: Mapping[str, Any], methods: Sequence[str], settings: Collection[str]) -> dict[str, Any]:
    """The same values, with the parameters of these methods in one, `parameters`; the names of `settings` stay."""
    nested = values.get("parameters") or {}
    if not isinstance(nested, Mapping) or not all(isinstance(given, Mapping) for given in nested.values()):
        return dict(values)  # the config says what it expects
    found, rest = {name: dict(given) for name, given in nested.items()}, {}
    for name, value in values.items():
        owner = None if name in settings else owner_of(name, methods)
        if owner is None:
            rest[name] = value
        else:
            found.setdefault(owner, {})[name.removeprefix(f"{owner}_")] = value
    return {**rest, "parameters": found}


def without_others(values: Mapping[str, Any], methods: Sequence[str], chosen: Sequence[str]) -> dict[str, Any]:
    """The values without the parameters of those of the `methods` that are not among the `chosen` ones."""
    others = [name for name in methods if name not in chosen]
    rest = {name: value for name, value in values.items() if owner_of(name, methods) not in others}
    if isinstance(nested := rest.get("parameters"), Mapping):
        rest["parameters"] = {name: given for name, given in nested.items() if name not in others}
    return rest


def changed(given: Parameters, methods: Sequence[str], task: str) -> Parameters:
    """What of it differs from the defaults; of methods that are not known here (`code_from`) all, as it is.

    Raises ValueError, naming all of them, for parameters of no method of the run, unknown, or of the wrong type.
    """
    foreign = [f"{name}_{each}" for name, values in given.items() if name not in methods for each in values or [""]]
    if foreign:
        raise ValueError(f"{', '.join(foreign)}: of a method that is not among `methods`")
    try:
        found = {
            name: METHODS[name].changed(task, values) if name in METHODS else values for name, values in given.items()
        }
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return {name: values for name, values in found.items() if values}
