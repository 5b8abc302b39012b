"""Finished runs made by hand, as a batch leaves them, and a folder of them with much that is no run."""

import json
import shutil

import pytest
import yaml

from dmtkit.config import make_config

VOC = {"task": "segmentation", "experiment": "voc_50", "published": "voc_50"}


def put(root, values, name=None, drop=(), **config):
    """A finished run by hand: `values` gives per method its metric, or the metric after every phase."""
    made = make_config({**config, "methods": tuple(values)})
    folder = root / made.experiment / (name or made.variant)
    folder.mkdir(parents=True)
    written = {key: value for key, value in made.model_dump(mode="json").items() if key not in drop}
    (folder / "config.yaml").write_text(yaml.safe_dump(written))
    metric = "miou" if made.task == "segmentation" else "accuracy"
    results = {}
    for method, value in values.items():
        phases = value if isinstance(value, list) else [value]
        results[method] = {metric: phases[-1], "phases": phases}
        if made.task == "segmentation":
            results[method] |= {"A": phases[-1], "B": phases[-1] - 1}
    done = {"experiment": made.experiment, "dataset": made.dataset, "task": made.task, "seed": made.seed}
    done |= {"split": getattr(made, "split", made.seed), "seconds": 1.5, "results": results}
    (folder / "DONE.json").write_text(json.dumps(done))
    return folder


@pytest.fixture
def three(tmp_path):
    """Three seeds of digits, a method a folder, as a batch leaves them."""
    for seed, (low, high) in enumerate([(80.0, 90.5), (82.5, 91.0), (81.0, 93.25)], start=1):
        put(tmp_path, {"supervised": low}, seed=seed, name=f"seed-{seed}_methods-supervised", label_ratios=(0.5, 1.0))
        put(tmp_path, {"dmt": [low + 1, high]}, seed=seed, name=f"seed-{seed}_methods-dmt", label_ratios=(0.5, 1.0))
    return tmp_path


@pytest.fixture
def spoiled(three):
    """What people and crashes leave behind."""
    digits = three / "digits"
    for name, done in {
        "torn": '{"experiment": "dig',
        "list": "[1, 2]",
        "lacking": '{"experiment": "digits"}',
        "binary": b"\xff\xfe\x00",
        "deep": "[" * 100_000,
        "words": {"task": "knitting"},
        "seedless": {"seed": "one"},
        "shapeless": {"results": {"dmt": 3}},
    }.items():
        folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / name)
        if isinstance(done, dict):
            done = json.dumps(json.loads((folder / "DONE.json").read_text()) | done)
        (folder / "DONE.json").write_bytes(done if isinstance(done, bytes) else done.encode())
    for name, text in {"yaml": "a: [", "text": "hello", "keys": "1: 2"}.items():
        shutil.copytree(digits / "seed-1_methods-dmt", digits / name)
        (digits / name / "config.yaml").write_text(text)
    (shutil.copytree(digits / "seed-1_methods-dmt", digits / "bare") / "config.yaml").unlink()
    folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / "nan")
    (folder / "DONE.json").write_text((folder / "DONE.json").read_text().replace("90.5", "NaN"))
    folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / "folder")
    (folder / "DONE.json").unlink()
    (folder / "DONE.json").mkdir()
    (shutil.copytree(digits / "seed-1_methods-dmt", digits / "going-on") / "DONE.json").unlink()
    (three / "holiday.jpg").write_bytes(b"x")
    (three / "config.yaml").write_text("a stray copy above all runs")
    logs = three / "lightning_logs" / "version_0"
    logs.mkdir(parents=True)
    for i in range(7):
        (logs / f"{i}.ckpt").touch()
    for name in (".baselines", "benchmarks"):
        shutil.copytree(digits / "seed-1_methods-dmt", three / name / "run")
    (three / ".gitkeep").touch()
    return three


BAD = [
    "torn",
    "list",
    "lacking",
    "binary",
    "deep",
    "words",
    "seedless",
    "shapeless",
    "yaml",
    "text",
    "keys",
    "bare",
    "nan",
    "folder",
]
