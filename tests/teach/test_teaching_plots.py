"""The teaching notebooks on two models and on iterations: what they count in a run, their figures."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dmtkit import teach
from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.errors import RunError
from dmtkit.tasks.probes import probed
from dmtkit.teach.pixel_labels import keep, store_of
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY_SEGMENTATION
from tests.teach.test_review import errors_found

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {**TINY_SEGMENTATION, "baseline_epochs": 30, "scenes": 24}  # long enough for several classes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_methods(make_config(SETTINGS), output_dir=tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def data(run):
    return load(run.config)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.parametrize(("method", "student"), [("dmt", "B"), ("dmt", "A"), ("cbst", "A")])
@pytest.mark.parametrize("number", [1, 2])
def test_kept_labels_are_those_that_the_phase_learned(run, data, method, student, number):
    """Counted again from the stored labels, against what the phase itself wrote down."""
    kept = teach.kept_labels(run, method, number, student, data)
    summary = run.phases(method)[number - 1].model_folder(student).summary
    (row,) = [r for r in summary["cases"] if (r["case"], r["class"]) == ("all", "all")]
    assert 100 * (1 - kept.wrong.mean()) == pytest.approx(row["precision"])
    assert len(kept) == summary["kept"]


@pytest.mark.parametrize(("method", "student"), [("dmt", "B"), ("cbst", "A")])
def test_the_search_by_confidence_equals_one_made_anew(run, data, method, student):
    """c_A needs no student: sorting the kept labels of the probe images again gives the stored curve, and scikit-learn's AUROC."""
    kept = teach.kept_labels(run, method, 1, student, data, probed(run.config.seed, len(data.unlabeled)))
    again, stored = errors_found(kept.confidence, kept.wrong), teach.searches(run, data, method, 1, student)
    for share in np.linspace(0, 1, 11):
        assert np.interp(share, *stored["end"]["c_A"]) == pytest.approx(np.interp(share, *again), abs=0.02)
    assert np.interp(kept.wrong.mean(), *stored["end"]["perfect"]) == pytest.approx(1)
    auroc = run.phases(method)[0].model_folder(student).summary["auroc"]["end"]["c_A"]
    assert auroc == pytest.approx(roc_auc_score(kept.wrong, -kept.confidence), abs=1e-4)


def test_a_model_never_contradicts_its_own_labels_at_the_start(run):
    for method, number, student, same in (("cbst", 1, "A", True), ("cbst", 2, "A", True), ("dmt", 1, "B", False)):
        folder = run.phases(method)[number - 1].model_folder(student)
        labels, asked = folder.arrays("samples"), folder.arrays("probe_start")
        pairs = [(labels[f"{n.split('/')[0]}/y_A"], asked[n]) for n in asked if n.endswith("/y_B")]
        assert pairs
        assert all((label == answer).all() for label, answer in pairs) == same


def test_labels_beside_the_truth_and_whose_they_are(run, data):
    assert store_of(run, "dmt", 0, "B").folder == run.path / "supervised" / "phase_0" / "B" / "labels"
    assert store_of(run, "cbst", 1, "A").folder == run.path / "cbst" / "phase_1" / "A" / "labels"
    labels, store = teach.labels(run, "dmt", 0, "B", data), store_of(run, "dmt", 0, "B")
    assert len(labels) == len(data.unlabeled) * 24 * 24
    assert (labels.label.cat.codes[: 24 * 24].to_numpy().reshape(24, 24) == store.label(0)).all()
    assert list(labels.label.cat.categories) == list(data.classes)
    assert (labels.wrong == (labels.label != labels.truth)).all()
    with pytest.raises(RunError, match="holds no labels"):
        teach.labels(run, "dmt", 3, "A", data)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_the_place_keeps_the_most_confident_of_every_class_as_training_does(run, data, ratio):
    labels, store = teach.labels(run, "dmt", 0, "A", data), store_of(run, "dmt", 0, "A")
    kept = keep(store, ratio)
    trained_on = np.bincount(np.concatenate([kept.kept(i)[0].ravel() for i in range(len(store.names))]), minlength=256)
    counts = labels.label[labels.place <= ratio].value_counts().reindex(data.classes).to_numpy()
    assert np.abs(counts - trained_on[: len(counts)]).max() <= 1
    for _, rows in labels.groupby("label", observed=True):
        chosen = rows.place <= ratio
        assert rows.confidence[chosen].min() >= rows.confidence[~chosen].max() or chosen.all()


def test_with_difference_maximised_sampling_phase_0_is_the_methods_own(run, data):
    (run.path / "dmt" / "phase_0" / "A").mkdir(parents=True)
    try:
        with pytest.raises(RunError, match=r"dmt.phase_0.A: holds no labels"):
            store_of(run, "dmt", 0, "A")
        assert len(store_of(run, "cbst", 0, "A").names) == len(data.unlabeled)
    finally:
        (run.path / "dmt" / "phase_0" / "A").rmdir()
        (run.path / "dmt" / "phase_0").rmdir()


def made(n=400, classes=4, missing=()):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, n)
    label = np.where(rng.random(n) < 0.7, truth, 0)
    label[np.isin(label, missing)] = 0
    table = pd.DataFrame({"label": pd.Categorical.from_codes(label, list("abcd")), "confidence": rng.random(n)})
    return table.assign(wrong=label != truth)


def drawn_well(drawn, tmp_path):
    first = drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn
    figure = first if hasattr(first, "savefig") else first.get_figure(root=True)
    figure.savefig(tmp_path / "figure.png", dpi=60)
    assert (tmp_path / "figure.png").stat().st_size > 3000


def test_figures_of_a_run_draw(run, data, tmp_path):
    for drawn in (
        teach.plot_wrong_labels(run),
        teach.plot_wrong_labels(run, ask_b=True, samples=(0,)),
        teach.plot_errors_found(teach.searches(run, data, "dmt", 1, "B")),
        teach.plot_kept_pixels(run, data, 0.3, count=2),
    ):
        drawn_well(drawn, tmp_path)


@pytest.mark.parametrize("missing", [(), (3,), (1, 2, 3)], ids=["all classes", "one missing", "one class only"])
def test_figures_of_labels_draw_with_classes_that_were_never_predicted(missing, tmp_path):
    labels = made(missing=missing)
    for drawn in (
        teach.plot_bars(labels.groupby("label", observed=False).wrong.mean()),
        teach.plot_bars(pd.DataFrame([teach.agreement(labels, labels.label)])),
        teach.plot_calibration(labels),
        teach.plot_filter(labels, 0.5),
    ):
        drawn_well(drawn, tmp_path)


def test_figures_say_the_numbers():
    labels = made()
    shown = teach.plot_bars(pd.Series({"B": 25.0, "C": float("nan")}))
    assert [text.get_text() for text in shown.texts] == ["25.0", "–"]
    kept, dropped = teach.plot_filter(labels, 0.5).get_legend().get_texts()
    sure = labels.confidence >= 0.5
    assert kept.get_text() == f"wrong labels that are kept: {100 * sure[labels.wrong].mean():.1f} %"
    assert dropped.get_text() == f"right labels that are dropped: {100 * (~sure)[~labels.wrong].mean():.1f} %"
    nothing = np.array([[0, 1], [np.nan, np.nan]])
    assert "nothing to find" in teach.plot_errors_found({"start": {"perfect": nothing}}).axes[0].texts[0].get_text()
