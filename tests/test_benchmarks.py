"""The benchmarks that wait for a GPU run here at a tiny size; committed results say where they come from."""

import json
from pathlib import Path

import pytest

from benchmarks import gpu, gpu_cifar, loss, peers, performance, profile, readme, scaling
from tests.helpers import make_tree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.long
def test_gpu_cifar_at_a_tiny_size(tmp_path, capsys):
    make_tree(tmp_path / "data", per_class=30)
    words = [
        str(tmp_path / "data"),
        "--minutes",
        "0.0001",
        "--steps",
        "1",
        "--name",
        "",
        "--output",
        str(tmp_path / "o"),
    ]
    for pair in ("labels=4", "val=2", "model=wrn-10-1", "batch_labeled=4", "batch_pseudo=8", "device=cpu", "epochs=3"):
        words += ["-p", pair]
    gpu_cifar.main(gpu_cifar.parse(words))
    assert "'images_per_second': {'supervised':" in capsys.readouterr().out
    done = json.loads((tmp_path / "o" / "DONE.json").read_text())
    assert set(done["results"]) == {"supervised", "cl", "dmt"}


@pytest.mark.long
def test_all_that_waits_for_a_gpu_at_a_tiny_size(monkeypatch):
    monkeypatch.setattr(loss.torch, "compile", lambda function: function)  # what compiles has tests of its own
    results = gpu.main(gpu.parse(["--tiny", "--device", "cpu", "--name", ""]))
    (step,) = results["steps"]["steps"].values()
    assert set(step["seconds"]) == {"reference", "fp32", "bf16"}
    assert min(step["seconds"].values()) > 0 < step["gflop_a_step"]
    assert results["loss"]["seconds"]["dynamic"] > 0
    (labels,) = results["labelling"]["time"].values()
    assert labels["bytes_a_pixel"] == 3 < 8 <= labels["bytes_a_pixel_reference"]
    assert results["augmentation"]["sizes"]


@pytest.mark.long
def test_where_a_steps_time_goes_adds_up(monkeypatch):
    found = profile.main(
        profile.parse(["wrn-10", "--steps", "1", "--device", "cpu", "--precision", "fp32", "--name", ""])
    )
    (row,) = found.values()
    assert sum(row["share"].values()) == pytest.approx(1, abs=0.01)
    assert row["share"]["convolution, forward"] > 0 < row["share"]["convolution, backward"]


@pytest.mark.long
def test_scaling_measures_every_part_alone(capsys):
    results = scaling.main(scaling.parse(["--sizes", "600", "--name", ""]))
    assert set(results) == set(scaling.PARTS)
    assert all(row["600"]["peak_mib"] > 50 for row in results.values())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path):
    assert {"command", "commit", "date", "machine", "results"} == set(json.loads(path.read_text()))


def test_the_readme_quotes_the_results_as_they_came():
    text = (ROOT / "README.md").read_text()
    assert readme.render(text) == text, "run python -m benchmarks.readme"


@pytest.mark.skipif(not (peers.RESULTS / "peers.json").is_file(), reason="not measured yet")
def test_the_page_on_methods_quotes_the_results_as_they_came():
    text = peers.PAGE.read_text()
    assert peers.render(text) == text, "run python -m benchmarks.peers"


def test_the_page_on_speed_quotes_the_results_as_they_came():
    assert performance.PAGE.read_text() == performance.render(), "run python -m benchmarks.performance"
