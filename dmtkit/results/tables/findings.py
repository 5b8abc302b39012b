"""The paper's findings (method.md §7) beside what was measured: confirmed, not confirmed, or not testable here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.experiment import FEW_PAIRS, signed
from dmtkit.results.tables.statistics import bootstrap_interval, paired_differences
from dmtkit.results.tables.table import Table, slug

MARGIN = 1.0  # points of accuracy or mIoU: closer than this is "about as good", and less than this is no improvement
ENOUGH = 3  # pairs of the same seed and split
TESTS: dict[str, Callable[[float, float, float], bool]] = {  # of a mean and its 95 % interval
    "above": lambda mean, low, high: low > 0,
    "below": lambda mean, low, high: high < 0,
    "as good": lambda mean, low, high: abs(mean) <= MARGIN,
    "no gain": lambda mean, low, high: mean < MARGIN,
    "twice": lambda mean, low, high: 1.5 <= mean <= 2.5,
}


def over(runs: pd.DataFrame, phases: pd.DataFrame, method: str, *references: str) -> pd.Series | None:
    """Paired differences of a method to the first of the references that was measured."""
    measured = set(runs["method"])
    first = next((name for name in references if name in measured), None)
    return paired_differences(runs, method, first) if first and method in measured else None


def gain_after(runs: pd.DataFrame, phases: pd.DataFrame, method: str, phase: int) -> pd.Series | None:
    """What a method gains from a phase to its last."""
    own = phases[phases["method"] == method]
    if own.empty or own["phase"].max() <= phase:
        return None
    wide = own.pivot_table(index=["seed", "split"], columns="phase", values="value")
    return (wide[wide.columns.max()] - wide[phase]).dropna()


def cost(runs: pd.DataFrame, phases: pd.DataFrame, method: str, reference: str) -> pd.Series | None:
    """How many times the computing time of the reference a method takes, where each has a run of its own."""
    alone = runs[runs.groupby("folder")["method"].transform("size") == 1].set_index(["seed", "split"])
    seconds = {name: alone.loc[alone["method"] == name, "seconds"] for name in (method, reference)}
    return (seconds[method] / seconds[reference]).dropna()


@dataclass(frozen=True)
class Finding:
    """A claim of the paper, and how to test it: `numbers(runs, phases, *of)` gives one a pair, which `said` names and a
    test judges."""

    claim: str
    said: str
    test: str
    numbers: Callable[..., pd.Series | None]
    of: tuple[Any, ...]
    tasks: tuple[str, ...] = ("classification", "segmentation")


PIXELS = ("segmentation",)
SCARCE = "Online self-training can fall below the baseline when labels are extremely scarce"
FINDINGS = (
    Finding("DMT is better than the supervised baseline", "DMT − supervised", "above", over, ("dmt", "supervised")),
    Finding("DMT is better than self-training (CL, CBST)", "DMT − self-training", "above", over, ("dmt", "cl", "cbst")),
    Finding(SCARCE, "online ST − supervised", "below", over, ("online_st", "supervised")),
    Finding("CBST stops improving after iteration 3", "last − third", "no gain", gain_after, ("cbst", 3), PIXELS),
    Finding("DST is weaker than DMT, for lack of mutual weights", "DMT − DST", "above", over, ("dmt", "dst")),
    Finding("DMT-Naive drops badly under heavy label noise", "DMT − DMT-Naive", "above", over, ("dmt", "dmt_naive")),
    Finding("DMT-Flip is about as good as DMT", "DMT-Flip − DMT", "as good", over, ("dmt_flip", "dmt")),
    Finding("DMT costs about two models' training", "time of DMT / of CBST", "twice", cost, ("dmt", "cbst"), PIXELS),
)


def findings_table(collected: Collected, experiment: str) -> Table:
    """Each of the paper's findings with a verdict on an experiment and the numbers behind it.

    A difference is confirmed where the whole 95 % bootstrap interval of the paired differences lies on the claimed side.
    """
    runs = collected.of(experiment)
    phases = collected.phases[collected.phases["experiment"] == experiment]
    tidy = pd.DataFrame([{"experiment": experiment, **judge(finding, runs, phases)} for finding in FINDINGS])
    shown = tidy.set_index("claim")[["verdict", "measured"]].rename_axis("the paper says")
    notes = (
        "The paper's ablations are on PASCAL VOC with 1/50 of the labels; whether they hold elsewhere is another question.",
        f"A difference is confirmed where its whole 95 % interval (percentile bootstrap of the paired differences, at least "
        f"{ENOUGH} pairs) lies on the claimed side; of fewer than {FEW_PAIRS} pairs that interval is too narrow. "
        f"“About as good”, and “no improvement”: the mean difference is within {MARGIN:g} point.",
        *collected.notes(experiment),
    )
    caption = f"{experiment}: the paper's findings, and what was measured here"
    return Table(f"findings_{slug(experiment)}", caption, shown, tidy, notes)


def judge(finding: Finding, runs: pd.DataFrame, phases: pd.DataFrame) -> dict[str, Any]:
    """A finding's verdict on the runs of one experiment, with mean, interval and number of pairs."""
    task = runs["task"].iloc[0]
    numbers = finding.numbers(runs, phases, *finding.of) if task in finding.tasks else None
    if numbers is None or len(numbers) < ENOUGH:
        reason = "the methods it compares were not run" if task in finding.tasks else f"it is not about {task}"
        reason = reason if numbers is None else f"{len(numbers)} of at least {ENOUGH} pairs"
        row = {"claim": finding.claim, "verdict": "not testable here", "measured": reason}
        return row | dict.fromkeys(("mean", "low", "high"), float("nan")) | {"pairs": 0}
    mean, (low, high), n = float(numbers.mean()), bootstrap_interval(numbers), len(numbers)
    verdict = "confirmed" if TESTS[finding.test](mean, low, high) else "not confirmed"
    words = [f"{value:.2f}" if finding.test == "twice" else signed(value) for value in (mean, low, high)]
    measured = f"{finding.said}: {words[0]} [{words[1]} to {words[2]}], n = {n}"
    row = {"claim": finding.claim, "verdict": verdict, "measured": measured}
    return row | {"mean": mean, "low": low, "high": high, "pairs": n}
