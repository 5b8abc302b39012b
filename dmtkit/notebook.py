"""What a notebook needs beside the library: progress bars around one run or many, errors without a traceback."""

import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtkit.config import Config, config_type, make_config
from dmtkit.errors import ConfigError, DmtkitError, RunError
from dmtkit.jobs.console import Bar, counted
from dmtkit.methods import METHODS
from dmtkit.own import import_code, with_code
from dmtkit.params import check_parameters, load_params, project_root, variables
from dmtkit.registry import flat_names, methods_in
from dmtkit.runs.folder import default_folder
from dmtkit.runs.run import Run
from dmtkit.training.experiment import run_methods

if TYPE_CHECKING:
    import pandas as pd

    from dmtkit.jobs.engine import Status
    from dmtkit.viewer.live import Live


def start(namespace: dict[str, Any], names: str | None = None) -> Config | None:
    """The first call of a notebook, right after its parameters cell: the kit's figures, errors in words, names checked.

    `names` says which parameters (words) the notebook has: any other variable set so far is refused, since papermill itself
    only warns of a name mistyped on its command line. Without `names` they are the settings of a run, and its config is
    returned; so it is where they are `params`, a params file, and `overrides`.
    """
    from dmtkit.results.style import apply_style

    short_errors()
    apply_style()
    if names is None:
        return notebook_config(namespace)
    check_parameters(namespace, names)
    if set(names.split()) == {"params", "overrides"}:
        return make_config(load_params(project_root() / namespace["params"]) | namespace["overrides"])
    return None


def notebook_config(namespace: dict[str, Any]) -> Config:
    """The config of a notebook's variables, all of which must be parameters; later calls in the same kernel check values alone.

    By then the notebook has variables of its own.
    """
    values = variables(namespace)
    kind = config_type(values)
    import_code(values.get("code_from"))
    if namespace.get("_dmtkit_checked"):
        known = [*kind.model_fields, *flat_names(methods_in(values, kind.model_fields))]
        values = {name: value for name, value in values.items() if name in known}
    values.pop("output_dir", None)
    config = make_config(values)
    namespace["_dmtkit_checked"] = True
    return config


def train(
    config: Config,
    data: Any = None,
    output_dir: str | Path | None = None,
    live: bool | None = None,
    processes: int | None = None,
) -> Run:
    """Run all methods of `config` while the notebook shows how it goes, or open the run if it is finished.

    `live` asks for curves that grow (True) or a progress bar (False); without it there are curves where a person has
    the notebook open, unless DMTKIT_LIVE says otherwise. Interrupt it and run the cell again: it goes on where it stopped.
    With `processes` (by default the setting of that name) above 1 so many processes train it together, and load the data
    themselves, which must be the same; what they print is in the run folder's train.log.
    """
    processes = config.processes if processes is None else processes
    if processes < 1:
        raise ConfigError(f"processes: found {processes}, expected 1 or more")
    short_errors()
    config = with_code(config)
    folder = Path(output_dir) if output_dir else default_folder(config)
    view, started = _live_view(folder, live), time.monotonic()
    try:
        if processes > 1:
            from dmtkit.jobs.training_job import train_together

            run = train_together(config, processes, folder, data, view)
        else:
            run = run_methods(config, data, folder, progress=view)
    finally:
        view.close()
    print(f"{run.path}: finished ({run.done['seconds']:.0f} s of computing, {time.monotonic() - started:.0f} s now)")
    return run


def _live_view(folder: Path, live: bool | None) -> "Live | Bar":
    """What takes the reports of progress: in a notebook a view of its own, elsewhere, or where that fails, a bar."""
    bar = Bar()
    try:
        from dmtkit.viewer.live import Live, get_ipython, wanted

        return Live(folder, bar, wanted(live)) if hasattr(get_ipython(), "kernel") else bar
    except Exception as error:  # whatever a front end or its absence may do, training starts
        warnings.warn(f"no live view ({type(error).__name__}: {error}); training goes on", stacklevel=3)
        return bar


def run_all(
    params: str,
    methods: Sequence[str] | str,
    seeds: Sequence[int] | int | str | None = None,
    splits: Sequence[int] | int | str | None = None,
    workers: int = 1,
    overrides: dict[str, Any] | None = None,
) -> "pd.DataFrame":
    """Run every method, seed and split of an experiment, those that are finished excepted; a row a run: how it ended.

    Seeds and splits are lists, single numbers, or text such as 1-3. RunError naming every run that failed, with the last
    lines of its log, once all others are through.
    """
    import pandas as pd

    from dmtkit.jobs.engine import run_batch
    from dmtkit.jobs.plan import make_batch

    batch = make_batch([project_root() / params], seeds, splits, methods, overrides)

    def show(statuses: "Sequence[Status]") -> None:
        done, steps = (sum(getattr(status, name) for status in statuses) for name in ("done", "steps"))
        bar.show(done, steps, counted(status.state for status in statuses))

    with closing(Bar()) as bar:
        outcomes = run_batch(batch, workers=workers, show=show)
    failed = [f"{outcome.name}: {outcome.message}\n{outcome.tail}" for outcome in outcomes if outcome.state == "failed"]
    if failed:
        raise RunError("\n".join([f"{len(failed)} of {len(outcomes)} runs failed", *failed]))
    if any(outcome.state == "stopped" for outcome in outcomes):
        raise KeyboardInterrupt("stopped; run the cell again to go on")
    columns = {
        "experiment": [job.config.experiment for job in batch.jobs],
        "method": [", ".join(job.config.methods) for job in batch.jobs],
        "run": [outcome.name for outcome in outcomes],
        "state": [outcome.state for outcome in outcomes],
        "minutes here": [round(outcome.seconds / 60, 1) for outcome in outcomes],
    }
    return pd.DataFrame(columns)


def methods_table(params: str) -> "pd.DataFrame":
    """The methods that are defined for the task of a params file: who labels, and how its labels are weighed."""
    import pandas as pd

    task = config_type(load_params(project_root() / params)).model_fields["task"].default
    known = {name: method for name, method in METHODS.items() if task in method.tasks}
    rows = {name: (method.title, method.teacher, method.rule) for name, method in known.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["name", "who labels", "weights"])
    return table.rename_axis("method")


def short_errors() -> None:
    """Show a DmtkitError as its message alone: bad input should not look like a crash of the notebook."""
    from IPython import get_ipython

    def show(
        shell: Any, kind: type[BaseException], error: BaseException, *trace: Any, tb_offset: int | None = None
    ) -> list[str]:
        lines = [f"{kind.__name__}: {error}"]
        shell._showtraceback(kind, error, lines)  # as an error, so that papermill stops
        return lines

    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((DmtkitError,), show)
