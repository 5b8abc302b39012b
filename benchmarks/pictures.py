"""Draws the README's pictures from a finished digits run into docs/images/.

Usage: python -m benchmarks.pictures RUN_FOLDER
"""

import sys

import matplotlib

from benchmarks.common import ROOT


def main(folder: str) -> None:
    matplotlib.use("Agg")
    from dmtkit import load_run, plots, style

    style.apply_style()
    run = load_run(folder)
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    plots.plot_cases(run).get_figure().savefig(images / "cases.png", dpi=90)
    plots.plot_case_accuracy(run).get_figure().savefig(images / "case_accuracy.png", dpi=90)
    plots.plot_extremes(run, count=9).savefig(images / "extremes.png", dpi=90)
    print(*(path.relative_to(ROOT) for path in sorted(images.glob("*.png"))))


if __name__ == "__main__":
    main(sys.argv[1])
