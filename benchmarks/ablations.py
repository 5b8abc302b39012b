"""Every method on the embedded data, run by `dmtkit batch` and reported by `dmtkit report`: docs/results/ and its numbers."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks import pages
from benchmarks.common import ROOT, load
from dmtkit.files import read_json
from dmtkit.results.tables import all_tables, collect, findings_table
from dmtkit.results.tables.collect import Collected

PAPER = "supervised,oracle,online_st,{},dst,dmt_naive,dmt_flip,dmt"
BATCHES = {
    "digits": ["batch", "params/digits.yaml", "--seeds", "1-5", "--methods", PAPER.format("cl"), "--workers", "2"],
    "scenes": ["batch", "params/scenes.yaml", "--splits", "1-3", "--methods", PAPER.format("cbst"), "--workers", "2"],
}
REPORT = ["report", "--experiment", "digits", "--experiment", "scenes", "--format", "csv", "--output", "docs/results"]


def ablations(*batches: str) -> Iterator[dict[str, Any]]:
    """All batches, or those named (digits, scenes); goes on where an earlier start stopped."""
    for words in [*(BATCHES[name] for name in batches or BATCHES), REPORT]:
        print("dmtkit", *words, flush=True)
        subprocess.run([sys.executable, "-m", "dmtkit", *words], cwd=ROOT, check=True)
    collected = collect(ROOT / "outputs", list(BATCHES))
    yield numbers(collected)
    (ROOT / "docs" / "results" / "README.md").write_text(page(collected, load("ablations")))


def page(collected: Collected, found: dict[str, Any]) -> str:
    """docs/results/README.md: the commands, and every table with its figure."""
    commands = [" ".join(words) for words in [*BATCHES.values(), REPORT]]
    return pages.macros({}).results_page(found, commands, all_tables(collected))


def numbers(collected: Collected) -> dict[str, Any]:
    """What the tables are made of: every run's result, every phase's, and the verdicts."""
    runs = collected.runs[["experiment", "method", "seed", "split", "value", "A", "B", "A+B", "seconds"]]
    rows = runs.sort_values(["experiment", "method", "seed", "split"]).round(2).to_dict("records")
    phases = collected.phases.groupby(["experiment", "method", "phase"])["value"].mean().round(2)
    environments = [collected.root / folder / "environment.json" for folder in set(collected.runs["folder"])]
    verdicts = {name: findings_table(collected, name).tidy for name in collected.experiments}
    return {
        "runs": [{name: value for name, value in row.items() if value == value} for row in rows],
        "phases": {"/".join(map(str, key)): value for key, value in phases.items()},
        "findings": {
            name: table[["claim", "verdict", "measured"]].to_dict("records") for name, table in verdicts.items()
        },
        "commits_of_the_runs": dict(Counter(read_json(path)["commit"] for path in environments)),
    }
