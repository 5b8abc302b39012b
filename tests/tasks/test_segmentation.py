"""The loop of two models: who learns from whom, resume at any point, and every switch of the recipe."""

import os
import shutil
import signal

import numpy as np
import pytest
import torch

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.files import read_json, write_json
from dmtkit.labels.store import open_labels
from dmtkit.tasks import segmentation
from dmtkit.training.experiment import run_methods, start_session
from tests.helpers import TINY_SEGMENTATION, Stop, fingerprint, relay, stop_after

CONFIG = make_config({**TINY_SEGMENTATION, "checkpoint_seconds": 0})


@pytest.fixture(scope="module")
def data():
    return load(CONFIG)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    return run_methods(CONFIG, data, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def begun(tmp_path, begun_once):
    """A run that was stopped in the first phase after phase 0."""
    shutil.copytree(begun_once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


@pytest.fixture(scope="module")
def begun_once(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("begun")
    with pytest.raises(Stop):
        run_methods(CONFIG, data, place / "run", progress=stop_after(15))
    return place


def test_results_name_both_models_and_their_mean(whole):
    results = whole.results
    assert {"miou", "phases", "A", "B", "A+B"} == set(results["dmt"]) == set(results["supervised"])
    assert results["dmt"]["miou"] == results["dmt"]["A"] == results["dmt"]["phases"][-1], "the headline is A"
    assert set(results["cbst"]) == {"miou", "phases"}
    assert whole.done["split"] == CONFIG.split
    assert len(results["dmt"]["phases"]) == 2


def test_a_run_tells_its_progress_to_the_end(data, tmp_path):
    config, seen = make_config({**TINY_SEGMENTATION, "methods": ("dmt",)}), []
    run_methods(config, data, tmp_path / "run", progress=seen.append)
    steps = [p.step for p in seen]
    assert steps == sorted(steps)
    assert steps[-1] == seen[-1].steps == start_session(config, data).plan.total_steps
    assert {p.model for p in seen} == {"A", "B"}


def test_stopped_after_every_step_it_ends_in_the_same_bits(tmp_path, data, whole):
    assert relay(lambda progress: run_methods(CONFIG, data, tmp_path / "run", progress=progress)).finished
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)


def test_workers_and_checkpoints_change_nothing(tmp_path, whole):
    config = make_config({**TINY_SEGMENTATION, "workers": 2, "checkpoint_seconds": 3600})
    run_methods(config, None, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)


def test_ctrl_c_while_labelling_loses_nothing(tmp_path, data, whole, monkeypatch):
    real, calls = segmentation.label_images, []

    def label(*words, **more):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(segmentation, "label_images", label)
        with pytest.raises(KeyboardInterrupt, match="run the same again"):
            run_methods(CONFIG, data, tmp_path / "run")
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)


@pytest.mark.parametrize("name", ["label.u8", "index.json", "histogram.npz"])
@pytest.mark.filterwarnings("ignore:.*damaged")
def test_damaged_labels_are_made_again_from_the_model(tmp_path, data, whole, begun, name):
    (victim,) = begun.glob(f"supervised/phase_0/B/labels/{name}")
    victim.write_bytes(victim.read_bytes()[:-7])
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)
    assert f"labels/{name}: damaged or gone" in (tmp_path / "run" / "notes.log").read_text()


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_labels_of_another_run_are_not_taken(tmp_path, data, whole, begun):
    index = begun / "supervised" / "phase_0" / "A" / "labels" / "index.json"
    write_json(index, {**read_json(index), "owner": "model-of-another-run.pt"})
    run_methods(CONFIG, data, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(whole.path)
    assert "labels/index.json: damaged or gone" in (tmp_path / "run" / "notes.log").read_text()


def taught(monkeypatch, config, data, folder):
    """From whose labels every model of every phase learned."""
    told = {}
    real = segmentation.Segmentation.batches

    def batches(self, training):
        if training.learns == "labels":
            told[training.key] = self.kept(training).store.folder.relative_to(folder).as_posix()
        return real(self, training)

    monkeypatch.setattr(segmentation.Segmentation, "batches", batches)
    run_methods(config, data, folder)
    return told


def test_each_model_learns_the_others_labels_as_the_phase_starts(tmp_path, data, monkeypatch):
    told = taught(monkeypatch, CONFIG, data, tmp_path / "run")
    assert told["dmt", 1, "A"] == "supervised/phase_0/B/labels"
    assert told["dmt", 1, "B"] == "supervised/phase_0/A/labels"
    assert told["dmt", 2, "A"] == "dmt/phase_1/B/labels"
    assert told["dmt", 2, "B"] == "dmt/phase_1/A/labels", "not A of phase 2, which is trained by then"
    assert told["cbst", 2, "A"] == "cbst/phase_1/A/labels"


def test_a_phase_starts_from_its_own_models_last_weights(whole):
    def weights(place):
        (path,) = whole.path.glob(f"{place}/model-*.pt")
        return torch.load(path, weights_only=True)["model"]["backbone.layers.0.0.weight"]

    a, b = weights("supervised/phase_0/A"), weights("supervised/phase_0/B")
    assert not torch.equal(a, b), "A and B start from initialisations of their own"
    after = weights("dmt/phase_1/A")
    assert (after - a).abs().mean() < (after - b).abs().mean()


def test_what_a_phase_leaves_for_showing(whole):
    phase = whole.phases("dmt")[0].model_folder("B")
    summary = phase.summary
    assert 0.4 < summary["kept"] / summary["pixels"] < 0.6
    assert set(summary["auroc"]) == {"start", "middle", "end"}
    assert sum(summary[f"share_{case}"] for case in ("agree", "negative", "positive")) == pytest.approx(1)
    for share, threshold in zip(summary["kept_share"], summary["threshold"], strict=True):
        assert (share is None) == (threshold is None)
        assert share is None or 0.3 < share <= 1
    fixed, asked = phase.arrays("samples"), phase.arrays("probe_middle")
    position = next(iter(fixed)).split("/")[0]
    shape = fixed[f"{position}/image"].shape[:2]
    assert {asked[f"{position}/{name}"].shape for name in ("y_B", "c_B", "p_B", "w")} == {shape}
    again = whole.phases("dmt")[1].model_folder("B").arrays("samples")
    np.testing.assert_array_equal(fixed[f"{position}/image"], again[f"{position}/image"])


def test_dropped_labels_do_not_matter_to_a_resumed_run(tmp_path, data):
    values = {**TINY_SEGMENTATION, "keep_labels": False, "checkpoint_seconds": 0, "label_ratios": (0.3, 0.6, 1.0)}
    config = make_config({**values, "methods": ("dmt",)})
    run_methods(config, data, tmp_path / "whole")
    assert not (tmp_path / "whole" / "dmt" / "phase_1" / "A" / "labels").exists()
    relay(lambda progress: run_methods(config, data, tmp_path / "run", progress=progress), every=4)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")


def test_the_best_snapshot_is_chosen_on_held_out_images_and_resumes(tmp_path):
    values = {**TINY_SEGMENTATION, "snapshot": "best", "val": 1, "methods": ("supervised",), "checkpoint_seconds": 0}
    values |= {"baseline_epochs": 8, "log_points": 8}
    config = make_config(values)
    run = run_methods(config, None, tmp_path / "whole")
    with pytest.raises(Stop):
        run_methods(config, None, tmp_path / "run", progress=stop_after(5))
    run_methods(config, None, tmp_path / "run")
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")
    assert "val_miou" in run.metrics
    (path,) = (tmp_path / "whole").glob("supervised/phase_0/A/model-*.pt")
    assert "kept" in torch.load(path, weights_only=True)


def test_the_labels_of_every_phase_are_kept_also_of_the_last(whole):
    assert len(list(whole.path.glob("*/phase_2/*/labels"))) == len(list(whole.path.glob("*/phase_1/*/labels"))) == 3
    last = whole.phases("dmt")[-1].model_folder("A")
    labels = open_labels(
        last.folder / "labels", last.models.name, tuple(read_json(whole.path / "split.json")["unlabeled"])
    )
    assert labels.label(3).shape == (24, 24)
    assert labels.level(3).max() > 0


def test_a_phase_of_a_single_step(data, tmp_path):
    config = make_config({**TINY_SEGMENTATION, "batch_pseudo": 12, "methods": ("cbst",), "label_ratios": (1.0,)})
    run = run_methods(config, data, tmp_path / "run")
    assert set(run.phases("cbst")[0].model_folder("A").summary["auroc"]) == {"start", "middle", "end"}


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_labels_that_were_dropped_are_made_again_for_a_damaged_student(data, tmp_path):
    values = {**TINY_SEGMENTATION, "keep_labels": False, "methods": ("dmt",), "label_ratios": (0.3, 0.6, 1.0)}
    run = run_methods(make_config(values), data, tmp_path / "run")
    before = fingerprint(run.path)
    (run.path / "DONE.json").unlink()
    (victim,) = run.path.glob("dmt/phase_2/A/model-*.pt")
    victim.write_bytes(victim.read_bytes()[:100])
    run_methods(make_config(values), data, tmp_path / "run")
    assert fingerprint(run.path) == before
    assert not list(run.path.glob("*/phase_*/*/labels"))
