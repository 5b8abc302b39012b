"""Several ranks against one: the same labels and thresholds, the same losses but for rounding; and real processes against threads."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from dmtkit import distributed
from dmtkit.config import make_config
from dmtkit.errors import ConfigError
from dmtkit.files import read_json
from dmtkit.labels.store import open_labels
from dmtkit.runs.manifest import read_log
from dmtkit.runs.run import load_run
from dmtkit.training.experiment import check_shares, run_methods
from tests import teamwork
from tests.helpers import TINY, fingerprint
from tests.labels.test_labelling import Mixed
from tests.ranks import Lost, Team

pytestmark = pytest.mark.slow


EVERY_DAY = ("classification", "segmentation", "own_segmentation")
KNOWN = [pytest.param(name, marks=[] if name in EVERY_DAY else pytest.mark.long) for name in teamwork.KNOWN]
TWO_ALONE = ("words", "not_a_number", "own_statistics", "resumed", "half_done")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where a piece of work is done by one and by two, when a test first asks for it."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))

    @functools.cache
    def done(name):
        if name not in TWO_ALONE:
            teamwork.do(name, one)
        Team(2).run(lambda: teamwork.do(name, two))
        return one, two

    with teamwork.registered():
        yield done


def in_processes(folder, names):
    """The same in two processes that meet by gloo."""
    torch.multiprocessing.spawn(teamwork.member, (str(folder), names), nprocs=2)


@pytest.mark.parametrize("name", ["words", "not_a_number", "own_statistics"])
def test_ranks_say_to_each_other_what_they_are_asked(places, name):
    """What is asserted is in the work."""
    places(name)


def test_processes_compute_what_threads_compute(places, tmp_path):
    in_processes(tmp_path, ["words", "norm", "plain"])
    same_in_processes(places, tmp_path, ["plain"])


@pytest.mark.long
def test_processes_compute_all_that_threads_compute(places, tmp_path):
    in_processes(tmp_path, [*TWO_ALONE, "norm", "labels", *teamwork.KNOWN])
    same_in_processes(places, tmp_path, [*teamwork.KNOWN, "resumed"])
    _, threads = places("labels")
    for rule in ("argmax", "normalized"):
        for path in (tmp_path / rule).iterdir():
            assert path.read_bytes() == (threads / rule / path.name).read_bytes()


def same_in_processes(places, processes, runs):
    _, threads = places("norm")
    one, other = (torch.load(folder / "norm.pt") for folder in (threads, processes))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in runs:
        places(name)
        assert fingerprint(threads / name) == fingerprint(processes / name), name


@pytest.mark.parametrize(
    "work",
    [
        lambda: distributed.barrier() if distributed.rank_zero() else None,
        lambda: None if distributed.rank_zero() else distributed.barrier(),
        lambda: distributed.barrier() if distributed.rank_zero() else distributed.gather(1),
    ],
)
def test_ranks_that_do_not_meet_are_found_out(work):
    with pytest.raises(Lost):
        Team(2).run(work)


def test_an_error_of_one_rank_ends_all():
    def work():
        if distributed.rank() == 1:
            raise ZeroDivisionError
        distributed.barrier()

    with pytest.raises(ZeroDivisionError):
        Team(3).run(work)
    assert distributed.size() == 1


def test_a_shared_normalisation_is_batch_norm_of_the_whole_batch(places):
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3)
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    whole, wanted = torch.randn(2, 5, 3, 4, 2) * 3 + 10, torch.randn(2, 5, 3, 4, 2)
    expected = {}
    for step in range(2):
        x = whole[step].clone().requires_grad_()
        y = layer(x)
        (y * wanted[step]).sum().backward()
        expected |= {f"y{step}": y.detach(), f"dx{step}": x.grad}
    expected |= {"dw": layer.weight.grad, "db": layer.bias.grad, **layer.state_dict()}
    for place in places("norm"):
        found = torch.load(place / "norm.pt")
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("rule", ["argmax", "normalized"])
def test_labels_and_histograms_are_equal_byte_for_byte(places, rule):
    one, two = (place / rule for place in places("labels"))
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for name in ("label.u8", "level.u16", "index.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    stores = [open_labels(folder, "m.pt", Mixed.names) for folder in (one, two)]
    np.testing.assert_array_equal(*(store.histogram for store in stores))  # and so are all thresholds
    np.testing.assert_array_equal(*(store.predicted for store in stores))
    assert stores[0].histogram.sum() == sum(h * w for h, w in Mixed.shapes)


def test_confusion_is_equal(places):
    one, two = (torch.load(place / "confusion.pt") for place in places("labels"))
    assert one.keys() == two.keys() == {"A", "B", "A+B"}
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("name", [each for each in KNOWN if "few" not in each.values])
def test_a_run_of_two_processes_measures_what_one_measures(places, name):
    one, two = (place / name for place in places(name))
    logs = [list(read_log(folder / "metrics.jsonl")) for folder in (one, two)]
    assert len(logs[0]) == len(logs[1]) > 3
    for alone, shared in zip(*logs, strict=True):
        assert alone.keys() == shared.keys()
        first = alone["phase"] == 0 or alone["method"] == "own"
        exact = first and alone["step"] <= 4  # what rounding changes grows from step to step, and may turn a label
        for key, value in alone.items():
            if isinstance(value, str) or key in ("step", "steps", "lr"):
                assert shared[key] == value
            elif key == "loss":
                near = pytest.approx(value, rel=1e-4, abs=1e-6) if exact else pytest.approx(value, rel=5e-2)
                assert shared[key] == near, (key, alone)
            elif key.startswith("share_") or key == "mean_weight":
                assert shared[key] == pytest.approx(value, abs=0.1), (key, alone)


@pytest.mark.parametrize("name", KNOWN)
def test_a_run_of_two_processes_leaves_the_same_files(places, name):
    found = []
    for place in places(name):
        folder = place / name
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        names = {file.rsplit("-", 1)[0] if file.endswith(".pt") else file for file in files}
        found.append({name for name in names if not name.startswith(".baselines")})
    assert found[0] == found[1]
    run = load_run(places(name)[1] / name)
    assert run.finished
    assert read_json(run.path / "environment.json")["processes"] == 2
    alone = load_run(places(name)[0] / name)
    for method, result in alone.results.items():
        assert result.keys() == run.results[method].keys()
        for phase, other in zip(alone.phases(method), run.phases(method), strict=True):
            assert phase.summary.keys() == other.summary.keys()


@pytest.mark.long
def test_two_processes_go_on_where_they_were_stopped_in_the_same_bits(places):
    for name in ("resumed", "classification"):
        _, two = places(name)
    assert fingerprint(two / "resumed") == fingerprint(two / "classification")


@pytest.mark.long
def test_one_process_goes_on_where_two_were_stopped_and_says_so(places):
    with pytest.warns(UserWarning, match="another number of processes"):
        run = run_methods(teamwork.CLASSIFICATION, None, places("half_done")[1] / "half")
    assert "another number of processes; the bits may differ" in (run.path / "notes.log").read_text()
    losses = [
        [r["loss"] for r in read_log(folder / "metrics.jsonl")]
        for folder in (run.path, places("classification")[0] / "classification")
    ]
    np.testing.assert_allclose(*losses, rtol=2e-2)


def test_a_batch_smaller_than_the_team_is_refused():
    with pytest.raises(ConfigError, match=r"a batch of 32 cannot be shared by 33 processes"):
        check_shares(make_config({**TINY, "processes": 33}))
