"""Figures and tables from a run folder alone; what needs the truth is absent where it is not known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.errors import ConfigError
from dmtkit.results import plots, tables
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY, make_tree


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    config = make_config({**TINY, "methods": ("supervised", "oracle", "cl", "dmt"), "published": "cifar10_4000"})
    return run_methods(config, output_dir=tmp_path_factory.mktemp("known") / "run")


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    """A run on own data whose unlabeled images nobody has labeled."""
    folder = make_tree(tmp_path_factory.mktemp("own"), per_class=20)
    (folder / "unlabeled").mkdir()
    for name in ("cat", "dog"):
        for i in range(12):
            (folder / "train" / name / f"{i:03d}.png").rename(folder / "unlabeled" / f"{name}{i}.png")
    values = {**TINY, "dataset": "folder", "data_dir": str(folder), "labels": None, "val": 1, "mixup": 0}
    values |= {"label_ratios": (0.5, 1.0), "methods": ("supervised", "dmt")}
    return run_methods(make_config(values), output_dir=folder / "run")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


FIGURES = [plots.plot_phases, plots.plot_curves, plots.plot_cases, plots.plot_case_accuracy, plots.plot_extremes]


@pytest.mark.parametrize("plot", [*FIGURES, plots.plot_reliability], ids=lambda plot: plot.__name__)
@pytest.mark.parametrize("which", ["known", "unknown"])
def test_every_figure_draws(plot, which, request, tmp_path):
    run = request.getfixturevalue(which)
    drawn = plot(run)
    plots.keep(run, "test", drawn)
    assert (run.path / "figures" / "test.png").stat().st_size > 3000


def test_a_figure_draws_into_axes_that_are_given(known):
    _, ax = plt.subplots()
    assert plots.plot_cases(known, "dmt", ax=ax) is ax
    assert plots.plot_case_accuracy(known, "cl", ax=plt.subplots()[1]).texts, "CL has no cases, and the figure says so"


def test_the_split_draws(unknown):
    plots.plot_split(load(make_config({})))
    plots.plot_split(load(unknown.config))


def test_the_stacked_shares_are_those_of_the_log(known):
    table = known.metrics[known.metrics["method"] == "dmt"]
    total = table[["share_agree", "share_negative", "share_positive"]].sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_results_stand_beside_published_ones(known):
    table = tables.results_table(known)
    assert list(table.index) == ["supervised", "oracle", "cl", "dmt"]
    assert table.loc["dmt", "published (%)"] == 94.21
    assert pd.isna(table.loc["oracle", "published (%)"]), "unpublished cells stay empty"
    difference = known.results["cl"]["accuracy"] - known.results["supervised"]["accuracy"]
    assert table.loc["cl", "over supervised"] == pytest.approx(difference, abs=0.01)


def test_phase_table_agrees_with_the_stored_labels(known):
    table = tables.phase_table(known, "dmt")
    for number, phase in zip(table.index, known.phases("dmt"), strict=True):
        stored, rows = phase.arrays("pseudo_labels"), phase.arrays("samples")
        kept = stored["kept"]
        assert table.loc[number, "kept"] == kept.sum()
        assert table.loc[number, "threshold"] == pytest.approx(stored["level"][kept].min() / 65535)
        names = [case for case in ("agree", "negative", "positive") if f"share {case}" in table]
        assert table.loc[number, [f"share {case}" for case in names]].sum() == pytest.approx(100)
        right = rows["y_A"] == rows["truth"]
        assert ((rows["case"] == 0) == (rows["y_A"] == rows["y_B"])).all()
        assert 0 <= right.mean() <= 1


def test_without_truth_its_columns_are_absent_not_zero(unknown):
    table = tables.phase_table(unknown, "dmt")
    assert not [name for name in table if name.startswith("right")]
    assert not [name for name in unknown.metrics if name.startswith("accuracy")]
    assert "truth" not in unknown.phases("dmt")[0].arrays("samples")
    assert "share agree" in table


def test_the_oracle_needs_the_truth(unknown):
    values = {**unknown.config.model_dump(), "methods": ("oracle",)}
    with pytest.raises(ConfigError, match="oracle needs the truth"):
        run_methods(make_config(values), output_dir=unknown.path.parent / "oracle")


def test_a_finished_run_opens_without_its_data(known):
    from dmtkit.runs.run import load_run

    run = load_run(known.path)
    assert run.finished
    assert run.methods == ["supervised", "oracle", "cl", "dmt"]
    assert run.classes == list("0123456789")
    assert run.done["seconds"] > 0
