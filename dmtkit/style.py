"""One look for every figure: Okabe–Ito colours, and never colour alone."""

from typing import Any

CASE_COLOURS = {"agree": "#009E73", "negative": "#E69F00", "positive": "#D55E00"}
CASE_TITLES = {"agree": "agreement", "negative": "negative disagreement", "positive": "positive disagreement (w = 0)"}
CASE_HATCHES = {"agree": "", "negative": "//", "positive": "xx"}
METHOD_COLOURS = {"supervised": "#000000", "oracle": "#999999", "cl": "#CC79A7", "dmt": "#0072B2"}
METHOD_MARKERS = {"supervised": "s", "oracle": "D", "cl": "^", "dmt": "o"}
OTHER_COLOURS = ("#56B4E9", "#009E73", "#E69F00", "#D55E00", "#F0E442")


def method_style(name: str, position: int = 0) -> dict[str, Any]:
    """Colour and marker of a method, the same in every figure.

    >>> method_style("dmt")
    {'color': '#0072B2', 'marker': 'o'}
    """
    colour = METHOD_COLOURS.get(name, OTHER_COLOURS[position % len(OTHER_COLOURS)])
    return {"color": colour, "marker": METHOD_MARKERS.get(name, "v")}


def apply_style() -> None:
    """Set seaborn's and matplotlib's defaults for the kit's figures."""
    import seaborn as sns

    sns.set_theme(
        context="notebook",
        style="whitegrid",
        rc={
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titleweight": "bold",
            "axes.titlesize": 12,
            "legend.frameon": False,
        },
    )
