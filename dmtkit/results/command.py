"""The body of `dmtkit report`: tables to the terminal, or tables and figures to a folder; warnings to stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dmtkit.errors import RunError, listing
from dmtkit.results.tables import all_tables, collect, write
from dmtkit.results.tables.collect import Collected
from dmtkit.results.tables.export import FORMATS, check_formats, distinct
from dmtkit.results.tables.names import slug

WORDS = {"skipped": "left out", "unfinished": "not finished", "twice": "found twice, counted once"}


def report(folder: Path, experiments: Sequence[str], formats: Sequence[str], output: Path | None) -> None:
    """Report on the runs below `folder`; RunError if there is nothing to report, or `output` cannot be written."""
    check_formats(formats)
    collected = collect(folder, experiments)
    print("\n".join(_warnings(collected)), end="\n" * bool(_warnings(collected)), file=sys.stderr)
    if collected.runs.empty:
        raise RunError(collected.summary)
    tables = all_tables(collected)
    if output is None:
        for name in formats or ["md"]:
            for table in tables:
                print(*([f"# {table.caption}"] if name == "csv" else []), FORMATS[name](table), sep="\n")
        return
    written = write(tables, output, formats or tuple(FORMATS))
    if "csv" in (formats or FORMATS):
        for name, rows in (("runs", collected.runs), ("phases", collected.phases)):
            written.append(output / f"{name}.csv")
            rows.to_csv(written[-1], index=False)
    written += draw(collected, output)
    print(collected.summary)
    print(f"{output}: {len(tables)} tables and {sum(path.suffix == '.png' for path in written)} figures written")


def draw(collected: Collected, output: Path) -> list[Path]:
    """Every figure of every experiment as `<output>/<kind>_<experiment>.png`; the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from dmtkit.results.plots import plot_methods, plot_paired, plot_progress
    from dmtkit.results.style import apply_style

    apply_style()
    written = []
    names = distinct([slug(experiment) for experiment in collected.experiments])
    for name, experiment in zip(names, collected.experiments, strict=True):
        for plot in (plot_methods, plot_progress, plot_paired):
            path = output / f"{plot.__name__.removeprefix('plot_')}_{name}.png"
            figure: Any = plot(collected, experiment).get_figure(root=True)
            figure.savefig(path, dpi=110)
            plt.close(figure)
            written.append(path)
    return written


def _warnings(collected: Collected) -> list[str]:
    lines = [
        f"{name}: runs differ, and are not averaged together, in {'; '.join(rows['what'])}"
        for name, rows in collected.mixed.groupby("base")
    ]
    for kind, rows in collected.left_out.groupby("kind", sort=False):
        items = [path + (f": {why}" if why else "") for path, why in zip(rows["path"], rows["reason"], strict=True)]
        lines.append(f"{WORDS[str(kind)]}:\n{listing(items)}")
    return lines
