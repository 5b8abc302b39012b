"""Several processes that train one model together, or one alone: then everything here is the identity and costs nothing.

All processes run the same program. Each computes its share; whoever calls one of the functions that ask the others
(`broadcast`, `total`, `gather`, `join_rows`, `barrier`) must know that all of them do, in the same order.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def size() -> int:
    """How many processes there are.

    >>> size(), rank(), rank_zero()
    (1, 0, True)
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if size() > 1 else 0


def rank_zero() -> bool:
    """Whether this is the process that writes, decides and talks."""
    return rank() == 0


def rows() -> slice:
    """The rows of a batch that are this process's: every so many, so that each share has labeled and pseudo-labeled ones."""
    return slice(rank(), None, size()) if size() > 1 else slice(None)


def share_of(count: int) -> range:
    """The part of `count` things in order that is this process's: consecutive ones.

    >>> share_of(5)
    range(0, 5)
    """
    return range(count * rank() // size(), count * (rank() + 1) // size())


def broadcast(question: Callable[[], T]) -> T:
    """The answer of rank 0, for all; the others are not asked.

    >>> broadcast(lambda: 3)
    3
    """
    if size() == 1:
        return question()
    answer: list[Any] = [question() if rank_zero() else None]
    dist.broadcast_object_list(answer, src=0)
    return answer[0]


def total(values: Tensor) -> Tensor:
    """The sum over all processes; on an accelerator without waiting for it.

    >>> total(torch.tensor([1, 2]))
    tensor([1, 2])
    """
    if size() == 1:
        return values
    summed = values.clone()
    dist.all_reduce(summed)
    return summed


def gather(value: T) -> list[T]:
    """Every process's value, in order.

    >>> gather("a")
    ['a']
    """
    if size() == 1:
        return [value]
    found: list[Any] = [None] * size()
    dist.all_gather_object(found, value)
    return found


def join_rows(own: Tensor, count: int) -> Tensor:
    """Values of all `count` rows of a batch, from those of every process's own `rows`; on an accelerator without waiting."""
    if size() == 1:
        return own
    if own.dtype == torch.bool:  # which gloo cannot add up
        return join_rows(own.byte(), count).bool()
    whole = own.new_zeros(count, *own.shape[1:])
    whole[rows()] = own
    dist.all_reduce(whole)
    return whole


def barrier() -> None:
    """Go on when all are here, so that what rank 0 wrote can be read."""
    if size() > 1:
        dist.all_reduce(torch.zeros(1))  # on the host: no accelerator is waited for


def in_turn(work: Callable[[], T]) -> T:
    """Do some work, rank 0 first: what it fetches or caches then lies there for the others.

    >>> in_turn(lambda: 3)
    3
    """
    if not rank_zero():
        barrier()
    result = work()
    if rank_zero():
        barrier()
    barrier()
    return result


class Rounds:
    """Decides in a loop of steps what every process must decide alike: a thing is done if one of them wants it.

    Asking the others makes the host wait for them, so it is done about once a second; rank 0, whose clock counts,
    names the step of the next round. Alone, whatever is wanted is done at once.

    >>> Rounds(0)(1, False, True)
    (False, True)
    """

    def __init__(self, step: int, seconds: float = 1.0) -> None:
        self.seconds, self._last, self._next, self._then = seconds, step, step + 1, time.monotonic()

    def __call__(self, step: int, *wanted: bool, now: bool = False) -> tuple[bool, ...]:
        """What is done after `step` of the things that this process wants; with `now` the others are asked in any case."""
        if size() == 1:
            return wanted
        if step < self._next and not now:
            return (False,) * len(wanted)
        passed = max(time.monotonic() - self._then, 1e-9)
        steps = max(1, int((step - self._last) * self.seconds / passed)) if rank_zero() else 0
        *asked, ahead = total(torch.tensor([*map(int, wanted), steps])).tolist()
        self._last, self._next, self._then = step, step + ahead, time.monotonic()
        return tuple(count > 0 for count in asked)
