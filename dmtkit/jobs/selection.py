"""Selections as they are written on a command line: `1-5`, `0,1,2`, `dmt,cbst`."""

import re
from collections import Counter

from dmtkit.errors import ConfigError


def numbers(name: str, text: str) -> list[int]:
    """The whole numbers of a selection, in its order; ConfigError if it is empty, not numbers, or names one twice.

    >>> numbers("--seeds", "1-3,7")
    [1, 2, 3, 7]
    """
    found: list[int] = []
    for part in names(name, text):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise ConfigError(f"{name}: found {part!r}, expected numbers and ranges such as 1-5 or 0,1,2")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"{name}: the range {part} is empty; write {last}-{first}")
        found += range(first, last + 1)
    twice = [str(number) for number, count in Counter(found).items() if count > 1]
    if twice:
        raise ConfigError(f"{name}: {', '.join(twice)} selected more than once in {text!r}; name each once")
    return found


def names(name: str, text: str) -> list[str]:
    """The words of a selection; ConfigError if it is empty or names one twice.

    >>> names("--methods", "dmt, cbst")
    ['dmt', 'cbst']
    """
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigError(f"{name}: the selection is empty; leave the option out, or name at least one")
    twice = [word for word, count in Counter(found).items() if count > 1]
    if twice:
        raise ConfigError(f"{name}: {', '.join(twice)} selected more than once in {text!r}; name each once")
    return found
