"""Draws the README's pictures into docs/images/: diagrams of the method, and figures of finished runs of digits or scenes.

Usage: python -m benchmarks.pictures [RUN_FOLDER …]
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
    diagrams = {"framework": plots.plot_framework, "chain": plots.plot_chain, "label_way": plots.plot_label_way}
    for name, draw in diagrams.items():
        draw().get_figure().savefig(images / f"{name}.png", dpi=96, facecolor="white")
    plots.plot_weight_surface().savefig(images / "weight_surface.png", dpi=90, facecolor="white")
    plots.plot_opinions(gamma1=1, gamma2=1).savefig(images / "opinions.png", dpi=90, facecolor="white")
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
