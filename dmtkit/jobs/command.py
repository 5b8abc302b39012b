"""What `dmtkit batch` shows: the list of runs, the live table, the summary."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from dmtkit.jobs.engine import Show
from dmtkit.jobs.outcome import Outcome
from dmtkit.jobs.plan import Batch, job_name
from dmtkit.jobs.status import Status

MARKS = {
    "done": "green",
    "skipped": "green",
    "failed": "red",
    "stopped": "yellow",
    "running": "cyan",
    "waiting": "yellow",
}


def run_list(batch: Batch) -> Table:
    """What a batch would do: its runs, and the baselines that they share."""
    table = Table(title=f"{len(batch.jobs)} runs, {len(batch.waiting)} of them to do")
    for column in ("run", "methods", "steps", "state"):
        table.add_column(column, justify="right" if column == "steps" else "left", overflow="fold")
    for baseline in batch.baselines.values():
        users = sum(baseline.key in keys for keys in batch.needs.values())
        state = "there already" if baseline.finished else f"to do, {_count(users, 'run starts', 'runs start')} from it"
        table.add_row(escape(baseline.name), "baseline", str(baseline.steps), state)
    waiting = {job_name(job): job for job in batch.waiting}
    for job in batch.jobs:
        to_do = job_name(job) in waiting
        steps = str(waiting[job_name(job)].steps) if to_do and job.checked else "?" * to_do
        state = "to do" if to_do else "finished"
        state += "" if job.checked else f", not checked: {job.config.code_from} is not imported by a dry run"
        table.add_row(escape(job_name(job)), ", ".join(job.config.methods), steps, state)
    return table


@contextmanager
def shown(console: Console) -> Iterator[Show]:
    """A table that is renewed in place; in a log, a line whenever a run's state changes."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=2) as live:
            yield lambda statuses: live.update(status_table(statuses, max(3, console.height - 7)))
        return
    last: dict[str, str] = {}

    def tell(statuses: list[Status]) -> None:
        for status in statuses:
            if last.get(status.name) != status.state and status.state != "pending":
                last[status.name] = status.state
                console.print(f"{status.name}: {status.state} {status.text}".rstrip(), markup=False, highlight=False)

    yield tell


def status_table(statuses: Sequence[Status], rows: int = 1000) -> Table:
    """How far every run is and how long it will take: what runs, waits or failed first, at most so many `rows`."""
    counts = Counter(status.state for status in statuses)
    left = time_left(statuses)
    title = ", ".join(f"{count} {state}" for state, count in counts.items())
    table = Table(title=title + f"; about {duration(left)} left" * (left is not None), expand=True)
    table.add_column("run", overflow="fold", ratio=3)
    table.add_column("state", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("newest", overflow="ellipsis", no_wrap=True, ratio=4)
    order = {state: place for place, state in enumerate(("running", "waiting", "failed", "stopped", "pending"))}
    ordered = sorted(statuses, key=lambda status: order.get(status.state, len(order)))
    for status in ordered[:rows]:
        share = f"{100 * min(status.done, status.steps) / status.steps:.0f} %" if status.steps else ""
        state = f"[{MARKS[status.state]}]{status.state}[/]" if status.state in MARKS else status.state
        table.add_row(escape(status.name), state, share, duration(status.left), escape(status.text))
    if len(ordered) > rows:
        table.add_row(f"… and {len(ordered) - rows} more")
    return table


def time_left(statuses: Sequence[Status]) -> float | None:
    """Seconds until all is done, at the speed of what runs now; None while that is not known.

    >>> time_left([Status("a", "running", done=50, steps=100, left=25.0), Status("b", "pending", steps=100)])
    75.0
    """
    speed = sum((s.steps - s.done) / s.left for s in statuses if s.state == "running" and s.left)
    rest = sum(s.steps - min(s.done, s.steps) for s in statuses if s.state in ("running", "waiting", "pending"))
    return rest / speed if speed else None


def summary(outcomes: Sequence[Outcome], console: Console) -> bool:
    """Say how the batch ended, naming every failure with the end of its log; whether all runs are finished."""
    counts = Counter(outcome.state for outcome in outcomes)
    console.print(f"{len(outcomes)} runs: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    for outcome in outcomes:
        if outcome.good:
            continue
        console.print(f"[{MARKS[outcome.state]}]{outcome.state}[/] {escape(outcome.name)}: ", end="")
        console.print(outcome.message, markup=False, highlight=False)
        for line in outcome.tail.splitlines():
            console.print(f"    | {line}", markup=False, highlight=False)
    return all(outcome.good for outcome in outcomes)


def duration(seconds: float | None) -> str:
    """Seconds as people say them.

    >>> duration(75), duration(3700), duration(None)
    ('1:15', '1:01:40', '')
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
