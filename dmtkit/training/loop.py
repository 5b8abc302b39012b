"""One training loop for every method and both tasks; it knows nothing of files.

A step's randomness follows from the seed and the step, so a checkpoint is the networks, the optimisers and the step. No
measurement is read from the device within a step: sums stay tensors until a log point.
"""

import copy
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from dmtkit import distributed
from dmtkit.config import Config
from dmtkit.data.batches import Batch
from dmtkit.errors import ConfigError, RunError, TrainingError, unknown_name
from dmtkit.interrupts import StopRequest
from dmtkit.methods.method import Method
from dmtkit.metrics import from_sums
from dmtkit.models.sync_norm import add_gradients, share_statistics, spread
from dmtkit.sums import Sums, total
from dmtkit.training.optim import schedule, sgd, update_average
from dmtkit.training.step import Recipe, can_compile, compute

State = dict[str, Any]


@dataclass
class Loop:
    """Everything that the next step depends on, by the names that the method declares.

    `kept` is what comes out where that is not the reported network as it is: its EMA, or its best snapshot.
    """

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
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(next(iter(self.modules.values())).parameters()).device

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
        return {
            "method": self.method.name,
            **{
                group: {name: part.state_dict() for name, part in parts.items()}
                for group, parts in self._groups.items()
            },
            **{name: getattr(self, name) for name in ("memory", "step", "logged", "best")},
            "sums": self.sums.state(),
            "random": random,
        }

    def load_state_dict(self, state: State) -> None:
        """Put a checkpoint back; RunError for one of another method."""
        found = state["method"], *state["networks"]
        if found != (self.method.name, *self.modules):
            raise RunError(
                f"found a checkpoint of another method ({found[0]}, with the networks {', '.join(found[1:])}), expected one "
                f"of {self.method.name} ({', '.join(self.modules)}); remove this folder, and the phase is trained anew"
            )
        for group, parts in self._groups.items():
            for name, part in parts.items():
                part.load_state_dict(state[group][name])
        self.memory = {name: value.to(self.device) for name, value in state["memory"].items()}
        self.step, self.logged, self.best = state["step"], state["logged"], state["best"]
        self.sums.restore(state["sums"], self.device)
        torch.set_rng_state(state["random"][0].cpu())
        if torch.cuda.is_available() and len(state["random"]) > 1:
            torch.cuda.set_rng_state_all([value.cpu() for value in state["random"][1:]])


def begin(
    method: Method, networks: Mapping[str, nn.Module], recipe: Recipe, memory: Mapping[str, Tensor] | None = None
) -> Loop:
    """The state of a phase before its first step; `networks` are those that the method trains, nets and helpers."""
    modules = {name: spread(network, recipe.sync_batchnorm) for name, network in networks.items()}
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: method.helpers[name].optimizer(list(module.parameters()))
        if name in method.helpers
        else sgd(module, recipe.lr, recipe.momentum, recipe.weight_decay)
        for name, module in modules.items()
    }
    schedules = {
        name: schedule(recipe.schedule, optimizer, recipe.steps, recipe.poly_power)
        for name, optimizer in optimizers.items()
    }
    averages = {name: copy.deepcopy(modules[source]) for name, (source, _) in method.averages.items()}
    modules |= averages
    itself = recipe.keeps == "last" or (recipe.keeps == "average" and method.reports in averages)
    kept = None if itself else copy.deepcopy(modules[method.reports])
    return Loop(method, recipe, modules, kept, optimizers, schedules, dict(memory or {}))


def processes() -> int:
    """How many processes train together."""
    return distributed.size()


def arithmetic(device: torch.device, precision: str, recipe: Recipe) -> str:
    """On what, and how, a training computes: what decides its bits beside its settings."""
    of_shares = distributed.size() > 1 and not recipe.sync_batchnorm
    return f"{device.type}, {precision}" + (f", batch statistics of {distributed.size()} shares" if of_shares else "")


def check_shares(config: Config, processes: int, apart: bool = False) -> None:
    """Refuse a batch that cannot be shared among so many processes; `apart` where X and U are forwarded each by itself."""
    sizes = [config.batch_labeled, config.batch_pseudo]
    if (least := min(sizes) if apart else sum(sizes)) < processes:
        raise ConfigError(
            f"batch_labeled, batch_pseudo: a batch of {least} cannot be shared by {processes} processes; "
            "start fewer, or make it larger"
        )


def moved_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters that a loss may move: those of the optimiser that are not frozen."""
    return [value for group in optimizer.param_groups for value in group["params"] if value.requires_grad]


def train(
    loop: Loop,
    batches: Callable[[int], Batch],
    *,
    log: Callable[[dict[str, float]], None],
    save: Callable[[State], None],
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    visits: Mapping[int, Callable[[nn.Module], None]] | None = None,
    tick: Callable[[int], None] = lambda step: None,
    note: Callable[[str], None] = warnings.warn,
) -> None:
    """Train to the end of a phase, in place; with a state that `save` was given put back, it ends in the same bits.

    `visits` maps a number of finished steps to what is then done with the network; `note` is told where `recipe.compile`
    cannot be followed. Raises TrainingError on a loss that is NaN or infinite; Ctrl-C saves and raises KeyboardInterrupt.
    """
    recipe = loop.recipe
    log_every = max(1, recipe.steps // recipe.log_points)
    saved, checked, rounds = time.monotonic(), loop.step, distributed.Rounds(loop.step)

    def keep() -> None:
        save(loop.state_dict())
        distributed.barrier()  # no process ends before it is written

    with StopRequest() as stop:  # before the first batch: processes that read ahead take over how Ctrl-C is met
        if recipe.compile and loop.step < recipe.steps:
            possible = can_compile(loop.method, loop.modules, batches(loop.step), recipe, loop.memory, note)
            loop.recipe = recipe = replace(recipe, compile=possible)
        while loop.step < recipe.steps:
            if visits and loop.step in visits:
                share_statistics(loop.current)
                visits[loop.step](loop.current)
            advance(loop, batches(loop.step))
            last = loop.step == recipe.steps
            at_log_point = last or loop.step % log_every == 0
            due = not last and time.monotonic() - saved >= recipe.checkpoint_seconds
            stopping, due = rounds(loop.step, stop.requested, due)  # it may be set at any moment: read once
            due = due or stopping
            if at_log_point or due:
                refuse_bad_loss(loop, batches, checked)
                checked = loop.step
            if at_log_point:
                log(log_record(loop, evaluate))
            if due:
                keep()
                saved = time.monotonic()
            tick(loop.step)
            if stopping:
                raise KeyboardInterrupt(f"after step {loop.step} of {recipe.steps} of a phase; everything is saved")
        if rounds(loop.step, stop.requested, now=True)[0]:  # while the last step was logged
            keep()
            raise KeyboardInterrupt("at the end of a phase; everything is saved")


def advance(loop: Loop, batch: Batch) -> None:
    """One step: losses from the same weights, gradients, optimisers, schedules, averages; nothing waits for the device."""
    method, recipe = loop.method, loop.recipe
    for module in loop.modules.values():
        module.train()
    step = compute(method, loop.modules, batch, recipe, loop.step, loop.memory)
    for optimizer in loop.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    for name, loss in step.losses.items():
        if name not in loop.optimizers:
            hint = unknown_name(name, list(loop.optimizers), "network")
            raise TrainingError(f"{method.name}: a loss for a network that it does not train: {hint}")
        parameters = moved_by(loop.optimizers[name])
        loss.backward(inputs=parameters)
        add_gradients(parameters)
    for name, optimizer in loop.optimizers.items():
        optimizer.step()
        loop.schedules[name].step()
    for name, (source, decay) in method.averages.items():
        update_average(loop.modules[name], loop.modules[source], min(1 - 1 / (loop.step + 1), decay))
    if loop.kept is not None and recipe.keeps == "average":  # it starts as the first step's network
        update_average(loop.kept, loop.current, recipe.ema_decay if loop.step else 0)
    loop.memory = {name: value.detach() for name, value in {**loop.memory, **step.memory}.items()}
    bad = [name for name, value in step.statistics.items() if value.dim()]
    if bad:
        raise TrainingError(
            f"{method.name}: the statistic {bad[0]!r} is no single number; sum it up before it is returned"
        )
    named = {f"loss_{name}" if len(step.losses) > 1 else "loss": loss for name, loss in step.losses.items()}
    loop.sums.add(**named, **step.statistics)
    loop.losses.append({name: loss.detach() for name, loss in step.losses.items()})
    loop.step += 1


def log_record(loop: Loop, evaluate: Callable[[nn.Module], dict[str, float]] | None) -> dict[str, float]:
    """What the steps since the last log point measured, the schedule at this one, and how well the network does by now."""
    recipe, sums = loop.recipe, loop.sums.read()
    gamma1, gamma2 = recipe.gammas(loop.step)
    rate = next(iter(loop.schedules.values())).get_last_lr()[0]
    record: dict[str, Any] = {"step": loop.step, "steps": recipe.steps, "lr": rate, "gamma1": gamma1, "gamma2": gamma2}
    record |= from_sums({name: float(value) for name, value in sums.items()}, loop.step - loop.logged)
    loop.sums, loop.logged = Sums(), loop.step
    share_statistics(loop.current, loop.result)
    if evaluate is None:
        return record
    scores = evaluate(loop.result if recipe.keeps == "average" else loop.current)
    if loop.kept is not None and recipe.keeps == "best" and scores[recipe.score] > loop.best:
        loop.best = scores[recipe.score]
        loop.kept.load_state_dict(loop.current.state_dict())
    return record | scores


def refuse_bad_loss(loop: Loop, batches: Callable[[int], Batch], start: int) -> None:
    """Raise TrainingError, naming network, step and samples, if a loss since step `start` was not finite."""
    named = [(step, name) for step, losses in enumerate(loop.losses, start) for name in losses]
    every = [loss for losses in loop.losses for loss in losses.values()]
    bad = (~total(torch.stack(every)).isfinite()).nonzero() if every else torch.empty(0)
    loop.losses = []
    if len(bad):
        step, name = named[int(bad[0])]
        of = f" of the network {name!r}" if len(loop.optimizers) > 1 else ""
        raise TrainingError(
            f"the loss{of} became NaN or infinite at step {step + 1}; lower `lr`, or look at the images of "
            f"that batch. The last checkpoint is kept. The batch's samples: {', '.join(batches(step).names)}"
        )
