"""Names that a config may give — methods, data sets, networks — and what stands behind each; own ones are added by decorator."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dmtkit.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from dmtkit.methods.method import Method

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to things of one kind; a thing of the kit is imported when it is first asked for.

    `kit` says which module registers a name, `field` where a config gives one. An unknown name is answered with the nearest
    known one.

    >>> shapes = Registry[type]("shape", {})
    >>> @shapes.register("round")
    ... class Round: pass
    >>> shapes["rond"]
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: shape: rond: unknown shape; did you mean 'round'?
    """

    def __init__(self, kind: str, kit: Mapping[str, str], field: str = "") -> None:
        self.kind, self.field, self._kit = kind, field or kind, kit
        self._found: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that puts what it decorates behind `name`; done again, it replaces what was there.

        ConfigError for a name of the kit.
        """

        def put(thing: T) -> T:
            if self._kit.get(name, thing.__module__) != thing.__module__:
                raise ConfigError(f"{self.field}: the {self.kind} {name!r} is the kit's own; choose another name")
            self._found[name] = thing
            return thing

        return put

    def is_kits(self, name: str) -> bool:
        """Whether a name is the kit's."""
        return name in self._kit

    def is_own(self, name: str) -> bool:
        """Whether someone else than the kit registered a name."""
        return name in self._found and name not in self._kit

    def forget(self, module: str) -> None:
        """Take out what modules whose names begin like this registered."""
        self._found = {name: thing for name, thing in self._found.items() if not thing.__module__.startswith(module)}

    def loaded(self) -> list[T]:
        """What is registered by now; nothing is imported."""
        return list(self._found.values())

    def check(self, *names: str) -> None:
        """ConfigError, naming them all, for names that are not known; imports nothing."""
        unknown = [unknown_name(name, list(self), self.kind) for name in names if name not in self]
        if unknown:
            raise ConfigError(f"{self.field}: {'; '.join(unknown)}")

    def __getitem__(self, name: str) -> T:
        self.check(name)
        if name not in self._found:
            import_module(self._kit[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kit or name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._kit, *self._found]))

    def __len__(self) -> int:
        return len(list(iter(self)))


METHODS: "Registry[Method]" = Registry(
    "method",
    {
        "supervised": "dmtkit.methods.supervised",
        "oracle": "dmtkit.methods.supervised",
        "online_st": "dmtkit.methods.online",
        **dict.fromkeys(("cl", "cbst", "dst", "dmt_naive", "dmt_flip", "dmt"), "dmtkit.methods.dmt"),
        "mean_teacher": "dmtkit.methods.mean_teacher",
        **dict.fromkeys(("fixmatch", "flexmatch"), "dmtkit.methods.fixmatch"),
        "unimatch": "dmtkit.methods.unimatch",
        "cps": "dmtkit.methods.cps",
        "adversarial": "dmtkit.methods.adversarial",
    },
    field="methods",
)
Build = Callable[..., Any]


def _registries(kind: str, field: str, kit: Mapping[str, Mapping[str, str]]) -> dict[str, Registry[Build]]:
    return {task: Registry(kind, names, field) for task, names in kit.items()}


IMAGES, SCENES = "dmtkit.data.images", "dmtkit.data.segmentation"
DATASETS = _registries(
    "data set",
    "dataset",
    {
        "classification": dict.fromkeys(("digits", "cifar10", "cifar100", "folder"), IMAGES),
        "segmentation": dict.fromkeys(("scenes", "voc", "cityscapes", "folder"), SCENES),
    },
)
MODELS = _registries(
    "model",
    "model",
    {
        "classification": {"wrn": "dmtkit.models.wide_resnet"},
        "segmentation": {"deeplab": "dmtkit.models.deeplab"},
    },
)


def dataset(name: str, task: str) -> Callable[[Build], Build]:
    """Register a function of a config that gives a task's data: for images `dmtkit.data.Data`, for pixels `Scenes`."""
    return _of(DATASETS, task).register(name)


def model(name: str, task: str) -> Callable[[Build], Build]:
    """Register a function that builds a task's network; it gets those of channels, classes, name, aspp_rates that it names.

    A registered name is also that of a family: `wrn` stands for every `wrn-…`.
    """
    return _of(MODELS, task).register(name)


def _of(registries: Mapping[str, Registry[Build]], task: str) -> Registry[Build]:
    if task not in registries:
        raise ConfigError(f"task: found {task!r}, expected one of {', '.join(registries)}")
    return registries[task]
