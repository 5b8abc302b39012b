"""What the engine promises to every method, shown on one that declares all that can be declared."""

import copy

import pytest
import torch
from torch import nn

from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError, TrainingError
from dmtkit.files import Checkpoints, write_json
from dmtkit.methods import Helper, Method, Step
from dmtkit.methods.given import Nets, Now
from dmtkit.models import build
from dmtkit.own import describe
from dmtkit.runs.search import sealed
from dmtkit.training.experiment import load_data, run_methods, start_session
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance
from tests import own_method
from tests.helpers import TINY, TINY_SEGMENTATION, Stop, batch_of, fingerprint, relay, stop_after

TASKS = {"classification": TINY, "segmentation": TINY_SEGMENTATION}
HOW = {"methods": ("supervised", "own"), "checkpoint_seconds": 0}


@pytest.fixture(scope="module", autouse=True)
def _own():
    with own_method.registered():
        yield


@pytest.fixture(scope="module", params=list(TASKS))
def undisturbed(request, tmp_path_factory):
    """A whole run of the method."""
    config = make_config({**TASKS[request.param], **HOW})
    data = load_data(config)
    return config, data, run_methods(config, data, tmp_path_factory.mktemp("own") / "run")


def test_a_method_of_ones_own_trains_and_reports(undisturbed):
    config, data, run = undisturbed
    assert set(run.results) == {"supervised", "own"}
    assert len(run.results["own"]["phases"]) == 1
    trainings = {training.key: training for training in start_session(config, data).plan.trainings}
    model = run.task.first
    steps = trainings["own", 1, model].steps
    labels = make_config({**config.model_dump(), "methods": ("cl" if not model else "cbst",)})
    assert steps == sum(t.steps for t in start_session(labels, data).plan.trainings), (
        "phase 0 and all phases of one model together"
    )
    logged = run.metrics[run.metrics["method"] == "own"]
    assert {"loss", "loss_model", "loss_second", "loss_critic", "sure"} <= set(logged.dropna(axis=1).columns)
    assert (logged["loss"] - logged[["loss_model", "loss_second", "loss_critic"]].sum(axis=1)).abs().max() < 1e-6
    (path,) = (run.path / "own" / "phase_1" / model).glob("model-*.pt")
    state = torch.load(path, weights_only=True)
    assert {"model", "second", "teacher", "kept"} <= set(state), "critics are no result"
    reported = state["kept"]
    assert all(torch.equal(value, state["teacher"][name]) for name, value in reported.items())


def test_stopped_after_every_few_steps_it_ends_in_the_same_bits(undisturbed, tmp_path):
    config, data, run = undisturbed
    relay(lambda progress: run_methods(config, data, tmp_path / "run", progress=progress), every=4)
    assert fingerprint(tmp_path / "run") == fingerprint(run.path)


class Two(Method):
    """Two networks; what each loss is comes from outside."""

    nets = ("one", "two")
    helpers = {"critic": Helper(nn.Linear, lambda parameters: torch.optim.SGD(parameters, 0.1))}
    averages = {"teacher": ("one", 0.5)}
    reports = "one"
    name = "two"

    def __init__(self, losses):
        self._losses = losses

    def losses(self, nets, batch, now):
        return Step(self._losses(nets, batch, now))


class Small(nn.Module):
    """A network with all kinds of state."""

    def __init__(self, classes=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, classes, 3), nn.BatchNorm2d(classes), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, x):
        return self.layers(x)


def loop_of(losses, **how):
    torch.manual_seed(1)
    networks = {"one": Small(), "two": Small(), "critic": nn.Linear(3, 1)}
    return begin(Two(losses), networks, Recipe(steps=8, seed=1, lr=0.1, **how))


def batch():
    torch.manual_seed(2)
    return batch_of(torch.randn(6, 2, 5, 5), torch.randint(0, 3, (6,)), torch.ones(6), 6, names=tuple("abcdef"))


def weights(loop, name):
    return {key: value.clone() for key, value in loop.modules[name].named_parameters()}


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def test_all_losses_come_from_the_same_weights_and_each_moves_only_its_own_network():
    def losses(nets, batch, now):
        one, two = nets("one", batch.images), nets("two", batch.images)
        return {
            "one": (one * two.detach()).sum() + two.sum() + nets("critic", nets("one", batch.images)).sum(),
            "two": (nets("two", batch.images) * nets.label("one", batch.images)).sum(),
        }

    def expected(name, other):  # the gradient of its own loss alone, at the weights before the step
        loop = loop_of(losses)
        found = losses(Nets(loop.modules), batch(), Now(0, 8))[name]
        return torch.autograd.grad(found, list(loop.modules[name].parameters()))

    loop = loop_of(losses)
    critic, before = weights(loop, "critic"), {name: weights(loop, name) for name in ("one", "two")}
    advance(loop, batch())
    assert same(critic, weights(loop, "critic")), "it has no loss: none reaches it through another network"
    assert all(parameter.grad is None for parameter in loop.modules["critic"].parameters())
    for name, other in (("one", "two"), ("two", "one")):
        after = weights(loop, name)
        for (key, value), gradient in zip(before[name].items(), expected(name, other), strict=True):
            torch.testing.assert_close(after[key], value - 0.1 * (gradient + 5e-4 * value), msg=f"{name}.{key}")


def test_averages_follow_after_the_step():
    loop = loop_of(lambda nets, batch, now: {"one": nets("one", batch.images).square().sum()})
    start = weights(loop, "one")
    advance(loop, batch())
    first = weights(loop, "one")
    assert same(weights(loop, "teacher"), first), "the first step copies: 1 − 1/(t + 1) is 0"
    assert not same(start, first)
    advance(loop, batch())
    for key, value in weights(loop, "teacher").items():
        torch.testing.assert_close(value, 0.5 * first[key] + 0.5 * weights(loop, "one")[key])


def test_memory_and_statistics_carry_no_graph():
    def losses(nets, batch, now):
        return {"one": nets("one", batch.images).sum()}

    loop = loop_of(losses)
    loop.memory = {"m": torch.zeros(6, 3)}
    loop.method.losses = lambda nets, batch, now: Step(
        losses(nets, batch, now), {"s": nets("one", batch.images).sum()}, {"m": nets("one", batch.images)}
    )
    advance(loop, batch())
    assert loop.memory["m"].grad_fn is None
    assert loop.sums.values["s"].grad_fn is None


def test_modes_of_a_network():
    torch.manual_seed(3)
    module = build("wrn-10-1", 3, 4).train()
    x = torch.randn(5, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    plain = copy.deepcopy(module)
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    nets = Nets({"model": module})
    quiet = nets("model", x, mode="quiet")
    assert all(torch.equal(value, buffers[name]) for name, value in module.named_buffers()), "statistics stay"
    assert torch.equal(quiet, plain(x)), "and the answer is the training mode's, bit for bit"
    assert torch.equal(nets("model", x, mode="eval"), copy.deepcopy(module).eval()(x))
    assert all(m.training for m in module.modules())
    assert not nets.label("model", x).requires_grad
    assert quiet.requires_grad
    nets("model", x)
    assert not torch.equal(module.norm.running_mean, buffers["norm.running_mean"])
    with pytest.raises(RuntimeError):
        nets("model", x[:, :2], mode="quiet")
    assert all(m.track_running_stats for m in module.modules() if isinstance(m, nn.BatchNorm2d)), "also after an error"


def test_a_mean_counts_what_is_valid_and_nothing_is_no_nan():
    each, valid = torch.tensor([1.0, float("nan"), 3.0], requires_grad=True), torch.tensor([True, False, True])
    mean = Now(0, 1).mean(each, valid)
    mean.backward()
    assert (mean.item(), each.grad.tolist()) == (2.0, [0.5, 0.0, 0.5])
    assert Now(0, 1).mean(each, torch.zeros(3, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (lambda nets, batch, now: {"one": nets("too", batch.images).sum()}, "too: unknown network; did you mean 'two'"),
        (lambda nets, batch, now: {"on": nets("one", batch.images).sum()}, "does not train: on: unknown.*mean 'one'"),
        (lambda nets, batch, now: {"teacher": nets("teacher", batch.images).sum()}, "a network that it does not train"),
    ],
)
def test_a_network_that_does_not_exist_is_named(losses, message):
    with pytest.raises(TrainingError, match=message):
        advance(loop_of(losses), batch())


@pytest.mark.parametrize(("task", "model", "samples"), [("classification", "", 32), ("segmentation", "A", 6)])
def test_a_loss_that_is_not_finite_names_network_phase_step_and_samples(tmp_path, monkeypatch, task, model, samples):
    real = own_method.Own.losses

    def losses(self, nets, batch, now):
        step = real(self, nets, batch, now)
        bad = {"second": step.losses["second"] * float("nan")} if now.step == 3 else {}
        return Step({**step.losses, **bad}, step.statistics, step.memory)

    monkeypatch.setattr(own_method.Own, "losses", losses)
    with pytest.raises(TrainingError) as error:
        run_methods(make_config({**TASKS[task], "methods": ("own",)}), None, tmp_path / "run")
    said = str(error.value)
    assert said.startswith(f"own, phase 1{', model A' if model else ''}: the loss of the network 'second' became NaN")
    assert "at step 4;" in said
    assert len(said.split("samples: ")[1].split(", ")) == samples


def test_a_checkpoint_of_another_method_is_refused(undisturbed, tmp_path):
    config, data, _ = undisturbed
    with pytest.raises(Stop):  # in the middle of its own phase
        run_methods(config, data, tmp_path / "run", progress=stop_after(12))
    config_file = tmp_path / "run" / "config.yaml"
    other = make_config({**config.model_dump(), "methods": ("supervised", "online_st")})
    with pytest.raises(RunError, match=r"methods: .*own.* there, .*online_st.* now"):
        run_methods(other, data, tmp_path / "run")
    config_file.write_text(sealed(config_file.read_text().partition("\n")[2].replace("- own", "- online_st")))
    write_json(tmp_path / "run" / "methods.json", describe(other))
    (tmp_path / "run" / "own").rename(tmp_path / "run" / "online_st")
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_text(log.read_text().replace('"own"', '"online_st"'))
    with pytest.raises(
        RunError, match=r"online_st.*phase_1.*checkpoint of another method \(own, with the networks model, second"
    ):
        run_methods(other, data, tmp_path / "run")


@pytest.mark.filterwarnings("ignore:.*earlier version")
def test_a_checkpoint_of_an_earlier_version_is_said_to_be_and_trained_anew(undisturbed, tmp_path):
    config, data, run = undisturbed
    with pytest.raises(Stop):
        run_methods(config, data, tmp_path / "run", progress=stop_after(12))
    (place,) = {path.parent for path in (tmp_path / "run").glob("own/phase_1/**/checkpoint-*.pt")}
    for path in place.glob("checkpoint-*.pt"):
        path.unlink()
    checkpoints = Checkpoints(place, "checkpoint", keep=2)
    for step in (300, 400):  # further than this version ever comes
        checkpoints.save(step, {"model": {}, "optimizer": {}, "step": step, "seconds": 1.0})
    with pytest.raises(Stop):
        run_methods(config, data, tmp_path / "run", progress=stop_after(5))
    assert max(int(path.name.split("-")[1]) for path in place.glob("checkpoint-*.pt")) < 300
    run_methods(config, data, tmp_path / "run")
    assert "earlier version of dmtkit" in (tmp_path / "run" / "notes.log").read_text()
    assert fingerprint(tmp_path / "run") == fingerprint(run.path)


def test_a_statistic_that_is_no_number_is_refused():
    loop = loop_of(lambda nets, batch, now: {"one": nets("one", batch.images).sum()})
    loop.method.losses = lambda nets, batch, now: Step({"one": nets("one", batch.images).sum()}, {"s": torch.ones(3)})
    with pytest.raises(TrainingError, match="the statistic 's' is no tensor of a single number"):
        advance(loop, batch())


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (
            lambda nets, batch, now: nets("one", batch.images).sum(),
            r'losses returned a Tensor, expected Step\(\{"one": loss\}\)',
        ),
        (lambda nets, batch, now: Step(nets("one", batch.images).sum()), "losses returned a Tensor, expected Step"),
        (
            lambda nets, batch, now: Step({"one": batch.u["waek"].sum()}),
            r"there is no 'waek'; batch.u has the views .* \(none\)",
        ),
    ],
)
def test_what_a_beginner_forgets_is_said(losses, message):
    loop = loop_of(lambda nets, batch, now: {})
    loop.method.losses = losses
    with pytest.raises(TrainingError, match=message):
        advance(loop, batch())


def test_more_processes_than_a_batch_has_labeled_rows_are_refused(undisturbed):
    config, data, _ = undisturbed
    few = make_config({**config.model_dump(), "batch_labeled": 3, "processes": 4})
    with pytest.raises(ConfigError, match="a batch of 3 cannot be shared by 4 processes"):
        start_session(few, data)
    start_session(make_config({**few.model_dump(), "methods": ("supervised",)}), data)
