"""Names that a config may give — methods with their parameters, data sets, networks, tasks — and what stands behind each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dmtkit.errors import ConfigError, quoted, unknown_name

if TYPE_CHECKING:
    from dmtkit.methods.method import Method

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to things of one kind; a thing of the kit is imported when it is first asked for.

    `kit` says which names (words) a module of it registers, `field` where a config gives one. An unknown name is answered with
    the nearest known one.

    >>> shapes = Registry[type]("shape", {})
    >>> @shapes.register("round")
    ... class Round: pass
    >>> shapes["rond"]
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: shape: rond: unknown shape; did you mean 'round'?
    """

    def __init__(self, kind: str, kit: Mapping[str, str], field: str = "") -> None:
        self.kind, self.field = kind, field or kind
        self._kit = {name: f"dmtkit.{module}" for module, names in kit.items() for name in names.split()}
        self._known: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that puts what it decorates behind `name`; done again, it replaces what was there.

        ConfigError for a name of the kit.
        """

        def put(thing: T) -> T:
            if self._kit.get(name, thing.__module__) != thing.__module__:
                raise ConfigError(f"{self.field}: the {self.kind} {name!r} is the kit's own; choose another name")
            self._known[name] = thing
            return thing

        return put

    def is_kits(self, name: str) -> bool:
        """Whether a name is the kit's."""
        return name in self._kit

    def is_own(self, name: str) -> bool:
        """Whether someone else than the kit registered a name."""
        return name in self._known and name not in self._kit

    def forget(self, module: str) -> None:
        """Take out what modules whose names begin like this registered."""
        self._known = {name: thing for name, thing in self._known.items() if not thing.__module__.startswith(module)}

    def loaded(self) -> list[T]:
        """What is registered by now; nothing is imported."""
        return list(self._known.values())

    def check(self, *names: str) -> None:
        """ConfigError, naming them all, for names that are not known; imports nothing."""
        unknown = [unknown_name(name, list(self), self.kind) for name in names if name not in self]
        if unknown:
            raise ConfigError(f"{self.field}: {'; '.join(unknown)}")

    def __getitem__(self, name: str) -> T:
        self.check(name)
        if name not in self._known:
            import_module(self._kit[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kit or name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._kit | self._known)

    def __len__(self) -> int:
        return len(self._kit | self._known)


Build = Callable[..., Any]


def _of_tasks(kind: str, field: str, **kit: Mapping[str, str]) -> dict[str, Registry[Build]]:
    return {task: Registry(kind, modules, field) for task, modules in kit.items()}


METHODS: "Registry[Method]" = Registry(
    "method",
    {
        "methods.supervised": "supervised oracle",
        "methods.online": "online_st",
        "methods.dmt": "cl cbst dst dmt_naive dmt_flip dmt",
        "methods.mean_teacher": "mean_teacher",
        "methods.fixmatch": "fixmatch flexmatch",
        "methods.unimatch": "unimatch",
        "methods.cps": "cps",
        "methods.adversarial": "adversarial",
    },
    field="methods",
)
DATASETS = _of_tasks(
    "data set",
    "dataset",
    classification={"data.images": "digits cifar10 cifar100", "data.folder": "folder"},
    segmentation={"data.segmentation": "scenes", "data.cityscapes": "cityscapes", "data.voc": "voc folder"},
)
MODELS = _of_tasks(
    "model", "model", classification={"models.wide_resnet": "wrn"}, segmentation={"models.deeplab": "deeplab"}
)


def dataset(name: str, task: str) -> Callable[[Build], Build]:
    """Register a function of a config that gives a task's data: for images `dmtkit.data.Data`, for pixels `Scenes`."""
    return of_task(DATASETS, task).register(name)


def model(name: str, task: str) -> Callable[[Build], Build]:
    """Register a function that builds a task's network; it gets those of channels, classes, name, aspp_rates that it names.

    A registered name is also that of a family: `wrn` stands for every `wrn-…`.
    """
    return of_task(MODELS, task).register(name)


def of_task(things: Mapping[str, T], task: str) -> T:
    """What there is for a task; ConfigError for one that does not exist."""
    if not isinstance(task, str) or task not in things:
        raise ConfigError(f"task: found {quoted(task)}, expected one of {', '.join(things)}")
    return things[task]


@dataclass(frozen=True)
class TaskFacts:
    """What tables, figures and the explorer must know of a task.

    `metric` is the headline's name in DONE.json, `label` that in words; `models` are those trained side by side, one without
    a name where there is one; `pixels` says whether labels are those of pixels or of images.
    """

    metric: str
    label: str
    models: tuple[str, ...]
    pixels: bool

    @property
    def first(self) -> str:
        """The model that is reported."""
        return self.models[0]

    def teacher(self, student: str, which: str) -> str:
        """Who labels for a student: `itself`, or the `other` one where there are two."""
        others = [model for model in self.models if model != student]
        return others[0] if which == "other" and others else student


TASK_FACTS = {
    "classification": TaskFacts("accuracy", "accuracy", ("",), pixels=False),
    "segmentation": TaskFacts("miou", "mIoU", ("A", "B"), pixels=True),
}


# The config's: {"fixmatch": {"threshold": 0.9}}; its flat names are such as fixmatch_threshold.
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


def gather(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, with the parameters of a run's methods in one, `parameters`; the names of `settings` stay."""
    nested = values.get("parameters") or {}
    if not isinstance(nested, Mapping) or not all(isinstance(given, Mapping) for given in nested.values()):
        return dict(values)  # the config says what it expects
    found, rest, methods = {name: dict(given) for name, given in nested.items()}, {}, methods_in(values, settings)
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
