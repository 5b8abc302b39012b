"""What the explorer is to begin with, or shows: choices checked against what a run holds."""

from math import isfinite
from numbers import Real
from typing import Any

from dmtkit.errors import ConfigError, unknown_name
from dmtkit.viewer.catalogue import Catalogue

PLACE = ("method", "student", "time", "phase")
GAMMAS = ("gamma1", "gamma2")
NAMES = (*PLACE, "sample", *GAMMAS)


def check_choice(chosen: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The choice as the browser side understands it; ConfigError with what there is, if the run has no such thing.

    A choice may name only a part. None counts as not chosen, and a sample may be a number.

    >>> views = [{"method": "dmt", "student": "B", "time": "end", "phase": 1}]
    >>> check_choice({"sample": 3, "method": "dmt", "time": None}, Catalogue(views, samples={"3": {}}))
    {'method': 'dmt', 'sample': '3'}
    """
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for name in chosen:
        if name not in NAMES:
            raise ConfigError(unknown_name(name, list(NAMES), "choice"))
    found: dict[str, Any] = {}
    for name in PLACE:
        if name in chosen:
            possible = list(dict.fromkeys(view[name] for view in matching(catalogue, found)))
            found[name] = _one_of(name, chosen[name], possible, found)
    if "sample" in chosen:
        found["sample"] = _one_of("sample", str(chosen["sample"]), list(catalogue.samples), {})
    for name in GAMMAS:
        if name in chosen:
            found[name] = _number(name, chosen[name])
    return found


def matching(catalogue: Catalogue, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """The views that have everything that is chosen, likeliest first."""
    wanted = {name: chosen[name] for name in PLACE if name in chosen}
    return [view for view in catalogue.views if wanted.items() <= view.items()]


def _one_of(name: str, value: Any, possible: list[Any], so_far: dict[str, Any]) -> Any:
    if value in possible:
        return possible[possible.index(value)]  # a number of numpy's becomes a plain one
    given = ", ".join(f"{key} = {one!r}" for key, one in so_far.items())
    context = f" (with {given})" if given else ""
    raise ConfigError(f"{name}: found {value!r}, expected {_listed(possible)}{context}")


def _listed(values: Any) -> str:
    return ("one of " if len(values) > 1 else "") + ", ".join(map(repr, values))


def _number(name: str, value: Any) -> float:
    if isinstance(value, Real) and not isinstance(value, bool) and isfinite(value) and float(value) >= 0:
        return float(value)
    raise ConfigError(f"{name}: found {value!r}, expected a number from 0 up")
