"""Reports over many runs, from folders made by hand: what is averaged, what is named, what is left out, every format."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from dmtkit import plots, report, run_folder, style
from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError
from dmtkit.published import published
from dmtkit.report import paper, settings

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
VOC = {"task": "segmentation", "experiment": "voc_50", "published": "voc_50"}


def put(root, values, name=None, drop=(), **config):
    """A finished run by hand: `values` gives per method its metric, or the metric after every phase."""
    made = make_config({**config, "methods": tuple(values)})
    folder = root / made.experiment / (name or made.variant)
    folder.mkdir(parents=True)
    written = {key: value for key, value in made.model_dump(mode="json").items() if key not in drop}
    (folder / "config.yaml").write_text(yaml.safe_dump(written))
    metric = "miou" if made.task == "segmentation" else "accuracy"
    results = {}
    for method, value in values.items():
        phases = value if isinstance(value, list) else [value]
        results[method] = {metric: phases[-1], "phases": phases}
        if made.task == "segmentation":
            results[method] |= {"A": phases[-1], "B": phases[-1] - 1}
    done = {"experiment": made.experiment, "dataset": made.dataset, "task": made.task, "seed": made.seed}
    done |= {"split": getattr(made, "split", made.seed), "seconds": 1.5, "results": results}
    (folder / "DONE.json").write_text(json.dumps(done))
    return folder


@pytest.fixture
def three(tmp_path):
    """Three seeds of digits, a method a folder, as a batch leaves them."""
    for seed, (low, high) in enumerate([(80.0, 90.5), (82.5, 91.0), (81.0, 93.25)], start=1):
        put(tmp_path, {"supervised": low}, seed=seed, name=f"seed-{seed}_methods-supervised", label_ratios=(0.5, 1.0))
        put(tmp_path, {"dmt": [low + 1, high]}, seed=seed, name=f"seed-{seed}_methods-dmt", label_ratios=(0.5, 1.0))
    return tmp_path


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_runs_are_tidy_and_merged_over_folders(three):
    collected = report.collect(three)
    assert collected.experiments == ["digits"]
    assert len(collected.runs) == 6
    assert {"experiment", "dataset", "task", "seed", "split", "method", "metric", "value", "A", "B", "A+B", "seconds",
            "folder"} <= set(collected.runs)  # fmt: skip
    assert collected.runs["folder"].iloc[0] == "digits/seed-1_methods-dmt"
    assert collected.runs["A"].isna().all()
    assert collected.mixed.empty
    assert collected.left_out.empty
    steps = collected.phases[collected.phases["method"] == "dmt"]
    assert steps["phase"].tolist() == [1, 2] * 3
    assert collected.phases[collected.phases["method"] == "supervised"]["phase"].tolist() == [0] * 3


def test_means_sds_and_differences_are_those_of_numpy(three):
    table = report.methods_table(report.collect(three), "digits")
    tidy = table.tidy.set_index("method")
    low, high = np.array([80, 82.5, 81]), np.array([90.5, 91, 93.25])
    assert tidy.loc["dmt", "mean"] == pytest.approx(np.mean(high))
    assert tidy.loc["dmt", "sd"] == pytest.approx(np.std(high, ddof=1))
    assert tidy.loc["dmt", "difference"] == pytest.approx(np.mean(high - low))
    assert (tidy["n"] == 3).all()
    assert table.shown.loc["DMT", "test accuracy (%)"] == "91.58 ± 1.46 (3)"
    assert table.shown.loc["DMT", "over Baseline"] == "+10.42"
    assert "B" not in table.shown
    assert "published" not in table.shown


def test_the_interval_is_the_bootstraps():
    values = [1.5, 2.0, 4.0, 3.25, 0.5]
    low, high = report.bootstrap_interval(values)
    every = np.array(np.meshgrid(*[values] * 5)).reshape(5, -1).mean(axis=0)  # all 3125 resamples, exactly
    assert (low, high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.06)
    assert (low, high) == report.bootstrap_interval(values), "the same bits again"
    assert np.isnan(report.bootstrap_interval([1.0])).all()


def test_pairs_are_of_the_same_seed_and_split_only():
    runs = pd.DataFrame(
        [("a", 1, 0, 5.0), ("a", 1, 1, 7.0), ("a", 2, 0, 9.0), ("b", 1, 1, 1.0), ("b", 2, 0, 2.5), ("b", 3, 0, 4.0)],
        columns=["method", "seed", "split", "value"],
    )
    assert report.paired_differences(runs, "a", "b").to_dict() == {(1, 1): 6.0, (2, 0): 6.5}
    assert report.paired_differences(runs, "a", "c").empty


def test_a_result_found_twice_counts_once_and_is_named(three):
    shutil.copytree(three / "digits" / "seed-1_methods-dmt", three / "digits" / "zz-copy")
    collected = report.collect(three)
    assert (collected.runs["method"] == "dmt").sum() == 3
    ((path, reason),) = collected.twice
    assert path == "digits/zz-copy"
    assert "digits/seed-1_methods-dmt counts" in reason
    assert any("digits/zz-copy" in note for note in report.methods_table(collected, "digits").notes)


def test_runs_of_other_settings_are_named_and_not_averaged(three):
    put(three, {"dmt": [70.0, 71.0]}, seed=4, label_ratios=(0.5, 1.0), gamma1=3)
    collected = report.collect(three)
    assert collected.experiments == ["digits [gamma1=3]", "digits [gamma1=4]"]
    assert collected.mixed.to_dict("records") == [
        {"base": "digits", "field": "gamma1", "what": "gamma1 (3: 1 run, 4: 6 runs)"}
    ]
    other = report.methods_table(collected, "digits [gamma1=3]")
    assert other.tidy["n"].tolist() == [1]
    assert report.methods_table(collected, "digits [gamma1=4]").tidy["n"].tolist() == [3, 3]
    assert any("gamma1 (3: 1 run, 4: 6 runs)" in note for note in other.notes)


def test_what_does_not_change_results_and_what_older_files_lack_is_no_difference(tmp_path):
    put(tmp_path, {"dmt": 60.0}, seed=1, device="cpu", checkpoint_seconds=0)
    put(tmp_path, {"dmt": 61.0}, seed=2, drop=("mixup", "gamma_ramp"), published="cifar10_4000")
    assert report.collect(tmp_path).mixed.empty
    assert settings.NOT_COMPARED == run_folder.NOT_COMPARED


def test_many_differing_settings_are_numbered_and_all_named(tmp_path):
    put(tmp_path, {"dmt": 60.0}, seed=1)
    put(tmp_path, {"dmt": 61.0}, seed=2, lr=0.3, epochs=7, mixup=0, flip=True)
    collected = report.collect(tmp_path)
    assert collected.experiments == ["digits [settings 1]", "digits [settings 2]"]
    assert set(collected.mixed["field"]) == {"lr", "epochs", "mixup", "flip"}


def test_true_is_not_one_and_own_folders_are_told_apart_by_name():
    names, _ = settings.group("x", [{"flip": True}, {"flip": 1.0}])
    assert len(set(names)) == 2
    own = [
        settings.compared({"dataset": "folder", "data_dir": d}, "classification") for d in ("/a/cats", "/b/cats", "c")
    ]
    assert own[0] == own[1] != own[2]


@pytest.fixture
def spoiled(three):
    """What people and crashes leave behind."""
    digits = three / "digits"
    for name, done in {
        "torn": '{"experiment": "dig',
        "list": "[1, 2]",
        "lacking": '{"experiment": "digits"}',
        "binary": b"\xff\xfe\x00",
        "deep": "[" * 100_000,
        "words": {"task": "knitting"},
        "seedless": {"seed": "one"},
        "shapeless": {"results": {"dmt": 3}},
    }.items():
        folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / name)
        if isinstance(done, dict):
            done = json.dumps(json.loads((folder / "DONE.json").read_text()) | done)
        (folder / "DONE.json").write_bytes(done if isinstance(done, bytes) else done.encode())
    for name, text in {"yaml": "a: [", "text": "hello", "keys": "1: 2"}.items():
        shutil.copytree(digits / "seed-1_methods-dmt", digits / name)
        (digits / name / "config.yaml").write_text(text)
    (shutil.copytree(digits / "seed-1_methods-dmt", digits / "bare") / "config.yaml").unlink()
    folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / "nan")
    (folder / "DONE.json").write_text((folder / "DONE.json").read_text().replace("90.5", "NaN"))
    folder = shutil.copytree(digits / "seed-1_methods-dmt", digits / "folder")
    (folder / "DONE.json").unlink()
    (folder / "DONE.json").mkdir()
    (shutil.copytree(digits / "seed-1_methods-dmt", digits / "going-on") / "DONE.json").unlink()
    (three / "holiday.jpg").write_bytes(b"x")
    (three / "config.yaml").write_text("a stray copy above all runs")
    logs = three / "lightning_logs" / "version_0"
    logs.mkdir(parents=True)
    for i in range(7):
        (logs / f"{i}.ckpt").touch()
    for name in (".baselines", "benchmarks"):
        shutil.copytree(digits / "seed-1_methods-dmt", three / name / "run")
    (three / ".gitkeep").touch()
    return three


BAD = ["torn", "list", "lacking", "binary", "deep", "words", "seedless", "shapeless", "yaml", "text", "keys", "bare",
       "nan", "folder"]  # fmt: skip


def test_foreign_and_corrupt_files_are_named_and_nothing_else_changes(spoiled):
    collected = report.collect(spoiled)
    skipped = dict(collected.skipped)
    assert {f"digits/{name}" for name in BAD} | {"holiday.jpg", "config.yaml", "lightning_logs/version_0"} == set(
        skipped
    )
    assert collected.unfinished == ["digits/going-on"]
    assert len(collected.runs) == 6
    assert "lacks dataset, task" in skipped["digits/lacking"]
    assert "knitting" in skipped["digits/words"]
    assert skipped["digits/bare"] == "config.yaml is missing"
    assert "7 files" in skipped["lightning_logs/version_0"]
    notes = " ".join(report.methods_table(collected, "digits").notes)
    assert all(f"digits/{name}" in notes for name in BAD)
    assert "digits/going-on" in notes
    assert not report.collect(spoiled / "benchmarks").runs.empty, "when it is named, it is meant"


def test_a_folder_of_one_experiment_and_a_single_run_can_be_named(three):
    assert len(report.collect(three / "digits").runs) == 6
    single = report.collect(three / "digits" / "seed-2_methods-dmt")
    assert single.runs["value"].tolist() == [91.0]


def test_nothing_there_says_what_to_do(tmp_path):
    for place in (tmp_path, tmp_path / "no" / "where"):
        collected = report.collect(place)
        assert "dmtkit run params/digits.yaml" in collected.summary
        assert report.all_tables(collected) == []
        assert collected.notes() == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        report.collect(tmp_path / "file")


def test_experiments_are_chosen_by_name_and_unknown_ones_refused(three):
    put(three, {"dmt": 60.0}, task="segmentation", experiment="scenes")
    assert report.collect(three, ["scenes"]).experiments == ["scenes"]
    with pytest.raises(RunError, match="did you mean 'scenes'"):
        report.collect(three, ["scene"])


def test_voc_stands_beside_the_paper_and_unpublished_cells_stay_empty(tmp_path):
    for split, value in enumerate((54.0, 55.0, 56.0)):
        put(tmp_path, {"supervised": value, "cbst": value + 4, "dmt": value + 10, "oracle": 70.0}, **VOC, split=split)
    table = report.paper_table(report.collect(tmp_path), "voc")
    assert list(dict.fromkeys(table.shown.columns.get_level_values(0))) == ["1/106", "1/50", "1/20", "1/8", "full"]
    assert table.shown.index[0] == "Baseline"
    assert table.shown.index[-1] == "DMT"
    assert table.shown.loc["DMT", ("1/50", "measured")] == "65.00 ± 1.00 (3)"
    assert table.shown.loc["CBST", ("1/50", "measured")] == "59.00 ± 1.00 (3)"
    assert table.shown.loc["CBST", ("1/50", "published")] == ""
    assert table.shown.loc["Baseline", ("full", "measured")] == "70.00 ± 0.00 (3)", "the oracle is the full baseline"
    assert table.shown.loc["Mean Teacher", ("1/106", "published")] == ""
    assert (table.shown.xs("1/20", axis=1)["measured"] == "").all()


@pytest.mark.parametrize("name", list(report.LAYOUTS))
def test_published_cells_are_those_of_the_csv_each_with_its_source(name, tmp_path):
    table = report.paper_table(report.collect(tmp_path), name)
    layout = report.LAYOUTS[name]
    for heading, source in layout.columns.items():
        known = published(source).set_index("title")["value"]
        here = table.tidy[table.tidy["column"] == heading].dropna(subset="published")
        assert here["source"].notna().all()
        assert here["n"].eq(0).all()
        if layout.closed:
            assert here["published"].tolist() == [55.62, 67.15]
            assert table.shown.shape == (7, 2)
        else:
            pd.testing.assert_series_equal(here.set_index("row")["published"].sort_index(), known.sort_index(),
                                           check_names=False, check_dtype=False, check_index_type=False)  # fmt: skip
            for title, value in known.items():
                assert table.shown.loc[title, (heading, "published")] == f"{value:.2f}"
            assert (table.shown[heading, "published"] != "").sum() == len(known)
        assert (table.shown[heading, "measured"] == "").all()


def test_cifar_with_1000_labels_is_measured_but_not_published(tmp_path):
    put(tmp_path, {"supervised": 80.0, "dmt": 90.0}, experiment="cifar10_1000", dataset="cifar10")
    (table,) = report.paper_tables(report.collect(tmp_path))
    assert table.shown.loc["DMT", ("1 000 labels", "measured")] == "90.00 (1)"
    assert (table.shown["1 000 labels", "published"] == "").all()
    assert table.shown.loc["DMT", ("4 000 labels", "published")] == "94.21"


def test_other_settings_have_rows_of_their_own_in_the_papers_tables(tmp_path):
    put(tmp_path, {"dmt": 60.0}, **VOC, split=0)
    put(tmp_path, {"dmt": 62.0}, **VOC, split=1, gamma1=5)
    put(tmp_path, {"dmt": 64.0}, **{**VOC, "experiment": "mine"})
    shown = report.paper_table(report.collect(tmp_path), "voc").shown["1/50"]
    assert shown.loc["DMT"].tolist() == ["", "67.15"], "no setting is passed off as the paper's"
    own = shown[shown.index.str.startswith("DMT, ")]["measured"].to_dict()
    assert own == {
        "DMT, mine": "64.00 (1)",
        "DMT, voc_50 [gamma1=3]": "60.00 (1)",
        "DMT, voc_50 [gamma1=5]": "62.00 (1)",
    }


def test_human_labels_and_ablations_have_the_papers_rows(tmp_path):
    put(tmp_path, {"supervised": 70.0, "cbst": 72.0, "dmt": 74.0}, **{**VOC, "published": "voc_sbd", "experiment": "h"})
    put(tmp_path, {"supervised": 55.0, "dst": 60.0, "dmt_flip": 66.0, "oracle": 70.0}, **VOC)
    collected = report.collect(tmp_path)
    human = report.paper_table(collected, "human_labels").shown
    assert human.index.tolist() == [
        "1 464 labels",
        "1 464 + 9 118 SBD labels",
        "1 464 labels + CBST",
        "1 464 labels + DMT",
    ]
    ablations = report.paper_table(collected, "ablations").shown
    assert ablations.index.tolist() == ["Baseline", "Online ST", "CBST", "DST", "DMT-Naive", "DMT-Flip", "DMT"]
    assert ablations["1/50", "measured"].tolist() == ["55.00 (1)", "", "", "60.00 (1)", "", "66.00 (1)", ""]
    assert [table.name for table in report.paper_tables(collected)] == [
        "paper_voc",
        "paper_human_labels",
        "paper_ablations",
    ]
    assert set(paper.LAYOUTS) == {"cifar10", "voc", "cityscapes", "human_labels", "ablations"}


def test_phases_start_from_the_baseline_of_the_same_seeds(three):
    (three / "digits" / "seed-3_methods-dmt" / "DONE.json").unlink()
    collected = report.collect(three)
    table = report.phases_table(collected, "digits")
    tidy = table.tidy.set_index(["method", "phase"])
    assert tidy.loc[("dmt", 0), "mean"] == pytest.approx((80 + 82.5) / 2), (
        "seed 3 has no DMT, so its baseline is no start"
    )
    assert tidy.loc[("dmt", 2), "mean"] == pytest.approx((90.5 + 91) / 2)
    assert tidy.loc[("supervised", 0), "n"] == 3
    assert table.shown.loc["Baseline", "phase 1"] == ""
    assert "not all methods on the same seeds" in table.caption


def test_methods_nobody_knows_do_not_crash(three):
    for seed in (1, 2):
        folder = shutil.copytree(three / "digits" / f"seed-{seed}_methods-dmt", three / "digits" / f"seed-{seed}_own")
        done = json.loads((folder / "DONE.json").read_text())
        done["results"] = {"my_method_%": {"accuracy": 77.0}}
        (folder / "DONE.json").write_text(json.dumps(done))
    collected = report.collect(three)
    assert "my_method_%" in report.methods_table(collected, "digits").shown.index
    assert r"my\_method\_\% & 77.00" in report.to_latex(report.methods_table(collected, "digits"))
    for plot in (plots.plot_methods, plots.plot_progress, plots.plot_paired):
        plot(collected, "digits")


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
def tables(tmp_path):
    for split, value in enumerate((54.0, 55.0, 56.0)):
        put(tmp_path, {"supervised": value, "dmt": [value, value + 10.123456789]}, **VOC, split=split)
    put(tmp_path, {"dmt": 60.0}, **VOC, split=4, model="deeplab-resnet18")
    return report.all_tables(report.collect(tmp_path))


def test_every_format_can_be_read_back(tables, tmp_path):
    files = report.write(tables, tmp_path / "report")
    assert len(files) == 5 * len(tables)
    for table in tables:
        cells = [cell for row in table.shown.to_numpy().tolist() for cell in row]
        assert all(cell in Cells(report.to_html(table)).cells for cell in cells)
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(report.to_csv(table))), table.tidy, check_dtype=False)
        lines = [line for line in report.to_markdown(table).splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1, "columns line up"
        assert [c.strip() for c in lines[2].split("|")[2:-1]] == table.shown.iloc[0].tolist()
        latex = report.to_latex(table)
        body = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:-1]
        assert len(body) == len(table.shown)
        assert all(line.count("&") == table.shown.shape[1] and line.endswith(r"\\") for line in body)
        for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{"):
            assert latex.count(word) == 1
        assert latex.count("{") == latex.count("}")
        for text in (report.to_markdown(table), report.to_html(table)):
            assert "Measured cells: mean ± sample standard deviation" in text
        assert "model (deeplab-resnet18: 1 run, deeplab-tiny: 3 runs)" in report.to_markdown(table)
    assert "10.123456789" in "".join(report.to_csv(table) for table in tables), "full precision"


def test_a_written_report_below_outputs_is_not_taken_for_foreign_files(three):
    report.write(report.all_tables(report.collect(three)), three / "report")
    assert report.collect(three).skipped == []


def test_special_signs_are_escaped():
    shown = pd.DataFrame([["1 < 2"]], index=pd.Index(["a|b_&"], name="m"), columns=["100 %"])
    table = report.Table("t", "γ & <b>", shown, pd.DataFrame({"x": [1]}), ("50 % ± #1",))
    assert r"a|b\_\& & 1 < 2 \\" in report.to_latex(table)
    assert r"\caption{$\gamma$ \& <b>}" in report.to_latex(table)
    assert "&lt;b&gt;" in report.to_html(table)
    assert r"a\|b_&" in report.to_markdown(table)
    assert "a|b_&" in Cells(report.to_html(table)).cells


def test_formats_and_places_are_checked(three, tables):
    with pytest.raises(ConfigError, match="unknown format"):
        report.write(tables, three / "report", ["pdf"])
    (three / "taken").touch()
    with pytest.raises(RunError, match="choose another folder"):
        report.write(tables, three / "taken")


FIGURES = [plots.plot_methods, plots.plot_progress, plots.plot_paired]


@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.__name__)
def test_figures_draw_into_given_axes_and_say_what_they_show(plot, three):
    collected = report.collect(three)
    _, ax = plt.subplots()
    assert plot(collected, "digits", ax=ax) is ax
    assert "digits" in ax.get_title(loc="left")
    assert ax.get_xlabel()
    with pytest.raises(RunError, match="unknown experiment"):
        plot(collected, "digit")


def test_figures_show_the_numbers_of_the_tables(three):
    collected = report.collect(three)
    texts = [text.get_text() for text in plots.plot_methods(collected, "digits").texts]
    assert "91.58 ± 1.46  n=3" in texts
    line = plots.plot_progress(collected, "digits").containers[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [81.1666667, 82.1666667, 91.5833333])
    alone = report.collect(three / "digits" / "seed-2_methods-dmt")
    assert "no other method" in plots.plot_paired(alone, "digits").texts[0].get_text()


def test_no_two_methods_of_a_task_look_the_same():
    for other in ("cl", "cbst"):
        names = [name for name in style.METHOD_COLOURS if name not in ({"cl", "cbst"} - {other})]
        looks = [style.method_style(name) for name in names]
        assert len({look["color"] for look in looks}) == len({look["marker"] for look in looks}) == len(names) == 8


def dmtkit(*words, **options):
    command = [sys.executable, "-m", "dmtkit", "report", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, **options)


@pytest.mark.slow
def test_command_line(spoiled, tmp_path):
    found = dmtkit(spoiled)
    assert found.returncode == 0, found.stderr
    assert "| DMT " in found.stdout
    for words in ("holiday.jpg", "digits/torn", "DONE.json is corrupt", "not finished", "digits/going-on"):
        assert words in found.stderr
    assert "Traceback" not in found.stderr
    out = tmp_path / "written"
    found = dmtkit(spoiled, "--experiment", "digits", "--format", "latex", "--format", "csv", "--output", out)
    assert found.returncode == 0, found.stderr
    names = {"methods_digits", "phases_digits"}
    figures = {"methods_digits.png", "progress_digits.png", "paired_digits.png"}
    assert {path.name for path in out.iterdir()} == {
        *(f"{name}.{end}" for name in names for end in ("tex", "csv", "notes.txt")),
        *figures, "runs.csv", "phases.csv", ".dmtkit-report",
    }  # fmt: skip
    assert len(pd.read_csv(out / "runs.csv")) == 6
    assert all((out / name).stat().st_size > 3000 for name in figures)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["nowhere"], ["."], [".", "--format", "pdf"], ["full", "--experiment", "digts"]])
def test_command_line_with_nothing_to_report_exits_2(words, tmp_path):
    put(tmp_path / "full", {"dmt": 60.0})
    (tmp_path / "empty").mkdir()
    place = tmp_path / "empty" if words[0] == "." else tmp_path / words[0]
    found = dmtkit(place, *words[1:])
    assert found.returncode == 2
    assert any(word in found.stderr for word in ("make one with", "unknown format", "did you mean 'digits'"))
    assert "Traceback" not in found.stderr
    assert found.stdout == ""


def test_reading_loads_no_torch():
    code = "import sys, dmtkit.report_command; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    found = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT, env=ENVIRONMENT)
    assert found.split() == ["False", "False"]


def test_two_hundred_runs(tmp_path):
    first = {name: put(tmp_path, {"supervised": 60.0, "dmt": [61.0, 70.0]}, task="segmentation", experiment=name)
             for name in ("a", "b")}  # fmt: skip
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
    started = time.monotonic()
    collected = report.collect(tmp_path)
    tables = report.all_tables(collected)
    print(f"200 runs: {time.monotonic() - started:.2f} s")
    assert len(collected.runs) == 400
    assert collected.experiments == ["a", "b"]
    values = [70.0, *(70.0 + seed for seed in range(2, 101))]
    assert tables[0].tidy.set_index("method").loc["dmt", "mean"] == pytest.approx(np.mean(values))


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_the_notebook_runs_over_runs_and_over_an_empty_folder(there, spoiled, tmp_path):
    folder, out = (spoiled if there else tmp_path / "empty"), tmp_path / "out" / "report.ipynb"
    (tmp_path / "empty").mkdir()
    out.parent.mkdir()
    words = ["notebooks/report.ipynb", str(out), "-p", "outputs", str(folder), "-k", "python3", "--no-progress-bar"]
    command = [sys.executable, "-m", "papermill", *words]
    found = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    outputs = [o for cell in nbformat.read(out, 4).cells for o in cell.get("outputs", [])]
    text = json.dumps(outputs)
    if there:
        assert text.count("image/png") == 3
        assert "holiday.jpg" in text
        assert "91.58" in text
    else:
        assert "holds no finished run" in text
        assert "image/png" not in text
