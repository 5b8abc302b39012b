"""Parameters of methods: flat names, types, bounds, defaults by task; what is wrong is said in words."""

import copy

import pytest
import torch

from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError, TrainingError
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.methods import METHODS, Method, Share, Step, method, per_task
from dmtkit.methods.parameters import for_task
from dmtkit.notebook import notebook_config
from dmtkit.training.step import advance
from tests.bench import Bench


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"fixmatch_threshold": 0.9}, {"fixmatch": {"threshold": 0.9}}),
        ({"fixmatch_threshold": "9e-1"}, {"fixmatch": {"threshold": 0.9}}),
        ({"fixmatch_weight": 2}, {"fixmatch": {"weight": 2.0}}),
        ({"parameters": {"fixmatch": {"threshold": 0.9}}}, {"fixmatch": {"threshold": 0.9}}),
        (
            {"parameters": {"fixmatch": {"threshold": 0.9}}, "fixmatch_weight": 2},
            {"fixmatch": {"threshold": 0.9, "weight": 2.0}},
        ),
        ({"fixmatch_threshold": 0.95, "mean_teacher_weight": 50}, {}),
        ({"task": "segmentation", "mean_teacher_weight": 50}, {"mean_teacher": {"weight": 50.0}}),
    ],
)
def test_flat_names_are_kept_by_method(values, kept):
    config = make_config({"methods": ["fixmatch", "mean_teacher"], **values})
    assert config.parameters == kept, "what differs from the defaults"
    assert make_config(config.model_dump()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fixmatch_treshold": 0.9}, "fixmatch_treshold: unknown parameter; did you mean 'fixmatch_threshold'"),
        ({"fixmatch_threshold": 1.5}, "fixmatch_threshold: found 1.5, expected less than or equal to 1"),
        ({"fixmatch_threshold": "high"}, "fixmatch_threshold: found 'high', expected a valid number"),
        ({"fixmatch_threshold": True}, "fixmatch_threshold: found True, expected a valid number"),
        ({"fixmatch_weight": float("nan")}, "fixmatch_weight: found nan, expected"),
        ({"cps_weight": 1.0}, r"cps_weight: of a method that is not among `methods` \(cps\)"),
        ({"parameters": {"cps": {"weight": 1.0}}}, "cps_weight: of a method that is not among `methods`"),
        ({"supervised_weight": 1.0}, "supervised_weight: unknown parameter; supervised has none"),
        (
            {"fixmatch_weight": -1, "fixmatch_treshold": 1, "sed": 1},
            "(?s)2 bad parameters.*(fixmatch_treshold.*fixmatch_weight.*sed: unknown|sed: unknown.*fixmatch_treshold.*fixmatch_weight)",
        ),
        ({"parameters": 3}, "parameters: found 3, expected"),
        ({"parameters": {"fixmatch": 3}, "fixmatch_weight": 1}, "fixmatch: found 3, expected"),
    ],
)
def test_what_is_wrong_is_said(values, message):
    with pytest.raises(ConfigError, match=message):
        make_config({"methods": ["supervised", "fixmatch"], **values})


def test_a_batch_of_single_methods_leaves_the_others_parameters_aside(tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text("methods: [dmt, fixmatch]\nfixmatch_threshold: 0.9\nparameters: {fixmatch: {weight: 2}}\n")
    assert plan_job(path, {"methods": ["dmt"]}).config.parameters == {}
    assert plan_job(path, {"methods": ["fixmatch"]}).config.parameters == {
        "fixmatch": {"weight": 2.0, "threshold": 0.9}
    }
    with pytest.raises(ConfigError, match="cps_weight: of a method that is not among"):
        plan_job(path, {"cps_weight": 1})


def test_a_notebook_has_them_as_variables():
    namespace = {"methods": ["fixmatch"], "fixmatch_threshold": 0.9}
    first = notebook_config(namespace)
    again = notebook_config({**namespace, "found": 3})  # in a kernel that has moved on
    assert first.parameters == again.parameters == {"fixmatch": {"threshold": 0.9}}
    with pytest.raises(ConfigError, match="fixmatch_treshold: unknown parameter"):
        notebook_config({"methods": ["fixmatch"], "fixmatch_treshold": 0.9})


def losses(self, nets, batch, now):
    return Step({"model": now.supervised(nets, batch)})


@pytest.mark.parametrize(
    ("name", "body", "annotations", "message"),
    [
        ("batch", {"labeled": 3}, {"labeled": int}, "batch: batch_labeled is a setting"),
        ("mean", {"teacher_weight": 3}, {"teacher_weight": int}, "mean_teacher_weight is a parameter of mean_teacher"),
        ("mine", {"rates": [1, 2]}, {"rates": list}, "what it declares cannot be read"),
        ("mine", {"rule": "uniform"}, {"rule": str}, "rule: a fact and no parameter: leave out its type"),
        ("mine", {"rate": per_task(classification=1)}, {"rate": int}, "rate: per_task has no value for segmentation"),
        ("mine", {"rate": 3}, {"rate": Share}, "mine_rate: found 3, expected less than or equal to 1"),
        ("mine", {"view": ("weak",)}, {}, "view: did you mean 'views'"),
        ("mine", {"adds": ("weight",)}, {}, "adds: found weight, expected some of its parameters"),
    ],
)
def test_what_a_class_declares_wrongly_is_said(name, body, annotations, message):
    METHODS["mean_teacher"]
    kind = type("Mine", (Method,), {"losses": losses, "__annotations__": annotations, **body})
    with pytest.raises(ConfigError, match=message):
        method(name)(kind)
    assert name not in METHODS


def test_methods_of_two_tasks_are_never_taken_for_one():
    kind = type(METHODS["mean_teacher"])
    images, pixels = (for_task(kind, task, {"weight": 7}) for task in kind.tasks)
    assert (images.views, pixels.views) == (("weak", "weak2"), ("strong", "weak"))
    assert images != pixels
    assert images == for_task(kind, "classification", {"weight": 7.0})
    with pytest.raises(AttributeError):
        images.weight = 3


def test_a_value_without_a_type_fixes_a_parameter_that_is_inherited():
    fixmatch = type(METHODS["fixmatch"])
    kinds = [type("Mine", (fixmatch,), {"threshold": 0.5}), fixmatch]
    try:
        for kind, more in zip(kinds, ({}, {"threshold": 0.5}), strict=True):
            method("mine", **more)(kind)
            assert METHODS["mine"].threshold == 0.5
            assert METHODS["mine"].flat_names == ("mine_weight",)
    finally:
        METHODS._known.pop("mine")
    assert METHODS["fixmatch"].threshold == 0.95


def test_a_base_class_that_is_no_method_yet_has_parameters_too():
    class Base(Method):
        strength: float = 2.0

    class Mine(Base):
        scales: tuple[float, ...] = (1.0,)

        losses = losses

    method("mine")(Mine)
    try:
        config = make_config({"methods": ["mine"], "mine_strength": 3, "mine_scales": "1, 2"})
        assert config.parameters == {"mine": {"strength": 3.0, "scales": (1.0, 2.0)}}
        with pytest.raises(ConfigError, match="mine_scales: found"):
            make_config({"methods": ["mine"], "mine_scales": [True]})
    finally:
        METHODS._known.pop("mine")


def test_memory_of_another_data_sets_size_is_refused():
    loop = Bench(type(METHODS["flexmatch"]), "classification").loop()
    state = copy.deepcopy(loop.state_dict())
    state["memory"]["labels"] = state["memory"]["labels"][:-1]
    with pytest.raises(
        RunError, match=r"a checkpoint whose memory is of other sizes .*put them back, or remove this folder"
    ):
        loop.load_state_dict(state)


def test_memory_that_was_not_declared_is_refused():
    bench = Bench(type(METHODS["flexmatch"]), "classification")
    loop = bench.loop()
    real = type(bench.method).losses
    other = type(
        "Other",
        (type(bench.method),),
        {"losses": lambda self, *given: real(self, *given)._replace(memory={"labels": torch.zeros(3)})},
    )
    loop.method = other()
    with pytest.raises(TrainingError, match=r"memory 'labels': found \(3,\), expected \(\d+,\), as memory"):
        advance(loop, bench.batches(0))


def test_a_network_without_halves_is_said_where_a_method_wants_them():
    bench = Bench(type(METHODS["unimatch"]), "segmentation", lambda: torch.nn.Conv2d(3, 11, 1))
    with pytest.raises(TrainingError, match=r"a Conv2d has no encode, decode, channels, and .* encode\(x\)"):
        advance(bench.loop(), bench.batches(0))
