"""Accuracy and mIoU of params files over seeds that nothing was tuned on, and on photographs; each goes on where it was stopped."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import OUTPUTS, ROOT, rounded, seconds, summary
from dmtkit.config import make_config
from dmtkit.params import load_params
from dmtkit.results.tables import error_table, phase_table
from dmtkit.runs.run import Run, load_run
from dmtkit.training.experiment import run_methods

SEEDS = (1, 2, 3, 4, 5)
SCORES = ("w", "p_B", "c_A", "p_B·c_A")


def over_seeds(params: str, variants: list[dict[str, Any]], pairs: list[tuple[str, str]]) -> tuple[dict, list[Run]]:
    """Run an experiment in each of its `variants` (a seed, a split); every method's metric, and paired differences."""
    values = load_params(ROOT / "params" / f"{params}.yaml")
    rows, runs = [], []
    for variant in variants:
        started = time.monotonic()
        name = "_".join(f"{key}-{value}" for key, value in variant.items())
        runs.append(run_methods(make_config({**values, **variant}), output_dir=OUTPUTS / f"{params}_{name}"))
        metric = runs[-1].task.metric
        scores = {method: round(result[metric], 2) for method, result in runs[-1].results.items()}
        rows.append({**variant, "seconds": round(time.monotonic() - started, 1), **scores})
        print(rows[-1], flush=True)
    differences = {f"{a} - {b}": [row[a] - row[b] for row in rows] for a, b in pairs}
    results = {
        "per_seed": rows,
        metric: {name: summary([row[name] for row in rows]) for name in values["methods"]},
        "paired_difference": {name: with_seeds(each, 2) for name, each in differences.items()},
    }
    return results, runs


def with_seeds(each: list[float], digits: int) -> dict[str, Any]:
    """The value of every seed beside mean and standard deviation."""
    return {"per_seed": [round(value, digits) for value in each], **summary(each)}


def digits(*seeds: int) -> dict[str, Any]:
    """Digits over seeds: accuracy of each method, and differences seed by seed."""
    pairs = [("dmt", "supervised"), ("dmt", "cl"), ("cl", "supervised")]
    results, runs = over_seeds("digits", [{"seed": seed} for seed in seeds or SEEDS], pairs)
    return {"labels_per_class": runs[0].config.labels, **results}


def scenes(*seeds: int) -> dict[str, Any]:
    """Digit scenes over seeds, each also a split: mIoU, differences, and the search for wrong labels."""
    pairs = [("dmt", "supervised"), ("dmt", "cbst"), ("cbst", "supervised")]
    results, runs = over_seeds("scenes", [{"seed": seed, "split": seed} for seed in seeds or SEEDS], pairs)
    results["dmt_models"] = {name: summary([run.results["dmt"][name] for run in runs]) for name in ("A", "B", "A+B")}
    results["phases"] = {
        method: np.mean([run.results[method]["phases"] for run in runs], 0).round(2).tolist()
        for method in ("cbst", "dmt")
    }
    return results | {"error_search": error_search(runs)}


def error_search(runs: list[Run]) -> list[dict[str, Any]]:
    """AUROC of finding wrong labels by each low score, mean ± sd over the runs, by method, phase and time."""
    rows = []
    for method, model in (("cbst", "A"), ("dmt", "B")):  # whose labels are looked at: B learns A's
        for position in range(len(runs[0].phases(method))):
            found = [run.phases(method)[position].model_folder(model).summary["auroc"] for run in runs]
            for time_ in ("start", "middle", "end"):
                known = [
                    auroc[time_] for auroc in found if None not in auroc[time_].values()
                ]  # None: no label was wrong
                means = {score: summary([auroc[score] for auroc in known]) for score in SCORES}
                gap = with_seeds([auroc["w"] - auroc["c_A"] for auroc in known], 3)
                rows.append({"method": method, "phase": position + 1, "time": time_, **means, "w - c_A": gap})
    return rows


def precision(params: str, seeds: tuple[int, ...], split: bool) -> dict[str, Any]:
    """bf16 beside fp32, the same seeds in both."""
    rows, means = {}, {}
    for name in ("fp32", "bf16"):
        variants = [{"seed": seed, "precision": name, **({"split": seed} if split else {})} for seed in seeds or SEEDS]
        results, runs = over_seeds(params, variants, [])
        metric = runs[0].task.metric
        rows[name] = [{key: value for key, value in row.items() if key != "seconds"} for row in results["per_seed"]]
        means[name] = results[metric]
    differences = {
        method: [round(b[method] - a[method], 2) for a, b in zip(rows["fp32"], rows["bf16"], strict=True)]
        for method in means["fp32"]
    }
    return {
        "metric": metric,
        "precision": {name: {"per_seed": rows[name], metric: means[name]} for name in rows},
        "bf16_minus_fp32": {method: with_seeds(each, 2) for method, each in differences.items()},
    }


def precision_digits(*seeds: int) -> dict[str, Any]:
    """Accuracy of digits in bf16 beside fp32."""
    return precision("digits", seeds, split=False)


def precision_scenes(*seeds: int) -> dict[str, Any]:
    """mIoU of digit scenes in bf16 beside fp32."""
    return precision("scenes", seeds, split=True)


def timed_run(params: str, data_dir: str, place: dict[str, int]) -> tuple[Run, dict[str, Any]]:
    """`dmtkit run` of a params file on data that lies elsewhere; its time where it was not begun before."""
    folder = OUTPUTS / f"{params}-seed-{place['seed']}"
    fresh = not folder.exists()
    settings = place | {"data_dir": Path(data_dir).resolve()}
    words = [word for name, value in settings.items() for word in ("-p", name, str(value))]
    wall = seconds("-m", "dmtkit", "run", f"params/{params}.yaml", *words, "--output", str(folder))
    run = load_run(folder)
    times = {"wall_seconds": round(wall, 1) if fresh else None, "computing_seconds": round(run.done["seconds"], 1)}
    return run, place | times


def cifar10_cpu(data_dir: str, *seeds: int) -> list[dict[str, Any]]:
    """Real CIFAR-10 on two CPU cores; DATA_DIR holds train/<class>/*.jpg and test/<class>/*.jpg."""
    rows = []
    for seed in seeds or SEEDS[:1]:
        run, row = timed_run("cifar10_cpu", data_dir, {"seed": seed})
        row["accuracy"] = rounded({name: result["accuracy"] for name, result in run.results.items()}, 2)
        rows.append(row | {"dmt_phases": _records(phase_table(run, "dmt"))})
    return rows


def camvid(data_dir: str, *seeds: int) -> list[dict[str, Any]]:
    """Street photographs on two CPU cores; DATA_DIR holds JPEGImages, SegmentationClass and ImageSets; a seed is also the split."""
    rows = []
    for seed in seeds or SEEDS[:1]:
        run, row = timed_run("camvid_8", data_dir, {"seed": seed, "split": seed})
        row["results"] = run.results
        row["class_iou"] = {name: run.phases(name)[-1].summary["iou"] for name in run.methods}
        row["dmt_phases"] = _records(phase_table(run, "dmt", "B"))
        rows.append(row | {"error_search": _records(error_table(run, "dmt", "B"))})
    return rows


def _records(table: Any) -> list[dict[str, Any]]:
    return table.reset_index().round(3).to_dict("records")
