"""`dmtkit run | batch | data check | doctor`: exit 0 when done, 1 when something failed, 2 for bad input."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dmtkit.jobs.console import Override, Params, errors, joined, overrides, program, short, show_results

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Dynamic Mutual Training, from the command line.")
data_app = typer.Typer(no_args_is_help=True, help="Look at the data of a params file.")
app.add_typer(data_app, name="data")


@app.command()
def run(
    params: Params,
    override: Override = None,
    output: Annotated[Path | None, typer.Option(help="the run folder")] = None,
) -> None:
    """Run the notebook of a params file; run it again to go on after a stop."""
    from tqdm import tqdm

    from dmtkit.jobs.notebook_job import execute, prepare

    with errors(code=2):
        job = prepare(params, overrides(override or []), output)
    if job.finished:
        typer.echo(f"{job.folder}: finished already, nothing to do")
        return _show(job.folder, job.output)
    typer.echo(f"{job.folder}: running {job.notebook.name}")
    noted = _notes(job.folder)
    with errors(code=1), tqdm(total=job.steps, unit="step", file=sys.stderr, dynamic_ncols=True) as bar:

        def say(step: int, text: str) -> None:
            if (step, text) != (bar.n, bar.desc.removesuffix(": ")):
                bar.set_description(text, refresh=False)
                bar.n = step
                bar.refresh()

        execute(job, say)
    for line in _notes(job.folder)[len(noted) :]:
        typer.secho(f"note: {line}", fg=typer.colors.YELLOW, err=True)
    _show(job.folder, job.output)


@app.command()
def batch(
    params: Annotated[list[Path], typer.Argument(help="params files")],
    seeds: Annotated[str | None, typer.Option(help="seeds, such as 1-5 or 1,2,7")] = None,
    splits: Annotated[str | None, typer.Option(help="splits, such as 0,1,2 (segmentation)")] = None,
    methods: Annotated[str | None, typer.Option(help="a run for each of these, such as dmt,cbst; or all")] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="runs at a time, here; threads and GPUs are divided among them")
    ] = 1,
    dry_run: Annotated[bool, typer.Option(help="show the list of runs, check them, and do nothing")] = False,
    retry: Annotated[int, typer.Option(min=0, help="how often a failed run is tried again")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="the address of a Dask scheduler, such as tcp://host:8786")
    ] = None,
    host: Annotated[str, typer.Option(help="the address that our own scheduler binds to")] = "127.0.0.1",
    override: Override = None,
) -> None:
    """Run params × seeds × splits × methods, several at a time; run it again to go on after a stop."""
    from rich.console import Console

    from dmtkit.jobs import make_batch, names, numbers, run_batch
    from dmtkit.jobs.command import run_list, shown, summary
    from dmtkit.jobs.notebook_job import parse_value

    console = Console()
    with errors(code=2):
        chosen = {name: parse_value(name, value) for name, value in overrides(override or []).items()}
        found = make_batch(
            params,
            numbers("--seeds", seeds) if seeds is not None else None,
            numbers("--splits", splits) if splits is not None else None,
            names("--methods", methods) if methods is not None else None,
            chosen,
            imports=not dry_run,
        )
    console.print(run_list(found))
    if dry_run:
        return
    with errors(code=2), shown(console) as show:
        outcomes = run_batch(found, workers=workers, scheduler=scheduler, host=host, retry=retry, show=show)
    good = summary(outcomes, console)
    if any(outcome.state == "stopped" for outcome in outcomes):
        console.print("stopped; run the same command again to go on")
        raise typer.Exit(130)
    console.print("tables: dmtkit report" if good else "run the same command again to try the failed runs once more")
    raise typer.Exit(0 if good else 1)


@data_app.command("check")
def check_data(params: Params, override: Override = None) -> None:
    """Read all data of a params file and report every image that cannot be used."""
    from dmtkit.config import make_config
    from dmtkit.jobs.notebook_job import parse_value
    from dmtkit.params import load_params
    from dmtkit.training.experiment import load_data

    with errors(code=2):
        values = load_params(params)
        values |= {name: parse_value(name, value) for name, value in overrides(override or []).items()}
        values.pop("output_dir", None)
        data = load_data(make_config({"experiment": params.stem, **values}))
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

    with errors(code=2):
        command.report(folder, experiment or [], format or [], output)


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="the folder to make, such as my_project")]) -> None:
    """Make a project: notebooks, params, a place for your own data, and outputs/."""
    from dmtkit.jobs.project import make_project

    with errors(code=2):
        for line in make_project(folder):
            typer.echo(line)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open the project in JupyterLab, at the tour; what else is given goes to JupyterLab, such as --no-browser."""
    from dmtkit.jobs.project import open_lab

    with errors(code=2):
        open_lab(context.args)


@app.command()
def doctor() -> None:
    """Say what this machine offers, and what is missing."""
    from dmtkit.runs.doctor import examine

    found, problems = examine()
    for subject, finding in found:
        typer.echo(f"{subject:18s} {finding}")
    for problem in problems:
        typer.secho(f"problem: {problem}", fg=typer.colors.RED, err=True)
    typer.echo("ready" if not problems else f"{len(problems)} to mend")
    raise typer.Exit(1 if problems else 0)


def _show(folder: Path, notebook: Path) -> None:
    """The table of results, and how to open the notebook."""
    show_results(folder)
    typer.echo(f"\nOpen the notebook with:  {program('jupyter')} lab {short(notebook)}")


def _notes(folder: Path) -> list[str]:
    """What the run met and survived."""
    path = folder / "notes.log"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def main() -> None:
    """Entry point."""
    app(args=joined(sys.argv[1:]))
