"""The live view of training: a line and curves that are updated; it costs no run its life, and curves need an onlooker."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from dmtkit import make_config, notebook
from dmtkit.runs.folder import RunFolder
from dmtkit.training.resume import Progress
from dmtkit.viewer import live
from dmtkit.viewer.live import Live, wanted
from tests.helpers import TINY, TINY_SEGMENTATION

ROOT = Path(__file__).resolve().parents[2]


def progress(step):
    return Progress("dmt", 1, step, 100, "B", step, 20)


class Screen:
    """What a front end would see: per output all that it showed, one after another."""

    def __init__(self):
        self.outputs, self.broken = [], False

    def display(self, content, display_id, raw=False):
        self.outputs.append(shown := [content])
        return SimpleNamespace(update=lambda content, raw=False: self.update(shown, content))

    def update(self, shown, content):
        if self.broken:
            raise ConnectionError("no comm")
        shown.append(content)


class Bar:
    """The bar that takes over."""

    def __init__(self):
        self.heard, self.closed = [], False

    def __call__(self, progress):
        self.heard.append(progress.step)

    def close(self):
        self.closed = True


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(live, "display", screen.display)
    return screen


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when a test says so."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def test_the_figure_is_drawn_when_the_log_has_grown_and_rarely(run, screen, clock, monkeypatch):
    def drawn(view):
        clock.now += cost
        return f"figure {len(run.path.joinpath('metrics.jsonl').read_text().splitlines())}"

    monkeypatch.setattr(Live, "figure", drawn)
    cost, view = 0.5, Live(run.path, Bar())
    view(progress(1))
    assert [shown[0]["text/plain"][:13] for shown in screen.outputs] == ["dmt, phase 1,"], "no log yet, no figure"
    run.log(("dmt", 1, ""), {"step": 1, "loss": 1.0})
    view(progress(2))
    line, figures = screen.outputs
    assert figures == ["figure 1"]
    clock.now += 4
    view(progress(3))
    assert figures == ["figure 1"], "nothing new was logged"
    run.log(("dmt", 1, ""), {"step": 3, "loss": 0.5})
    view(progress(4))
    assert figures == ["figure 1"], "ten times what the last one cost"
    clock.now += 4
    view(progress(50))
    assert figures == ["figure 1", "figure 2"]
    run.log(("dmt", 1, ""), {"step": 5, "loss": 0.4})
    view.close()
    assert figures[-1] == "figure 3", "the end is always shown"
    assert "50/100" in line[-1]["text/plain"]
    assert "<00:" in line[-1]["text/plain"], "the time left"


@pytest.mark.parametrize("when", ["shown", "updated", "drawn"])
def test_a_broken_view_is_said_once_and_the_bar_takes_over(run, screen, clock, monkeypatch, when):
    bar = Bar()
    view = Live(run.path, bar)
    run.log(("dmt", 1, ""), {"step": 1, "loss": 1.0})
    monkeypatch.setattr(Live, "figure", lambda view: {}["x"] if when == "drawn" else "figure")
    if when == "shown":
        monkeypatch.setattr(live, "display", lambda *words, **more: 1 / 0)
    screen.broken = when == "updated"

    def train():
        for step in range(1, 6):
            view(progress(step))
            clock.now += 2

    with pytest.warns(UserWarning, match="training goes on") as warned:
        train()
    assert len(warned) == 1
    assert bar.heard == ([3, 4, 5] if when == "updated" else [2, 3, 4, 5]), "from the next step on"
    view.close()
    assert bar.closed


def test_training_ends_as_ever_when_the_view_breaks(tmp_path, screen, monkeypatch, capsys):
    screen.broken = True
    monkeypatch.setattr(live, "LINE", 0)
    monkeypatch.setattr(notebook, "_live_view", lambda folder, live: Live(folder, Bar()))
    with pytest.warns(UserWarning, match="live view stopped"):
        run = notebook.train(make_config({**TINY, "methods": ("supervised",)}), output_dir=tmp_path)
    assert run.finished
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize("values", [TINY, TINY_SEGMENTATION], ids=["classification", "segmentation"])
def test_a_run_of_either_task_is_shown_and_goes_on_where_it_stopped(tmp_path, screen, monkeypatch, values):
    config = make_config({**values, "methods": ("supervised", "dmt"), "checkpoint_seconds": 0})
    stops = [True]

    class Stopped(Live):
        def __call__(self, progress):
            super().__call__(progress)
            assert not self.failed
            if stops and progress.method == "dmt" and progress.phase_step:
                stops.pop()
                raise KeyboardInterrupt

    monkeypatch.setattr(notebook, "_live_view", lambda folder, live: Stopped(folder, Bar()))
    with pytest.raises(KeyboardInterrupt):
        notebook.train(config, output_dir=tmp_path)
    assert len(screen.outputs) == 2, "a line and a figure"
    assert "dmt, phase 1" in screen.outputs[0][-1]["text/plain"]
    notebook.train(config, output_dir=tmp_path)
    line, figures = screen.outputs[2:]
    assert "100%" in line[-1]["text/plain"]
    assert len({figure.data for figure in figures}) > 1, "the curves grow"
    assert figures[-1].data.startswith(b"\x89PNG")
    assert "loss" in figures[-1].alt


def asked(monkeypatch, kernel=True, metadata=None, names=None, **environment):
    """`wanted` with a given notebook around it."""
    for name in ("JPY_SESSION_NAME", "DMTKIT_LIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parent = {"metadata": metadata or {}}
    shell = SimpleNamespace(user_ns=names or {}, kernel=SimpleNamespace(get_parent=lambda channel: parent))
    monkeypatch.setattr(live, "get_ipython", lambda: shell if kernel else None)
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


@pytest.mark.long
@pytest.mark.parametrize("switch", ["", "1"])
def test_papermill_keeps_the_last_line_and_curves_where_told_to(tmp_path, switch):
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
    lines = [output.data["text/plain"] for output in outputs if output.get("data", {}).keys() == {"text/plain"}]
    assert len(lines) == 1
    assert lines[0].startswith("supervised, phase 0: 100%|"), "the file keeps how the bar ended"
