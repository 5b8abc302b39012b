"""Class names are text: a run whose classes are called as nobody should call them trains, and every figure shows them."""

import warnings

import matplotlib.pyplot as plt
import pytest

from dmtkit import teach
from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.results import plots
from dmtkit.results.style import apply_style, as_text
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY, TINY_SEGMENTATION, make_tree
from tests.trees import make_voc_style

NAMES = ("$^$", "under_$10_over_$20", "US$ 5%, CA$ 6%", r"\frac{$", "قطة صغيرة", " a  b ", "_other", "c" * 200)
OF_DATA = {"classification": [plots.plot_split], "segmentation": [plots.plot_scenes, plots.plot_class_frequencies]}
OF_RUN = {
    "classification": [plots.plot_curves, plots.plot_phases, plots.plot_extremes],
    "segmentation": [
        plots.plot_weight_maps,
        plots.plot_class_iou,
        plots.plot_kept_shares,
        plots.plot_label_quality,
        plots.plot_confusion,
        teach.plot_wrong_labels,
    ],
}


@pytest.fixture(scope="module", params=list(OF_RUN))
def config(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "classification":
        make_tree(folder, per_class=8, classes=NAMES)
        values = {**TINY, "labels": 2, "val": 1}
    else:
        make_voc_style(folder, classes=len(NAMES))
        values = {**TINY_SEGMENTATION, "classes": NAMES}
    values |= {"baseline_epochs": 1, "methods": ("supervised", "dmt"), "dataset": "folder", "data_dir": str(folder)}
    return make_config(values)


def draw(figures, of, folder):
    """Every figure is drawn and written without a warning."""
    apply_style()
    for plot in figures:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plot(of)
            plt.savefig(folder / "figure.png")
        plt.close("all")


def test_figures_of_the_data(config, outputs, tmp_path):
    draw(OF_DATA[config.task], load(config), tmp_path)


@pytest.mark.long
def test_a_run_and_its_figures(config, outputs, tmp_path):
    run = run_methods(config, output_dir=outputs / "run")
    assert set(run.classes) == set(NAMES)
    draw(OF_RUN[config.task], run, tmp_path)


def test_a_dollar_begins_no_formula_and_formulas_stay():
    for text, expected in ((as_text("$^$"), ("$^$", False)), ("$y_A$", ("$y_A$", True))):
        assert plt.figure().text(0, 0, text)._preprocess_math(text) == expected
    plt.close("all")
