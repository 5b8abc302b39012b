"""A short run that ends at any of its file operations, and again at another; `make crash` tries every one."""

from itertools import islice

import pytest

from dmtkit import files
from tests.crash import SETTINGS, try_all

SHORT = {
    "classification": {"methods": ("cl",), "baseline_epochs": 1, "label_ratios": (0.02,), "log_points": 1},
    "segmentation": {"methods": ("cbst",), "baseline_epochs": 1, "label_ratios": (0.5,), "log_points": 1, "scenes": 8},
}


@pytest.mark.long
def test_ended_at_every_file_operation_a_run_goes_on_to_the_same_bits(tmp_path):
    *_, tried = try_all(SETTINGS["classification"] | SHORT["classification"], tmp_path)
    assert not tried["wrong"]
    assert 100 < tried["once"] + tried["twice"] == tried["operations"] <= 150


@pytest.mark.long
@pytest.mark.parametrize(("every", "ranks"), [(25, 1), (60, 2)])
def test_ended_at_some_file_operation_a_run_with_masks_goes_on_to_the_same_bits(every, ranks, tmp_path):
    *_, tried = try_all(SETTINGS["segmentation"] | SHORT["segmentation"], tmp_path, every, ranks)
    assert not tried["wrong"]
    assert tried["operations"] > 150


@pytest.mark.long
def test_files_that_are_written_in_place_are_found_out(tmp_path, monkeypatch):
    def in_place(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    monkeypatch.setattr(files, "write_atomically", in_place)
    tried = try_all(SETTINGS["classification"] | SHORT["classification"], tmp_path)
    assert any(told["wrong"] for told in islice(tried, 30)), "split.json is half written, which nothing can mend"
