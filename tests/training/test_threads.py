"""Threads of a run: one where steps are small, all where they are not; what a run began with, it goes on with."""

from pathlib import Path

import pytest
import torch
import yaml

from dmtkit.config import make_config
from dmtkit.errors import ConfigError
from dmtkit.runs.folder import refuse_other_run
from dmtkit.training import experiment
from dmtkit.training.experiment import load_data, run_methods, start_session, with_threads
from tests.helpers import TINY, TINY_SEGMENTATION, Stop, fingerprint, make_tree, stop_after

SCENES = {"task": "segmentation", "scenes": 12, "denominator": 3}
LARGE = {"model": "deeplab-resnet18", "crop": (321, 321), "batch_labeled": 1, "batch_pseudo": 7}


@pytest.fixture
def four():
    """Torch may use four threads."""
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(1)


def number(values):
    config = make_config(values)
    with with_threads(start_session(config, load_data(config)).task, Path("no/run")) as used:
        assert used.threads == torch.get_num_threads()
    assert torch.get_num_threads() == 4
    return used.threads


@pytest.mark.parametrize(
    ("values", "expected"), [({}, 1), (SCENES, 1), (SCENES | LARGE, 4), ({"threads": 3}, 3), ({"threads": 9}, 4)]
)
def test_small_steps_take_one_thread_and_large_ones_all(four, values, expected):
    assert number(values) == expected


@pytest.mark.parametrize(("batch", "expected"), [((64, 448), 4), ((1, 2), 1)])
def test_what_counts_is_the_whole_step(four, tmp_path, batch, expected):
    make_tree(tmp_path / "data", size=32)
    values = {"dataset": "folder", "data_dir": str(tmp_path / "data"), "model": "wrn-28-2", "labels": 2, "val": 2}
    assert number(values | dict(zip(("batch_labeled", "batch_pseudo"), batch, strict=True))) == expected


def test_a_number_is_checked_and_is_no_other_run(tmp_path):
    for wrong in (0, "many", 1.5):
        with pytest.raises(
            ConfigError, match=f"^1 bad parameter:\n  - threads: found '?{wrong}'?, expected auto or a number"
        ):
            make_config({"threads": wrong})
    assert make_config({"threads": "2"}).threads == 2
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**TINY, "threads": 2}))
    refuse_other_run(make_config(TINY), tmp_path)


def started(folder, **values):
    """A run stopped early; its config.yaml."""
    with pytest.raises(Stop):
        run_methods(
            make_config({**TINY_SEGMENTATION, "methods": ("supervised",), **values}), None, folder, stop_after(3)
        )
    return yaml.safe_load((folder / "config.yaml").read_text())


def resumed(folder, seen, **values):
    config = make_config({**TINY_SEGMENTATION, "methods": ("supervised",), **values})
    return run_methods(config, None, folder, lambda progress: seen.add(torch.get_num_threads()))


def test_a_run_goes_on_with_the_threads_that_it_began_with(four, tmp_path, monkeypatch):
    assert started(tmp_path)["threads"] == 1
    monkeypatch.setattr(experiment, "SMALL_STEP", 0)
    seen = set()
    assert resumed(tmp_path, seen).config.threads == 1
    assert seen == {1}
    assert not (tmp_path / "notes.log").exists()


def test_a_run_of_an_earlier_version_goes_on_with_all(four, tmp_path):
    values = started(tmp_path / "old", threads=4)
    values.pop("threads")
    (tmp_path / "old" / "config.yaml").write_text(yaml.safe_dump(values))
    seen = set()
    old = resumed(tmp_path / "old", seen)
    assert seen == {4}
    assert not (old.path / "notes.log").exists()
    assert fingerprint(old.path) == fingerprint(resumed(tmp_path / "new", seen, threads=4).path)
