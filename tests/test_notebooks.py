"""Notebooks: parameters equal to the config's; each executed once, `classification` and `segmentation` in test_command_line."""

import ast
import json
import logging
import re

import nbformat
import papermill
import pytest
from papermill import inspect_notebook

from dmtkit.config import TASKS, make_config
from dmtkit.jobs.papermill_io import says_something
from dmtkit.jobs.plan import make_batch
from dmtkit.params import load_params
from dmtkit.training.experiment import run_methods
from tests.commands import error_of, execute, outputs_of
from tests.helpers import ROOT, TINY_SEGMENTATION

NOTEBOOKS = {path.stem: nbformat.read(path, 4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
TOUR = {**TINY_SEGMENTATION, "baseline_epochs": 12}


def parameters_of(notebook):
    """The values that its parameters cell sets."""
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    values: dict = {}
    exec(compile(ast.parse(cell.source), "parameters", "exec"), values)
    return {name: value for name, value in values.items() if not name.startswith("__")}


@pytest.mark.parametrize("task", list(TASKS))
def test_the_parameters_shown_have_the_configs_defaults(task):
    shown = parameters_of(NOTEBOOKS[task])
    assert shown.pop("output_dir") is None
    assert len(shown) == 8
    assert TASKS[task].model_validate(shown) == TASKS[task]()
    helped = inspect_notebook(str(ROOT / "notebooks" / f"{task}.ipynb"))
    assert all(parameter["help"] for parameter in helped.values()), "papermill --help-notebook explains every one"


@pytest.mark.parametrize(
    ("name", "shown"), [("lr", False), ("fixmatch_threshold", False), ("lrr", True), ("worker", True)]
)
def test_papermill_warns_of_names_that_are_no_settings_alone(name, shown):
    record = logging.LogRecord("papermill", logging.WARNING, "", 0, f"Passed unknown parameter: {name}", None, None)
    assert says_something(record) == shown
    assert says_something(logging.LogRecord("papermill", logging.INFO, "", 0, "Executing", None, None))


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name not in TASKS])
def test_start_is_told_the_parameters(name):
    """So that a mistyped one is refused; how, `check_parameters` and test_config show."""
    source = "\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "code")
    (names,) = re.findall(r'dmtkit\.start\(globals\(\), "([\w ]*)"\)', source)
    assert set(names.split()) == set(parameters_of(NOTEBOOKS[name]))


@pytest.mark.long
def test_a_mistyped_parameter_fails_in_one_line(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(
            ROOT / "notebooks/classification.ipynb",
            tmp_path / "out.ipynb",
            {"splt": 2},
            kernel_name="python3",
            progress_bar=False,
            cwd=ROOT,
        )
    error = error_of(tmp_path / "out.ipynb")
    assert "splt: unknown parameter" in error.evalue
    assert error.traceback == [f"ConfigError: {error.evalue}"], "no traceback from the depths"


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The run of the walkthroughs, tiny: the folder of all outputs, and its own."""
    outputs = tmp_path_factory.mktemp("outputs")
    config = make_config(load_params(ROOT / "params/tour.yaml") | TOUR)
    run = run_methods(config, output_dir=outputs / config.experiment / config.variant)
    return outputs, run.path


@pytest.mark.long
@pytest.mark.parametrize(("name", "figures"), [("00_tour", 8), ("01_why_two_models", 9), ("03_iterations", 9)])
def test_the_walkthroughs_of_a_run(name, figures, tour, tmp_path, monkeypatch):
    outputs, run = tour
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(outputs))
    overrides = {key: list(v) if isinstance(v, tuple) else v for key, v in TOUR.items()}
    executed, shown, said = execute(name, tmp_path / "out.ipynb", monkeypatch, overrides=overrides)
    assert [path.parent for path in outputs.glob("*/*/DONE.json")] == [run]
    assert shown >= figures
    assert not re.search(r"\bnan\b" if name == "00_tour" else r"\bnan %", said)
    assert "not tried yet" in said.lower()
    texts = " ".join(o.get("text", "") for cell in executed.cells for o in cell.get("outputs", []))
    assert "Warning" not in texts
    widget = "application/vnd.jupyter.widget-view+json"
    assert any(widget in output["data"] for output in outputs_of(executed)) == (name != "00_tour")


@pytest.mark.long
def test_the_notebook_on_the_loss_keeps_its_pictures(tmp_path, monkeypatch):
    executed, figures, said = execute("02_dynamic_loss", tmp_path / "out.ipynb", monkeypatch, gamma1=2)
    assert figures == 8
    assert not re.search(r"\bnan\b", said)
    assert said.count("Not tried yet") == 4
    state = executed.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    pictures = [s["state"]["value"] for s in state.values() if s["model_name"] == "HTMLModel"]
    assert len(pictures) == 5, "a notebook opened without a kernel shows the last picture of each"
    assert all("data:image/png;base64," in picture for picture in pictures)


@pytest.mark.long
def test_the_explorer_keeps_widget_figure_and_page(tour, tmp_path, monkeypatch):
    values = {"run_dir": str(tour[1]), "embed": 0, "page": str(tmp_path / "explorer.html")}
    executed, _, _ = execute("explore_weights", tmp_path / "out.ipynb", monkeypatch, **values)
    shown = [output["data"] for output in outputs_of(executed)]
    assert any({"application/vnd.jupyter.widget-view+json", "image/png"} <= set(data) for data in shown)
    assert any("image/png" in data and len(data) == 2 for data in shown), "the plain figure"
    states = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    (explorer,) = [state for state in states if state["model_module"] == "anywidget"]
    assert {buffer["path"][0] for buffer in explorer["buffers"]} == {"packs"}
    assert (tmp_path / "explorer.html").stat().st_size > 100_000


@pytest.mark.long
def test_the_report_shows_runs(spoiled, tmp_path, monkeypatch):
    executed, figures, _ = execute("report", tmp_path / "out.ipynb", monkeypatch, outputs=str(spoiled))
    assert figures == 3
    text = json.dumps(executed.cells)
    assert "holiday.jpg" in text
    assert "91.58" in text


def test_the_report_of_an_empty_folder_says_so(tmp_path, capsys):
    values = {"outputs": str(tmp_path), "experiments": []}
    for cell in NOTEBOOKS["report"].cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            exec(cell.source, values)
    assert "holds no finished run" in capsys.readouterr().out


@pytest.mark.long
def test_the_ablation_runs_every_method_and_judges_the_findings(outputs, tiny, tmp_path, monkeypatch):
    """Three of its four runs are finished before; the notebook runs the one that is missing."""
    params = tiny(methods=["supervised", "dmt"])
    *before, missing = make_batch([params], seeds=[1, 2], methods=["supervised", "dmt"]).jobs
    for job in before:
        run_methods(job.config, None, job.folder)
        job.output.write_text('{"metadata": {"papermill": {"exception": null, "end_time": "now"}}, "cells": []}')
    values = {"params": str(params), "methods": ["supervised", "dmt"], "seeds": [1, 2]}
    executed, figures, _ = execute("ablation", tmp_path / "out.ipynb", monkeypatch, **values)
    assert missing.finished
    assert len(list(outputs.glob("tiny/*/DONE.json"))) == 4
    assert len(list((outputs / ".baselines").iterdir())) == 2, "one of each seed, shared by both methods"
    html = " ".join(output["data"].get("text/html", "") for output in outputs_of(executed))
    assert "over Baseline" in html
    assert "DMT is better than the supervised baseline" in html
    assert figures == 4
