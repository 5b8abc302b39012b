"""What several ranks do in the tests, and one alone; each function writes what it found to a folder."""

import datetime
import itertools
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from dmtkit import distributed
from dmtkit.config import make_config
from dmtkit.data.pictures import Part
from dmtkit.data.whole_images import Reader
from dmtkit.errors import TrainingError
from dmtkit.labels.predict import label_images
from dmtkit.methods import METHODS, Method, Step, method
from dmtkit.metrics.evaluate import confusion_matrices
from dmtkit.models import build
from dmtkit.models.sync_norm import SyncNorm
from dmtkit.training.experiment import load_data, run_methods
from dmtkit.training.loop import train
from dmtkit.training.state import Recipe, begin
from tests import own_method
from tests.helpers import TINY, TINY_SEGMENTATION, Stop, batch_of, stop_after
from tests.labels.test_labelling import FILL, SIZES, Mixed

CPU = torch.device("cpu")
CLASSIFICATION = make_config({**TINY, "checkpoint_seconds": 0, "methods": ("supervised", "dmt")})
# No mixup, and a batch that two cannot halve.
PLAIN = make_config(
    {**TINY, "mixup": 0, "batch_labeled": 8, "batch_pseudo": 25, "methods": ("dmt",), "label_ratios": (0.05,)}
)
SEGMENTATION = make_config(
    {**TINY_SEGMENTATION, "methods": ("dmt",), "label_ratios": (0.5,), "val": 1, "snapshot": "best", "batch_pseudo": 4}
)


OWN = {
    "own": make_config({**TINY, "methods": ("own",), "batch_labeled": 7, "log_points": 8, "lr": 0.01}),
    "own_segmentation": make_config(
        {**TINY_SEGMENTATION, "methods": ("own",), "batch_labeled": 3, "batch_pseudo": 4, "log_points": 8}
    ),
}  # X is no multiple of the processes
FEW = make_config({**TINY_SEGMENTATION, "methods": ("cbst",), "label_ratios": (0.5,), "batch_pseudo": 20})


FIRST = 4  # steps; later rounding turns a label
SHORT = {"baseline_epochs": 1, "log_points": 100, "lr": 0.01}
SIZES_OF = {
    "classification": {**TINY, **SHORT, "batch_labeled": 7, "batch_pseudo": 9},
    "segmentation": {**TINY_SEGMENTATION, **SHORT, "batch_labeled": 3, "batch_pseudo": 5},
}


class OwnRows(Method):
    """Breaks the contract: a mean over own rows."""

    views = ("weak",)

    def losses(self, nets, batch, now):
        logits = nets("model", batch.u["weak"])
        loss = nn.functional.cross_entropy(logits, logits.detach().argmax(1))
        return Step({"model": now.supervised(nets, batch) + loss})


@contextmanager
def registered():
    """While it lasts, the methods of the tests are known."""
    method("own_rows")(OwnRows)
    try:
        with own_method.registered():
            yield
    finally:
        METHODS._known.pop("own_rows")


def peers(folder, pairs):
    """The first steps of methods that are not DMT, with batches that two cannot halve."""
    for name, task in pairs:

        def stop(told, name=name):
            if told.method == name and told.phase_step == FIRST:
                raise Stop

        config = make_config({**SIZES_OF[task], "methods": (name,)})
        with pytest.raises(Stop):
            run_methods(config, None, Path(folder) / f"{name}_{task}", progress=stop)


def member(rank, folder, names):
    """One process of two that meet by gloo and do what is named."""
    torch.set_num_threads(1)
    patience = datetime.timedelta(minutes=10)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=patience)
    with registered():
        for name in names:
            do(name, Path(folder))
    dist.destroy_process_group()
    os._exit(0)  # an orderly end may abort: threads of torch's that are still there when the interpreter goes


def words(folder):
    """What a team says to each other."""
    assert distributed.broadcast(lambda: distributed.rank()) == 0
    assert distributed.gather(distributed.rank()) == list(range(distributed.size()))
    assert distributed.total(torch.tensor([1, 2])).tolist() == [distributed.size(), 2 * distributed.size()]
    assert [i for part in distributed.gather(list(distributed.share_of(7))) for i in part] == list(range(7))
    batch = torch.arange(7)
    assert torch.equal(distributed.join_rows(batch[distributed.rows()], 7), batch)
    order = []
    distributed.in_turn(lambda: order.append(distributed.rank()))
    rounds, done = distributed.Rounds(0, seconds=0.05), []
    for step in range(1, 40):
        torch.tensor(0.0).add_(1)
        (stop,) = rounds(step, step >= 20 and distributed.rank() == distributed.size() - 1)
        if stop:
            done.append(step)
            break
    assert len(set(distributed.gather(tuple(done)))) == 1, "all stop after the same step"


def norm(folder):
    """Two steps of a normalisation, the batch being shared unevenly."""
    torch.manual_seed(0)
    layer = SyncNorm(3)
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    whole, wanted = torch.randn(2, 5, 3, 4, 2) * 3 + 10, torch.randn(2, 5, 3, 4, 2)
    found = {}
    for step in range(2):
        x = whole[step][distributed.rows()].clone().requires_grad_()
        y = layer(x)
        (y * wanted[step][distributed.rows()]).sum().backward()
        found[f"y{step}"], found[f"dx{step}"] = (distributed.join_rows(v.detach(), 5) for v in (y, x.grad))
    found |= {
        "dw": distributed.total(layer.weight.grad),
        "db": distributed.total(layer.bias.grad),
        **layer.state_dict(),
    }
    save(folder / "norm.pt", found)


def labels(folder):
    """Labels of images of several sizes by both rules, and a model's confusion."""
    part = Part(Mixed(), tuple(range(7)))
    torch.manual_seed(3)
    model = build("deeplab-tiny", 3, 4, (1, 2)).eval()
    reader = Reader(part, SIZES, CPU, FILL, 2)
    label_images(model, reader, folder / "argmax", "m.pt", 4)
    label_images(model, reader, folder / "normalized", "m.pt", 4, normalized_ratio=0.4)
    found = confusion_matrices({"A": model, "B": model}, reader, 4)
    save(folder / "confusion.pt", {name: torch.from_numpy(values) for name, values in found.items()})


KNOWN = {"classification": CLASSIFICATION, "plain": PLAIN, "segmentation": SEGMENTATION, **OWN, "few": FEW}


def do(name, folder):
    """One of these functions, or a whole run of those settings."""
    if name in KNOWN:
        assert run_methods(KNOWN[name], None, folder / name).finished
    else:
        globals()[name](folder)


def resumed(folder):
    """A run that was stopped abruptly and goes on."""
    data = load_data(CLASSIFICATION)
    for count in (4, 9):
        try:
            run_methods(CLASSIFICATION, data, folder / "resumed", progress=stop_after(count))
        except Stop:
            distributed.barrier()
    run_methods(CLASSIFICATION, data, folder / "resumed")


def half_done(folder):
    """A run that another number of processes is to go on with."""
    try:
        run_methods(CLASSIFICATION, None, folder / "half", progress=stop_after(9))
    except Stop:
        distributed.barrier()


def not_a_number(folder):
    """A loss that is not finite: every process finds the same step."""
    try:
        run_methods(make_config({**TINY, "lr": 1e30, "methods": ("supervised",)}), None, folder / "nan")
    except TrainingError as error:
        found = distributed.gather(str(error))
        assert found == [found[0]] * distributed.size(), found
        assert "at step" in found[0], found
        assert len(found[0].split("samples: ")[1].split(", ")) == 32, "the whole batch is named"
    else:
        raise AssertionError("it was not met")


def own_statistics(folder):
    """Training with batch statistics of shares: whoever evaluates must have the leader's."""
    torch.manual_seed(distributed.rank())  # models that differ, until the first step makes them the leader's
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    seen = []

    def look(network):
        seen.append(torch.cat([values.float().flatten() for values in network.state_dict().values()]))
        return {}

    def batches(step):
        torch.manual_seed(step)
        label = torch.randint(0, 3, (6,))
        whole = batch_of(torch.randn(6, 1, 8, 8), label, torch.ones(6), 6, truth=label, names=tuple("abcdef"))
        own = whole.each(lambda values: values[distributed.rows()])
        return replace(own, labeled=len(own.images), rows=distributed.rows())

    recipe = Recipe(steps=6, seed=1, sync_batchnorm=False, log_points=3, keeps="average", ema_decay=0.5)
    loop = begin(METHODS["supervised"], {"model": model}, recipe)
    train(loop, batches, log=lambda record: None, save=lambda state: None, evaluate=look, visits={3: look})
    everyones = distributed.gather(torch.stack(seen).numpy())
    assert len(seen) == 4
    for mine, theirs in itertools.pairwise(everyones):
        np.testing.assert_array_equal(mine, theirs)


def save(path, tensors):
    if distributed.rank_zero():
        torch.save(tensors, path)
