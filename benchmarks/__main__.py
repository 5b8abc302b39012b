"""Runs benchmarks: `python -m benchmarks NAME [options]`, where `NAME --help` tells the options.

`python -m benchmarks all` runs those that need nothing but this machine (five hours), then renews the pages. What is measured
is written to benchmarks/results/NAME.json; what trains goes on where an earlier start stopped.
"""

import datetime
import inspect
import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS
from dmtkit.runs.environment import commit, machine

BENCHMARKS = {  # the module and its functions, each a benchmark of that name
    "waiting": "startup demos batch report",
    "runs": "digits scenes precision_digits precision_scenes cifar10_cpu camvid",
    "ablations": "ablations",
    "peers": "peers",
    "trust": "crashes damages verifying",
    "steps": "steps threads",
    "profile": "profile",
    "parts": "loss augmentation",
    "labelling": "labelling",
    "scaling": "scaling",
    "gpu": "gpu gpu_cifar",
    "checkouts": "beside same_bits",
    "pages": "pages",
    "pictures": "pictures",
}
ALL = (
    *(
        "startup",
        "demos",
        "digits",
        "scenes",
        "crashes",
        "damages",
        "verifying",
        "steps --compile",
        "profile",
        "threads",
        "loss",
        "augmentation",
    ),
    *("labelling", "scaling", "precision_digits", "precision_scenes", "batch", "report", "ablations", "pages"),
)
NAMES = " ".join(BENCHMARKS.values()).split()
COMMIT = commit()  # of the code that is loaded now, not of what is committed while it runs


def find(name: str) -> Callable[..., Any]:
    """The function that measures what is asked for."""
    for module, names in BENCHMARKS.items():
        if name in names.split():
            return getattr(import_module(f"benchmarks.{module}"), name)
    raise SystemExit(f"no benchmark is named {name!r}; there are all, {', '.join(NAMES)}")


def parser_of(name: str, function: Callable[..., Any]) -> ArgumentParser:
    """A function's positional parameters are words, those by name alone are options; types as annotated."""
    parser = ArgumentParser(f"python -m benchmarks {name}", formatter_class=RawDescriptionHelpFormatter)
    parser.description = inspect.getdoc(function)
    parser.add_argument("--name", default=name, help="name of the result; empty for none")
    for key, about in inspect.signature(function).parameters.items():
        kind, default, option = about.annotation, about.default, "--" + key.replace("_", "-")
        if about.kind is not about.KEYWORD_ONLY:
            parser.add_argument(key, type=kind, nargs="*" if about.kind is about.VAR_POSITIONAL else None)
        elif kind is bool:
            parser.add_argument(option, action="store_true")
        elif isinstance(default, tuple):
            parser.add_argument(option, nargs="+", type=kind.__args__[0], default=default)
        else:
            parser.add_argument(option, type=kind, default=default, help=f"by default {default}")
    return parser


def measure(name: str, *words: str) -> None:
    """Run a benchmark and write its result; of one that yields what it has so far, after each part."""
    function = find(name)
    values = vars(parser_of(name, function).parse_args(words))
    target = values.pop("name")
    parameters = inspect.signature(function).parameters.values()
    given = [values.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    given += [word for p in parameters if p.kind is p.VAR_POSITIONAL for word in values.pop(p.name)]
    measured = function(*given, **values)
    for results in measured if isinstance(measured, Iterator) else [measured]:
        if results is not None:
            write(target, f"python -m benchmarks {name}", words, results)


def write(name: str, command: str, words: tuple[str, ...], results: Any) -> None:
    """Print a result, and write it to benchmarks/results/<name>.json with command, commit, date and machine."""
    told = ["DATA_DIR" if Path(word).is_dir() else word for word in words]  # where data lies here tells nobody
    value = {"command": " ".join([command, *told]), "commit": COMMIT, "date": datetime.date.today().isoformat()}
    text = json.dumps({**value, "machine": machine(), "results": results}, indent=1, ensure_ascii=False)
    print(text, flush=True)
    if name:
        (RESULTS / f"{name}.json").write_text(text + "\n")


def main(words: list[str]) -> None:
    if words[:1] in ([], ["-h"], ["--help"]):
        print(__doc__, *(f"{module}.py: {names}" for module, names in BENCHMARKS.items()), sep="\n")
    elif words[0] == "all":
        for benchmark in ALL:
            measure(*benchmark.split())
    else:
        measure(*words)


if __name__ == "__main__":
    main(sys.argv[1:])
