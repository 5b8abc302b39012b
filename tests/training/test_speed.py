"""What makes steps fast changes nothing but the time: precision, compilation, in-place work; and nothing waits for the device."""

import os
import re
import signal
import subprocess
import sys
import warnings

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dmtkit.config import make_config
from dmtkit.data.augment import Mix
from dmtkit.methods import METHODS
from dmtkit.models import build, wide_resnet
from dmtkit.runs import environment
from dmtkit.runs.environment import pick_precision
from dmtkit.training import step
from dmtkit.training.experiment import run_methods
from dmtkit.training.loop import train
from dmtkit.training.state import Recipe, begin
from dmtkit.training.step import advance
from tests.helpers import TINY, batch_of

CPU = torch.device("cpu")
HOWS = {"mixup": {"keeps": "average"}, "pixels": {}}
METHOD = METHODS["dmt"]


def recipe(**changes):
    return Recipe(steps=100, seed=1, gamma1=4.0, gamma2=4.0, lr=0.05, **changes)


def case(name, device=CPU):
    """A model and a batch of images, or of pixels with stored labels."""
    torch.manual_seed(0)
    if name == "mixup":
        model, shape = build("wrn-10-1", 3, 4), (12,)
    else:
        model, shape = build("deeplab-tiny", 3, 4, (1, 2)), (12, 16, 16)
    label = torch.randint(0, 4, shape)
    images, confidence = torch.rand(12, 3, 16, 16) * 255, torch.rand(shape)
    mix = Mix(0.7, torch.randperm(12)) if name == "mixup" else None
    batch = batch_of(images, label, confidence, 4, truth=label, names=tuple("abcdefghijkl"), mix=mix)
    return model.to(device).to(memory_format=torch.channels_last), batch.each(lambda values: values.to(device))


def steps(name, how, count=3):
    model, batch = case(name)
    loop = begin(METHOD, {"model": model}, how)
    for _ in range(count):
        advance(loop, batch)
    return loop


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "fp32"), ({}, "fp32")],
)
def test_auto_takes_bf16_where_the_processor_computes_in_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert pick_precision("auto", CPU) == expected
    assert pick_precision("fp32", CPU) == "fp32"
    assert pick_precision("bf16", CPU) == "bf16", "who asks for it gets it"
    assert environment.computes_bf16(CPU) == (expected == "bf16")


@pytest.mark.parametrize("name", ["wrn-10-1", "deeplab-tiny"])
def test_logits_are_float32_and_close_whatever_the_rest_is(name):
    torch.manual_seed(0)
    model = build(name, 3, 5, (1, 2)).eval()
    images = torch.rand(4, 3, 24, 24) * 255 if name.startswith("deeplab") else torch.randn(4, 3, 24, 24)
    exact = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model(images)
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact), "the backbone does compute in bf16"
    assert (coarse - exact).abs().max() <= 0.03 * exact.abs().max()
    assert (coarse * 256 % 1 != 0).any(), "no rounding to 8 bits"


@pytest.mark.parametrize("name", HOWS)
def test_steps_in_bf16_stay_close_to_those_in_fp32(name):
    exact, coarse = (steps(name, recipe(precision=p, **HOWS[name])) for p in ("fp32", "bf16"))
    for a, b in zip(exact.losses, coarse.losses, strict=True):
        assert float(a["model"]) == pytest.approx(float(b["model"]), rel=0.03, abs=0.01)
    assert all(p.dtype == torch.float32 for p in coarse.current.parameters()), "weights themselves stay exact"


def test_in_place_activations_change_no_bit(monkeypatch):
    found = []
    for relu in (F.relu, lambda x, inplace: torch.relu(x)):
        monkeypatch.setattr(wide_resnet.F, "relu", relu)
        loop = steps("mixup", recipe(**HOWS["mixup"]))
        found.append(loop.current.state_dict())
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key


@pytest.mark.slow
def test_ctrl_c_while_a_step_is_compiled_saves(monkeypatch):
    def interrupted(*given):
        os.kill(os.getpid(), signal.SIGINT)
        return False

    monkeypatch.setattr("dmtkit.training.loop.can_compile", interrupted)
    model, batch = case("pixels")
    saved, loop = [], begin(METHOD, {"model": model}, recipe(compile=True))
    with pytest.raises(KeyboardInterrupt, match="everything is saved"):
        train(loop, lambda _: batch, log=lambda _: None, save=saved.append)
    assert [state["step"] for state in saved] == [1]


@pytest.mark.long
def test_compiled_steps_equal_plain_ones_and_are_compiled_once():
    done = subprocess.run([sys.executable, "-m", "tests.compiled_steps"], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(f"torch.compile does not work here: {done.stdout}")
    assert done.stdout.strip() == "equal", done.stderr


def test_where_nothing_can_be_compiled_training_says_so_and_goes_on(tmp_path, monkeypatch):
    def no_compiler(*words, **more):
        raise RuntimeError("no C++ compiler was found\nand so on")

    monkeypatch.setattr(step, "compiled", no_compiler)
    config = {**TINY, "methods": ("supervised",)}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run = run_methods(make_config({**config, "compile": True}), output_dir=tmp_path / "compiled")
    assert any("training goes on without" in str(w.message) for w in seen)
    said = (tmp_path / "compiled" / "notes.log").read_text()
    assert re.search(r"compile: torch.compile failed here \(RuntimeError: no C\+\+ compiler was found\)", said)
    plain = run_methods(make_config(config), output_dir=tmp_path / "plain")
    assert run.results == plain.results, "the trial leaves no trace in model and random numbers"


WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "item", "is_nonzero", "equal")


class NoWaiting(TorchDispatchMode):
    """Fails on operations that a GPU would have to be waited for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in WAITING:
            raise AssertionError(f"{name}: the host would wait for the device here")
        if name == "index" and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
            raise AssertionError("an index by a mask: the host would wait to know how many there are")
        return func(*args, **(kwargs or {}))


def test_the_guard_against_waiting_works():
    for wait in (lambda x: float(x[0]), lambda x: x[x > 0], lambda x: x.nonzero()):
        with NoWaiting(), pytest.raises(AssertionError, match="wait"):
            wait(torch.ones(3))


@pytest.mark.parametrize("name", HOWS)
@pytest.mark.parametrize("method", ["supervised", "cl", "dmt_naive", "dmt", "dmt_flip", "online_st"])
def test_no_step_waits_for_the_device(name, method):
    model, batch = case(name)
    loop = begin(METHODS[method], {"model": model}, recipe(**HOWS[name]))
    with NoWaiting():
        for _ in range(2):
            advance(loop, batch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", HOWS)
def test_no_step_waits_for_the_gpu(name, precision):
    model, batch = case(name, torch.device("cuda"))
    how = recipe(precision=precision, **HOWS[name])
    loop = begin(METHOD, {"model": model}, how)
    advance(loop, batch)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            advance(loop, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
