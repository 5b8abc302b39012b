"""Draws the README's pictures from finished runs, of digits or of scenes, into docs/images/.

Usage: python -m benchmarks.pictures RUN_FOLDER …
"""

import sys

import matplotlib

from benchmarks.common import ROOT

SAMPLE = 1  # of the scenes kept for looking at


def main(folders: list[str]) -> None:
    matplotlib.use("Agg")
    from dmtkit import load_run, plots, style

    style.apply_style()
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        run = load_run(folder)
        if run.config.task == "segmentation":
            plots.plot_weight_maps(run, sample=SAMPLE).savefig(images / "weights.png", dpi=80)
            plots.plot_error_search(run).get_figure().savefig(images / "error_search.png", dpi=80)
        else:
            plots.plot_case_accuracy(run).get_figure().savefig(images / "case_accuracy.png", dpi=90)
            plots.plot_extremes(run, count=9).savefig(images / "extremes.png", dpi=90)
    print(*(path.relative_to(ROOT) for path in sorted(images.glob("*.png"))))


if __name__ == "__main__":
    main(sys.argv[1:])
