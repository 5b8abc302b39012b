"""Every method of §4 on the one trainer: who labels, what is stored, what each student starts from."""

import numpy as np
import pytest
import torch

from dmtkit.config import make_config
from dmtkit.methods import METHODS
from dmtkit.methods.lab import plan_of
from dmtkit.runs.phase import reported
from dmtkit.tasks.classification import Classification
from dmtkit.training import resume
from dmtkit.training.experiment import load_data, run_methods
from tests.helpers import TINY, TINY_SEGMENTATION, fingerprint
from tests.tasks.test_segmentation import taught

TASKS = {"classification": TINY, "segmentation": TINY_SEGMENTATION}


def every(task):
    return tuple(name for name, method in METHODS.items() if task in method.tasks)


@pytest.fixture(scope="module", params=["classification", pytest.param("segmentation", marks=pytest.mark.long)])
def whole(request, tmp_path_factory):
    """One run of every method of a task."""
    task = request.param
    config = make_config({**TASKS[task], "methods": every(task)})
    data = load_data(config)
    return config, data, run_methods(config, data, tmp_path_factory.mktemp(task) / "run")


def test_the_table_is_the_papers():
    axes = {name: (method.teacher, method.rule) for name, method in METHODS.items() if not method.adds}
    assert axes == {
        "supervised": ("nobody", "uniform"),
        "oracle": ("truth", "uniform"),
        "online_st": ("online", "uniform"),
        "cl": ("itself", "uniform"),
        "cbst": ("itself", "uniform"),
        "dst": ("itself", "dynamic"),
        "dmt_naive": ("other", "naive"),
        "dmt_flip": ("other", "flip"),
        "dmt": ("other", "dynamic"),
    }
    of_one_task = [name for name, method in METHODS.items() if len(method.tasks) == 1]
    assert of_one_task == ["cl", "cbst", "flexmatch", "unimatch", "cps", "adversarial"]


def test_every_method_has_a_result_after_every_phase(whole):
    config, _, run = whole
    assert set(run.results) == set(every(config.task))
    for name, result in run.results.items():
        expected = 2 if run.method(name).stores_labels else 1
        assert len(result["phases"]) == expected, name
        assert np.isfinite(result["phases"]).all()


def test_online_self_training_takes_the_steps_of_all_phases_together(whole):
    config, _, run = whole

    def steps(method):
        model = "A" if config.task == "segmentation" else ""
        return sum(phase.model_folder(model).summary["steps"] for phase in run.phases(method))

    assert steps("online_st") == steps("dmt") == steps("dst")


def test_a_method_run_alone_ends_in_the_bits_of_a_run_of_all(whole, tmp_path):
    config, data, run = whole
    bits = fingerprint(run.path)
    for name in ("dst", "dmt_flip", "online_st"):
        alone = config.model_copy(update={"methods": (name,)})
        found = fingerprint(run_methods(alone, data, tmp_path / name).path)
        own = {place: value for place, value in found.items() if place.startswith((f"{name}/", "supervised/phase_0"))}
        assert any(place.startswith(name) for place in own)
        assert {place: bits[place] for place in own} == own


def test_flip_never_alters_stored_labels(whole):
    """DMT and DMT-Flip learn the same labels in phase 1; what is flipped is flipped in the loss alone."""
    config, _, run = whole
    if config.task == "classification":
        flipped, plain = (run.phases(name)[0].arrays("pseudo_labels") for name in ("dmt_flip", "dmt"))
        assert all(np.array_equal(flipped[key], plain[key]) for key in ("label", "level", "kept"))
        return
    for model in "AB":
        flipped, plain = (run.phases(name)[0].model_folder(model).arrays("samples") for name in ("dmt_flip", "dmt"))
        for key in flipped:
            if key.endswith(("/y_A", "/c_A", "/kept")):
                assert np.array_equal(flipped[key], plain[key]), key


def test_students_of_dst_start_as_their_teacher_did():
    config = make_config({**TINY, "methods": ("dst", "cl")})
    task = Classification(config, load_data(config))
    trainings = {call.key: call for call in plan_of(task.methods, task.terms).trainings}

    def start(name, number):
        training = trainings["supervised" if not number else name, number, ""]
        return torch.cat([p.flatten() for p in task.network(training, "model").parameters()])

    first = start("dst", 0)
    assert torch.equal(start("dst", 1), first)
    assert torch.equal(start("dst", 2), first)
    assert not torch.equal(start("cl", 1), first)
    assert not torch.equal(start("cl", 1), start("cl", 2))


def test_dst_segmentation_labels_for_itself(tmp_path, monkeypatch):
    config = make_config({**TINY_SEGMENTATION, "methods": ("dst",)})
    told = taught(monkeypatch, config, None, tmp_path / "run")
    assert told == {("dst", 1, "A"): "supervised/phase_0/A/labels", ("dst", 2, "A"): "dst/phase_1/A/labels"}


def test_online_self_training_goes_on_from_the_supervised_model(tmp_path, monkeypatch):
    starts = {}
    real = resume.train

    def train(loop, batches, **more):
        starts[loop.method.name] = {name: value.clone() for name, value in loop.current.state_dict().items()}
        return real(loop, batches, **more)

    monkeypatch.setattr(resume, "train", train)
    for task, values in TASKS.items():
        run = run_methods(make_config({**values, "methods": ("online_st",)}), None, tmp_path / task)
        place = run.path / "supervised" / "phase_0" / ("A" if task == "segmentation" else "")
        (path,) = place.glob("model-*.pt")
        state = reported(torch.load(path, weights_only=True))
        assert all(torch.equal(value, state[name]) for name, value in starts["online_st"].items())
        assert not list(run.path.glob("supervised/phase_*/**/labels")), "it learns no stored labels"
        assert not list(run.path.glob("*/phase_*/**/pseudo_labels.npz"))
