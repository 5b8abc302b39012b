"""The tour and the notebook on the loss: the loss taken apart, its figures, the diagrams, sliders."""

import io
import math
import re
from base64 import b64decode
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from dmtkit import dynamic_weights, teach
from dmtkit.teach import loss as loss_by_hand
from dmtkit.teach.diagrams import plot_chain, plot_framework, plot_label_way
from dmtkit.teach.sliders import Painter, explore_plot

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def student(c_b, p, classes, agrees):
    """Logits of a student with this confidence and this probability of class 0, what is left shared by the others."""
    others = 1 if agrees else 2
    left = (1 - (p if agrees else c_b + p)) / max(classes - others, 1)
    row = [p, *[left] * (classes - 1)] if agrees else [p, c_b, *[left] * (classes - 2)]
    return torch.tensor([row], dtype=torch.float64).clamp(min=1e-12).log()


@pytest.mark.parametrize(
    ("confidence", "gamma1", "gamma2", "classes"), [(0.7, 3, 2, 3), (0.4, 1, 5, 10), (0.9, 0, 0, 4)]
)
def test_the_weights_are_what_dynamic_weights_says_of_such_students(confidence, gamma1, gamma2, classes):
    given = torch.zeros(1, dtype=torch.long), torch.tensor([confidence], dtype=torch.float64)
    gammas = {"gamma1": gamma1, "gamma2": gamma2}
    compared = 0
    for c_b in np.linspace(1 / classes + 0.01, 0.99, 12):
        low, high = loss_by_hand.disagreement_range(c_b, classes)
        for p in np.linspace(low, min(high, c_b - 2e-3), 6):
            found = dynamic_weights(student(c_b, p, classes, agrees=False), *given, **gammas)
            assert not found.agree.item()
            assert found.surer.item() == (c_b > confidence)
            weight = loss_by_hand.weight_of(np.array([c_b]), np.array([p]), False, confidence, **gammas)
            assert weight[0] == pytest.approx(found.weight.item(), abs=1e-5)
            compared += 1
    assert compared > 20
    for c_b in (0.5, 0.8, 1.0):
        found = dynamic_weights(student(c_b, c_b, classes, agrees=True), *given, **gammas)
        weight = loss_by_hand.weight_of(np.array([c_b]), np.array([c_b]), True, confidence, **gammas)
        assert weight[0] == pytest.approx(found.weight.item(), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_no_student_stands_outside_the_possible_region(classes):
    rows = np.random.default_rng(0).dirichlet(np.full(classes, 0.6), 4000)
    disagree = rows.argmax(1) != 0
    c_b, p = rows.max(1)[disagree], rows[disagree, 0]
    low, high = loss_by_hand.disagreement_range(c_b, classes)
    assert (p >= low - 1e-9).all()
    assert (p <= high + 1e-9).all()
    assert c_b.min() >= 1 / classes


def test_the_surface_drops_to_0_at_the_teachers_confidence_and_is_empty_where_nobody_can_be():
    surface = teach.plot_weight_surface(0.7, gamma2=1).axes[0].collections[0]
    weight = np.ma.filled(surface.get_array().astype(float), np.nan).reshape(126, 241)
    c_b = np.linspace(0, 1, 241)
    assert (weight[:, c_b > 0.7][np.isfinite(weight[:, c_b > 0.7])] == 0).all()
    assert np.nanmin(weight[10:, c_b < 0.7]) > 0
    assert np.isnan(weight[:, c_b < 1 / 3]).all()


@pytest.mark.parametrize("rule", ["dynamic", "naive", "uniform"])
@pytest.mark.parametrize("logits", [[2.0, 0.1, -1.0], [0.3, 0.9, 0.0], [-1.0, 3.0, 0.5]])
def test_the_gradient_is_the_weight_times_that_of_ordinary_training(rule, logits):
    found = loss_by_hand.take_apart([1.5, 0.5, 0.0], logits, 2, 3, rule)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    plain = probabilities - [1, 0, 0]
    assert found.plain == pytest.approx(plain, abs=1e-6)
    assert found.gradient == pytest.approx(found.weight * plain, abs=1e-6)
    assert found.loss == pytest.approx(-found.weight * math.log(probabilities[0]), abs=1e-6)


def test_only_the_division_by_the_number_keeps_the_weight():
    p, gamma = np.array([0.1, 0.5, 0.9]), 3
    ax = teach.plot_normalisation(gamma)
    by_number, by_weights = (np.interp(p, *line.get_data()) for line in ax.lines)
    length = (1 - p) * math.sqrt(1.5)  # of (p − 1, (1 − p)/2, (1 − p)/2)
    assert by_number == pytest.approx(p**gamma * length, abs=2e-3)
    assert by_weights == pytest.approx(length, abs=1e-5)


def test_a_gradient_through_the_weight_would_push_the_label_away():
    """What the notebook says of the detached weight."""
    found = teach.take_apart([2.0, 0.5, 0.0], [0.6, 1.2, 0.0])
    logits = torch.tensor([0.6, 1.2, 0.0], requires_grad=True)
    p = logits.softmax(0)[found.label]
    (leaky,) = torch.autograd.grad(-(p**3) * p.log(), logits)
    assert found.gradient[found.label] < 0 < leaky[found.label]


def test_the_table_of_rules_by_hand():
    table = loss_by_hand.rule_table(gamma=2)
    assert (table["uniform"] == 1).all()
    assert table["naive"].tolist() == pytest.approx([0.81, 0.25, 0.09, 0.04], abs=1e-6)
    assert table["dynamic"].tolist() == pytest.approx([0.81, 0.25, 0.09, 0], abs=1e-6)
    assert table["flip"].tolist() == pytest.approx([0.81, 0.25, 0.09, 0.16], abs=1e-6)
    assert table["case"].tolist() == ["agree", "agree", "negative", "positive"]
    assert table["flip learns"].tolist() == ["y_A", "y_A", "y_A", "y_B"]


def test_the_ramp_is_the_formula():
    figure = teach.plot_gamma_ramp(gamma_max=4, steps=500, p=(0.5,))
    t, gamma = figure.axes[0].lines[0].get_data()
    assert gamma == pytest.approx(4 * np.exp(-5 * (1 - t / 500) ** 2))
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx(0.5**gamma)


FIGURES = {
    "framework": plot_framework,
    "framework of three": lambda: plot_framework((0.34, 0.67, 1.0)),
    "chain": plot_chain,
    "label's way": plot_label_way,
    "surface": teach.plot_weight_surface,
    "surface of two classes": lambda: teach.plot_weight_surface(classes=2),
    "surface without negative": lambda: teach.plot_weight_surface(confidence=0.05, classes=21),
    "surface without positive": lambda: teach.plot_weight_surface(confidence=1.0),
    "gammas": lambda: teach.plot_gammas((0, 1, 2, 3, 4, 5, 6), p=0.5),
    "normalisation": teach.plot_normalisation,
    "ramp": lambda: teach.plot_gamma_ramp(gamma_max=0.0),
    "opinions": teach.plot_opinions,
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_white_and_no_words_are_cut_off(name):
    drawn = FIGURES[name]()
    figure = drawn if isinstance(drawn, plt.Figure) else drawn.get_figure(root=True)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for text in figure.findobj(plt.Text):
        if text.get_visible() and text.get_text() and text.axes is not None and text in text.axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= -1, text.get_text()
            assert box.y0 >= -1, text.get_text()
            assert box.x1 <= width + 1, text.get_text()
            assert box.y1 <= height + 1, text.get_text()
    assert tuple(np.asarray(figure.canvas.buffer_rgba())[0, 0]) == (255, 255, 255, 255)


def sliders_of(box):
    return {control.description: control for row in box.children[:-1] for control in row.children}


def test_sliders_change_the_picture_and_its_description():
    box = explore_plot(
        teach.plot_weight_surface, confidence=(0.35, 1.0, 0.05, 0.7), gamma1=(0.0, 8.0, 0.5, 3.0), classes=[3, 2]
    )
    picture, controls = box.children[-1], sliders_of(box)
    before = picture.value
    assert set(controls) == {"c_A", "γ₁", "classes"}
    assert 'alt="The weight of a label over' in before
    assert "c_A 0.7, γ₁ 3, classes 3" in before
    controls["c_A"].value = 0.5
    assert "c_A 0.5" in picture.value
    assert picture.value.partition("src=")[2] != before.partition("src=")[2]
    controls["c_A"].value = 0.7
    assert picture.value.partition("src=")[2] == before.partition("src=")[2], "the same place, the same picture"
    assert not plt.get_fignums(), "figures are closed, or they would show a second time"


@pytest.mark.parametrize(
    ("spec", "complaint"), [((1, 2, 3), "expected (low, high, step, start)"), ((0, 1, 1, 2), "low ≤ start ≤ high")]
)
def test_a_slider_that_cannot_be_is_refused(spec, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        explore_plot(teach.plot_normalisation, gamma=spec)


def test_a_figure_of_another_shape_is_laid_out_anew():
    def plot(rows):
        return plt.subplots(rows, 1, figsize=(2, 1 + rows), layout="constrained")[0]

    paint = Painter(plot)
    pictures = [paint("", rows=rows) for rows in (1, 3, 3, 1)]
    sizes = [Image.open(io.BytesIO(b64decode(html.split("base64,")[1][:-2]))).size for html in pictures]
    assert all(f'width="{w}" height="{h}"' in html for html, (w, h) in zip(pictures, sizes, strict=True))
    assert sizes == [(180, 180), (180, 360), (180, 360), (180, 180)]
