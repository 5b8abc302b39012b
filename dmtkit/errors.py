"""The errors a user can meet: each says what was found, what was expected and what to do."""

from difflib import SequenceMatcher
from reprlib import Repr


class DmtkitError(Exception):
    """Base of every error that dmtkit raises on purpose."""


class ConfigError(DmtkitError):
    """A parameter is unknown, of the wrong type or impossible."""


class DataError(DmtkitError):
    """The data set is missing, unreadable or inconsistent; lists every offender."""


class RunError(DmtkitError):
    """A run folder cannot be used: locked, of other settings, disk full, not a run."""


class LockedError(RunError):
    """Another process is writing the run."""


class DamagedError(RunError):
    """A file of a run is not what was written."""


class TrainingError(DmtkitError):
    """Training cannot go on: a loss or an output is NaN or infinite."""


def listing(items: list[str], limit: int = 20) -> str:
    """Join offenders for an error message, one a line, the first `limit` of them.

    >>> print(listing(["a", "b", "c"], limit=2))
      - a
      - b
      … and 1 more
    """
    lines = [f"  - {item}".encode("utf-8", "backslashreplace").decode() for item in items[:limit]]  # file names
    if len(items) > limit:
        lines.append(f"  … and {len(items) - limit} more")
    return "\n".join(lines)


_SHORT = Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 10


def quoted(value: object) -> str:
    """A value as a message shows it: short, on one line, in characters that every terminal shows.

    >>> quoted("no"), quoted([[[[1]]]]), len(quoted("a" * 10**6))
    ("'no'", '[[[[...]]]]', 120)
    """
    try:
        text = _SHORT.repr(value)
        return text if len(text) <= 300 else f"{text[:300]}…"
    except Exception:  # a number of more digits than Python writes, or somebody's own object
        return f"<a {type(value).__name__} that cannot be shown>"


def unknown_name(name: str, known: list[str], kind: str = "parameter") -> str:
    """Say that `name` is unknown and which one may have been meant.

    >>> unknown_name("sed", ["seed", "lr"])
    "sed: unknown parameter; did you mean 'seed'?"
    """
    name = quoted(name)[1:-1]
    alike = {other: SequenceMatcher(None, other, name).ratio() for other in known}
    best = max(alike.values(), default=0)
    nearest = " or ".join(f"'{other}'" for other, ratio in alike.items() if ratio == best)
    hint = f"did you mean {nearest}?" if best >= 0.5 else f"known are: {', '.join(sorted(known))}"
    return f"{name}: unknown {kind}; {hint}"
