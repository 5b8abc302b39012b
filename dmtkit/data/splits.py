"""Seeded splits as pure functions on lists: the same seed gives the same split on every machine."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dmtkit.errors import DataError, listing


@dataclass(frozen=True)
class Split:
    """Indices of one data set's training images: disjoint, each list in shuffled order."""

    labeled: tuple[int, ...]
    unlabeled: tuple[int, ...]
    val: tuple[int, ...]


def class_split(labels: Sequence[int], per_class: int | None, val_per_class: int, seed: int) -> Split:
    """Draw `per_class` labeled and `val_per_class` validation images of every class; the rest is unlabeled.

    Every class is shuffled by `seed`; its first images go to validation and the next are labeled, so
    that for one seed and validation size larger labeled sets contain the smaller ones (method.md §5.4).
    `per_class=None` labels all that is left.

    Raises DataError naming every class that is too small: each needs one image in either set at least.

    >>> split = class_split([0, 0, 0, 1, 1, 1], per_class=1, val_per_class=1, seed=0)
    >>> len(split.labeled), len(split.unlabeled), len(split.val)
    (2, 2, 2)
    """
    rng = random.Random(seed)
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    wanted = val_per_class + (1 if per_class is None else per_class)
    small = [f"class {c}: {len(m)} images" for c, m in sorted(members.items()) if len(m) < wanted]
    if small:
        raise DataError(
            f"labels: {per_class} labeled and val: {val_per_class} validation images of every class need "
            f"{wanted}, but some classes have fewer; lower `labels` or `val`:\n{listing(small)}"
        )
    labeled: list[int] = []
    unlabeled: list[int] = []
    val: list[int] = []
    for _, indices in sorted(members.items()):
        rng.shuffle(indices)
        end = len(indices) if per_class is None else val_per_class + per_class
        val += indices[:val_per_class]
        labeled += indices[val_per_class:end]
        unlabeled += indices[end:]
    for part in (labeled, unlabeled, val):  # no class order left for a batch or a tie to follow
        rng.shuffle(part)
    return Split(tuple(labeled), tuple(unlabeled), tuple(val))


def list_split(names: Sequence[str], lists: dict[str, list[str]]) -> Split:
    """The split that a file of own lists describes: keys `labeled`, `unlabeled` and, optionally, `val`.

    A run's split.json is such a file; what else it holds is passed over.

    Raises DataError naming keys that do not belong, names that do not exist and names in two lists.

    >>> list_split(["a", "b", "c"], {"labeled": ["b"], "unlabeled": ["a", "c"]})
    Split(labeled=(1,), unlabeled=(0, 2), val=())
    """
    index = {name: position for position, name in enumerate(names)}
    allowed = ("labeled", "unlabeled", "val", "classes", "test", "checksum")
    problems = [f"unknown list '{key}'" for key in lists if key not in allowed]
    problems += [f"list '{key}' is missing or empty" for key in ("labeled", "unlabeled") if not lists.get(key)]
    seen: dict[str, str] = {}
    for key in ("labeled", "unlabeled", "val"):
        for name in lists.get(key) or []:
            if name not in index:
                problems.append(f"{key}: no image named '{name}'")
            elif name in seen:
                problems.append(f"{key}: '{name}' stands already in '{seen[name]}'")
            seen[name] = key
    if problems:
        raise DataError(f"lists: the file of own lists does not fit the data:\n{listing(problems)}")
    labeled, unlabeled, val = (
        tuple(index[name] for name in lists.get(key) or []) for key in ("labeled", "unlabeled", "val")
    )
    return Split(labeled, unlabeled, val)
