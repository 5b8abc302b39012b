"""Reports over many runs, from folders made by hand: what is averaged, what is named, what is left out, every format."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dmtkit.errors import RunError
from dmtkit.results import plots, tables
from dmtkit.results.tables import paper, settings
from dmtkit.runs.published import published
from tests.made_runs import BAD, VOC, put


def left_out(collected, kind):
    """Path and reason of what does not count."""
    rows = collected.left_out[collected.left_out["kind"] == kind]
    return dict(zip(rows["path"], rows["reason"], strict=True))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_runs_are_tidy_and_merged_over_folders(three):
    collected = tables.collect(three)
    assert collected.experiments == ["digits"]
    assert len(collected.runs) == 6
    assert {
        "experiment",
        "dataset",
        "task",
        "seed",
        "split",
        "method",
        "metric",
        "value",
        "A",
        "B",
        "A+B",
        "seconds",
        "folder",
    } <= set(collected.runs)
    assert collected.runs["folder"].iloc[0] == "digits/seed-1_methods-dmt"
    assert collected.runs["A"].isna().all()
    assert collected.mixed.empty
    assert collected.left_out.empty
    steps = collected.phases[collected.phases["method"] == "dmt"]
    assert steps["phase"].tolist() == [1, 2] * 3
    assert collected.phases[collected.phases["method"] == "supervised"]["phase"].tolist() == [0] * 3


def test_means_sds_and_differences_are_those_of_numpy(three):
    table = tables.methods_table(tables.collect(three), "digits")
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
    low, high = tables.bootstrap_interval(values)
    every = np.array(np.meshgrid(*[values] * 5)).reshape(5, -1).mean(axis=0)  # all 3125 resamples, exactly
    assert (low, high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.06)
    assert (low, high) == tables.bootstrap_interval(values), "the same bits again"
    assert np.isnan(tables.bootstrap_interval([1.0])).all()


def test_pairs_are_of_the_same_seed_and_split_only():
    runs = pd.DataFrame(
        [("a", 1, 0, 5.0), ("a", 1, 1, 7.0), ("a", 2, 0, 9.0), ("b", 1, 1, 1.0), ("b", 2, 0, 2.5), ("b", 3, 0, 4.0)],
        columns=["method", "seed", "split", "value"],
    )
    assert tables.paired_differences(runs, "a", "b").to_dict() == {(1, 1): 6.0, (2, 0): 6.5}
    assert tables.paired_differences(runs, "a", "c").empty


def test_a_result_found_twice_counts_once_and_is_named(three):
    shutil.copytree(three / "digits" / "seed-1_methods-dmt", three / "digits" / "zz-copy")
    collected = tables.collect(three)
    assert (collected.runs["method"] == "dmt").sum() == 3
    ((path, reason),) = left_out(collected, "twice").items()
    assert path == "digits/zz-copy"
    assert "digits/seed-1_methods-dmt counts" in reason
    assert any("digits/zz-copy" in note for note in tables.methods_table(collected, "digits").notes)


def test_runs_of_other_settings_are_named_and_not_averaged(three):
    put(three, {"dmt": [70.0, 71.0]}, seed=4, label_ratios=(0.5, 1.0), gamma1=3)
    collected = tables.collect(three)
    assert collected.experiments == ["digits [gamma1=3]", "digits [gamma1=4]"]
    assert collected.mixed.to_dict("records") == [
        {"base": "digits", "field": "gamma1", "what": "gamma1 (3: 1 run, 4: 6 runs)"}
    ]
    other = tables.methods_table(collected, "digits [gamma1=3]")
    assert other.tidy["n"].tolist() == [1]
    assert tables.methods_table(collected, "digits [gamma1=4]").tidy["n"].tolist() == [3, 3]
    assert any("gamma1 (3: 1 run, 4: 6 runs)" in note for note in other.notes)


def test_what_does_not_change_results_and_what_older_files_lack_is_no_difference(tmp_path):
    put(tmp_path, {"dmt": 60.0}, seed=1, device="cpu", checkpoint_seconds=0)
    put(tmp_path, {"dmt": 61.0}, seed=2, drop=("mixup", "gamma_ramp"), published="cifar10_4000")
    assert tables.collect(tmp_path).mixed.empty


def test_many_differing_settings_are_numbered_and_all_named(tmp_path):
    put(tmp_path, {"dmt": 60.0}, seed=1)
    put(tmp_path, {"dmt": 61.0}, seed=2, lr=0.3, epochs=7, mixup=0, flip=True)
    collected = tables.collect(tmp_path)
    assert collected.experiments == ["digits [settings 1]", "digits [settings 2]"]
    assert set(collected.mixed["field"]) == {"lr", "epochs", "mixup", "flip"}


def test_true_is_not_one_and_own_folders_are_told_apart_by_name():
    flips = [settings.compared({"flip": flip}, "classification")["flip"] for flip in (True, 1.0)]
    assert len(set(flips)) == 2
    own = [
        settings.compared({"dataset": "folder", "data_dir": d}, "classification") for d in ("/a/cats", "/b/cats", "c")
    ]
    assert own[0] == own[1] != own[2]


def test_foreign_and_corrupt_files_are_named_and_nothing_else_changes(spoiled):
    collected = tables.collect(spoiled)
    skipped = left_out(collected, "skipped")
    assert {f"digits/{name}" for name in BAD} | {"holiday.jpg", "config.yaml", "lightning_logs/version_0"} == set(
        skipped
    )
    assert list(left_out(collected, "unfinished")) == ["digits/going-on"]
    assert len(collected.runs) == 6
    assert "lacks dataset, task" in skipped["digits/lacking"]
    assert "knitting" in skipped["digits/words"]
    assert skipped["digits/bare"] == "config.yaml is missing"
    assert "7 files" in skipped["lightning_logs/version_0"]
    notes = " ".join(tables.methods_table(collected, "digits").notes)
    assert all(f"digits/{name}" in notes for name in BAD)
    assert "digits/going-on" in notes
    assert not tables.collect(spoiled / "benchmarks").runs.empty, "when it is named, it is meant"


def test_a_folder_of_one_experiment_and_a_single_run_can_be_named(three):
    assert len(tables.collect(three / "digits").runs) == 6
    single = tables.collect(three / "digits" / "seed-2_methods-dmt")
    assert single.runs["value"].tolist() == [91.0]


def test_nothing_there_says_what_to_do(tmp_path):
    for place in (tmp_path, tmp_path / "no" / "where"):
        collected = tables.collect(place)
        assert "dmtkit run params/digits.yaml" in collected.summary
        assert tables.all_tables(collected) == []
        assert collected.notes() == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        tables.collect(tmp_path / "file")


def test_experiments_are_chosen_by_name_and_unknown_ones_refused(three):
    put(three, {"dmt": 60.0}, task="segmentation", experiment="scenes")
    assert tables.collect(three, ["scenes"]).experiments == ["scenes"]
    with pytest.raises(RunError, match="did you mean 'scenes'"):
        tables.collect(three, ["scene"])


def test_voc_stands_beside_the_paper_and_unpublished_cells_stay_empty(tmp_path):
    for split, value in enumerate((54.0, 55.0, 56.0)):
        put(tmp_path, {"supervised": value, "cbst": value + 4, "dmt": value + 10, "oracle": 70.0}, **VOC, split=split)
    table = tables.paper_table(tables.collect(tmp_path), "voc")
    assert list(dict.fromkeys(table.shown.columns.get_level_values(0))) == ["1/106", "1/50", "1/20", "1/8", "full"]
    assert table.shown.index[0] == "Baseline"
    assert table.shown.index[-1] == "DMT"
    assert table.shown.loc["DMT", ("1/50", "measured")] == "65.00 ± 1.00 (3)"
    assert table.shown.loc["CBST", ("1/50", "measured")] == "59.00 ± 1.00 (3)"
    assert table.shown.loc["CBST", ("1/50", "published")] == ""
    assert table.shown.loc["Baseline", ("full", "measured")] == "70.00 ± 0.00 (3)", "the oracle is the full baseline"
    assert table.shown.loc["Mean Teacher", ("1/106", "published")] == ""
    assert (table.shown.xs("1/20", axis=1)["measured"] == "").all()


@pytest.mark.parametrize("name", list(tables.LAYOUTS))
def test_published_cells_are_those_of_the_csv_each_with_its_source(name, tmp_path):
    table = tables.paper_table(tables.collect(tmp_path), name)
    layout = tables.LAYOUTS[name]
    for heading, source in layout.columns.items():
        known = published(source).set_index("title")["value"]
        here = table.tidy[table.tidy["column"] == heading].dropna(subset="published")
        assert here["source"].notna().all()
        assert here["n"].eq(0).all()
        if layout.closed:
            assert here["published"].tolist() == [55.62, 67.15]
            assert table.shown.shape == (7, 2)
        else:
            pd.testing.assert_series_equal(
                here.set_index("row")["published"].sort_index(),
                known.sort_index(),
                check_names=False,
                check_dtype=False,
                check_index_type=False,
            )
            for title, value in known.items():
                assert table.shown.loc[title, (heading, "published")] == f"{value:.2f}"
            assert (table.shown[heading, "published"] != "").sum() == len(known)
        assert (table.shown[heading, "measured"] == "").all()


def test_cifar_with_1000_labels_is_measured_but_not_published(tmp_path):
    put(tmp_path, {"supervised": 80.0, "dmt": 90.0}, experiment="cifar10_1000", dataset="cifar10")
    (table,) = tables.paper_tables(tables.collect(tmp_path))
    assert table.shown.loc["DMT", ("1 000 labels", "measured")] == "90.00 (1)"
    assert (table.shown["1 000 labels", "published"] == "").all()
    assert table.shown.loc["DMT", ("4 000 labels", "published")] == "94.21"


def test_other_settings_have_rows_of_their_own_in_the_papers_tables(tmp_path):
    put(tmp_path, {"dmt": 60.0}, **VOC, split=0)
    put(tmp_path, {"dmt": 62.0}, **VOC, split=1, gamma1=5)
    put(tmp_path, {"dmt": 64.0}, **{**VOC, "experiment": "mine"})
    shown = tables.paper_table(tables.collect(tmp_path), "voc").shown["1/50"]
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
    collected = tables.collect(tmp_path)
    human = tables.paper_table(collected, "human_labels").shown
    assert human.index.tolist() == [
        "1 464 labels",
        "1 464 + 9 118 SBD labels",
        "1 464 labels + CBST",
        "1 464 labels + DMT",
    ]
    ablations = tables.paper_table(collected, "ablations").shown
    assert ablations.index.tolist() == ["Baseline", "Online ST", "CBST", "DST", "DMT-Naive", "DMT-Flip", "DMT"]
    assert ablations["1/50", "measured"].tolist() == ["55.00 (1)", "", "", "60.00 (1)", "", "66.00 (1)", ""]
    assert [table.name for table in tables.paper_tables(collected)] == [
        "paper_voc",
        "paper_human_labels",
        "paper_ablations",
    ]
    assert set(paper.LAYOUTS) == {"cifar10", "voc", "cityscapes", "human_labels", "ablations"}


def test_phases_start_from_the_baseline_of_the_same_seeds(three):
    (three / "digits" / "seed-3_methods-dmt" / "DONE.json").unlink()
    collected = tables.collect(three)
    table = tables.phases_table(collected, "digits")
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
    collected = tables.collect(three)
    assert "my_method_%" in tables.methods_table(collected, "digits").shown.index
    assert r"my\_method\_\% & 77.00" in tables.to_latex(tables.methods_table(collected, "digits"))
    for plot in (plots.plot_methods, plots.plot_progress, plots.plot_paired):
        plot(collected, "digits")
