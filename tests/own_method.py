"""A method that nobody thought of, of everything that a method may declare: two networks, an average, a critic, memory, draws."""

from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from dmtkit.methods import METHODS, Helper, Method, Step, method


class Critic(nn.Module):
    """One number for every element's class probabilities."""

    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Conv2d(classes, 1, 1)

    def forward(self, p):
        return self.layer(p.reshape(*p.shape[:2], -1, 1)).flatten(1)


class Own(Method):
    nets = ("model", "second")
    averages = {"teacher": ("model", 0.9)}
    helpers = {"critic": Helper(Critic, lambda parameters: torch.optim.SGD(parameters, 0.01))}
    reports = "teacher"

    def draws(self, now, n):
        return {"noise": torch.randn(n, generator=now.generator("noise"))}

    def memory(self, n, classes):
        return {"seen": torch.zeros(n, dtype=torch.int64), "classes": torch.zeros(classes)}

    def losses(self, nets, batch, now):
        u = batch.u["strong"] * (1 + 0.01 * now.drawn["noise"].view(-1, 1, 1, 1))
        target = nets.label("teacher", batch.u["strong"]).softmax(1)
        scale, other = now.ramp(0.5), nets("second", u, mode="quiet").softmax(1)
        mine = nets("model", u, mode="quiet").softmax(1)
        distance = now.mean(((mine - target) ** 2).mean(1), batch.valid)
        fooled = F.softplus(-nets("critic", mine, mode="quiet")).mean(1)
        whole = torch.ones_like(fooled, dtype=torch.bool)
        told = F.softplus(nets("critic", other.detach())).mean(1)
        index, counted = batch.everyones(batch.index), batch.everyones(torch.ones_like(batch.index))
        seen = now.memory["seen"].index_add(0, index, counted)
        predicted = now.total((target * batch.valid.unsqueeze(1)).transpose(0, 1).flatten(1).sum(1))
        return Step(
            {
                "model": now.supervised(nets, batch) + scale * distance + 0.01 * now.mean(fooled, whole),
                "second": now.supervised(nets, batch, "second") + scale * now.mean((other**2).mean(1), batch.valid),
                "critic": now.mean(told, whole),
            },
            {"sure": (target.amax(1) > 0.5).sum(), "met": now.memory["seen"][batch.index].sum()},
            {"seen": seen, "classes": now.memory["classes"] + predicted},
        )


@contextmanager
def registered():
    """While it lasts, `own` is a method; other tests count those of the paper."""
    method("own", title="A method of a test")(Own)
    try:
        yield
    finally:
        METHODS._known.pop("own")
