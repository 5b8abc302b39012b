"""What every command shares: -p options, errors as a message and an exit code, the table of results."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dmtkit.errors import ConfigError, DataError, DmtkitError, RunError

Params = Annotated[Path, typer.Argument(help="a params file, such as params/digits.yaml")]
Override = Annotated[
    list[str] | None, typer.Option("-p", help="set a parameter: -p name value or -p name=value", metavar="NAME VALUE")
]


@contextmanager
def errors(code: int) -> Iterator[None]:
    """Turn the kit's errors into a message and an exit code: 2 for bad input, before anything was written."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    except DmtkitError as error:
        typer.secho(message(error), fg=typer.colors.RED, err=True)
        raise typer.Exit(code) from None
    except KeyboardInterrupt as stop:
        typer.echo(f"\n{stop or 'stopped'}", err=True)
        raise typer.Exit(130) from None


def message(error: DmtkitError) -> str:
    """What the command line says of an error."""
    kinds = {ConfigError: "parameters", DataError: "data", RunError: "run"}
    kind = next((word for known, word in kinds.items() if isinstance(error, known)), "training")
    return f"dmtkit: {kind}: {error}"


def overrides(pairs: list[str]) -> dict[str, str]:
    """The names and values of `-p` options; ConfigError for one that is no pair."""
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise ConfigError(f"-p {pair}: expected a name and a value, as in -p seed 2 or -p seed=2")
        found[name.strip()] = value
    return found


def joined(words: list[str]) -> list[str]:
    """Arguments with `-p name value` made into `-p name=value`, which is what typer can read.

    >>> joined(["run", "x.yaml", "-p", "seed", "2"])
    ['run', 'x.yaml', '-p', 'seed=2']
    """
    for place in reversed(range(len(words) - 2)):
        name, value = words[place + 1 : place + 3]
        if words[place] == "-p" and "=" not in name and not value.startswith("--"):
            words[place + 1 : place + 3] = [f"{name}={value}"]
    return words


def show_results(folder: Path) -> None:
    """The table of results."""
    from dmtkit.results.tables import results_table
    from dmtkit.runs.search import load_run

    with errors(code=1):
        table = results_table(load_run(folder)).dropna(axis=1, how="all")
    typer.echo("\n" + table.to_string(float_format="%.2f", na_rep="–"))


def program(name: str) -> Path:
    """The environment's own program of this name, as one would type it here."""
    return short(Path(sys.executable).with_name(name))  # not resolved: the environment's own


def short(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
