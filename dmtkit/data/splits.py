"""Seeded splits as pure functions on lists: the same seed gives the same split on every machine."""

import math
import random
from collections.abc import Mapping, Sequence
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
    allowed = ("labeled", "unlabeled", "val", "classes", "test", "left", "right", "checksum")
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


PAPER_SEED = 7777
PAPER_DENOMINATORS = {"voc": (2, 4, 8, 20, 50, 105.82), "cityscapes": (2, 4, 8, 20, 29.75)}
PAPER_SAMPLED = (8, 20, 50, 105.82)  # the VOC splits for which the paper has difference-maximised lists


@dataclass(frozen=True)
class NamedSplit:
    """X and U as lists of names, disjoint, in shuffled order."""

    labeled: list[str]
    unlabeled: list[str]


def paper_splits(names: Sequence[str], denominators: Sequence[float], count: int = 3) -> list[dict[float, NamedSplit]]:
    """The paper's splits, bit for bit, of the sorted `names` of a training set (method.md §5.4).

    One generator shuffles the names `count` times, each time from where it left them; of every shuffle the
    first 1/d are labeled, one more where a batch of 8 would be left with a single image. So smaller labeled
    sets lie within larger ones.

    >>> splits = paper_splits([f"{i:02d}" for i in range(40)], [8, 4])
    >>> len(splits), splits[0][8].labeled, len(splits[2][4].unlabeled)
    (3, ['11', '27', '19', '34', '37'], 30)
    """
    shuffled, rng = list(names), random.Random(PAPER_SEED)
    splits = []
    for _ in range(count):
        rng.shuffle(shuffled)
        split = {}
        for denominator in denominators:
            k = int(len(shuffled) / denominator)
            k += k % 8 == 1
            split[denominator] = NamedSplit(shuffled[:k], shuffled[k:])
        splits.append(split)
    return splits


@dataclass(frozen=True)
class Sampling:
    """Two overlapping subsets of X, one for each model of phase 0."""

    left: list[str]
    right: list[str]


def difference_maximised(labeled: Sequence[str], rng: random.Random) -> Sampling:
    """Shuffle X; left is all but the last fifth, right all but the first: 60 % in common (method.md §5.3).

    >>> found = difference_maximised("abcde", random.Random(0))
    >>> len(found.left), len(set(found.left) & set(found.right))
    (4, 3)
    """
    shuffled = list(labeled)
    rng.shuffle(shuffled)
    n = math.ceil(0.2 * len(shuffled))
    return Sampling(shuffled[: len(shuffled) - n], shuffled[n:])


def paper_sampling(
    splits: Sequence[Mapping[float, NamedSplit]], denominators: Sequence[float] = PAPER_SAMPLED
) -> list[dict[float, Sampling]]:
    """The paper's difference-maximised lists of its own splits, bit for bit (method.md §5.3)."""
    rng = random.Random(PAPER_SEED)
    return [{d: difference_maximised(split[d].labeled, rng) for d in denominators} for split in splits]
