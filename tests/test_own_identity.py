"""What tells one's own code from other code: in runs, batches, baselines and tables."""

import json

import pytest

from dmtkit import own
from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError, TrainingError
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.plan import make_batch
from dmtkit.params import load_params
from dmtkit.registry import METHODS
from dmtkit.results.tables import collect
from dmtkit.training.experiment import load_data, run_methods
from tests.helpers import TINY, Stop, stop_after
from tests.own_cells import CELL, NETWORK, _cell, _forgotten, config_of, params_file  # noqa: F401

IDENTITIES = {
    "a global number": ("SCALE = 2\n", "SCALE = 99\n"),
    "a function that another one calls": ("2 * value", "3 * value"),
    "a private function": ("return 1.5", "return 2.5"),
    "a cached function": ("return 7", "return 8"),
    "a later value of a fact by task": ('segmentation=("weak",)', 'segmentation=("strong",)'),
    "the layers of a class that a function builds": ("nn.Linear(4, 4)", "nn.Linear(4, 5)"),
    "a helper's optimiser": ("SGD(parameters, 0.1)", "SGD(parameters, 0.2)"),
}
DEEP = """
import functools
import dmtkit
import torch
from dmtkit.methods import Helper
from torch import nn

SCALE = 2
def doubled(value):
    return SCALE * (2 * value)

@functools.cache
def seven():
    return 7

class Critic(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = self._make()

    def _make(self):
        return nn.Linear(4, 4)

def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1)

@dmtkit.method("mine")
class Mine(dmtkit.Method):
    views = dmtkit.per_task(classification=("weak",), segmentation=("weak",))
    helpers = {"critic": Helper(Critic, sgd)}

    def _half(self):
        return 1.5

    def losses(self, nets, batch, now):  # a comment
        return dmtkit.Step({"model": doubled(seven()) * self._half() * now.supervised(nets, batch)})
"""


@pytest.mark.parametrize("what", IDENTITIES)
def test_what_a_cell_s_class_does_is_its_identity(cell, what):
    cell(DEEP)
    before = own.own_code(config_of())
    cell(DEEP.replace("# a comment", "# another"))
    assert own.own_code(config_of()) == before
    old, new = IDENTITIES[what]
    assert DEEP.count(old) == 1
    cell(DEEP.replace(old, new))
    assert own.own_code(config_of()) != before, what


def test_a_network_may_be_a_class(cell):
    network = """
import dmtkit
from torch import nn

@dmtkit.model("plain", task="classification")
class Plain(nn.Sequential):
    def __init__(self, channels, classes):
        super().__init__(nn.Flatten(), nn.Linear(64 * channels, classes))
"""
    config = make_config({**TINY, "model": "plain", "methods": ("supervised",)})
    cell(network)
    before = own.own_code(config)
    cell(network.replace("nn.Flatten()", "nn.Flatten(1)"))
    assert before.keys() == own.own_code(config).keys() == {"model plain"}
    assert own.own_code(config) != before


def test_of_two_files_each_run_has_its_own(tmp_path):
    configs = []
    for name, scale in (("a", 2), ("b", 5)):
        (tmp_path / name).mkdir()
        code = (
            CELL.replace("2 * value", f"{scale} * value")
            .replace("weight:", f"weight_{name}:")
            .replace("self.weight", f"self.weight_{name}")
        )
        configs.append(plan_job(params_file(tmp_path / name, code, experiment=name), {}).config)
    for name, config in zip("ab", configs, strict=True):
        run = run_methods(config, output_dir=tmp_path / name / "run")
        assert run.method("mine").parameters == {f"weight_{name}": 1.0}
    batch = make_batch([tmp_path / name / "params.yaml" for name in "ab"])
    assert len(batch.waiting) == 2
    own.import_code(None)
    assert "mine" not in METHODS, "a run without a file has none of another's"


def test_what_was_imported_is_what_is_kept(tmp_path):
    job = plan_job(params_file(tmp_path), {})
    data = load_data(job.config)

    def edited(progress):
        (tmp_path / "my_methods.py").write_text("broken(")

    run = run_methods(job.config, data, tmp_path / "run", progress=edited)
    assert (run.path / "my_methods.py").read_text() == CELL


def test_a_config_made_before_its_code_was_imported_is_the_same_run(tmp_path):
    values = {**load_params(params_file(tmp_path)), "mine_weight": "1"}
    first = make_config(values)
    assert first.parameters == {"mine": {"weight": "1"}}, "nobody knows it yet"
    run = run_methods(first, output_dir=tmp_path / "run")
    assert run.config.parameters == {}, "the default"
    assert run_methods(make_config(values), output_dir=tmp_path / "run").finished


def test_runs_with_other_code_or_parameters_are_not_averaged(tmp_path):
    for seed, code, more in (
        (1, CELL, {}),
        (2, CELL, {}),
        (3, CELL.replace("2 *", "3 *"), {}),
        (4, CELL, {"mine_weight": 3.0}),
    ):
        job = plan_job(params_file(tmp_path, code, experiment="e", seed=seed), more)
        run_methods(job.config, output_dir=tmp_path / "outputs" / "e" / f"seed-{seed}")
    found = collect(tmp_path / "outputs").runs
    counts = found.groupby("method").size().to_dict()
    assert counts.pop("supervised") == 4
    assert sorted(counts.values()) == [1, 1, 2]
    assert set(found["experiment"]) == {"e"}
    assert any("weight=3" in name for name in counts)


def test_a_mistake_that_is_mended_before_anything_was_learned_goes_on(cell, tmp_path):
    cell(CELL.replace('batch.u["weak"]', 'batch.u["waek"]'))
    with pytest.raises(TrainingError, match="there is no 'waek'"):
        run_methods(config_of(), None, tmp_path / "run")
    cell(CELL)
    assert run_methods(config_of(), None, tmp_path / "run").finished
    assert json.loads((tmp_path / "run" / "methods.json").read_text())["own"] == own.own_code(config_of())


def test_another_parameter_is_named_as_one_sets_it(cell, tmp_path):
    cell(CELL)
    with pytest.raises(Stop):
        run_methods(config_of(), None, tmp_path / "run", progress=stop_after(9))
    with pytest.raises(RunError, match=r"other settings \(mine_weight: 1.0 there, 2.0 now\); choose another folder"):
        run_methods(config_of(mine_weight=2), None, tmp_path / "run")


DATA = """
@dmtkit.dataset("mirrored", task="classification")
def mirrored(config):
    from dmtkit.training.experiment import load_data
    data = load_data(dmtkit.make_config({**config.model_dump(), "dataset": "digits", "code_from": None}))
    return data
"""


def test_a_data_set_of_ones_own_is_loaded_by_what_runs(tmp_path):
    path = params_file(tmp_path, CELL + DATA, dataset="mirrored")
    with pytest.raises(ConfigError, match=r"mirrored is not known here, and code_from .* is imported by `dmtkit run`"):
        load_data(make_config(load_params(path)))
    job = plan_job(path, {})
    assert "data set mirrored" in own.own_code(job.config, baseline=True)
    assert run_methods(job.config, output_dir=tmp_path / "run").finished
