"""How one phase is trained, and everything that its next step depends on, by the names that a method declares: a checkpoint."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dmtkit.errors import RunError
from dmtkit.losses.dynamic import gamma_ramp
from dmtkit.methods.lab import Training
from dmtkit.methods.method import Method
from dmtkit.metrics.sums import Sums
from dmtkit.models.sync_norm import spread
from dmtkit.tasks.task import Task
from dmtkit.training.optim import schedule

State = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """How one phase is trained: steps, optimiser, γ, what is kept, how often to log and save.

    `keeps` is what comes out of every network: its `average` (EMA), the `last`, or the `best` on held-out images by `score`.
    """

    steps: int
    seed: int
    gamma1: float = 0.0
    gamma2: float = 0.0
    gamma_ramp: bool = True
    online_threshold: float = 0.9
    quiet_unlabeled: bool = False
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "poly"] = "cosine"
    poly_power: float = 0.9
    keeps: Literal["average", "last", "best"] = "last"
    ema_decay: float = 0.999
    score: str = ""
    precision: str = "fp32"
    compile: bool = False
    sync_batchnorm: bool = True
    log_points: int = 20
    checkpoint_seconds: float = 60.0

    def gammas(self, step: int) -> tuple[float, float]:
        """γ1 and γ2 at `step`."""
        ramp = gamma_ramp(step, self.steps) if self.gamma_ramp else 1.0
        return self.gamma1 * ramp, self.gamma2 * ramp


def recipe_of(task: Task, training: Training) -> Recipe:
    """How a training of a run is done: the settings of a recipe's names, and what the task and the plan say of it."""
    settings = {name: getattr(task.config, name) for name in Recipe.__dataclass_fields__ if hasattr(task.config, name)}
    own = {"steps": training.steps, "seed": task.seed("steps", training), "precision": task.precision}
    return Recipe(**{**settings, **own, **task.settings(training)})


@dataclass
class Loop:
    """A training under way. `kept` is what comes out where that is not the reported network as it is: its EMA, or its best snapshot."""

    method: Method
    recipe: Recipe
    modules: dict[str, nn.Module]
    kept: nn.Module | None
    optimizers: dict[str, torch.optim.Optimizer]
    schedules: dict[str, torch.optim.lr_scheduler.LRScheduler]
    memory: dict[str, Tensor]
    sums: Sums = field(default_factory=Sums)
    losses: list[dict[str, Tensor]] = field(default_factory=list)  # of the steps since they were last looked at
    step: int = 0
    logged: int = 0
    best: float = -1.0

    @property
    def current(self) -> nn.Module:
        """The network or average that is reported, as it is now."""
        return self.modules[self.method.reports]

    @property
    def result(self) -> nn.Module:
        """What comes out of it: its EMA, its best snapshot, or itself."""
        return self.current if self.kept is None else self.kept

    def networks(self) -> dict[str, State]:
        """What a finished training leaves: its networks and averages, and, as `kept`, what is reported where it is another."""
        names = [*self.method.nets, *self.method.averages]
        states = {name: self.modules[name].state_dict() for name in names}
        return states if self.result is self.modules.get("model") else states | {"kept": self.result.state_dict()}

    @property
    def _groups(self) -> dict[str, dict[str, Any]]:
        return {
            "networks": self.modules,
            "kept": {} if self.kept is None else {"": self.kept},
            "optimizers": self.optimizers,
            "schedules": self.schedules,
        }

    def state_dict(self) -> State:
        """The loop as plain containers and tensors, for a checkpoint."""
        random = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
        state = {
            group: {name: part.state_dict() for name, part in parts.items()} for group, parts in self._groups.items()
        }
        state |= {name: getattr(self, name) for name in ("memory", "step", "logged", "best")}
        return {"method": self.method.name, **state, "sums": self.sums.state(), "random": random}

    def load_state_dict(self, state: State) -> None:
        """Put a checkpoint back; RunError for one of another method."""
        if (state["method"], *state["networks"]) != (self.method.name, *self.modules):
            raise RunError(
                f"found a checkpoint of another method ({state['method']}, with the networks {', '.join(state['networks'])}), "
                f"expected one of {self.method.name} ({', '.join(self.modules)}); remove this folder, and the phase is trained anew"
            )
        for group, parts in self._groups.items():
            for name, part in parts.items():
                part.load_state_dict(state[group][name])
        there, here = (
            {name: tuple(value.shape) for name, value in memory.items()} for memory in (state["memory"], self.memory)
        )
        if there != here:
            raise RunError(
                f"found a checkpoint whose memory is of other sizes ({there}), expected {here}: it was kept with other data or "
                "parameters; put them back, or remove this folder, and the phase is trained anew"
            )
        device = next(self.current.parameters()).device
        self.memory = {name: value.to(device) for name, value in state["memory"].items()}
        self.step, self.logged, self.best = state["step"], state["logged"], state["best"]
        self.sums.restore(state["sums"], device)
        torch.set_rng_state(state["random"][0].cpu())
        if torch.cuda.is_available() and len(state["random"]) > 1:
            torch.cuda.set_rng_state_all([value.cpu() for value in state["random"][1:]])


def begin(
    method: Method, networks: Mapping[str, nn.Module], recipe: Recipe, memory: Mapping[str, Tensor] | None = None
) -> Loop:
    """The state of a phase before its first step; `networks` are those that the method trains, nets and helpers."""
    modules = {name: spread(network, recipe.sync_batchnorm) for name, network in networks.items()}
    sgd = partial(torch.optim.SGD, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True)
    optimizers: dict[str, torch.optim.Optimizer] = {}
    for name, module in modules.items():
        make = method.helpers[name].optimizer if name in method.helpers else sgd
        optimizers[name] = make(list(module.parameters()))
    schedules = {
        name: schedule(recipe.schedule, optimizer, recipe.steps, recipe.poly_power)
        for name, optimizer in optimizers.items()
    }
    averages = {name: copy.deepcopy(modules[source]) for name, (source, _) in method.averages.items()}
    modules |= averages
    itself = recipe.keeps == "last" or (recipe.keeps == "average" and method.reports in averages)
    kept = None if itself else copy.deepcopy(modules[method.reports])
    return Loop(method, recipe, modules, kept, optimizers, schedules, dict(memory or {}))
