"""Every method keeps the contracts, and for each contract a method that breaks it is found out."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from dmtkit.methods import METHODS, Method, Step, method
from dmtkit.methods.lab import Lab
from dmtkit.runs.run import load_run
from tests import contract, teamwork
from tests.contract import CONTRACTS, PAIRS
from tests.ranks import Team

EVERY_DAY = {"fixmatch", "flexmatch", "dmt"}  # the others' resumed and permuted steps are for make test-all
SLOWER = (contract.stopped_and_resumed_it_ends_in_the_same_bits, contract.a_permuted_batch_has_the_same_loss)
CASES = [
    pytest.param(
        name,
        task,
        keeps,
        marks=[pytest.mark.long] if keeps in SLOWER and name not in EVERY_DAY else [],
        id=f"{name}-{task}-{keeps.__name__}",
    )
    for name, task in PAIRS
    for keeps, about in CONTRACTS.items()
    if about(type(METHODS[name]), task)
]


@pytest.mark.parametrize(("name", "task", "keeps"), CASES)
def test_a_method_keeps_the_contract(name, task, keeps):
    keeps(type(METHODS[name]), task)


ONLINE = [(name, task) for name, task in PAIRS if METHODS[name].adds]
TWO = [("fixmatch", "segmentation"), ("flexmatch", "classification")]  # partners and memory of everyone


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folders for what one rank trains, and two."""
    return [tmp_path_factory.mktemp(name) for name in ("one", "two")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task"), [pytest.param(*pair, marks=() if pair in TWO else pytest.mark.long) for pair in ONLINE]
)
def test_two_ranks_learn_what_one_learns(name, task, places):
    two_are_one(places, name, task)


@pytest.mark.slow
def test_a_mean_over_own_rows_is_found_out(places):
    with pytest.raises(AssertionError, match="loss"):
        two_are_one(places, "own_rows", "classification")


def two_are_one(places, name, task):
    with teamwork.registered():
        teamwork.peers(places[0], [(name, task)])
        Team(2).run(lambda: teamwork.peers(places[1], [(name, task)]))
    logs = (load_run(Path(place) / f"{name}_{task}").metrics for place in places)
    one, two = (log[log["method"] == name] for log in logs)
    assert len(one) == len(two) == teamwork.FIRST
    numbers = [column for column in one.columns if column.startswith(("loss", "consistency"))]
    for column in numbers:
        assert (one[column] - two[column]).abs().max() < 1e-5 * max(1, one[column].abs().max()), column


def pseudo(nets, batch, label=None):
    logits = nets("model", batch.u["weak"])
    return cross_entropy(logits, logits.detach().argmax(1) if label is None else label, reduction="none")


class Plain(Method):
    """Keeps all of them."""

    weight: float = 1.0
    views = ("weak",)
    adds = ("weight",)

    def losses(self, nets, batch, now):
        return Step({"model": now.supervised(nets, batch) + self.weight * now.mean(pseudo(nets, batch), batch.valid)})


class Halved(Plain):
    def losses(self, nets, batch, now):
        return Step(
            {"model": now.supervised(nets, batch) / 2 + self.weight * now.mean(pseudo(nets, batch), batch.valid)}
        )


class Deaf(Plain):
    """The fault of a well-known Mean Teacher: the student's output is the teacher's."""

    def losses(self, nets, batch, now):
        p = nets.label("model", batch.u["weak"]).softmax(1)
        return Step(
            {
                "model": now.supervised(nets, batch)
                + self.weight * now.mean((p - p.flip(1)).square().mean(1), batch.valid)
            }
        )


class Remembering(Plain):
    """Keeps something beside the checkpoint."""

    seen = 0

    def losses(self, nets, batch, now):
        type(self).seen += 1
        scale = 1 + type(self).seen % 5
        return Step({"model": now.supervised(nets, batch) + scale * now.mean(pseudo(nets, batch), batch.valid)})


class Sharing(Plain):
    """Two losses of one term."""

    nets = ("model", "second")

    def losses(self, nets, batch, now):
        both = now.mean((nets("model", batch.u["weak"]) * nets("second", batch.u["weak"])).mean(1), batch.valid)
        return Step({name: now.supervised(nets, batch, name) + both for name in self.nets})


class Cheating(Method):
    """Learns the truth of U."""

    def phases(self, lab: Lab):
        models = lab.supervised(lab.models(1))
        yield lab.score(1, {m: lab.train(1, m, lab.unlabeled, models[m], lab.budget()) for m in models})

    def losses(self, nets, batch, now):
        each = cross_entropy(nets("model", batch.images), batch.truth.long(), ignore_index=255, reduction="none")
        return Step({"model": each.mean()})


class Padded(Plain):
    """Counts what lies outside an image."""

    def losses(self, nets, batch, now):
        return Step({"model": now.supervised(nets, batch) + pseudo(nets, batch).mean()})


class Ordered(Plain):
    """Rows count by their place."""

    def losses(self, nets, batch, now):
        each = pseudo(nets, batch)
        place = torch.arange(len(each)).view(-1, *[1] * (each.dim() - 1)).float()
        return Step({"model": now.supervised(nets, batch) + now.mean(each * place, batch.valid)})


class Joint(type(METHODS["dmt"])):
    """Divides by what has weight, not by all."""

    def losses(self, nets, batch, now):
        step = super().losses(nets, batch, now)
        return Step({"model": step.losses["model"] * 2})


BREAKS = {
    contract.weight_0_is_x_alone: Halved,
    contract.unlabeled_term_has_a_gradient: Deaf,
    contract.weight_0_of_labels_is_x_over_the_joint_count: Joint,
    contract.stopped_and_resumed_it_ends_in_the_same_bits: Remembering,
    contract.a_loss_moves_its_own_network_alone: Sharing,
    contract.the_truth_of_u_changes_nothing: Cheating,
    contract.ignored_pixels_change_nothing: Padded,
    contract.a_permuted_batch_has_the_same_loss: Ordered,
}


BROKEN = [
    (keeps, task)
    for keeps, about in CONTRACTS.items()
    for task in ("classification", "segmentation")
    if about(BREAKS[keeps], task)
]


@pytest.mark.parametrize(("keeps", "task"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_method_that_breaks_it_is_found_out(keeps, task):
    try:
        if CONTRACTS[keeps](Plain, task):
            method("broken")(Plain)
            keeps(type(METHODS["broken"]), task)
        method("broken")(BREAKS[keeps])
        with pytest.raises((AssertionError, RuntimeError)):
            keeps(type(METHODS["broken"]), task)
    finally:
        METHODS._known.pop("broken")
