"""Every method on the embedded data, run by `dmtkit batch` and reported by `dmtkit report`: docs/results/ and its numbers.

Usage: python -m benchmarks.ablations [BATCH …], such as scenes; goes on where an earlier start stopped.
"""

import subprocess
import sys
from collections import Counter
from typing import Any

from benchmarks.common import ROOT, write_result
from dmtkit.files import read_json
from dmtkit.results.tables import all_tables, collect, findings_table
from dmtkit.results.tables.collect import Collected

PAPER = "supervised,oracle,online_st,{},dst,dmt_naive,dmt_flip,dmt"
BATCHES = {
    "digits": ["params/digits.yaml", "--seeds", "1-5", "--methods", PAPER.format("cl"), "--workers", "2"],
    "scenes": ["params/scenes.yaml", "--splits", "1-3", "--methods", PAPER.format("cbst"), "--workers", "2"],
}
REPORT = ["report", *(word for name in BATCHES for word in ("--experiment", name))]
REPORT += ["--format", "csv", "--output", "docs/results"]
FIGURES = {"methods": "every seed and split", "progress": "phase by phase", "paired": "differences to the baseline"}


def dmtkit(words: list[str]) -> None:
    """Run a command of the kit, as one would type it."""
    print("dmtkit", *words, flush=True)
    subprocess.run([sys.executable, "-m", "dmtkit", *words], cwd=ROOT, check=True)


def page(collected: Collected, machine: str, date: str) -> str:
    """docs/results/README.md: the commands, and every table with its figure."""
    lines = [
        "# Results: every method on the embedded data",
        "",
        f"Written by `python -m benchmarks.ablations` ({machine}, {date}); the numbers behind it are in "
        "`benchmarks/results/ablations.json` and the CSV files here. The runs and the tables again:",
        "",
        "```sh",
        *(f"dmtkit batch {' '.join(words)}" for words in BATCHES.values()),
        f"dmtkit {' '.join(REPORT)}",
        "```",
        "",
        "Settings were chosen on seeds (and splits) 101 and 102 for the supervised baseline, self-training and DMT; nothing was "
        "tuned for the other methods, nor on anything reported here.",
    ]
    for table in all_tables(collected):
        lines += ["", f"## {table.caption}", "", str(table).partition("\n\n")[2].rstrip()]
        kind, _, experiment = table.name.partition("_")
        for figure in {"methods": ["methods", "paired"], "phases": ["progress"]}.get(kind, []):
            lines += ["", f"![{experiment}: {FIGURES[figure]}]({figure}_{experiment}.png)"]
    return "\n".join(lines) + "\n"


def numbers(collected: Collected) -> dict[str, Any]:
    """What the tables are made of: every run's result, every phase's, and the verdicts."""
    runs = collected.runs[["experiment", "method", "seed", "split", "value", "A", "B", "A+B", "seconds"]]
    runs = runs.sort_values(["experiment", "method", "seed", "split"])
    phases = collected.phases.groupby(["experiment", "method", "phase"])["value"].mean().round(2)
    commits = Counter(
        read_json(collected.root / folder / "environment.json")["commit"] for folder in set(collected.runs["folder"])
    )
    verdicts = {}
    for experiment in collected.experiments:
        rows = findings_table(collected, experiment).tidy[["claim", "verdict", "measured"]]
        verdicts[experiment] = rows.to_dict("records")
    return {
        "runs": [
            {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items() if v == v}
            for row in runs.to_dict("records")
        ],
        "phases": {"/".join(map(str, key)): value for key, value in phases.items()},
        "findings": verdicts,
        "commits_of_the_runs": dict(commits),
    }


def main(chosen: list[str]) -> None:
    for name in chosen or BATCHES:
        dmtkit(["batch", *BATCHES[name]])
    dmtkit(REPORT)
    collected = collect(ROOT / "outputs", list(BATCHES))
    written = read_json(write_result("ablations", numbers(collected)))
    (ROOT / "docs" / "results" / "README.md").write_text(page(collected, written["machine"], written["date"]))


if __name__ == "__main__":
    main(sys.argv[1:])
