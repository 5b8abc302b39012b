"""The order of methods in tables and figures, and what tables call them; importing this loads nothing heavy."""

from collections.abc import Iterable

TITLES = {
    "supervised": "Baseline",
    "online_st": "Online ST",
    "cl": "Curriculum Labeling",
    "cbst": "CBST",
    "dst": "DST",
    "dmt_naive": "DMT-Naive",
    "dmt_flip": "DMT-Flip",
    "dmt": "DMT",
    "oracle": "Oracle (all labels)",
}
UNPUBLISHED = ("cifar10_1000",)  # tables of the paper whose numbers are not published: their cells stay empty


def title(method: str) -> str:
    """What a table calls a method; one that is not known keeps its own name.

    >>> title("dmt_flip"), title("my_method")
    ('DMT-Flip', 'my_method')
    """
    return TITLES.get(method, method)


def in_order(methods: Iterable[str]) -> list[str]:
    """Each method once, those known in the order of tables, then the others by name.

    >>> in_order(["oracle", "mine", "dmt", "supervised", "dmt"])
    ['supervised', 'dmt', 'oracle', 'mine']
    """
    known = list(TITLES)
    return sorted(set(methods), key=lambda name: (known.index(name) if name in known else len(known), name))


def slug(text: str) -> str:
    """A file name for a table's name.

    >>> slug("voc_50 [gamma1=3, flip=True]")
    'voc_50_gamma1-3_flip-True'
    """
    kept = "".join(c if c.isalnum() or c in "_.-+" else "-" if c == "=" else " " for c in text)
    return "_".join(kept.split()).strip(".") or "table"
