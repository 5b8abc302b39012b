"""What only looks at runs, data or settings imports no code of one's own: it may be anybody's."""

from pathlib import Path

import pytest

import dmtkit
from dmtkit import own
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.plan import make_batch
from dmtkit.registry import METHODS
from dmtkit.results import plots, tables
from dmtkit.runs.environment import examine
from dmtkit.training.experiment import run_methods
from tests.commands import dmtkit as command
from tests.own_cells import CELL, _forgotten, params_file  # noqa: F401

MARK = "open(__file__ + '.imported', 'w').close()\n"


def explore(run):
    with pytest.raises(dmtkit.DmtkitError, match="store no pseudo labels"):
        dmtkit.explore(run)


LOOKING = {
    "data check": lambda params, run: command("data", "check", params),
    "batch --dry-run": lambda params, run: command("batch", params, "--dry-run"),
    "a batch that is listed": lambda params, run: make_batch([params], imports=False),
    "report": lambda params, run: command("report", run.parent),
    "report --output": lambda params, run: command("report", run.parent, "--output", run.parent.parent / "tables"),
    "doctor": lambda params, run: command("doctor"),
    "load_params": lambda params, run: dmtkit.make_config(dmtkit.load_params(params) | {"methods": ["supervised"]}),
    "load_run": lambda params, run: dmtkit.load_run(run).method("mine").title,
    "results": lambda params, run: tables.results_table(dmtkit.load_run(run)),
    "figures": lambda params, run: (plots.plot_curves(dmtkit.load_run(run)), plots.plot_phases(dmtkit.load_run(run))),
    "explore": lambda params, run: explore(run),
    "a notebook that looks": lambda params, run: dmtkit.start({"run_dir": str(run)}, "run_dir"),
    "the machine": lambda params, run: examine(),
}


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    """A params file that names code, and the finished run of it; the code leaves a mark whenever it is imported."""
    folder = tmp_path_factory.mktemp("own")
    params = params_file(folder, MARK + CELL, baseline_epochs=1, label_ratios=[0.2])
    run = run_methods(plan_job(params, {}).config, None, folder / "runs" / "own" / "seed-1")
    return params, run.path


def mark(params):
    return Path(f"{params.with_name('my_methods.py')}.imported")


@pytest.mark.parametrize("looks", LOOKING)
def test_looking_imports_no_code_of_ones_own(looks, looked_at):
    params, run = looked_at
    own._forget()
    mark(params).unlink(missing_ok=True)
    found = LOOKING[looks](params, run)
    assert getattr(found, "exit_code", 0) == 0, found.output
    assert not mark(params).exists()
    assert "mine" not in METHODS


def test_running_imports_it(looked_at):
    params, run = looked_at
    own._forget()
    mark(params).unlink(missing_ok=True)
    plan_job(params, {}, run)
    assert mark(params).exists()
