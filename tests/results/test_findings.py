"""The paper's findings beside measurements made by hand: what is confirmed, what is not, what cannot be tested."""

import pandas as pd
import pytest

from dmtkit.results.tables.findings import FINDINGS, judge

NAMES = {finding.claim: finding for finding in FINDINGS}


def runs(task="segmentation", alone=True, **values):
    """A row a method and split; `alone`: each in a run of its own."""
    rows = [
        {
            "method": method,
            "seed": 1,
            "split": split,
            "value": value,
            "task": task,
            "seconds": 100.0 * (1 + (method == "dmt")),
            "folder": f"{split}-{method if alone else 'all'}",
        }
        for method, found in values.items()
        for split, value in enumerate(found)
    ]
    return pd.DataFrame(rows)


def verdict(start, found, phases=None):
    (finding,) = [finding for claim, finding in NAMES.items() if claim.startswith(start)]
    empty = pd.DataFrame(columns=["method", "seed", "split", "phase", "value"])
    return judge(finding, found, empty if phases is None else phases)


@pytest.mark.parametrize(
    ("start", "values", "expected"),
    [
        ("DMT is better than the supervised", {"dmt": [60, 61, 63], "supervised": [50, 52, 51]}, "confirmed"),
        ("DMT is better than the supervised", {"dmt": [60, 50, 51], "supervised": [50, 52, 51]}, "not confirmed"),
        ("DMT is better than the supervised", {"dmt": [60, 61], "supervised": [50, 52]}, "not testable here"),
        ("DMT is better than the supervised", {"dmt": [60, 61, 63]}, "not testable here"),
        ("DMT is better than self-training", {"dmt": [60, 61, 63], "cbst": [57, 58, 60]}, "confirmed"),
        ("Online", {"online_st": [40, 41, 42], "supervised": [45, 44, 46]}, "confirmed"),
        ("Online", {"online_st": [50, 51, 52], "supervised": [45, 44, 46]}, "not confirmed"),
        ("DST", {"dmt": [60, 61, 63], "dst": [59, 62, 63]}, "not confirmed"),
        ("DMT-Naive", {"dmt": [60, 61, 63], "dmt_naive": [50, 51, 52]}, "confirmed"),
        ("DMT-Flip", {"dmt": [60, 61, 63], "dmt_flip": [60.5, 61.5, 62.5]}, "confirmed"),
        ("DMT-Flip", {"dmt": [60, 61, 63], "dmt_flip": [57, 58, 60]}, "not confirmed"),
        ("DMT costs", {"dmt": [1, 1, 1], "cbst": [1, 1, 1]}, "confirmed"),
    ],
)
def test_verdicts(start, values, expected):
    assert verdict(start, runs(**values))["verdict"] == expected


def test_the_numbers_are_those_of_the_pairs():
    found = verdict("DMT is better than the supervised", runs(dmt=[60, 61, 63], supervised=[50, 52, 51]))
    assert found["mean"] == pytest.approx((10 + 9 + 12) / 3)
    assert found["measured"].startswith("DMT − supervised: +10.33 [")
    assert found["measured"].endswith("n = 3")


def test_cost_needs_runs_of_one_method_each():
    assert "time of DMT / of CBST: 2.00" in verdict("DMT costs", runs(dmt=[1, 1, 1], cbst=[1, 1, 1]))["measured"]
    assert verdict("DMT costs", runs(alone=False, dmt=[1, 1, 1], cbst=[1, 1, 1]))["verdict"] == "not testable here"


@pytest.mark.parametrize(("last", "expected"), [([51, 50, 52], "confirmed"), ([55, 56, 57], "not confirmed")])
def test_cbst_after_its_third_iteration(last, expected):
    phases = pd.DataFrame(
        [
            {"method": "cbst", "seed": 1, "split": split, "phase": phase, "value": value}
            for split, end in enumerate(last)
            for phase, value in ((1, 40), (2, 45), (3, 51), (4, end))
        ]
    )
    assert verdict("CBST stops", runs(cbst=last), phases)["verdict"] == expected
    assert verdict("CBST stops", runs(cbst=last), phases[phases["phase"] < 4])["verdict"] == "not testable here"


def test_what_is_about_segmentation_is_not_tested_on_classification():
    found = verdict("DMT costs", runs(task="classification", dmt=[1, 1, 1], cbst=[1, 1, 1]))
    assert (found["verdict"], found["measured"]) == ("not testable here", "it is not about classification")
