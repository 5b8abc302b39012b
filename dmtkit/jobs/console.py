"""What every command shares: -p options, errors as a message and an exit code, the progress bar, the table of results."""

import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmtkit.errors import ConfigError, DataError, DmtkitError, RunError, quoted
from dmtkit.params import from_project, read_yaml

if TYPE_CHECKING:
    from dmtkit.training.resume import Progress

Params = Annotated[Path, typer.Argument(help="a params file, such as params/digits.yaml")]
Override = Annotated[
    list[str] | None, typer.Option("-p", help="set a parameter: -p name value or -p name=value", metavar="NAME VALUE")
]
Output = Annotated[Path | None, typer.Option(help="the run folder")]


@contextmanager
def exits(code: int) -> Iterator[None]:
    """Turn the kit's errors into a message and an exit code: 2 for bad input, before anything was written."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.filterwarnings("ignore", "Image size")  # Pillow's, of images that it reads all the same
            yield
    except (DmtkitError, KeyboardInterrupt) as error:
        raise typer.Exit(complain(error, code)) from None


def complain(error: BaseException, code: int) -> int:
    """Say what ended a command; its exit code: `code` for an error of the kit's, 1 for any other, 130 where it was stopped."""
    if isinstance(error, KeyboardInterrupt):
        typer.echo(f"\n{str(error) or 'stopped'}", err=True)
        return 130
    kinds = {ConfigError: "parameters", DataError: "data", RunError: "run", DmtkitError: "training"}
    if kind := next((word for known, word in kinds.items() if isinstance(error, known)), None):
        text = f"dmtkit: {kind}: {error}"
    else:
        code, text = 1, "".join(traceback.format_exception(error))
    typer.secho(text, fg=typer.colors.RED, err=True)
    return code


def overrides(pairs: list[str] | None) -> dict[str, Any]:
    """What `-p` options set, read as YAML: 3, 1e-3, true, [a, b] or words; a file of code is relative to here.

    >>> overrides(["seed=2", "methods=[cl, dmt]"])
    {'seed': 2, 'methods': ['cl', 'dmt']}
    """
    chosen = {}
    for pair in pairs or []:
        name, separator, text = (part.strip() for part in pair.partition("="))
        if not separator:
            raise ConfigError(f"-p {quoted(pair)[1:-1]}: expected a name and a value, as in -p seed 2 or -p seed=2")
        try:
            value = read_yaml(text)
        except ValueError:
            raise ConfigError(
                f"{quoted(name)[1:-1]}: {quoted(text)} is not valid YAML; quote it, or close its brackets"
            ) from None
        chosen[name] = from_project(Path.cwd() / value) if name == "code_from" and isinstance(value, str) else value
    return chosen


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


class Bar:
    """A progress bar over training steps, drawn once it is told of some."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, progress: "Progress") -> None:
        """Move the bar to where a run is, showing the method and phase under way."""
        model = f", {progress.model}" if progress.model else ""
        self.show(progress.step, progress.steps, f"{progress.method}, phase {progress.phase}{model}")

    def show(self, step: int, steps: int, text: str) -> None:
        """Move the bar to `step` of `steps`."""
        from tqdm.auto import tqdm

        if self._bar is None:
            self._bar = tqdm(total=steps, initial=step, unit="step", mininterval=0.5, dynamic_ncols=True)
        if self._bar.desc != f"{text}: ":
            self._bar.set_description(text)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def counted(states: Iterable[str]) -> str:
    """How often each state occurs, for people.

    >>> counted(["done", "failed", "done"])
    '2 done, 1 failed'
    """
    return ", ".join(f"{count} {state}" for state, count in Counter(states).items())


def show_results(folder: Path) -> None:
    """The table of results."""
    from dmtkit.results.tables import results_table
    from dmtkit.runs.run import load_run

    with exits(code=1):
        table = results_table(load_run(folder)).dropna(axis=1, how="all")
    typer.echo("\n" + table.to_string(float_format="%.2f", na_rep="–"))


def program(name: str) -> Path:
    """The environment's own program of this name, as one would type it here."""
    return short(Path(sys.executable).with_name(name))  # not resolved: the environment's own


def short(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
