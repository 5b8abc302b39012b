"""The teaching notebooks on two models and on iterations: what they count in a run, their figures."""

import random
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from dmtkit import teach
from dmtkit.config import make_config
from dmtkit.data.segmentation import load
from dmtkit.data.splits import difference_maximised
from dmtkit.errors import RunError
from dmtkit.teach import error_review
from dmtkit.teach import pixel_labels as labels_in
from dmtkit.teach.pixel_labels import Labels
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY_SEGMENTATION

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
    kept = labels_in.kept_of(run, method, number, student)
    summary = run.phases(method)[number - 1].model_folder(student).summary
    (row,) = [r for r in summary["cases"] if (r["case"], r["class"]) == ("all", "all")]
    assert 100 * (1 - labels_in.error_rate(kept, data)) == pytest.approx(row["precision"])
    counted = sum(int((kept.kept(i)[0] != 255).sum()) for i in range(len(data.unlabeled)))
    assert counted == summary["kept"]
    table = labels_in.label_progress(run, data, {method: student})
    assert table.loc[table["phase"] == number, "kept"].item() == pytest.approx(row["precision"])


@pytest.mark.parametrize(("method", "student"), [("dmt", "B"), ("cbst", "A")])
def test_the_search_by_confidence_equals_one_made_anew(run, data, method, student):
    """c_A needs no student: sorting the kept labels of the probe images again gives the stored curve, and scikit-learn's AUROC."""
    kept = labels_in.kept_of(run, method, 1, student)
    chosen = labels_in.probed(run.config.seed, len(data.unlabeled))
    wrong, confidence = [], []
    for position in chosen:
        label, level = kept.kept(position)
        mask = label != 255
        wrong.append((label != data.unlabeled.mask(position))[mask])
        confidence.append(level[mask] / 65535)
    wrong, confidence = np.concatenate(wrong), np.concatenate(confidence)
    assert labels_in.probed_error_rate(run, data, method, 1, student) == pytest.approx(wrong.mean())
    again, stored = error_review.errors_found(confidence, wrong), labels_in.searches(run, data, method, 1, student)
    for share in np.linspace(0, 1, 11):
        assert stored["end"]["c_A"].at(share) == pytest.approx(again.at(share), abs=0.02)
    auroc = run.phases(method)[0].model_folder(student).summary["auroc"]["end"]["c_A"]
    assert auroc == pytest.approx(roc_auc_score(wrong, -confidence), abs=1e-4)


def test_a_model_never_contradicts_its_own_labels(run):
    for number in (1, 2):
        assert labels_in.sampled_agreement(run, "cbst", number, "A", "start").agree == 1
    assert labels_in.sampled_agreement(run, "dmt", 1, "B", "start").agree < 1


def test_labels_and_their_teachers(run, data):
    assert labels_in.teacher_of(run, "dmt", 1, "B").folder == run.path / "supervised" / "phase_0" / "A"
    assert labels_in.teacher_of(run, "dmt", 2, "A").folder == run.path / "dmt" / "phase_1" / "B"
    assert labels_in.teacher_of(run, "cbst", 2, "A").folder == run.path / "cbst" / "phase_1" / "A"
    store = labels_in.store_of(labels_in.labeller(run, "dmt", 0, "B"))
    found = labels_in.labels_of(store, data)
    assert len(found.label) == len(data.unlabeled) * 24 * 24
    assert (found.label[: 24 * 24].reshape(24, 24) == store.label(0)).all()
    assert found.error_rate == (found.label != found.truth).mean()
    assert sum(len(found.of_class(k).label) for k in range(11)) == len(found.label)
    with pytest.raises(RunError, match="holds no labels"):
        labels_in.store_of(labels_in.labeller(run, "dmt", 2, "A"))


def test_with_difference_maximised_sampling_phase_0_is_the_methods_own(run, tmp_path):
    from dmtkit.runs.run import Run

    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**run.config.model_dump(mode="json"), "sampling": "dms"}))
    (tmp_path / "dmt" / "phase_0" / "A").mkdir(parents=True)
    assert labels_in.teacher_of(Run(tmp_path), "dmt", 1, "B").folder == tmp_path / "dmt" / "phase_0" / "A"
    assert labels_in.teacher_of(Run(tmp_path), "cbst", 1, "A").folder == tmp_path / "supervised" / "phase_0" / "A"


def made(n=400, classes=4, missing=()):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, n)
    label = np.where(rng.random(n) < 0.7, truth, 0)
    label[np.isin(label, missing)] = 0
    return Labels(label, rng.random(n), truth)


def drawn_well(drawn, tmp_path):
    first = drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn
    figure = first if hasattr(first, "savefig") else first.get_figure(root=True)
    figure.savefig(tmp_path / "figure.png", dpi=60)
    assert (tmp_path / "figure.png").stat().st_size > 3000


def test_figures_of_a_run_draw(run, data, tmp_path):
    curves = labels_in.searches(run, data, "dmt", 1, "B")
    store = labels_in.store_of(labels_in.labeller(run, "dmt", 0, "A"))
    images = [data.unlabeled.image(i) for i in (0, 3)]
    for drawn in (
        teach.plot_wrong_labels(run),
        teach.plot_disagreement(run, samples=(0,)),
        teach.plot_errors_found(curves, 0.3),
        teach.plot_label_progress(labels_in.label_progress(run, data, {"dmt": "B", "cbst": "A"})),
        teach.plot_kept_pixels(images, labels_in.kept_at(store, 0.3), (0, 3), run.classes, 0.3),
    ):
        drawn_well(drawn, tmp_path)


@pytest.mark.parametrize("missing", [(), (3,), (1, 2, 3)], ids=["all classes", "one missing", "one class only"])
def test_figures_of_labels_draw_with_classes_that_were_never_predicted(missing, tmp_path):
    labels, classes = made(missing=missing), "abcd"
    level = np.round(labels.confidence * 65535).astype(int)
    histogram = np.zeros((4, 65536), np.int64)
    np.add.at(histogram, (labels.label, level), 1)
    pair = error_review.agreement(labels.label, labels.label, labels.truth)
    for drawn in (
        teach.plot_class_errors(labels, classes),
        teach.plot_calibration(labels),
        teach.plot_filter(labels, 0.5),
        teach.plot_agreement({"A and A": pair}),
        teach.plot_kept_accuracy(labels, (0.5, 1.0)),
        teach.plot_class_thresholds(histogram, classes, 0.5),
        teach.plot_balance(histogram, classes, 0.5),
    ):
        drawn_well(drawn, tmp_path)


def test_figures_say_the_numbers(tmp_path):
    labels = made()
    ax = teach.plot_kept_accuracy(labels, (1.0,))
    assert f"{100 * (1 - labels.error_rate):.1f} %" in ax.texts[0].get_text()
    never = teach.plot_class_errors(made(missing=(3,)), "abcd")
    assert "never\npredicted" in [text.get_text() for text in never.texts]
    shown = teach.plot_repeated({"B": 0.25, "C": float("nan")})
    assert [text.get_text() for text in shown.texts] == ["25.0 %", "none"]
    sampled = teach.plot_sampling(difference_maximised([str(i) for i in range(10)], random.Random(0)))
    assert [text.get_text() for text in sampled.texts] == ["2", "6", "6", "2"]
    nothing_wrong = {
        "start": {name: error_review.errors_found(np.ones(3), np.zeros(3, bool)) for name in ("w", "p_B", "c_A")}
    }
    assert "nothing to find" in teach.plot_errors_found(nothing_wrong, 0.0).axes[0].texts[0].get_text()
    drawn_well(teach.plot_contradicted({"dmt": {(1, "start"): 0.1, (1, "middle"): 0.2}}), tmp_path)
    drawn_well(teach.plot_label_rules((0.9, 0.4, 0.6), side=60), tmp_path)
    with pytest.raises(ValueError, match="expected three"):
        teach.plot_label_rules((0.9, 0.4))
