"""The live view of training: it tells what the log gained, costs no run its life, and stays away where nobody looks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import pytest

from dmtkit import make_config, notebook
from dmtkit.results.plots.live import describe, plot_live
from dmtkit.runs.folder import RunFolder
from dmtkit.training.resume import Progress
from dmtkit.viewer import live
from dmtkit.viewer.live import Live, make_setup, wanted
from dmtkit.viewer.tail import Tail, points
from tests.helpers import TINY, TINY_SEGMENTATION

ROOT = Path(__file__).resolve().parent.parent
NODE = shutil.which("node")


def record(step, phase=0, method="dmt", steps=20, **more):
    return {"method": method, "phase": phase, "step": step, "steps": steps, "loss": round(1 / step, 3), **more}


def progress(step, phase=0, phase_steps=20, method="dmt", before=0):
    return Progress(method, phase, before + step, 100, "", step, phase_steps)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Screen:
    """What a front end would see: the widget it was shown, the messages, the picture at the end."""

    def __init__(self, monkeypatch, broken=False):
        self.messages, self.picture, self.view, self.broken = [], None, None, broken
        monkeypatch.setattr(live.LiveView, "send", lambda view, message, buffers=None: self.take(message))

    def take(self, message):
        if self.broken:
            raise ConnectionError("no comm")
        self.messages.append(message)

    def __call__(self, view):
        self.view = view
        return self

    def update(self, picture, **options):
        self.picture, self.options = picture, options


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path, make_config(TINY))


@pytest.fixture
def screen(monkeypatch):
    return Screen(monkeypatch)


def make_live(run, screen, clock, otherwise=lambda progress: None, **more):
    return Live(run.path, run.config, otherwise, clock=clock, show=screen, **more)


def test_what_is_sent_is_exactly_what_the_log_gained(run, screen):
    clock = Clock()
    view = make_live(run, screen, clock)
    run.log(record(1, share_agree=0.5, share_negative=0.25, share_positive=0.25, mean_weight=0.3, lr=0.1))
    view(progress(1))
    first = {
        "method": "dmt",
        "phase": 0,
        "model": "",
        "step": 1,
        "x": 1,
        "loss": 1.0,
        "mean_weight": 0.3,
        "share_agree": 0.5,
        "share_negative": 0.25,
        "share_positive": 0.25,
    }
    assert screen.view.points == [first]
    assert screen.messages == []
    run.log(record(2, val_accuracy=50.0))
    for step in (2, 3):
        view(progress(step))
    assert screen.messages == [], "no second look within a second"
    clock.now = 1.1
    view(progress(4))
    (message,) = screen.messages
    assert [point["step"] for point in message["points"]] == [2]
    assert message["points"][0]["val"] == 50.0
    assert message["status"]["phase_step"] == 4
    view(progress(20))  # a phase's last step is told at once: labelling and tests may take long
    assert screen.messages[1]["points"] == []
    assert screen.messages[1]["status"]["phase_step"] == 20
    assert [point["step"] for point in screen.view.points] == [1, 2], "a page that opens later gets all"
    json.dumps(screen.messages)


def test_the_end_leaves_a_picture_with_its_description(run, screen):
    view = make_live(run, screen, Clock())
    run.log(record(1))
    view(progress(1))
    run.log(record(2))
    view.close("finished")
    assert screen.messages[-1]["status"]["state"] == "finished"
    assert [point["step"] for point in screen.messages[-1]["points"]] == [2]
    assert set(screen.picture) == {"image/png", "text/plain"}
    assert screen.options["metadata"]["image/png"]["alt"] == screen.picture["text/plain"]
    assert "2 steps of dmt" in screen.picture["text/plain"]


@pytest.mark.parametrize("when", ["shown", "sent", "read"])
def test_a_broken_view_is_said_once_and_the_bar_takes_over(run, monkeypatch, when):
    clock, heard = Clock(), []
    screen = Screen(monkeypatch, broken=when == "sent")
    view = make_live(run, screen, clock, heard.append)
    if when == "shown":
        view.show = lambda view: 1 / 0
    if when == "read":
        monkeypatch.setattr(Tail, "new", lambda tail: {}["x"])

    def train():
        for step in range(1, 6):
            view(progress(step))
            clock.now += 2

    with pytest.warns(UserWarning, match="training goes on") as warned:
        train()
    assert len(warned) == 1
    assert len(heard) == (3 if when == "sent" else 4), "from the next step on"
    view.close("finished")
    assert screen.picture is None


def test_training_ends_as_ever_when_the_view_breaks(tmp_path, monkeypatch, capsys):
    screen = Screen(monkeypatch, broken=True)
    monkeypatch.setattr(live, "wanted", lambda live: True)
    monkeypatch.setattr(live, "_display", screen)
    monkeypatch.setattr(notebook, "Bar", lambda: SimpleNamespace(__call__=None, close=lambda: None))
    monkeypatch.setattr(
        notebook, "_live_view", lambda *words: Live(tmp_path, make_config(TINY), lambda p: None, every=0)
    )
    config = make_config({**TINY, "methods": ("supervised",)})
    with pytest.warns(UserWarning, match="live view stopped"):
        found = notebook.train(config, output_dir=tmp_path)
    assert found.finished
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize("values", [TINY, TINY_SEGMENTATION], ids=["classification", "segmentation"])
def test_a_run_of_either_task_is_shown_and_goes_on_where_it_stopped(tmp_path, screen, monkeypatch, values):
    config = make_config({**values, "methods": ("supervised", "dmt"), "checkpoint_seconds": 0})
    monkeypatch.setattr(live, "wanted", lambda live: True)
    monkeypatch.setattr(live, "_display", screen)
    made = []

    class Eager(Live):
        def __init__(self, *words):
            super().__init__(*words, every=0)
            made.append(self)

        def __call__(self, progress):
            super().__call__(progress)
            if len(made) == 1 and progress.method == "dmt" and progress.phase_step:
                raise KeyboardInterrupt

    monkeypatch.setattr(live, "Live", Eager)
    with pytest.raises(KeyboardInterrupt):
        notebook.train(config, output_dir=tmp_path)
    assert screen.messages[-1]["status"]["state"] == "stopped"
    before = len(screen.view.points)
    run = notebook.train(config, output_dir=tmp_path)
    assert not made[1].failed
    assert len(screen.view.points) > before
    log = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    shown = [(p["method"], p["phase"], p["model"], p["step"]) for p in screen.view.points]
    assert sorted(shown) == sorted((r["method"], r["phase"], r.get("model", ""), r["step"]) for r in log)
    assert screen.view.points[-1]["x"] == screen.view.status["steps"] == screen.view.status["step"]
    assert screen.view.status["state"] == "finished"
    last = run.results["dmt"]["phases"][-1]
    assert screen.view.tests[-1]["value"] == pytest.approx(last)
    assert {"A", "B"} <= {p["model"] for p in screen.view.points} or config.task == "classification"


def asked(monkeypatch, kernel=True, metadata=None, names=None, **environment):
    """`wanted` with a given notebook around it."""
    for name in ("JPY_SESSION_NAME", "DMTKIT_LIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parent = {"metadata": metadata or {}}
    shell = SimpleNamespace(user_ns=names or {}, kernel=SimpleNamespace(get_parent=lambda channel: parent))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell if kernel else None)
    return wanted


def test_where_there_is_a_view(monkeypatch):
    cell, lab = {"cellId": "3f"}, {"JPY_SESSION_NAME": "a.ipynb"}
    assert asked(monkeypatch, metadata=cell, **lab)()
    assert asked(monkeypatch, names={"__vsc_ipynb_file__": "a.ipynb"})()
    assert not asked(monkeypatch, **lab)(), "papermill started from a notebook inherits the variable"
    assert not asked(monkeypatch)(), "papermill"
    assert not asked(monkeypatch, metadata=cell, **lab, DMTKIT_LIVE="0")()
    assert asked(monkeypatch, DMTKIT_LIVE="1")()
    assert not asked(monkeypatch, DMTKIT_LIVE="1")(False)
    assert asked(monkeypatch, DMTKIT_LIVE="0")(True)
    assert not asked(monkeypatch, kernel=False, DMTKIT_LIVE="1")(True), "a script has nowhere to show it"


def test_it_is_off_in_batch(tmp_path, monkeypatch):
    from dmtkit.jobs import notebook_job

    seen = {}
    monkeypatch.setattr(notebook_job, "watch", lambda *words, environment, **more: seen.update(environment) or 1)
    monkeypatch.setenv("DMTKIT_LIVE", "1")
    job = notebook_job.prepare(ROOT / "params" / "digits.yaml", {}, tmp_path / "run")
    with pytest.raises(Exception, match="notebook failed"):
        notebook_job.execute(job, environment={"OMP_NUM_THREADS": "1"})
    assert seen == {"DMTKIT_LIVE": "0", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["", "1"])
def test_papermill_shows_a_bar_unless_told_otherwise(tmp_path, switch):
    values = {**TINY, "methods": ["supervised"], "baseline_epochs": 3}
    code = [
        "import dmtkit",
        f"config = dmtkit.make_config({values!r})",
        f"run = dmtkit.train(config, output_dir={str(tmp_path / 'run')!r})",
    ]
    sheet = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(code))])
    nbformat.write(sheet, tmp_path / "in.ipynb")
    environment = {**os.environ, "JPY_SESSION_NAME": "inherited.ipynb", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("DMTKIT_LIVE", None)
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-k", "python3", "--no-progress-bar"]
    environment |= {"DMTKIT_LIVE": switch} if switch else {}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    outputs = nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == (1 if switch else 0)
    if switch:
        assert "steps of supervised" in pictures[0]["metadata"]["image/png"]["alt"]


@pytest.mark.parametrize("values", [TINY, TINY_SEGMENTATION], ids=["classification", "segmentation"])
def test_the_picture_draws_what_there_is(values):
    setup = make_setup(make_config(values))
    log = [
        record(step, phase, model=model, **more)
        for phase, model, more in (
            (0, "A", {}),
            (1, "A", {"mean_weight": 0.5, "share_agree": 0.6, "share_negative": 0.3, "share_positive": 0.1}),
            (1, "B", {"mean_weight": 0.5, "val_miou": 30.0}),
        )
        for step in (10, 20)
    ]
    made = points(log, {})
    figure = plot_live(made, [{"method": "dmt", "phase": 0, "x": 20, "value": 44.0}], setup)
    loss, metric, cases, weight = figure.axes
    assert [line.get_linestyle() for line in loss.lines if len(line.get_xdata()) == 2][:3] == ["-", "-", "--"]
    assert cases.collections[1].get_hatch() == "//"
    assert len([line for line in metric.lines if len(line.get_xdata())]) == 2
    assert weight.get_ylim()[0] == 0
    assert "44.0" in describe(made, [{"method": "dmt", "value": 44.0}], setup)
    plot_live([], [], setup)
    assert "nothing" in describe([], [], setup)
    plt.close("all")


@pytest.mark.skipif(NODE is None, reason="node is not installed; the browser shows the same code")
def test_the_browsers_side():
    found = subprocess.run([NODE, "--test", "tests/javascript/live.test.mjs"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:]
