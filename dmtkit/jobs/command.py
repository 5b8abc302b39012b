"""`dmtkit run` and `dmtkit batch`: what they are given, and what they show."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table

from dmtkit.jobs.console import Bar, Output, Override, Params, counted, exits, overrides, program, short, show_results

if TYPE_CHECKING:  # which load torch
    from dmtkit.jobs.engine import Show, Status
    from dmtkit.jobs.plan import Batch
    from dmtkit.jobs.worker import Outcome

# States worth a bar of their own.
MARKS = {"failed": "red", "stopped": "yellow", "running": "cyan", "waiting": "yellow"}


def run(params: Params, override: Override = None, output: Output = None) -> None:
    """Run the notebook of a params file; run it again to go on after a stop."""
    from dmtkit.jobs.notebook_job import execute, prepare

    with exits(code=2):
        job = prepare(params, overrides(override), output)
    if job.finished:
        typer.echo(f"{job.folder}: finished already, nothing to do")
    else:
        typer.echo(f"{job.folder}: running {job.notebook.name}")
        noted = _notes(job.folder)
        with exits(code=1), closing(Bar()) as bar:
            execute(job, lambda step, text: bar.show(step, job.steps, text))
        for line in _notes(job.folder)[len(noted) :]:
            typer.secho(f"note: {line}", fg=typer.colors.YELLOW, err=True)
    show_results(job.folder)
    typer.echo(f"\nOpen the notebook with:  {program('jupyter')} lab {short(job.output)}")


def _notes(folder: Path) -> list[str]:
    """What the run met and survived."""
    path = folder / "notes.log"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def batch(
    params: Annotated[list[Path], typer.Argument(help="params files")],
    seeds: Annotated[str | None, typer.Option(help="seeds, such as 1-5 or 1,2,7")] = None,
    splits: Annotated[str | None, typer.Option(help="splits, such as 0,1,2 (segmentation)")] = None,
    methods: Annotated[str | None, typer.Option(help="a run for each of these, such as dmt,cbst; or all")] = None,
    workers: Annotated[int, typer.Option(min=1, help="runs at a time, here; they share threads and GPUs")] = 1,
    dry_run: Annotated[bool, typer.Option(help="show the list of runs, check them, and do nothing")] = False,
    retry: Annotated[int, typer.Option(min=0, help="how often a failed run is tried again")] = 0,
    scheduler: Annotated[str | None, typer.Option(help="a Dask scheduler, such as tcp://host:8786")] = None,
    host: Annotated[str, typer.Option(help="the address that our own scheduler binds to")] = "127.0.0.1",
    override: Override = None,
) -> None:
    """Run params × seeds × splits × methods, several at a time; run it again to go on after a stop."""
    from dmtkit.jobs.engine import run_batch
    from dmtkit.jobs.plan import make_batch

    console = Console()
    with exits(code=2):
        chosen = make_batch(params, seeds, splits, methods, overrides(override), imports=not dry_run)
    console.print(run_list(chosen))
    if dry_run:
        return
    with exits(code=2), shown(console) as show:
        outcomes = run_batch(chosen, workers=workers, scheduler=scheduler, host=host, retry=retry, show=show)
    good = summary(outcomes, console)
    if any(outcome.state == "stopped" for outcome in outcomes):
        console.print("stopped; run the same command again to go on")
        raise typer.Exit(130)
    console.print("tables: dmtkit report" if good else "run the same command again to try the failed runs once more")
    raise typer.Exit(0 if good else 1)


def run_list(batch: "Batch") -> Table:
    """What a batch would do: its runs, and the baselines that they share."""
    table = Table(title=f"{len(batch.jobs)} runs, {len(batch.waiting)} of them to do")
    for column in ("run", "methods", "steps", "state"):
        table.add_column(column, justify="right" if column == "steps" else "left", overflow="fold")
    for baseline in batch.baselines.values():
        users = sum(baseline.folder in job.needs for job in batch.waiting)
        state = "there already" if baseline.finished else f"to do, {users} runs start from it"
        table.add_row(escape(baseline.name), "baseline", str(baseline.steps), state)
    waiting = {job.name: job for job in batch.waiting}
    for job in batch.jobs:
        to_do = waiting.get(job.name)
        steps = "" if to_do is None else str(to_do.steps) if job.checked else "?"
        state = "to do" if to_do else "finished"
        state += "" if job.checked else f", not checked: {job.config.code_from} is not imported by a dry run"
        table.add_row(*map(escape, (job.name, ", ".join(job.config.methods), steps, state)))
    return table


@contextmanager
def shown(console: Console) -> "Iterator[Show]":
    """A bar for all runs and one for each under way; in a log, a line whenever a run's state changes."""
    last: dict[str, str] = {}

    def tell(statuses: "Sequence[Status]") -> None:
        for status in statuses:
            if last.get(status.name, "pending") != status.state:
                last[status.name] = status.state
                console.print(f"{status.name}: {status.state} {status.text}".rstrip(), markup=False, highlight=False)

    if not console.is_terminal:
        yield tell
        return
    columns = "{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), "{task.fields[text]}"
    with Progress(*columns, console=console) as bars:
        tasks = {"": bars.add_task("", text="")}

        def draw(statuses: "Sequence[Status]") -> None:
            done, steps = (sum(getattr(status, name) for status in statuses) for name in ("done", "steps"))
            bars.update(tasks[""], completed=done, total=steps, text=counted(status.state for status in statuses))
            for status in statuses:
                if status.name not in tasks and status.state in MARKS:
                    tasks[status.name] = bars.add_task(escape(status.name), completed=status.done, text="")
                if status.name in tasks:
                    text = f"[{MARKS.get(status.state, 'green')}]{status.state}[/] {escape(status.text)}"
                    alive = status.state in MARKS
                    bars.update(tasks[status.name], completed=status.done, total=status.steps, text=text, visible=alive)

        yield draw


def summary(outcomes: "Sequence[Outcome]", console: Console) -> bool:
    """Say how the batch ended, naming every failure with the end of its log; whether all runs are finished."""
    console.print(f"{len(outcomes)} runs: {counted(outcome.state for outcome in outcomes)}")
    for outcome in (outcome for outcome in outcomes if not outcome.good):
        console.print(f"[{MARKS[outcome.state]}]{outcome.state}[/] {escape(outcome.name)}: ", end="")
        console.print(outcome.message, markup=False, highlight=False)
        for line in outcome.tail.splitlines():
            console.print(f"    | {line}", markup=False, highlight=False)
    return all(outcome.good for outcome in outcomes)
