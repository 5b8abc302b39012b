"""One run as tables: measured beside published, phase by phase. Reads its run folder alone."""

from typing import TYPE_CHECKING

import pandas as pd

from dmtkit.results.style import CASES
from dmtkit.runs.published import published

if TYPE_CHECKING:
    from dmtkit.runs.phase import Phase
    from dmtkit.runs.run import Run  # importing it loads torch, which reading tables needs not


def results_table(run: "Run") -> pd.DataFrame:
    """The test metric in percent of every method of a finished run, beside the published one (empty where none is).

    Of two models, A is the method's; B and their mean stand beside it.
    """
    metric, test = run.task.metric, f"test {run.task.label} (%)"
    known = published(run.config.published or "").dropna(subset="method").set_index("method")["value"]
    table = pd.DataFrame.from_dict(run.results, orient="index").rename(columns={metric: test}).rename_axis("method")
    if "supervised" in table.index:
        table["over supervised"] = table[test] - run.results["supervised"][metric]
    table["published (%)"] = known.reindex(table.index)
    order = [test, "over supervised", "B", "A+B", "published (%)"]
    return table[[name for name in order if name in table]].round(2)


def phase_table(run: "Run", method: str = "dmt", model: str = "") -> pd.DataFrame:
    """Per phase: the test metric, kept labels, mean weight, and share and accuracy of each case.

    Columns that need the truth are absent where it is not known. Shares and accuracies are in percent. `model` is
    the student, where two are trained side by side: the row tells of the labels that it learned.
    """
    row = _pixel_row if run.task.pixels else _row
    return pd.DataFrame([row(phase, model) for phase in run.phases(method)]).set_index("phase")


def class_table(run: "Run", method: str = "dmt", model: str = "B", phase: int = -1) -> pd.DataFrame:
    """Of one phase, per class: share kept, threshold, and precision and recall of the labels in each case, in percent."""
    summary = run.phases(method)[phase].model_folder(model).summary
    table = pd.DataFrame({"kept (%)": summary["kept_share"], "threshold": summary["threshold"]}, run.classes)
    table["kept (%)"] *= 100
    rows = pd.DataFrame(summary["cases"])
    for name in ("precision", "recall"):
        if name in rows:
            wide = rows.pivot(index="class", columns="case", values=name)
            table = table.join(wide[["all", *CASES]].add_prefix(f"{name} "))
    return table


def error_table(run: "Run", method: str = "dmt", model: str = "B") -> pd.DataFrame:
    """AUROC of finding wrong labels by each low score, at the start, the middle and the end of every phase."""
    rows = [
        {"phase": phase.number, "time": time, **scores}
        for phase in run.phases(method)
        for time, scores in phase.model_folder(model).summary["auroc"].items()
    ]
    return pd.DataFrame(rows).set_index(["phase", "time"])


def _row(phase: "Phase", model: str) -> dict[str, object]:
    summary = phase.summary
    row = {"phase": phase.number, "test accuracy": summary["accuracy"], "kept": summary["kept"]}
    row |= {"threshold": summary.get("threshold"), "mean w": summary.get("mean_weight")}
    cases = {case["case"]: case for case in summary.get("cases", [])}
    row |= {f"share {name}": 100 * cases[name]["share"] for name in CASES if name in cases}
    if "label_accuracy" in summary:
        row["right labels"] = summary["label_accuracy"]
        row |= {f"right {name}": cases[name].get("accuracy") for name in CASES}
    return row


def _pixel_row(phase: "Phase", model: str) -> dict[str, object]:
    summary = phase.model_folder(model).summary
    row = {"phase": phase.number} | {f"mIoU {name}": value for name, value in phase.summary["miou"].items()}
    row |= {"kept pixels": 100 * summary["kept"] / summary["pixels"], "mean w": summary["mean_weight"]}
    row |= {f"share {case}": 100 * summary[f"share_{case}"] for case in CASES}
    cases = {case["case"]: case for case in summary["cases"] if case["class"] == "all"}
    if "precision" in cases["all"]:
        row |= {"mIoU of labels": summary["label_miou"], "right labels": cases["all"]["precision"]}
        row |= {f"right {case}": cases[case].get("precision") for case in CASES}
    return row
