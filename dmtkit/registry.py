"""Names that a config may give — methods, data sets, networks — and what stands behind each; own ones are added by decorator."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from dmtkit.errors import ConfigError, unknown_name

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to things of one kind; a thing of ours is imported when it is first asked for.

    `ours` says which module registers a name. An unknown name is answered with the nearest known one.

    >>> shapes = Registry[type]("shape", {})
    >>> @shapes.register("round")
    ... class Round: pass
    >>> shapes["rond"]
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: shape: rond: unknown shape; did you mean 'round'?
    """

    def __init__(self, kind: str, ours: Mapping[str, str], field: str = "") -> None:
        self.kind, self.field, self._ours = kind, field or kind, ours
        self._found: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that puts what it decorates behind `name`; done again, it replaces what was there."""

        def put(thing: T) -> T:
            self._found[name] = thing
            return thing

        return put

    def check(self, name: str) -> None:
        """ConfigError for a name that is not known; imports nothing."""
        if name not in self:
            raise ConfigError(f"{self.field}: {unknown_name(name, list(self), self.kind)}")

    def __getitem__(self, name: str) -> T:
        self.check(name)
        if name not in self._found:
            import_module(self._ours[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._ours or name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._ours, *self._found]))

    def __len__(self) -> int:
        return len(list(iter(self)))
