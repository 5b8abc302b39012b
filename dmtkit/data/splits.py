"""Which images are labeled: by class, by the paper's rule, by lists of one's own; the same seed gives the same split on every machine."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dmtkit.config import Config
from dmtkit.errors import DataError, listing, quoted
from dmtkit.params import SEAL, project_root, read_yaml, unwritable

UNKNOWN = -1  # the truth of an image that nobody labeled
PAPER_SEED = 7777
PAPER_SAMPLED = (8, 20, 50, 105.82)  # the VOC splits for which the paper has difference-maximised lists

# A line of a list: a name, maybe with its ending, the image's folder, the mask beside it.
ENTRY = re.compile(r"(/?JPEGImages/)?(.+?)(\.(?i:jpe?g|png|bmp|webp))?(\s+(/?SegmentationClass/)?\2\.(?i:png))?")


class Split(NamedTuple):
    """X, U and the images held out to validate on, as names or as places in a data set: disjoint, in shuffled order."""

    labeled: Sequence[Any]
    unlabeled: Sequence[Any]
    val: Sequence[Any] = ()


class Sampling(NamedTuple):
    """Two overlapping subsets of X, one for each model of phase 0."""

    left: Sequence[str]
    right: Sequence[str]


def class_split(
    labels: Sequence[int], per_class: int | None, val_per_class: int, seed: int, names: Sequence[Any] = range(10**9)
) -> Split:
    """Draw `per_class` labeled and `val_per_class` validation images of every class; the rest, and what has label −1, is unlabeled.

    Every class is shuffled by `seed`; its first images go to validation and the next are labeled, so
    that for one seed and validation size larger labeled sets contain the smaller ones (method.md §5.4).
    `per_class=None` labels all that is left.

    Raises DataError naming every class that is too small: each needs one image in either set at least.

    >>> split = class_split([0, 0, 0, 1, 1, 1], per_class=1, val_per_class=1, seed=0)
    >>> len(split.labeled), len(split.unlabeled), len(split.val)
    (2, 2, 2)
    """
    rng = random.Random(seed)
    members = defaultdict[int, list[int]](list)
    for index, label in enumerate(labels):
        members[label].append(index)
    unknown = members.pop(UNKNOWN, [])
    wanted = val_per_class + (1 if per_class is None else per_class)
    small = [f"class {names[c]}: {len(m)} images" for c, m in sorted(members.items()) if len(m) < wanted]
    if small:
        raise DataError(
            f"labels: {per_class} labeled and val: {val_per_class} validation images of every class need "
            f"{wanted}, but some classes have fewer; lower `labels` or `val`:\n{listing(small)}"
        )
    labeled, unlabeled, val = list[int](), list[int](), list[int]()
    for _, indices in sorted(members.items()):
        rng.shuffle(indices)
        end = len(indices) if per_class is None else val_per_class + per_class
        val += indices[:val_per_class]
        labeled += indices[val_per_class:end]
        unlabeled += indices[end:]
    for part in (labeled, unlabeled, val):  # no class order left for a batch or a tie to follow
        rng.shuffle(part)
    return Split(labeled, unlabeled + unknown, val)


def list_split(names: Sequence[str], lists: Mapping[str, Sequence[str]]) -> Split:
    """The split that lists of names describe: keys `labeled`, `unlabeled` and, optionally, `val`.

    A run's split.json is such a file; what else it holds is passed over.

    Raises DataError naming keys that do not belong, names that do not exist and names in two lists.

    >>> list_split(["a", "b", "c"], {"labeled": ["b"], "unlabeled": ["a", "c"]})
    Split(labeled=['b'], unlabeled=['a', 'c'], val=[])
    """
    split = Split(*(list(lists.get(key) or []) for key in Split._fields))
    allowed = (*Split._fields, *Sampling._fields, "classes", "test", "checksum", SEAL)
    problems = [f"unknown list '{key}'" for key in lists if key not in allowed]
    problems += [f"list '{key}' is missing or empty" for key in ("labeled", "unlabeled") if not lists.get(key)]
    known, seen = set(names), dict[str, str]()
    for key, part in zip(Split._fields, split, strict=True):
        for name in part:
            if name not in known:
                problems.append(f"{key}: no image named '{name}'")
            elif name in seen:
                problems.append(f"{key}: '{name}' stands already in '{seen[name]}'")
            seen[name] = key
    if problems:
        raise DataError(f"lists: the file of own lists does not fit the data:\n{listing(problems)}")
    return split


def own_lists(config: Config) -> dict[str, list[str]]:
    """The YAML (or JSON) file that `lists` names, checked for its form; what is no list of names is empty. {} without one."""
    if not config.lists:
        return {}
    path = project_root() / config.lists
    try:
        lists = read_yaml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"lists: {path} cannot be read: {error}") from None
    fields = (*Split._fields, *Sampling._fields)
    parts = {key: lists[key] for key in fields if key in lists} if isinstance(lists, dict) else {}
    if not parts or not all(isinstance(names, list) for names in parts.values()):
        raise DataError(f"lists: {path} must map labeled, unlabeled (and val) to lists of image names")
    return {str(key): [str(name) for name in parts.get(key, [])] for key in lists}


def read_names(folder: Path, name: str) -> list[str]:
    """The names in the list <name>.txt of a folder, one a line; DataError says which lists there are, or which names are wrong."""
    path = folder / f"{name}.txt"
    try:
        if not path.is_file():  # a FIFO would be waited for
            raise FileNotFoundError
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        there = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise DataError(
            f"data_dir: there is no readable list {path} (text in UTF-8, a name a line); lists found: {there}"
        ) from None
    matches = (ENTRY.fullmatch(line.strip()) for line in lines)
    names = [match[2] for match in matches if match]
    check_names(names)
    if leaving := [name for name in names if name.startswith("/") or ".." in name.split("/")]:
        raise DataError(f"{path}: names that lead out of the data's folder, expected such as im00:\n{listing(leaving)}")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice or not names:
        raise DataError(f"{path}: " + (f"names that stand there twice:\n{listing(twice)}" if twice else "is empty"))
    return names


def check_names(names: Iterable[str]) -> None:
    """DataError for names of images or classes that no run folder can store."""
    if strange := [quoted(name) for name in names if unwritable(name)]:
        raise DataError(f"names that are not UTF-8, or hold control characters; rename them:\n{listing(strange)}")


def paper_splits(names: Sequence[str], denominators: Sequence[float], count: int = 3) -> list[dict[float, Split]]:
    """The paper's splits, bit for bit, of the `names` of a training set, in whatever order they come (method.md §5.4).

    One generator shuffles the sorted names `count` times, each time from where it left them; of every shuffle the
    first 1/d are labeled, one more where a batch of 8 would be left with a single image. So smaller labeled
    sets lie within larger ones.

    >>> splits = paper_splits([f"{i:02d}" for i in range(40)], [8, 4])
    >>> len(splits), splits[0][8].labeled, len(splits[2][4].unlabeled)
    (3, ['11', '27', '19', '34', '37'], 30)
    """
    shuffled, rng = sorted(names), random.Random(PAPER_SEED)
    splits = []
    for _ in range(count):
        rng.shuffle(shuffled)
        sizes = {denominator: int(len(shuffled) / denominator) for denominator in denominators}
        ends = {denominator: k + (k % 8 == 1) for denominator, k in sizes.items()}
        splits.append({denominator: Split(shuffled[:k], shuffled[k:]) for denominator, k in ends.items()})
    return splits


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


def paper_sampling(splits: Sequence[Mapping[float, Split]]) -> list[dict[float, Sampling]]:
    """The paper's difference-maximised lists of its own splits, bit for bit (method.md §5.3)."""
    rng = random.Random(PAPER_SEED)
    return [{d: difference_maximised(split[d].labeled, rng) for d in PAPER_SAMPLED} for split in splits]
