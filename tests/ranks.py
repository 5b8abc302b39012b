"""Several ranks as threads of one process, in place of torch.distributed: what they compute together costs no process start.

One thread runs at a time: it hands over where it meets the others, and keeps its own random state, as a process does. Unlike
processes, which would wait for ever, ranks that call different functions, or not equally often, are found out.
"""

import pickle
import threading
from contextlib import ExitStack
from unittest.mock import patch

import torch

from dmtkit import distributed
from dmtkit.models import sync_norm


class Lost(RuntimeError):
    """Another rank failed, ended early, or called something else."""


class Team:
    """Stands where `torch.distributed` is imported, for the threads that it runs; for all others nothing is initialised."""

    def __init__(self, size):
        self.size, self.own = size, threading.local()
        self.turns = [threading.Semaphore(0) for _ in range(size)]
        self.round, self.errors, self.ended = {}, [], 0

    def run(self, work):
        """Let every rank do `work`; the error of the first that failed is raised."""
        threads = [threading.Thread(target=self._rank, args=(rank, work), daemon=True) for rank in range(self.size)]
        with ExitStack() as patches:
            for module in (distributed, sync_norm):
                patches.enter_context(patch.object(module, "dist", self))
            for thread in threads:
                thread.start()
            self.turns[0].release()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]

    def _rank(self, rank, work):
        self.own.rank, state = rank, torch.get_rng_state()
        torch.set_num_threads(1)
        self.turns[rank].acquire()
        torch.set_rng_state(state)
        try:
            if not self.errors:
                work()
                if self.round:
                    raise Lost(f"rank {rank} ended where another one waits in {next(iter(self.round.values()))[0]}")
        except BaseException as error:
            self.errors.append(error)
        self.ended += 1
        self.turns[(rank + 1) % self.size].release()

    def _meet(self, name, value):
        """Everyone's value, in order."""
        rank, state, here = self.own.rank, torch.get_rng_state(), self.round
        if self.ended:
            raise Lost(f"rank {rank} calls {name} where another one has ended")
        if here and next(iter(here.values()))[0] != name:
            raise Lost(f"rank {rank} calls {name} where another one waits in {next(iter(here.values()))[0]}")
        here[rank] = name, value
        if len(here) == self.size:
            self.round = {}
        self.turns[(rank + 1) % self.size].release()
        self.turns[rank].acquire()
        torch.set_rng_state(state)
        if self.errors or len(here) < self.size:
            raise Lost(f"rank {rank} waits in {name} for another one that has failed or ended")
        return [here[rank][1] for rank in range(self.size)]

    def is_available(self):
        return True

    def is_initialized(self):
        return hasattr(self.own, "rank")

    def get_world_size(self):
        return self.size

    def get_rank(self):
        return self.own.rank

    def all_reduce(self, tensor):
        if tensor.dtype == torch.bool:
            raise RuntimeError("gloo cannot add up booleans")
        first, *others = self._meet("all_reduce", tensor.clone())
        for other in others:
            assert other.shape == first.shape
            first = first + other
        tensor.copy_(first)

    def all_gather(self, every, tensor):
        for place, value in zip(every, self._meet("all_gather", tensor.clone()), strict=True):
            place.copy_(value)

    def broadcast(self, tensor, src):
        tensor.copy_(self._meet("broadcast", tensor.clone())[src])

    def broadcast_object_list(self, values, src):
        values[:] = pickle.loads(self._meet("broadcast_object_list", pickle.dumps(values))[src])

    def all_gather_object(self, every, value):
        every[:] = map(pickle.loads, self._meet("all_gather_object", pickle.dumps(value)))
