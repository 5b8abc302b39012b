"""Every measurement is a sum: of batches, on their device and without waiting, and of processes, when it is read."""

from collections.abc import Mapping

import torch
from torch import Tensor

from dmtkit import distributed

gather, join_rows, total = distributed.gather, distributed.join_rows, distributed.total


class Sums:
    """Named tensors that add up: `add` takes a batch's, `read` gives the sums over all that was added, by all processes.

    >>> sums = Sums()
    >>> sums.add(right=torch.tensor(3), count=torch.tensor(4))
    >>> sums.add(right=torch.tensor(1), count=torch.tensor(4))
    >>> {name: int(value) for name, value in sums.read().items()}
    {'right': 4, 'count': 8}
    """

    def __init__(self, **start: Tensor) -> None:
        self.values: dict[str, Tensor] = dict(start)

    def add(self, **values: Tensor) -> None:
        """Take a batch's measurements; those that were not met before begin here."""
        for name, value in values.items():
            value = value.detach().long() if value.dtype == torch.bool else value.detach()
            self.values[name] = self.values[name] + value if name in self.values else value.clone()

    def read(self) -> dict[str, Tensor]:
        """The sums over all processes, on the host: the one place that waits for the device."""
        sums: dict[str, Tensor] = {}
        for kind in dict.fromkeys(value.dtype for value in self.values.values()):  # one exchange for each
            own = {name: value for name, value in self.values.items() if value.dtype == kind}
            flat = total(torch.cat([value.reshape(-1) for value in own.values()])).cpu()
            parts = flat.split([value.numel() for value in own.values()])
            sums |= {name: part.view(value.shape) for (name, value), part in zip(own.items(), parts, strict=True)}
        return {name: sums[name] for name in self.values}

    def state(self) -> dict[str, Tensor]:
        """The sums of every process, one after the other, for a checkpoint."""
        return {name: distributed.join_rows(value[None], distributed.size()) for name, value in self.values.items()}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take back this process's own sums; rank 0 takes all of them where their number was another."""
        self.values = {}
        for name, every in state.items():
            same = len(every) == distributed.size()
            own = every[distributed.rank()] if same else every.sum(0, dtype=every.dtype) * distributed.rank_zero()
            self.values[name] = own.to(device)
