"""Runs as tables: measured beside published. Reads run folders alone."""

from typing import TYPE_CHECKING

from dmtkit.metrics import CASES
from dmtkit.published import published
from dmtkit.runs import Phase, Run

if TYPE_CHECKING:
    import pandas as pd


def results_table(run: Run) -> "pd.DataFrame":
    """Test accuracy in percent of every method of a finished run, beside the published one (empty where none is)."""
    import pandas as pd

    rows = []
    known = published(run.config.published or "").dropna(subset="method").set_index("method")["value"]
    base = run.results.get("supervised", {}).get("accuracy")
    for name, result in run.results.items():
        row = {"method": name, "test accuracy (%)": round(result["accuracy"], 2)}
        if base is not None:
            row["over supervised"] = round(result["accuracy"] - base, 2)
        row["published (%)"] = known.get(name)
        rows.append(row)
    return pd.DataFrame(rows).set_index("method")


def phase_table(run: Run, method: str = "dmt") -> "pd.DataFrame":
    """Per phase: test accuracy, kept labels, threshold, mean weight, and share and accuracy of each case.

    Columns that need the truth are absent where it is not known. Shares and accuracies are in percent.
    """
    import pandas as pd

    return pd.DataFrame([_row(phase) for phase in run.phases(method)]).set_index("phase")


def _row(phase: Phase) -> dict[str, object]:
    summary = phase.summary
    row: dict[str, object] = {
        "phase": phase.number,
        "test accuracy": summary["accuracy"],
        "kept": summary["kept"],
        "threshold": summary.get("threshold"),
        "mean w": summary.get("mean_weight"),
    }
    cases = {case["case"]: case for case in summary.get("cases", [])}
    row |= {f"share {name}": 100 * cases[name]["share"] for name in CASES if name in cases}
    if "label_accuracy" in summary:
        row["right labels"] = summary["label_accuracy"]
        row |= {f"right {name}": cases[name].get("accuracy") for name in CASES}
    return row
