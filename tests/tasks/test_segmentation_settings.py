"""Segmentation's settings at work: sampling, rules, sizes, own images, weights from elsewhere, and what is refused."""

import json

import numpy as np
import pytest
import torch

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.errors import ConfigError, TrainingError
from dmtkit.methods.lab import Training
from dmtkit.tasks import segmentation
from dmtkit.training.experiment import check, run_methods, start_session
from tests.helpers import TINY_SEGMENTATION
from tests.trees import make_voc_style

CONFIG = make_config({**TINY_SEGMENTATION, "checkpoint_seconds": 0})


@pytest.fixture(scope="module")
def data():
    return load(CONFIG)


@pytest.mark.parametrize(
    "more",
    [
        {"label_rule": "normalized"},
        {"methods": ("oracle",)},
        {"methods": ("cbst",)},
        {"flip": True},
        {"eval_size": (40, 40)},
        {"crop": (40, 40)},
    ],
)
def test_every_switch_runs(tmp_path, data, more):
    config = make_config({**TINY_SEGMENTATION, **more})
    run = run_methods(config, data, tmp_path / "run")
    assert np.isfinite(next(iter(run.results.values()))["miou"])


def test_own_images_of_mixed_sizes_without_truth(tmp_path, monkeypatch):
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))
    tree = make_voc_style(tmp_path / "data", train=8)
    values = {**TINY_SEGMENTATION, "dataset": "folder", "data_dir": str(tree), "classes": ("a", "b", "c")}
    config = make_config(values)
    for name in load(config).unlabeled.names:
        (tree / "SegmentationClass" / f"{name}.png").unlink()
    run = run_methods(config, None, tmp_path / "run")
    summary = run.phases("dmt")[0].model_folder("B").summary
    assert summary["label_miou"] is None
    assert not any("precision" in row for row in summary["cases"])
    assert set(summary["auroc"]["end"].values()) == {None}
    with pytest.raises(ConfigError, match="oracle needs the mask"):
        run_methods(make_config({**values, "methods": ("oracle",)}), None, tmp_path / "oracle")


def test_own_weights_start_a_run_and_what_they_lack_is_noted(tmp_path, data):
    made = run_methods(make_config({**TINY_SEGMENTATION, "methods": ("supervised",)}), data, tmp_path / "made")
    (path,) = made.path.glob("supervised/phase_0/A/model-*.pt")
    config = make_config({**TINY_SEGMENTATION, "methods": ("supervised",), "init_a": str(path)})
    run_methods(config, data, tmp_path / "run")
    assert "model A: " in (tmp_path / "run" / "notes.log").read_text()
    wrong = make_config({**TINY_SEGMENTATION, "init_a": str(path), "aspp_rates": (*CONFIG.aspp_rates, 9)})
    folder = tmp_path / "wrong"
    state = torch.load(path, weights_only=True)["model"]
    torch.save({k: v[:5] if k.startswith("head.") else v for k, v in state.items()}, tmp_path / "five.pt")
    with pytest.raises(ConfigError, match="another number of classes"):
        run_methods(make_config({**TINY_SEGMENTATION, "init_a": str(tmp_path / "five.pt")}), data, folder)
    assert not folder.exists(), "refused before anything was written"
    run_methods(make_config({**wrong.model_dump(), "methods": ("supervised",)}), data, tmp_path / "more")
    assert "newly initialised, not in the file: head.convs.2.weight" in (tmp_path / "more" / "notes.log").read_text()


def test_a_loss_that_is_not_finite_names_model_and_images(tmp_path, data):
    with pytest.raises(TrainingError, match=r"supervised, phase 0, model A: .*train-"):
        run_methods(
            make_config({**TINY_SEGMENTATION, "baseline_lr": 1e30, "baseline_epochs": 20}), data, tmp_path / "run"
        )


def test_methods_of_the_other_task_are_refused():
    with pytest.raises(ConfigError, match=r"cl is not defined for segmentation; those that are: .*cbst"):
        check(make_config({**TINY_SEGMENTATION, "methods": ("cl",)}))
    with pytest.raises(ConfigError, match="cbst is not defined for classification"):
        check(make_config({"methods": ("cbst",)}))
    with pytest.raises(ConfigError, match="expected deeplab-resnet101"):
        check(make_config({**TINY_SEGMENTATION, "model": "wrn-10-1"}))


def test_sampling_shows_each_model_its_part_in_phase_0_alone(data, tmp_path):
    config = make_config({**TINY_SEGMENTATION, "sampling": "dms", "methods": ("dmt",), "denominator": 2})
    sampled = load(config)
    run = run_methods(config, sampled, tmp_path / "run")
    assert run.finished
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert set(split["left"]) != set(split["right"])
    task = segmentation.Segmentation(config, sampled)
    assert task.seen_of_x(Training("dmt", "supervised", model="A")) == sampled.left
    assert task.seen_of_x(Training("dmt", "supervised", model="B")) == sampled.right
    assert task.seen_of_x(Training("supervised", "supervised", model="A")) == sampled.labeled


def test_with_sampling_the_baseline_still_learns_from_all_of_x(data, tmp_path):
    config = make_config({**TINY_SEGMENTATION, "sampling": "dms", "denominator": 2})
    run = run_methods(config, None, tmp_path / "run")
    assert (tmp_path / "run" / "supervised" / "phase_0" / "A").is_dir()
    assert not (tmp_path / "run" / "supervised" / "phase_0" / "B").exists()
    assert (tmp_path / "run" / "dmt" / "phase_0" / "B").is_dir()
    assert set(run.results["supervised"]) == {"miou", "phases"}
    again = make_config({**TINY_SEGMENTATION, "sampling": "dms", "lists": str(tmp_path / "run" / "split.json")})
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert load(again).left.names == tuple(split["left"])


def test_one_crop_of_one_pixel_is_refused_where_x_goes_alone_through_the_network():
    with pytest.raises(ConfigError, match="leaves batch normalisation a single value"):
        start_session(make_config({**TINY_SEGMENTATION, "methods": ("adversarial",), "crop": (1, 1)}))
    start_session(make_config({**TINY_SEGMENTATION, "methods": ("adversarial",), "crop": (16, 16)}))
