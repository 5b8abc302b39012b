"""What a method may say: declared facts, and two questions — `phases`, the outer loop, and `losses`, the inner one.

The rest is the engine's: all losses of a step come from the same weights and each moves only its own network; averages
follow after the step; every verb of `lab` is done once, whatever stops a run; of several processes a method knows nothing.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dmtkit.data.batches import Batch
from dmtkit.errors import ConfigError
from dmtkit.losses.dynamic import DynamicWeights, Gamma, Rule, weigh
from dmtkit.methods.given import Nets, Now
from dmtkit.methods.lab import Lab, Score
from dmtkit.methods.parameters import for_task, names_of, parameters, refuse_clash
from dmtkit.registry import METHODS, TASK_FACTS

VIEWS = ("plain", "weak", "strong", "weak2", "strong2", "x2")
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


class Step(NamedTuple):
    """What one step computes: a loss for every network that it trains, sums to log, and what is kept for the next step."""

    losses: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor] = {}
    memory: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Helper:
    """A further network, such as a critic: `build` makes it from the number of classes, `optimizer` moves its parameters.

    Its learning rate follows the run's schedule.
    """

    build: Callable[[int], nn.Module]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class Method:
    """The base of all methods; `@method` registers one. What it declares is fixed before training.

    What a class declares with a type and a value is a parameter, `threshold: Share = 0.95`: a frozen field, set in a params file
    under the method's name, `fixmatch_threshold: 0.9`. All else is a fact. Both may differ by task: `per_task(…)`.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ("classification", "segmentation")
    # Trained networks, each with random weights, optimiser and schedule of its own. After another training the first goes on
    # from what that one reports, the others from the networks of their name, or, where it had none, from random weights.
    nets: ClassVar[tuple[str, ...]] = ("model",)
    # {"teacher": ("model", decay)}: an EMA that a loss uses, of decay min(1 − 1/(t + 1), decay)
    averages: ClassVar[Mapping[str, tuple[str, float]]] = {}
    helpers: ClassVar[Mapping[str, Helper]] = {}
    # Of U beside X, as `batch.u[view]`. Images: plain as they are, weak cropped and flipped, strong with an operation too, each a
    # draw of its own. Pixels: one crop for all views; plain and weak are that crop, strong is in other colours. weak2: again.
    # x2: as `batch.x2` and `batch.y2` another batch of X.
    views: ClassVar[tuple[str, ...]] = ("strong",)
    splits: ClassVar[bool] = False  # whether it uses the two halves of a network, `nets.features` and `nets.head`
    adds: ClassVar[tuple[str, ...]] = ()  # parameters that weigh what it adds to the supervised loss; all 0: X alone
    reports: ClassVar[str] = "model"  # the network or average that labels and is tested
    teacher: ClassVar[str] = "online"  # who labels: nobody, truth, online (itself, in every step), itself, other
    rule: ClassVar[Rule] = "uniform"  # how stored labels are weighed

    @classmethod
    def changed(cls, task: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of the parameters that are `given` those that differ from a task's defaults; ConfigError for what cannot be."""
        default = parameters(cls, task, {})
        return {name: value for name, value in parameters(cls, task, given).items() if value != default[name]}

    @classmethod
    def facts(cls, task: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a run records of it, for tables, figures and the explorer."""
        self = for_task(cls, task, given)
        facts = {name: getattr(self, name) for name in ("title", "teacher", "rule", "views")}
        return {**facts, "parameters": {name: getattr(self, name) for name in names_of(cls)}}

    @property
    def flat_names(self) -> tuple[str, ...]:
        """Its parameters as a params file names them."""
        return tuple(f"{self.name}_{name}" for name in names_of(type(self)))

    def phases(self, lab: Lab) -> Iterator[Score]:
        """The outer loop; by default one phase, as long as phase 0 and all phases of one model together, labeled online."""
        steps = lab.budget(baseline=True)
        yield lab.score(1, {m: lab.train(1, m, lab.views, steps=steps) for m in lab.models(1)})

    def draws(self, now: Now, n: int) -> dict[str, Tensor]:
        """Random numbers of a step beyond mixup, a row for each of the `n` images of U beside X; `now.drawn` holds own rows.

        They are drawn by `now.generator(name)`, on the host.
        """
        return {}

    def losses(self, nets: Nets, batch: Batch, now: Now) -> Step:
        """The inner loop: a scalar for each of `nets` and `helpers`, from a step's networks, batch and moment; pure.

        X is `batch.x`, `batch.y`. With `lab.views` U is `batch.u[view]`, and counts where `batch.valid`; else it stands below X in
        `batch.images`. A mean is `now.mean`, also over several processes. Each loss is differentiated by itself: two may share
        no term.
        """
        raise ConfigError(f"{self.name}: has no losses")

    def memory(self, n: int, classes: int) -> dict[str, Tensor]:
        """Tensors kept from step to step, as they are before the first; `n` images are unlabeled."""
        return {}

    def weigh(self, *seen: Tensor, gamma1: Gamma, gamma2: Gamma) -> DynamicWeights:
        """The weights of stored labels that figures and tables show: those of `rule`; `seen` is what `weigh` takes."""
        return weigh(*seen, gamma1=gamma1, gamma2=gamma2, rule=self.rule)


M = TypeVar("M", bound=type[Method])
NAME = re.compile("[a-z][a-z0-9_]*")


def method(name: str, title: str = "", **fixed: Any) -> Callable[[M], M]:
    """Register a class as the method `name`, once its file is imported; `fixed` values make an ablation, with other constants.

    The class becomes a frozen dataclass, whose fields are the method's parameters. A file of the kit also stands in `METHODS`,
    which imports it by name. Raises ConfigError for what is declared wrongly, and for a name of the kit.
    """

    if not isinstance(name, str):
        raise ConfigError(f'@method: found {name!r}, expected a name: @method("mine") above the class')
    if not NAME.fullmatch(name):
        raise ConfigError(f"method {name!r}: expected small letters, digits and _: it names a folder and parameters")

    def put(base: M) -> M:
        own = {"__doc__": base.__doc__, "__module__": base.__module__, "name": name, "title": title or name}
        try:
            made = _frozen(type(base.__name__, (_frozen(base),), {**own, **fixed}))
        except (TypeError, ValueError, NameError) as error:
            raise ConfigError(f"{name}: what it declares cannot be read ({error})") from None
        if strange := [task for task in made.tasks if task not in TASK_FACTS]:
            raise ConfigError(f"{name}: tasks: found {', '.join(strange)}, expected some of {', '.join(TASK_FACTS)}")
        for task in made.tasks:
            for fault in _faults(for_task(made, task)):
                raise ConfigError(f"{name}: {fault}")
        refuse_clash(made)
        METHODS.register(name)(made())
        return base

    return put


FACTS = [name for name, value in vars(Method).items() if not callable(value) and not name.startswith("_")]


def _frozen(kind: type[Method]) -> type[Method]:
    """A class as a frozen dataclass of its parameters, and those it inherits; what it gives a value without a type is none any more.

    ValueError where a fact was given a type, which would make it a parameter, or is misspelt.
    """
    if kind is Method or "__dataclass_fields__" in vars(kind):
        return kind
    declared = [name for name, value in vars(kind).items() if not callable(value) and not name.startswith("_")]
    for name in declared:
        if name not in FACTS and (near := difflib.get_close_matches(name, FACTS, 1, 0.8)):
            raise ValueError(f"{name}: did you mean {near[0]!r}?")
    for base in kind.__bases__:
        if issubclass(base, Method):
            _frozen(base)
    typed = inspect.get_annotations(kind)
    if wrong := [name for name, hint in typed.items() if name in vars(Method) and "ClassVar" not in str(hint)]:
        raise ValueError(f"{', '.join(sorted(wrong))}: a fact and no parameter: leave out its type")
    fixed = [name for name in names_of(kind) if name in vars(kind) and name not in typed]
    kind.__annotations__ = typed | dict.fromkeys(fixed, ClassVar)
    return dataclass(frozen=True)(kind)


def _faults(kind: Method) -> Iterator[str]:
    """What a method declares wrongly, in words."""
    for fact in ("nets", "views", "adds"):
        if not isinstance(value := getattr(kind, fact), tuple):
            yield f"{fact}: found {value!r}, expected a tuple, such as ({value!r},)"
    names = [*kind.nets, *kind.averages, *kind.helpers]
    if not kind.nets or len(set(names)) < len(names) or {"kept", "seconds"} & set(names):
        yield (
            "expected at least one network, each name once, and none called 'kept' or 'seconds'; "
            f"found {', '.join(names)}"
        )
    lost = [f"{average} of {source}" for average, (source, _) in kind.averages.items() if source not in kind.nets]
    if lost or kind.reports not in (*kind.nets, *kind.averages):
        wrong, nets = ", ".join([*lost, kind.reports]), ", ".join(kind.nets)
        yield f"averages and `reports` must name networks that it declares ({nets}); found {wrong}"
    foreign = [view for view in kind.views if view not in VIEWS]
    if foreign or not kind.views:
        yield f"views: found {', '.join(foreign) or 'none'}, expected some of {', '.join(VIEWS)}"
    if lost := [name for name in kind.adds if name not in names_of(type(kind))]:
        yield f"adds: found {', '.join(lost)}, expected some of its parameters"
    if type(kind).losses is Method.losses:
        yield "has no losses; give its class a function losses(self, nets, batch, now)"
    if not inspect.isgeneratorfunction(kind.phases):
        yield "phases(lab) must yield lab.score(…) after every phase"
