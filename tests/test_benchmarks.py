"""The benchmarks that wait for a GPU run here at a tiny size; committed results say where they come from."""

import json
from pathlib import Path

import pytest

from benchmarks import gpu_cifar, gpu_segmentation, readme
from tests.helpers import make_tree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.slow
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


@pytest.mark.slow
def test_gpu_segmentation_at_a_tiny_size():
    words = [
        "--model",
        "deeplab-tiny",
        "--crop",
        "16",
        "--batch",
        "2",
        "--steps",
        "1",
        "--images",
        "3",
        "--size",
        "24",
        "--device",
        "cpu",
        "--name",
    ]
    results = gpu_segmentation.main(gpu_segmentation.parse([*words, ""]))
    assert results["fp32"]["seconds"] > 0
    assert results["bf16"]["images_labeled_a_second"] > 0


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path):
    assert {"command", "commit", "date", "machine", "results"} == set(json.loads(path.read_text()))


def test_the_readme_quotes_the_results_as_they_came():
    text = (ROOT / "README.md").read_text()
    assert readme.render(text) == text, "run python -m benchmarks.readme"
