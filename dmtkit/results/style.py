"""One look for every figure and table: names and order of methods, Okabe–Ito colours, and never colour alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

CASE_COLOURS = {"agree": "#009E73", "negative": "#E69F00", "positive": "#D55E00"}
CASES = tuple(CASE_COLOURS)  # those of dmtkit.metrics.cases, without loading torch
CASE_TITLES = {"agree": "agreement", "negative": "negative disagreement", "positive": "positive disagreement"}
CASE_HATCHES = {"agree": "", "negative": "//", "positive": "xx"}
METHOD_STYLES = {  # in the order of tables and legends: title, colour and marker
    "supervised": ("Baseline", "#000000", "s"),
    "online_st": ("Online ST", "#E69F00", "P"),
    "cl": ("Curriculum Labeling", "#CC79A7", "^"),
    "cbst": ("CBST", "#CC79A7", "^"),
    "dst": ("DST", "#009E73", "v"),
    "dmt_naive": ("DMT-Naive", "#D55E00", "X"),
    "dmt_flip": ("DMT-Flip", "#56B4E9", "p"),
    "dmt": ("DMT", "#0072B2", "o"),
    "oracle": ("Oracle (all labels)", "#999999", "D"),
}
OTHER_STYLES = (("#56B4E9", "<"), ("#009E73", ">"), ("#E69F00", "h"), ("#D55E00", "*"), ("#F0E442", "d"))
MODEL_LINES = {"A": "-", "B": "--", "A+B": ":"}
SCORE_STYLES: dict[str, dict[str, Any]] = {
    "w": {"color": "#0072B2", "ls": "-", "marker": "o"},
    "p_B": {"color": "#56B4E9", "ls": "--", "marker": "s"},
    "c_A": {"color": "#D55E00", "ls": "-.", "marker": "^"},
    "p_B·c_A": {"color": "#000000", "ls": ":", "marker": "D"},
}
VOID_COLOUR = "#d9d9d9"
WEIGHT_MAP = "cividis"
DEFAULTS = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 12,
    "legend.frameon": False,
}


def case_title(case: str, rule: str) -> str:
    """What a legend calls a case; where a rule gives positive disagreement no weight it says so.

    >>> case_title("positive", "dynamic"), case_title("positive", "flip")
    ('positive disagreement (w = 0)', 'positive disagreement')
    """
    return CASE_TITLES[case] + " (w = 0)" * (case == "positive" and rule == "dynamic")


def title(method: str) -> str:
    """What tables and figures of many runs call a method; one that is not known keeps its own name.

    >>> title("dmt_flip"), title("my_method")
    ('DMT-Flip', 'my_method')
    """
    return METHOD_STYLES[method][0] if method in METHOD_STYLES else method


def in_order(methods: Iterable[str]) -> list[str]:
    """Each method once, those known in the order of tables, then the others by name.

    >>> in_order(["oracle", "mine", "dmt", "supervised", "dmt"])
    ['supervised', 'dmt', 'oracle', 'mine']
    """
    known = list(METHOD_STYLES)
    return sorted(set(methods), key=lambda name: (known.index(name) if name in known else len(known), name))


def method_style(name: str, position: int = 0) -> dict[str, Any]:
    """Colour and marker of a method, the same in every figure.

    >>> method_style("dmt")
    {'color': '#0072B2', 'marker': 'o'}
    """
    *_, colour, marker = METHOD_STYLES.get(name) or OTHER_STYLES[position % len(OTHER_STYLES)]
    return {"color": colour, "marker": marker}


def as_text(name: str, longest: int = 32) -> str:
    """A class's name for figures: cut where it is long; `$` begins no formula, and a leading `_` hides nothing in a legend."""
    name = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return " " * name.startswith("_") + name.replace("$", r"\$")


def apply_style() -> None:
    """Set seaborn's and matplotlib's defaults for the kit's figures."""
    import seaborn as sns

    sns.set_theme("notebook", "whitegrid", rc=DEFAULTS)


def class_colours(classes: Sequence[str]) -> np.ndarray:
    """A colour for every class, 0–1; a first class named background is nearly black.

    >>> class_colours(["background", "cat", "dog"]).shape
    (3, 3)
    """
    import seaborn as sns

    dark = bool(classes) and classes[0] == "background"
    n = len(classes) - dark
    wheel = np.array(sns.husl_palette(max(n, 1), s=0.85, l=0.62))
    stride = next((s for s in (7, 5, 3) if n % s and n > s), 1)  # neighbours in number lie apart in hue
    colours = wheel[[(i * stride) % max(n, 1) for i in range(n)]]
    return np.concatenate([np.full((1, 3), 0.12), colours]) if dark else colours
