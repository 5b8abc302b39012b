"""A method's phases, run dry: what they plan, and what of them is refused; and what a training starts from."""

from types import SimpleNamespace

import pytest
import torch

from dmtkit.config import make_config
from dmtkit.errors import ConfigError
from dmtkit.methods import METHODS, Method, method
from dmtkit.methods.lab import Score
from dmtkit.tasks.classification import Classification
from dmtkit.training.experiment import load_data, run_methods, start_session
from tests import own_method
from tests.helpers import TINY, TINY_SEGMENTATION


def planned(phases, **changes):
    kind = type("Planned", (Method,), {"phases": phases, "losses": own_method.Own.losses})
    method("planned")(kind)
    config = make_config({**TINY, **changes, "methods": ("planned",)})
    try:
        return start_session(config, load_data(config)).plan
    finally:
        METHODS._known.pop("planned")


@pytest.mark.parametrize(
    "look",
    [
        lambda models: bool(models[""]),
        lambda models: models[""] > 3,
        lambda models: float(models[""]),
        lambda models: list(models[""]),
    ],
)
def test_phases_that_look_at_a_result_are_refused(look):
    def phases(self, lab):
        models = lab.supervised(lab.models(1))
        look(models)
        yield lab.score(1, models)

    with pytest.raises(ConfigError, match="let a verb of the lab decide"):
        planned(phases)


def test_phases_that_test_nothing_or_say_phase_0_are_refused():
    def nothing(self, lab):
        yield from ()

    def no_score(self, lab):
        yield lab.supervised(lab.models(1))

    def phase_0(self, lab):
        yield lab.score(0, {"": lab.train(0, "", lab.views)})

    for phases, message in ((nothing, "at least once"), (no_score, "nothing else"), (phase_0, "from 1 on, found 0")):
        with pytest.raises(ConfigError, match=message):
            planned(phases)


def test_labels_that_two_phases_learn_are_needed_until_the_last():
    def phases(self, lab):
        models = lab.supervised(lab.models(1))
        for k, alpha in ((1, 0.5), (2, 0.7)):
            yield lab.score(k, {m: lab.train(k, m, lab.label(models[m], alpha, k)) for m in models})

    found = planned(phases)
    first = found.trainings[0]
    assert found.labelled_for(first) == (0.5, 0.7)
    places = [place for place, call in enumerate(found.calls) if isinstance(call, Score)]
    assert [found.done_with(place) for place in places] == [[], [first]]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"nets": ()}, "at least one network"),
        ({"nets": ("a", "a"), "reports": "a"}, "each name once"),
        ({"nets": ("kept",), "reports": "kept"}, "none called 'kept'"),
        ({"reports": "other"}, "must name networks that it declares"),
        ({"views": ("strong", "hazy")}, "views: found hazy, expected some of plain, weak, strong, weak2, strong2"),
        ({"views": ()}, "views: found none"),
        ({"averages": {"teacher": ("other", 0.9)}}, "teacher of other"),
        ({"phases": lambda self, lab: []}, "must yield"),
        ({"losses": Method.losses}, r"has no losses; give its class a function losses\(self, nets, batch, now\)"),
    ],
)
def test_what_is_declared_wrongly_is_refused(declared, message):
    with pytest.raises(ConfigError, match=message):
        method("wrong")(type("Wrong", (Method,), {"losses": own_method.Own.losses, **declared}))
    assert "wrong" not in METHODS


def test_one_model_of_one_phase_is_trained_in_one_way_and_tested_once():
    def twice(self, lab):
        first = lab.train(1, "", lab.views)
        yield lab.score(1, {"": lab.train(1, "", lab.unlabeled, first)})

    def tested_twice(self, lab):
        models = {"": lab.train(1, "", lab.views)}
        yield lab.score(1, models)
        yield lab.score(1, models)

    def foreign(self, lab):
        yield lab.score(1, {"C": lab.train(1, "C", lab.views)})

    for phases, message in (
        (twice, "planned, phase 1: is trained twice"),
        (tested_twice, "phase 1: is tested twice"),
        (foreign, r"found the model 'C', expected one of ''"),
    ):
        with pytest.raises(ConfigError, match=message):
            planned(phases)


def test_phases_that_ask_for_something_else_than_they_planned_are_refused(tmp_path):
    calls = iter((0.5, 0.7))

    def phases(self, lab):
        models = lab.supervised(lab.models(1))
        yield lab.score(1, {m: lab.train(1, m, lab.label(models[m], next(calls), 1)) for m in models})

    kind = type("Fickle", (Method,), {"phases": phases, "losses": METHODS["supervised"].losses.__func__})
    method("fickle")(kind)
    config = make_config({**TINY, "methods": ("fickle",)})
    try:
        calls = iter((0.5, 0.7))
        with pytest.raises(ConfigError, match="asked for something else than when it was planned"):
            run_methods(config, load_data(config), tmp_path / "run")
    finally:
        METHODS._known.pop("fickle")


def test_labels_of_several_shares_are_refused_where_the_rule_labels_for_one():
    values = {**TINY_SEGMENTATION, "methods": ("twofold",), "label_rule": "normalized"}

    class Twofold(Method):
        losses = METHODS["supervised"].losses.__func__

        def phases(self, lab):
            models = lab.supervised(lab.models(1))
            for k, alpha in ((1, 0.5), (2, 0.7)):
                yield lab.score(k, {m: lab.train(k, m, lab.label(models[m], alpha, k), models[m]) for m in models})

    method("twofold")(Twofold)
    try:
        config = make_config(values)
        with pytest.raises(ConfigError, match=r"of supervised, phase 0, model A several are learned \(0.5, 0.7\)"):
            start_session(config, load_data(config))
    finally:
        METHODS._known.pop("twofold")


def test_further_networks_start_from_their_own_random_weights():
    """Two networks that start alike and learn from each other stay alike: the second is none of the supervised model's."""

    def phases(self, lab):
        models = lab.supervised(lab.models(1))
        yield lab.score(1, {m: lab.train(1, m, lab.views, models[m]) for m in models})

    kind = type("Paired", (Method,), {"nets": ("model", "second"), "phases": phases, "losses": own_method.Own.losses})
    method("paired")(kind)
    try:
        config = make_config({**TINY, "methods": ("paired",)})
        task = Classification(config, load_data(config))
        training = next(t for t in start_session(config, task.data).plan.trainings if t.owner == "paired")
        reported = task.build().state_dict()
        task.phase = lambda training: SimpleNamespace(weights=lambda: {"model": reported})
        first, second = (task.network(training, name).state_dict() for name in ("model", "second"))
    finally:
        METHODS._known.pop("paired")
    assert all(torch.equal(first[name], reported[name]) for name in first)
    assert not torch.equal(next(iter(second.values())), next(iter(first.values())))
