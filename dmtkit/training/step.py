"""One training step: what is drawn on the host, the method's own losses, gradients, optimisers, averages.

No measurement is read from the device here: sums stay tensors until a log point.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import cast

import torch
from torch import Tensor

from dmtkit.data.batches import Batch
from dmtkit.errors import TrainingError, unknown_name
from dmtkit.methods.given import Mixed, Nets, Now
from dmtkit.methods.method import Method, Step
from dmtkit.metrics.sums import join_rows, total
from dmtkit.models.sync_norm import add_gradients
from dmtkit.seeds import derive
from dmtkit.training.optim import update_average
from dmtkit.training.state import Loop


def advance(loop: Loop, batch: Batch) -> None:
    """One step: losses from the same weights, gradients, optimisers, schedules, averages; nothing waits for the device."""
    method, recipe = loop.method, loop.recipe
    for module in loop.modules.values():
        module.train()
    step = compute(loop, batch)
    for optimizer in loop.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    for name, loss in step.losses.items():
        if name not in loop.optimizers:
            hint = unknown_name(name, list(loop.optimizers), "network")
            raise TrainingError(f"{method.name}: a loss for a network that it does not train: {hint}")
        groups = loop.optimizers[name].param_groups  # frozen parameters take no part
        parameters = [value for group in groups for value in group["params"] if value.requires_grad]
        loss.backward(inputs=parameters)
        add_gradients(parameters)
    for name, optimizer in loop.optimizers.items():
        optimizer.step()
        loop.schedules[name].step()
    for name, (source, decay) in method.averages.items():
        update_average(loop.modules[name], loop.modules[source], min(1 - 1 / (loop.step + 1), decay))
    if loop.kept is not None and recipe.keeps == "average":  # it starts as the first step's network
        update_average(loop.kept, loop.current, recipe.ema_decay if loop.step else 0)
    shapes = {name: tuple(value.shape) for name, value in loop.memory.items()}
    for name, value in step.memory.items():
        if (expected := shapes.get(name, "none of that name")) != (found := tuple(value.shape)):
            wrong = f"memory {name!r}: found {found}, expected {expected}, as memory(n, classes) declares"
            raise TrainingError(f"{method.name}: {wrong}")
    for name, value in step.statistics.items():
        if not isinstance(value, Tensor) or value.dim():
            wrong = f"the statistic {name!r} is no tensor of a single number; sum it up before it is returned"
            raise TrainingError(f"{method.name}: {wrong}")
    loop.memory = {name: value.detach() for name, value in {**loop.memory, **step.memory}.items()}
    named = {f"loss_{name}" if len(step.losses) > 1 else "loss": loss for name, loss in step.losses.items()}
    loop.sums.add(**named, **step.statistics)
    loop.losses.append({name: loss.detach() for name, loss in step.losses.items()})
    loop.step += 1


def compute(loop: Loop, batch: Batch) -> Step:
    """What the method makes of a batch; nothing here waits for the device."""
    method, recipe, step = loop.method, loop.recipe, loop.step
    device, number = batch.images.device, cast(Callable[[float], float | Tensor], float)
    if recipe.compile:  # what changes from step to step and is no tensor would be compiled in, anew every time
        number = partial(torch.full, (), device=device, dtype=torch.float32)
    mix = None
    if batch.mixed is not None and batch.partner is not None:
        everyones = partial(join_rows, count=len(batch.partner))
        mix = Mixed(batch.mixed, number(batch.lam), batch.partner, batch.rows, everyones)
    gamma1, gamma2 = map(number, recipe.gammas(step))
    where = number(step), recipe.steps, gamma1, gamma2, recipe.online_threshold
    now = Now(*where, mix, loop.memory, total=total, channels=getattr(loop.current, "channels", 0))
    drawn = method.draws(replace(now, seed=derive(recipe.seed, "draws", step)), batch.unlabeled)
    now = replace(now, drawn={name: value[batch.rows].to(device, non_blocking=True) for name, value in drawn.items()})
    nets = Nets(loop.modules, recipe.precision, "quiet" if batch.u and recipe.quiet_unlabeled else "train")
    if recipe.compile:
        return compiled(method)(nets, replace(batch, names=(), lam=math.nan), now)
    try:
        result = method.losses(nets, batch, now)
    except KeyError as error:
        views, kept = ", ".join(batch.u) or "none", ", ".join([*loop.memory, *drawn]) or "nothing"
        raise TrainingError(
            f"{method.name}: losses: there is no {error}; batch.u has the views that the method declares ({views}), now.memory and "
            f"now.drawn what it keeps and draws ({kept})"
        ) from error
    losses = result.losses if isinstance(result, Step) else result
    if not isinstance(result, Step) or not isinstance(losses, Mapping):
        expected = f'Step({{"{method.nets[0]}": loss}}), a loss for each network'
        raise TrainingError(f"{method.name}: losses returned a {type(losses).__name__}, expected {expected}")
    return result


@cache
def compiled(method: Method) -> Callable[[Nets, Batch, Now], Step]:
    """A method's losses, compiled when they are first computed."""
    torch._dynamo.config.recompile_limit = 64  # batches with and without truth, tasks, networks
    return torch.compile(method.losses, dynamic=False)


def can_compile(loop: Loop, batch: Batch, note: Callable[[str], None]) -> bool:
    """Whether a step can be compiled here, tried on copies of the networks; `note` is told why it cannot."""
    if batch.rows != slice(None):
        note("compile: is for one process; several train without")
        return False
    if len(loop.optimizers) > 1:  # in one graph several networks would be differentiated as one
        note(f"compile: {loop.method.name} trains several networks, which is done without")
        return False
    try:
        modules = {name: copy.deepcopy(module).train() for name, module in loop.modules.items()}
        tried = compute(replace(loop, modules=modules), batch)
        for loss in tried.losses.values():
            loss.backward()
        return True
    except Exception as error:  # compilers fail in a hundred ways, and training can do without
        reason = next(iter(str(error).strip().splitlines()), "")
        note(f"compile: torch.compile failed here ({type(error).__name__}: {reason}); training goes on without")
        return False
