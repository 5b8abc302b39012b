"""`dmtkit run | batch | data check | report | verify | new | lab | doctor`: exit 0 when done, 1 when something failed, 2 for bad input."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dmtkit.jobs import command as jobs
from dmtkit.jobs.console import Override, Params, exits, joined, overrides

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Dynamic Mutual Training, from the command line.")
data_app = typer.Typer(no_args_is_help=True, help="Look at the data of a params file.")
app.command()(jobs.run)
app.command()(jobs.batch)
app.add_typer(data_app, name="data")


@data_app.command("check")
def check_data(params: Params, override: Override = None) -> None:
    """Read all data of a params file and report every image that cannot be used."""
    from dmtkit.config import make_config
    from dmtkit.params import load_params
    from dmtkit.training.experiment import load_data

    with exits(code=2):
        values = {"experiment": params.stem} | load_params(params) | overrides(override)
        values.pop("output_dir", None)
        data = load_data(make_config(values))
    for line in data.overview():
        typer.echo(line)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="where the runs lie")] = Path("outputs"),
    experiment: Annotated[list[str] | None, typer.Option(help="report on this one alone; may be repeated")] = None,
    format: Annotated[list[str] | None, typer.Option(help="md, csv, latex or html; may be repeated")] = None,
    output: Annotated[Path | None, typer.Option(help="write tables and figures to this folder")] = None,
) -> None:
    """Tables of many finished runs, beside the published numbers; with --output also figures."""
    from dmtkit.results import command

    with exits(code=2):
        command.report(folder, experiment or [], format or [], output)


@app.command("verify")
def verify_runs(
    folder: Annotated[list[Path], typer.Argument(help="run folders, such as outputs/digits/split-0_seed-1")],
) -> None:
    """Compare every file of these runs with what was written, and say what is damaged and what to do; changes nothing."""
    from dmtkit.runs.folder import refuse_locked
    from dmtkit.runs.phase import MEND
    from dmtkit.runs.run import load_run
    from dmtkit.runs.verify import verify

    damaged = False
    for given in folder:
        with exits(code=2):
            place = load_run(given).path
            refuse_locked(place)
            compared, wrong = verify(place)
        typer.echo(
            f"{place}: {compared} files, {f'{len(wrong)} of them damaged:' if wrong else 'all as they were written'}"
        )
        for line in wrong.values():
            typer.secho(f"  {line}", fg=typer.colors.RED)
        damaged |= bool(wrong)
    if damaged:
        typer.echo(MEND)
    raise typer.Exit(1 if damaged else 0)


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="the folder to make, such as my_project")]) -> None:
    """Make a project: notebooks, params, a place for your own data, and outputs/."""
    from dmtkit.jobs.project import make_project

    with exits(code=2):
        for line in make_project(folder):
            typer.echo(line)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open the project in JupyterLab, at the tour; what else is given goes to JupyterLab, such as --no-browser."""
    from dmtkit.jobs.project import open_lab

    with exits(code=2):
        open_lab(context.args)


@app.command()
def doctor() -> None:
    """Say what this machine offers, and what is missing."""
    from dmtkit.runs.environment import examine

    lines, problems = examine()
    for subject, text in lines:
        typer.echo(f"{subject:18s} {text}")
    for problem in problems:
        typer.secho(f"problem: {problem}", fg=typer.colors.RED, err=True)
    typer.echo("ready" if not problems else f"{len(problems)} to mend")
    raise typer.Exit(1 if problems else 0)


def main() -> None:
    """Entry point."""
    app(args=joined(sys.argv[1:]))
