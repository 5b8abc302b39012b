"""One training loop for every method and both tasks; it knows nothing of files.

A step's randomness follows from the seed and the step, so it goes on from a checkpoint in the same bits.
"""

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import nn

from dmtkit import distributed
from dmtkit.config import Config
from dmtkit.data.batches import Batch
from dmtkit.errors import ConfigError, TrainingError
from dmtkit.methods.given import Nets
from dmtkit.metrics.cases import from_sums
from dmtkit.metrics.sums import Sums, total
from dmtkit.models.sync_norm import share_statistics
from dmtkit.training.state import Loop, State
from dmtkit.training.step import advance, can_compile


def processes() -> int:
    """How many processes train together."""
    return distributed.size()


def check_shares(config: Config, apart: bool = False) -> None:
    """Refuse a batch that the run's processes cannot share; `apart` where X and U are forwarded each by itself."""
    sizes, count = [config.batch_labeled, config.batch_pseudo], max(config.processes, processes())
    if (least := min(sizes) if apart else sum(sizes)) < count:
        raise ConfigError(
            f"batch_labeled, batch_pseudo: a batch of {least} cannot be shared by {count} processes; "
            "start fewer, or make it larger"
        )


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
    cannot be followed. Raises TrainingError on a loss or an output that is NaN or infinite; Ctrl-C saves and raises KeyboardInterrupt.
    """
    recipe = loop.recipe
    log_every = max(1, recipe.steps // recipe.log_points)
    saved, rounds = time.monotonic(), distributed.Rounds(loop.step)

    def checkpoint() -> None:
        save(loop.state_dict())
        distributed.barrier()  # no process ends before it is written

    with asked_to_stop() as signals:  # before the first batch: processes that read ahead take over how Ctrl-C is met
        if recipe.compile and loop.step < recipe.steps:
            possible = can_compile(loop, batches(loop.step), note)
            loop.recipe = recipe = replace(recipe, compile=possible)
        while loop.step < recipe.steps:
            if visits and loop.step in visits:
                share_statistics(loop.current)
                visits[loop.step](loop.current)
            batch = batches(loop.step)
            advance(loop, batch)
            last = loop.step == recipe.steps
            at_log_point = last or loop.step % log_every == 0
            due = not last and time.monotonic() - saved >= recipe.checkpoint_seconds
            stopping, due = rounds(loop.step, bool(signals), due)  # it may be set at any moment: read once
            due = due or stopping
            if at_log_point or due:
                refuse_bad_loss(loop, batches)
            if at_log_point:
                refuse_bad_output(loop, batch)
                log(log_record(loop, evaluate))
            if due:
                checkpoint()
                saved = time.monotonic()
            tick(loop.step)
            if stopping:
                raise KeyboardInterrupt(f"after step {loop.step} of {recipe.steps} of a phase; everything is saved")
        if rounds(loop.step, bool(signals), now=True)[0]:  # while the last step was logged
            checkpoint()
            raise KeyboardInterrupt("at the end of a phase; everything is saved")


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


def refuse_bad_loss(loop: Loop, batches: Callable[[int], Batch]) -> None:
    """Raise TrainingError, naming network, step and samples, if a loss since the last such look was not finite."""
    first = loop.step - len(loop.losses)
    every = {(step, name): loss for step, losses in enumerate(loop.losses, first) for name, loss in losses.items()}
    finite = total(torch.stack([*every.values()])).isfinite().tolist() if every else []
    loop.losses = []
    if not all(finite):
        step, name = [*every][finite.index(False)]
        of = f" of the network {name!r}" if len(loop.optimizers) > 1 else ""
        raise TrainingError(
            f"the loss{of} became NaN or infinite at step {step + 1}; lower `lr`, or look at the images of "
            f"that batch. The last checkpoint is kept. The batch's samples: {', '.join(batches(step).names)}"
        )


def refuse_bad_output(loop: Loop, batch: Batch) -> None:
    """Raise TrainingError where losses were finite, but what the network now makes of a batch is not."""
    logits = Nets(loop.modules, loop.recipe.precision).label(loop.method.reports, batch.images, "eval")
    if total(logits.softmax(1).isnan().sum()):  # a class may be ruled out by −∞
        raise TrainingError(
            f"the network's output became NaN or infinite by step {loop.step}: its weights have grown without bounds; lower "
            "`lr`. The last checkpoint is kept"
        )


@contextmanager
def asked_to_stop(patient: bool = False) -> Iterator[list[int]]:
    """The signals received: the first Ctrl-C or SIGTERM is only noted; a second one, unless `patient`, interrupts at once.

    Outside the main thread signals cannot be caught, and there are none.

    >>> with asked_to_stop() as signals:
    ...     signals
    []
    """
    signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if signals and not patient:
            raise KeyboardInterrupt
        signals.append(number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
