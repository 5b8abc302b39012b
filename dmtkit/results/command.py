"""The body of `dmtkit report`: tables to the terminal, or tables and figures to a folder; warnings to stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dmtkit.errors import RunError, listing
from dmtkit.results.tables import all_tables
from dmtkit.results.tables.collect import Collected, collect
from dmtkit.results.tables.table import FORMATS, check_formats, distinct, slug, to_csv, write


def report(folder: Path, experiments: Sequence[str], formats: Sequence[str], output: Path | None) -> None:
    """Report on the runs below `folder`; RunError if there is nothing to report, or `output` cannot be written."""
    check_formats(formats)
    collected = collect(folder, experiments)
    for heading, items in collected.remarks().items():
        print(f"{heading}:\n{listing(items)}", file=sys.stderr)
    if collected.runs.empty:
        raise RunError(collected.summary)
    tables = all_tables(collected)
    if output is None:
        for name in formats or ["md"]:
            for table in tables:
                print(*([f"# {table.caption}"] if name == "csv" else []), FORMATS[name](table), sep="\n")
        return
    write(tables, output, formats or tuple(FORMATS))
    if "csv" in (formats or FORMATS):
        for name, data in {"runs": collected.runs, "phases": collected.phases}.items():
            (output / f"{name}.csv").write_text(to_csv(data), encoding="utf-8")
    figures = draw(collected, output)
    print(f"{collected.summary}\n{output}: {len(tables)} tables and {len(figures)} figures written")


def draw(collected: Collected, output: Path) -> list[Path]:
    """Every figure of every experiment as `<output>/<kind>_<experiment>.png`; the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from dmtkit.results.plots.many import plot_methods, plot_paired, plot_progress
    from dmtkit.results.style import apply_style

    apply_style()
    written = []
    names = distinct([slug(experiment) for experiment in collected.experiments])
    for name, experiment in zip(names, collected.experiments, strict=True):
        for plot in (plot_methods, plot_progress, plot_paired):
            written.append(output / f"{plot.__name__.removeprefix('plot_')}_{name}.png")
            figure: Any = plot(collected, experiment).get_figure(root=True)
            figure.savefig(written[-1], dpi=110)
            plt.close(figure)
    return written
