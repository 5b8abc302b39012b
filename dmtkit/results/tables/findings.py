"""The paper's findings (method.md §7) beside what was measured: confirmed, not confirmed, or not testable here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.names import slug
from dmtkit.results.tables.statistics import bootstrap_interval, paired_differences, spread
from dmtkit.results.tables.tables import FEW_PAIRS, Table, signed

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["confirmed", "not confirmed", "not testable here"]
MARGIN = 1.0  # points of accuracy or mIoU: closer than this is "about as good", and less than this is no improvement
ENOUGH = 3  # pairs of the same seed and split
TWICE = (1.5, 2.5)  # what counts as about two models' training


@dataclass(frozen=True)
class Finding:
    """A claim of the paper, and how to test it: what is compared gives one number a pair, `test` judges them."""

    claim: str
    numbers: Callable[["pd.DataFrame", "pd.DataFrame"], "pd.Series | None"]
    test: Callable[[float, float, float], bool]
    said: str
    tasks: tuple[str, ...] = ("classification", "segmentation")


def over(method: str, *references: str) -> Callable[["pd.DataFrame", "pd.DataFrame"], "pd.Series | None"]:
    """Paired differences of a method to the first of the references that was measured."""

    def numbers(runs: "pd.DataFrame", phases: "pd.DataFrame") -> "pd.Series | None":
        measured = set(runs["method"])
        found = [name for name in references if name in measured]
        return paired_differences(runs, method, found[0]) if found and method in measured else None

    return numbers


def gain_after(method: str, phase: int) -> Callable[["pd.DataFrame", "pd.DataFrame"], "pd.Series | None"]:
    """What a method gains from a phase to its last."""

    def numbers(runs: "pd.DataFrame", phases: "pd.DataFrame") -> "pd.Series | None":
        own = phases[phases["method"] == method]
        if own.empty or own["phase"].max() <= phase:
            return None
        wide = own.pivot_table(index=["seed", "split"], columns="phase", values="value")
        return (wide[wide.columns.max()] - wide[phase]).dropna()

    return numbers


def cost(method: str, reference: str) -> Callable[["pd.DataFrame", "pd.DataFrame"], "pd.Series | None"]:
    """How many times the computing time of the reference a method takes, where each has a run of its own."""

    def numbers(runs: "pd.DataFrame", phases: "pd.DataFrame") -> "pd.Series | None":
        alone = runs[runs.groupby("folder")["method"].transform("size") == 1]
        seconds = {
            name: alone[alone["method"] == name].set_index(["seed", "split"])["seconds"] for name in (method, reference)
        }
        return (seconds[method] / seconds[reference]).dropna()

    return numbers


def above(mean: float, low: float, high: float) -> bool:
    """The whole interval lies above 0."""
    return low > 0


def below(mean: float, low: float, high: float) -> bool:
    """The whole interval lies below 0."""
    return high < 0


def small(mean: float, low: float, high: float) -> bool:
    """Neither better nor worse by more than the margin."""
    return abs(mean) <= MARGIN


def no_gain(mean: float, low: float, high: float) -> bool:
    """No improvement by more than the margin."""
    return mean < MARGIN


def twice(mean: float, low: float, high: float) -> bool:
    """About two."""
    return TWICE[0] <= mean <= TWICE[1]


FINDINGS = (
    Finding("DMT is better than the supervised baseline", over("dmt", "supervised"), above, "DMT − supervised"),
    Finding("DMT is better than self-training (CL, CBST)", over("dmt", "cl", "cbst"), above, "DMT − self-training"),
    Finding(
        "Online self-training can fall below the baseline when labels are extremely scarce",
        over("online_st", "supervised"),
        below,
        "online ST − supervised",
    ),
    Finding(
        "CBST stops improving after iteration 3", gain_after("cbst", 3), no_gain, "last − third", ("segmentation",)
    ),
    Finding("DST is weaker than DMT, for lack of mutual weights", over("dmt", "dst"), above, "DMT − DST"),
    Finding("DMT-Naive drops badly under heavy label noise", over("dmt", "dmt_naive"), above, "DMT − DMT-Naive"),
    Finding("DMT-Flip is about as good as DMT", over("dmt_flip", "dmt"), small, "DMT-Flip − DMT"),
    Finding(
        "DMT costs about two models' training", cost("dmt", "cbst"), twice, "time of DMT / of CBST", ("segmentation",)
    ),
)


def findings_table(collected: Collected, experiment: str) -> Table:
    """Each of the paper's findings with a verdict on an experiment and the numbers behind it.

    A difference is confirmed where the whole 95 % bootstrap interval of the paired differences lies on the claimed side.
    """
    import pandas as pd

    runs = collected.of(experiment)
    phases = collected.phases[collected.phases["experiment"] == experiment]
    rows = [judge(finding, runs, phases) for finding in FINDINGS]
    tidy = pd.DataFrame([{"experiment": experiment, **row} for row in rows])
    shown = tidy.set_index("claim")[["verdict", "measured"]]
    shown.index.name = "the paper says"
    notes = (
        "The paper's ablations are on PASCAL VOC with 1/50 of the labels; whether they hold elsewhere is another question.",
        f"A difference is confirmed where its whole 95 % interval (percentile bootstrap of the paired differences, at least "
        f"{ENOUGH} pairs) lies on the claimed side; of fewer than {FEW_PAIRS} pairs that interval is too narrow. "
        f"“About as good”, and “no improvement”: the mean difference is within {MARGIN:g} point.",
        *collected.notes(experiment),
    )
    caption = f"{experiment}: the paper's findings, and what was measured here"
    return Table(f"findings_{slug(experiment)}", caption, shown, tidy, notes)


def compares(collected: Collected, experiment: str) -> bool:
    """Whether any finding can be tested on an experiment beyond the two that need no ablation."""
    verdicts = findings_table(collected, experiment).tidy["verdict"]
    return bool((verdicts[2:] != "not testable here").any())


def judge(finding: Finding, runs: "pd.DataFrame", phases: "pd.DataFrame") -> dict[str, object]:
    """A finding's verdict on the runs of one experiment, with mean, interval and number of pairs."""
    task = runs["task"].iloc[0]
    numbers = finding.numbers(runs, phases) if task in finding.tasks else None
    nothing = {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "pairs": 0}
    if numbers is None or len(numbers) < ENOUGH:
        reason = "the methods it compares were not run" if task in finding.tasks else f"it is not about {task}"
        if numbers is not None:
            reason = f"{len(numbers)} of at least {ENOUGH} pairs"
        return {"claim": finding.claim, "verdict": "not testable here", "measured": reason, **nothing}
    mean, n = spread(numbers).mean, len(numbers)
    low, high = bootstrap_interval(numbers)
    verdict: Verdict = "confirmed" if finding.test(mean, low, high) else "not confirmed"
    if finding.test is twice:
        measured = f"{finding.said}: {mean:.2f} [{low:.2f} to {high:.2f}], n = {n}"
    else:
        measured = f"{finding.said}: {signed(mean)} [{signed(low)} to {signed(high)}], n = {n}"
    found = {"mean": mean, "low": low, "high": high, "pairs": n}
    return {"claim": finding.claim, "verdict": verdict, "measured": measured, **found}
