"""Pages quote the committed results as they came; benchmarks that wait for a GPU run here at a tiny size."""

import json
import re

import pytest

from benchmarks import __main__ as driver
from benchmarks import ablations, common, gpu, pages, parts, profile, scaling, steps
from dmtkit.results.tables import collect
from tests.helpers import make_tree

RESULTS = sorted(common.RESULTS.glob("*.json"))
PAGES = [page for page in pages.every_page() if pages.BEGIN in page.read_text()]


@pytest.fixture(scope="module")
def macros():
    return pages.macros(pages.committed())


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path):
    assert {"command", "commit", "date", "machine", "results"} == set(json.loads(path.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_quote_the_results_as_they_came(page, macros):
    assert pages.render(page.read_text(), macros, page) == page.read_text(), "run python -m benchmarks pages"


HEADS = {"digits": "digits", "scenes": "scenes", "camvid_8": "camvid", "cifar10_cpu": "cifar10_cpu"}


@pytest.mark.parametrize(("params", "name"), HEADS.items())
def test_heads_of_params_files_expect_what_was_measured(params, name):
    head = (common.ROOT / "params" / f"{params}.yaml").read_text()
    results = common.load(name)["results"]
    if isinstance(results, list):
        scores = results[0].get("accuracy") or {key: row["miou"] for key, row in results[0]["results"].items()}
        measured = [f"{method} {score:.1f}" for method, score in scores.items()]
    else:
        totals = results.get("accuracy") or results["miou"]
        measured = [f"{method} {pages.pm(total)}" for method, total in totals.items()]
    assert f"benchmarks/results/{name}.json" in head
    assert ", ".join(measured) in head


def test_every_block_of_numbers_is_whole_and_its_tables_are_even(macros):
    quoted = "".join(page.read_text() for page in PAGES)
    for name in pages.blocks(macros):
        assert f" {name} " in quoted, f"no page quotes {name}"
        text = getattr(macros, name)().strip()
        assert text, name
        assert "nan" not in text.split(), name
        tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
        assert all(row.count("|") == rows[1].count("|") for rows in tables for row in rows), name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!-- numbers -->\n<!-- end of numbers -->", "wants names of ablations, augmentation"),
        (
            "<!-- numbers digits sceness -->\nold\n<!-- end of numbers -->",
            "`<!-- numbers digits sceness -->` wants names",
        ),
        ("words\n<!-- numbers digits -->\nold\n", "wants a line"),
        ("<!-- numbers digits -->\n<!-- numbers scenes -->\n<!-- end of numbers -->", "wants a line"),
    ],
)
def test_unknown_and_open_marks_are_refused(text, words, macros):
    with pytest.raises(ValueError, match=words):
        pages.render(text, macros)


def test_the_page_of_results_holds_every_table_and_its_figures(three):
    text = ablations.page(collect(three, ["digits"]), {"machine": "a Cray", "date": "today"})
    assert "dmtkit batch params/digits.yaml --seeds 1-5 --methods supervised,oracle" in text
    assert "(a Cray, today)" in text
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[:2] == [
        "# Results: every method on the embedded data",
        "## digits: test accuracy in percent of every method",
    ]
    figures = re.findall(r"!\[digits: .*\]\((.*)_digits.png\)", text)
    assert figures == ["methods", "paired", "progress"]
    assert "\n\n\n" not in text


def test_every_benchmark_tells_its_options(capsys):
    for name in driver.NAMES:
        function = driver.find(name)
        assert function.__name__ == name
        assert function.__doc__, name
        driver.parser_of(name, function).format_help()
    for benchmark in driver.ALL:
        name, *words = benchmark.split()
        driver.parser_of(name, driver.find(name)).parse_args(words)
    with pytest.raises(SystemExit, match="no benchmark is named 'stepps'"):
        driver.main(["stepps"])


def test_the_driver_passes_words_and_options_and_keeps_the_last_results(monkeypatch, tmp_path):
    def made_up(
        data_dir: str, *seeds: int, shape: tuple[int, ...] = (1, 2), rate: float = 0.5, all_of_it: bool = False
    ):
        """Yields what it was given."""
        yield "not yet"
        yield [data_dir, seeds, shape, rate, all_of_it]

    monkeypatch.setattr(driver, "RESULTS", tmp_path)
    monkeypatch.setattr(driver, "find", lambda name: made_up)
    driver.main(["made_up", str(tmp_path), "3", "4", "--shape", "5", "6", "--all-of-it"])
    kept = json.loads((tmp_path / "made_up.json").read_text())
    assert kept["results"] == [str(tmp_path), [3, 4], [5, 6], 0.5, True]
    assert kept["command"] == "python -m benchmarks made_up DATA_DIR 3 4 --shape 5 6 --all-of-it"


@pytest.mark.long
def test_gpu_cifar_at_a_tiny_size(tmp_path):
    data = str(make_tree(tmp_path / "data", per_class=30))
    settings = ("labels=4", "val=2", "model=wrn-10-1", "batch_labeled=4", "batch_pseudo=8", "device=cpu", "epochs=3")
    results = gpu.gpu_cifar(data, minutes=0.0001, steps=1, output=str(tmp_path / "o"), settings=settings)
    assert set(results["images_per_second"]) == {"supervised", "cl", "dmt"} == set(results["accuracy"])
    assert (tmp_path / "o" / "DONE.json").is_file()


@pytest.mark.long
def test_all_that_waits_for_a_gpu_at_a_tiny_size(monkeypatch):
    monkeypatch.setattr(parts.torch, "compile", lambda function: function)  # what compiles has tests of its own
    monkeypatch.setattr(steps, "SIDE", 64)  # where bf16 is emulated, 2048 takes minutes
    *_, results = gpu.gpu(device="cpu", tiny=True)
    (step,) = results["steps"]["steps"].values()
    assert set(step["seconds"]) == {"reference", "fp32", "bf16"}
    assert min(step["seconds"].values()) > 0 < step["gflop_a_step"]
    assert results["loss"]["seconds"]["dynamic"] > 0
    (labels,) = results["labelling"]["time"].values()
    assert labels["bytes_a_pixel"] == 3 < 8 <= labels["bytes_a_pixel_reference"]
    assert results["augmentation"]["sizes"]


@pytest.mark.long
def test_where_a_steps_time_goes_adds_up():
    (row,) = profile.profile("wrn-10", steps=1, device="cpu", precision="fp32").values()
    assert sum(row["share"].values()) == pytest.approx(1, abs=0.01)
    assert row["share"]["convolution, forward"] > 0 < row["share"]["convolution, backward"]


@pytest.mark.long
def test_scaling_measures_every_part_alone():
    results = scaling.scaling(600)
    assert set(results) == set(scaling.PARTS)
    assert all(row["600"]["peak_mib"] > 50 for row in results.values())
