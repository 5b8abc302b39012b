"""One training loop for every method and both tasks; it knows nothing of files.

A step's randomness follows from the seed and the step, so a checkpoint is the models, the optimiser and
the step. No measurement is read from the device within a step: sums stay tensors until a log point.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from dmtkit import team
from dmtkit.data.batches import Batch
from dmtkit.errors import TrainingError
from dmtkit.interrupts import StopRequest
from dmtkit.metrics import from_sums
from dmtkit.models.sync_norm import share_statistics, spread
from dmtkit.optim import schedule, sgd, update_average
from dmtkit.step import Recipe, can_compile, step_loss

State = dict[str, Any]


@dataclass
class Meter:
    """Sums of measurements on their device, and the losses since they were last read.

    Of several processes each sums its own share; what is read is the sum over all.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor, stats: dict[str, Tensor]) -> None:
        """Take a step's loss and statistics, without waiting for the device."""
        loss = loss.detach()
        self.losses.append(loss)
        steps = torch.full_like(loss, team.leader())  # counted once
        for name, value in {"loss": loss, "steps": steps, **stats}.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()

    def first_bad(self) -> int | None:
        """Position, among the steps since the last call, of the first loss that is NaN or infinite."""
        bad = (~team.total(torch.stack(self.losses)).isfinite()).nonzero() if self.losses else torch.empty(0)
        self.losses = []
        return int(bad[0]) if len(bad) else None

    def everyones(self) -> dict[str, Tensor]:
        """The sums of all processes, one after the other, by one exchange; alone the sums as they are."""
        if team.size() == 1 or not self.sums:
            return dict(self.sums)
        own = torch.stack([value.double() for value in self.sums.values()])
        found = team.joined(own[None], team.size()).T
        return {name: values.to(own.dtype) for (name, own), values in zip(self.sums.items(), found, strict=True)}

    def restore(self, found: dict[str, Tensor], device: torch.device) -> None:
        """Take back this process's sums; the leader takes all of them where their number was another."""
        self.sums = {}
        for name, values in found.items():
            each = values.reshape(-1)
            own = each[team.rank()] if len(each) == team.size() else each.sum() * team.leader()
            self.sums[name] = own.to(values.dtype).to(device)

    def read(self) -> dict[str, float]:
        """The sums as one record, and start anew: the one place that waits for the device."""
        sums = {name: float(values.sum()) for name, values in self.everyones().items()}
        self.sums = {}
        return {"loss": sums["loss"] / sums["steps"], **from_sums(sums)}


@dataclass
class Loop:
    """Everything that the next step depends on; `shared` computes the model's logits, with others where there are several."""

    model: nn.Module
    shared: nn.Module
    kept: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    meter: Meter = field(default_factory=Meter)
    step: int = 0
    best: float = -1.0

    @property
    def parts(self) -> list[str]:
        """The parts with a state of their own; `kept` may be the model itself."""
        return ["model", "optimizer", "schedule", *(["kept"] if self.kept is not self.model else [])]

    def state_dict(self) -> State:
        """The loop as plain containers and tensors, for a checkpoint."""
        parts = {name: getattr(self, name).state_dict() for name in self.parts}
        random = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
        return {**parts, "meter": self.meter.everyones(), "step": self.step, "best": self.best, "random": random}

    def load_state_dict(self, state: State) -> None:
        """Put a checkpoint back."""
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        device = next(self.model.parameters()).device
        self.meter.restore(state["meter"], device)
        self.step, self.best = int(state["step"]), float(state["best"])
        torch.set_rng_state(state["random"][0].cpu())
        if torch.cuda.is_available() and len(state["random"]) > 1:
            torch.cuda.set_rng_state_all([value.cpu() for value in state["random"][1:]])


def train(
    model: nn.Module,
    batches: Callable[[int], Batch],
    recipe: Recipe,
    *,
    log: Callable[[dict[str, float]], None],
    save: Callable[[State], None],
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    visits: Mapping[int, Callable[[nn.Module], None]] | None = None,
    state: State | None = None,
    tick: Callable[[int], None] = lambda step: None,
    note: Callable[[str], None] = warnings.warn,
) -> nn.Module:
    """Train `model` in place for one phase and return what `recipe.keeps`: the model itself, or its average or best.

    `visits` maps a number of finished steps to what is then done with the model. `state` is one that `save`
    was given: training goes on from there and ends in the same bits. `note` is told where `recipe.compile` cannot be
    followed. Raises
    TrainingError on a loss that is NaN or infinite; Ctrl-C saves and raises KeyboardInterrupt.
    """
    loop = begin(model, recipe)
    if state:
        loop.load_state_dict(state)
    log_every = max(1, recipe.steps // recipe.log_points)
    saved, checked, rounds = time.monotonic(), loop.step, team.Rounds(loop.step)

    with StopRequest() as stop:  # before the first batch: processes that read ahead take over how Ctrl-C is met
        if recipe.compile and loop.step < recipe.steps:
            recipe = replace(recipe, compile=can_compile(model, batches(loop.step), recipe, note))
        while loop.step < recipe.steps:
            if visits and loop.step in visits:
                share_statistics(model)
                visits[loop.step](model)
            advance(loop, batches(loop.step), recipe)
            last = loop.step == recipe.steps
            at_log_point = last or loop.step % log_every == 0
            due = not last and time.monotonic() - saved >= recipe.checkpoint_seconds
            stopping, due = rounds(loop.step, stop.requested, due)  # it may be set at any moment: read once
            due = due or stopping
            if at_log_point or due:
                refuse_bad_loss(loop.meter, batches, checked)
                checked = loop.step
            if at_log_point:
                share_statistics(model, loop.kept)
                found = evaluate(loop.kept if recipe.keeps == "average" else model) if evaluate else {}
                log(log_record(loop, recipe) | found)
                if recipe.keeps == "best" and found[recipe.score] > loop.best:
                    loop.best = found[recipe.score]
                    loop.kept.load_state_dict(model.state_dict())
            if due:
                save(loop.state_dict())
                team.wait()  # no process ends before it is written
                saved = time.monotonic()
            tick(loop.step)
            if stopping:
                raise KeyboardInterrupt(f"after step {loop.step} of {recipe.steps} of a phase; everything is saved")
        if rounds(loop.step, stop.requested, now=True)[0]:  # while the last step was logged
            save(loop.state_dict())
            team.wait()
            raise KeyboardInterrupt("at the end of a phase; everything is saved")
    return loop.kept


def begin(model: nn.Module, recipe: Recipe) -> Loop:
    """The state of a phase before its first step."""
    shared = spread(model, recipe.sync_batchnorm)
    optimizer = sgd(model, recipe.lr, recipe.momentum, recipe.weight_decay)
    kept = model if recipe.keeps == "last" else copy.deepcopy(model)
    return Loop(model, shared, kept, optimizer, schedule(recipe.schedule, optimizer, recipe.steps, recipe.poly_power))


def advance(loop: Loop, batch: Batch, recipe: Recipe) -> None:
    """One step: loss, gradients, optimiser, schedule, average; nothing is read from the device."""
    loop.model.train()
    loss, stats = step_loss(loop.shared, batch, recipe, loop.step)
    loop.optimizer.zero_grad(set_to_none=True)
    (loss * team.size() if team.size() > 1 else loss).backward()  # gradients are averaged, losses add up
    loop.optimizer.step()
    loop.schedule.step()
    if recipe.keeps == "average":  # it starts as the first step's model
        update_average(loop.kept, loop.model, recipe.ema_decay if loop.step else 0)
    loop.meter.add(loss, stats)
    loop.step += 1


def log_record(loop: Loop, recipe: Recipe) -> dict[str, float]:
    """What the steps since the last log point measured, and the schedule at this one."""
    gamma1, gamma2 = recipe.gammas(loop.step)
    where = {"step": loop.step, "steps": recipe.steps, "lr": loop.schedule.get_last_lr()[0]}
    return {**where, "gamma1": gamma1, "gamma2": gamma2, **loop.meter.read()}


def refuse_bad_loss(meter: Meter, batches: Callable[[int], Batch], start: int) -> None:
    """Raise TrainingError, naming step and samples, if a loss since step `start` was not finite."""
    bad = meter.first_bad()
    if bad is not None:
        names = batches(start + bad).names
        raise TrainingError(
            f"the loss became NaN or infinite at step {start + bad + 1}; lower `lr`, or look at the images of "
            f"that batch. The last checkpoint is kept. The batch's samples: {', '.join(names)}"
        )


def image_batches(
    normalise: Callable[[Tensor], Tensor], pixels: UInt8[Tensor, "n c h w"], size: int = 500
) -> Iterator[Float[Tensor, "b c h w"]]:
    """Un-augmented images in order, normalised, `size` at a time."""
    for part in pixels.split(size):
        yield normalise(part).contiguous(memory_format=torch.channels_last)
