"""A method on a small task, step by step and without files: what contracts are tried on."""

from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor, nn

from dmtkit.config import make_config
from dmtkit.data.augment import Augment
from dmtkit.data.batches import Batches
from dmtkit.data.crops import Ahead, Crops
from dmtkit.methods import Method, Step
from dmtkit.methods.given import Nets, Now
from dmtkit.methods.lab import Training, plan_of
from dmtkit.methods.parameters import for_task, names_of
from dmtkit.models import build
from dmtkit.tasks.task import TASKS
from dmtkit.training.experiment import load_data
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance
from tests.helpers import TINY, TINY_SEGMENTATION

STEPS = 4
CONFIGS = {
    "classification": make_config({**TINY, "batch_labeled": 6, "batch_pseudo": 8, "mixup": 0}),
    "segmentation": make_config({**TINY_SEGMENTATION, "batch_labeled": 2, "batch_pseudo": 4, "scale": (0.5, 0.8)}),
}


@cache
def data_of(task):
    return load_data(CONFIGS[task])


class Made:
    """Labels and confidences at random, a third of them not kept, for every image of U."""

    def kept(self, position):
        rng = np.random.default_rng(position)
        label = rng.integers(0, 11, (24, 24), dtype=np.uint8)
        label[rng.random((24, 24)) < 0.3] = 255
        return label, rng.integers(0, 65536, (24, 24), dtype=np.uint16)


class Pointwise(nn.Module):
    """A network of pixels that sees each one alone."""

    channels = 6

    def __init__(self, classes):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, classes, 1)

    def encode(self, x):
        return self.first(x / 255).relu()

    def decode(self, features, size):
        return self.last(features)

    def forward(self, x):
        return self.decode(self.encode(x), x.shape[2:])


def flat(values):
    return torch.cat([value.flatten() for value in values if value is not None])


class Bench:
    """A method on a small task: networks at random, batches as its first phase of its own has them."""

    def __init__(self, kind: type[Method], task: str, network=None, mixup=0.0, **given):
        self.kind, self.task, self.data, self.mixup = kind, task, data_of(task), mixup
        self.classes = len(self.data.classes)
        known = {name: value for name, value in given.items() if name in names_of(kind)}
        self.method = for_task(kind, task, known)
        self._build = network or self._usual

    def _usual(self):
        if self.task == "classification":
            return build("wrn-10-1", 1, self.classes)
        return build("deeplab-tiny", 3, self.classes, (1, 2))

    @cached_property
    def learns(self):
        """What the method's own training learns."""
        terms = TASKS[self.task](CONFIGS[self.task], self.data).terms
        calls = plan_of({self.method.name: self.method}, terms).calls
        return next(call.learns for call in calls if isinstance(call, Training) and call.method == self.method.name)

    @cached_property
    def batches(self):
        config, views = CONFIGS[self.task], self.method.views if self.learns == "views" else ()
        sizes = {"batch_labeled": config.batch_labeled, "batch_pseudo": config.batch_pseudo}
        with_u = self.learns not in ("X", "truth")
        if self.task == "classification":
            u = self.data.unlabeled
            rng = np.random.default_rng(1)
            label = torch.from_numpy(rng.integers(0, self.classes, len(u)))
            confidence = torch.from_numpy(rng.random(len(u), dtype=np.float32))
            return Batches(
                self.data,
                self.data.labeled,
                u if with_u else None,
                label,
                confidence,
                **sizes,
                augment=Augment(1, False, ("all",), 0),
                seed=3,
                views=views,
                mixup=self.mixup,
            )
        crops = Crops(
            self.data.labeled,
            self.data.unlabeled,
            Made().kept if with_u else None,
            True,
            **sizes,
            crop=(24, 24),
            scale=config.scale,
            flip=True,
            fill=self.data.fill,
            seed=3,
            views=views,
        )
        return Ahead(crops, STEPS, 0, torch.device("cpu"))

    def loop(self):
        torch.manual_seed(5)
        networks = {name: self._build() for name in self.method.nets}
        networks |= {name: helper.build(self.classes) for name, helper in self.method.helpers.items()}
        memory = self.method.memory(len(self.data.unlabeled), self.classes)
        average = self.task == "classification"
        recipe = Recipe(
            STEPS, 7, gamma1=2, gamma2=2, lr=0.05, keeps="average" if average else "last", quiet_unlabeled=average
        )
        return begin(self.method, networks, recipe, memory)

    def drawn(self, step):
        n = self.batches(step).unlabeled
        loop = self.loop()
        return self.method.draws(Now(step, STEPS, seed=step, channels=getattr(loop.current, "channels", 0)), n)

    def losses(self, loop, batch, drawn, step=STEPS - 1) -> Step:
        """What a step computes of these networks, at the end of all ramps."""
        now = Now(step, STEPS, 2.0, 2.0, 0.0, None, loop.memory, drawn)
        quiet = "quiet" if batch.u and loop.recipe.quiet_unlabeled else "train"
        return self.method.losses(Nets(loop.modules, "fp32", quiet), batch, now)

    def gradients(self, loop, batch, drawn) -> dict[str, Tensor]:
        """Of every loss, for its own network."""
        step = self.losses(loop, batch, drawn)
        return {
            name: flat(torch.autograd.grad(loss, list(loop.modules[name].parameters()), allow_unused=True))
            for name, loss in step.losses.items()
        }


def weights(loop):
    return {name: flat(list(module.parameters())).clone() for name, module in loop.modules.items()}


def same(one, other, names=None):
    return all(torch.equal(one[name], other[name]) for name in names or one)


def trained(bench, loop=None, until=STEPS):
    loop = loop or bench.loop()
    while loop.step < until:
        advance(loop, bench.batches(loop.step))
    return loop
