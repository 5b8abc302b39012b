"""What a report writes: every format read back, figures, the command line, two hundred runs."""

import io
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from dmtkit.errors import ConfigError, RunError
from dmtkit.results import plots, style, tables
from tests.commands import dmtkit
from tests.made_runs import VOC, put

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


class Cells(HTMLParser):
    """The text of every cell, and a check that tags close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


@pytest.fixture
def made(tmp_path):
    for split, value in enumerate((54.0, 55.0, 56.0)):
        put(tmp_path, {"supervised": value, "dmt": [value, value + 10.123456789]}, **VOC, split=split)
    put(tmp_path, {"dmt": 60.0}, **VOC, split=4, model="deeplab-resnet18")
    return tables.all_tables(tables.collect(tmp_path))


def test_every_format_can_be_read_back(made, tmp_path):
    files = tables.write(made, tmp_path / "report")
    assert len(files) == 5 * len(made)
    for table in made:
        cells = [cell for row in table.shown.to_numpy().tolist() for cell in row]
        assert all(cell in Cells(tables.to_html(table)).cells for cell in cells)
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(tables.to_csv(table))), table.tidy, check_dtype=False)
        lines = [line for line in tables.to_markdown(table).splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1, "columns line up"
        assert [c.strip() for c in lines[2].split("|")[2:-1]] == table.shown.iloc[0].tolist()
        latex = tables.to_latex(table)
        body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:]
        assert len(body) == len(table.shown)
        assert all(line.count("&") == table.shown.shape[1] and line.endswith(r"\\") for line in body)
        for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{"):
            assert latex.count(word) == 1
        assert latex.count("{") == latex.count("}")
        for text in (tables.to_markdown(table), tables.to_html(table)):
            assert "Measured cells: mean ± sample standard deviation" in text
        assert "model (deeplab-resnet18: 1 run, deeplab-tiny: 3 runs)" in tables.to_markdown(table)
    assert "10.123456789" in "".join(tables.to_csv(table) for table in made), "full precision"


def test_a_written_report_below_outputs_is_not_taken_for_foreign_files(three):
    tables.write(tables.all_tables(tables.collect(three)), three / "report")
    assert tables.collect(three).left_out.empty


def test_special_signs_are_escaped():
    shown = pd.DataFrame([["1 < 2"]], index=pd.Index(["a|b_&"], name="m"), columns=["100 %"])
    table = tables.Table("t", "γ & <b>", shown, pd.DataFrame({"x": [1]}), ("50 % ± #1",))
    assert r"a|b\_\& & 1 < 2 \\" in tables.to_latex(table)
    assert r"\caption{$\gamma$ \& <b>}" in tables.to_latex(table)
    assert "&lt;b&gt;" in tables.to_html(table)
    assert r"a\|b_&" in tables.to_markdown(table)
    assert "a|b_&" in Cells(tables.to_html(table)).cells


def test_formats_and_places_are_checked(three, made):
    with pytest.raises(ConfigError, match="unknown format"):
        tables.write(made, three / "report", ["pdf"])
    (three / "taken").touch()
    with pytest.raises(RunError, match="choose another folder"):
        tables.write(made, three / "taken")


FIGURES = [plots.plot_methods, plots.plot_progress, plots.plot_paired]


@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.__name__)
def test_figures_draw_into_given_axes_and_say_what_they_show(plot, three):
    collected = tables.collect(three)
    _, ax = plt.subplots()
    assert plot(collected, "digits", ax=ax) is ax
    assert "digits" in ax.get_title(loc="left")
    assert ax.get_xlabel()
    with pytest.raises(RunError, match="unknown experiment"):
        plot(collected, "digit")


def test_figures_show_the_numbers_of_the_tables(three):
    collected = tables.collect(three)
    texts = [text.get_text() for text in plots.plot_methods(collected, "digits").texts]
    assert "91.58 ± 1.46  n=3" in texts
    line = plots.plot_progress(collected, "digits").containers[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [81.1666667, 82.1666667, 91.5833333])
    alone = tables.collect(three / "digits" / "seed-2_methods-dmt")
    assert "no other method" in plots.plot_paired(alone, "digits").texts[0].get_text()


def test_no_two_methods_of_a_task_look_the_same():
    for other in ("cl", "cbst"):
        names = [name for name in style.METHOD_STYLES if name not in ({"cl", "cbst"} - {other})]
        looks = [style.method_style(name) for name in names]
        assert len({look["color"] for look in looks}) == len({look["marker"] for look in looks}) == len(names) == 8


def test_command_line(spoiled, tmp_path):
    found = dmtkit("report", spoiled)
    assert found.exit_code == 0, found.stderr
    assert "| DMT " in found.stdout
    for words in ("holiday.jpg", "digits/torn", "DONE.json is corrupt", "Not finished", "digits/going-on"):
        assert words in found.stderr
    out = tmp_path / "written"
    found = dmtkit("report", spoiled, "--experiment", "digits", "--format", "latex", "--format", "csv", "--output", out)
    assert found.exit_code == 0, found.stderr
    names = {"methods_digits", "phases_digits"}
    figures = {"methods_digits.png", "progress_digits.png", "paired_digits.png"}
    assert {path.name for path in out.iterdir()} == {
        *(f"{name}.{end}" for name in names for end in ("tex", "csv", "notes.txt")),
        *figures,
        "runs.csv",
        "phases.csv",
        ".dmtkit-report",
    }
    assert len(pd.read_csv(out / "runs.csv")) == 6
    assert all((out / name).stat().st_size > 3000 for name in figures)


@pytest.mark.parametrize("words", [["nowhere"], ["."], [".", "--format", "pdf"], ["full", "--experiment", "digts"]])
def test_command_line_with_nothing_to_report_exits_2(words, tmp_path):
    put(tmp_path / "full", {"dmt": 60.0})
    (tmp_path / "empty").mkdir()
    place = tmp_path / "empty" if words[0] == "." else tmp_path / words[0]
    found = dmtkit("report", place, *words[1:])
    assert found.exit_code == 2
    assert any(word in found.stderr for word in ("make one with", "unknown format", "did you mean 'digits'"))
    assert found.stdout == ""


def test_reading_loads_no_torch():
    code = "import sys, dmtkit.results.command; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    found = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT, env=ENVIRONMENT)
    assert found.split() == ["False", "False"]


def test_two_hundred_runs(tmp_path):
    first = {
        name: put(tmp_path, {"supervised": 60.0, "dmt": [61.0, 70.0]}, task="segmentation", experiment=name)
        for name in ("a", "b")
    }
    for folder in first.values():
        done, config = (
            json.loads((folder / "DONE.json").read_text()),
            yaml.safe_load((folder / "config.yaml").read_text()),
        )
        for seed in range(2, 101):
            copy = shutil.copytree(folder, folder.with_name(f"seed-{seed}"))
            done["seed"] = config["seed"] = seed
            done["results"]["dmt"]["miou"] = 70.0 + seed
            (copy / "DONE.json").write_text(json.dumps(done))
            (copy / "config.yaml").write_text(yaml.safe_dump(config))
        assert len(list(folder.parent.iterdir())) == 100
    collected = tables.collect(tmp_path)
    made = tables.all_tables(collected)
    assert len(collected.runs) == 400
    assert collected.experiments == ["a", "b"]
    values = [70.0, *(70.0 + seed for seed in range(2, 101))]
    assert made[0].tidy.set_index("method").loc["dmt", "mean"] == pytest.approx(np.mean(values))
