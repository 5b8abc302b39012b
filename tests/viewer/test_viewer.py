"""The explorer's Python side: what it lists, packs and embeds, what it says of broken runs; its JavaScript, by node."""

import json
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dmtkit
from dmtkit.errors import RunError
from dmtkit.losses.dynamic import weigh
from dmtkit.viewer.bundle import STATIC, bundle
from dmtkit.viewer.catalogue import read_catalogue
from dmtkit.viewer.packs import colours_of, levels
from tests.explorable import explorable, gallery, write_version

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = STATIC / "explorer"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed; the browser test runs this code too")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return dmtkit.load_run(explorable(tmp_path_factory.mktemp("runs")))


@pytest.fixture
def own(run, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(run.path, tmp_path / "run")


def node(code: str, *words: str) -> str:
    found = subprocess.run([NODE, "--input-type=module", "-e", code, *words], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_catalogue_lists_every_view_and_its_packs_hold_the_stored_arrays(run):
    found = read_catalogue(run)
    assert len(found.views) == 3 * 3 * (1 + 2)  # phases, moments, students of cbst and dmt
    assert {(v["teacher"], v["student"]) for v in found.views if v["method"] == "dmt"} == {("A", "B"), ("B", "A")}
    assert {(v["teacher"], v["student"]) for v in found.views if v["method"] == "cbst"} == {("A", "A")}
    assert list(found.samples) == ["3", "7"]
    assert found.notices == []
    view = next(v for v in found.views if (v["method"], v["phase"], v["student"], v["time"]) == ("dmt", 2, "A", "end"))
    entry = view["samples"]["7"]
    assert (entry["width"], entry["height"]) == (48, 40)
    place = run.path / "dmt" / "phase_2" / "A"
    fixed, asked = np.load(place / "samples.npz"), np.load(place / "probe_end.npz")
    content = zlib.decompress(found.packs[entry["student"]]())
    area = 48 * 40
    assert (np.frombuffer(content, "<u2", area) == asked["7/c_B"].ravel()).all()
    assert (np.frombuffer(content, "<u2", area, 2 * area) == asked["7/p_B"].ravel()).all()
    assert (np.frombuffer(content, np.uint8, area, 4 * area) == asked["7/y_B"].ravel()).all()
    content = zlib.decompress(found.packs[entry["labels"]]())
    assert (np.frombuffer(content, np.uint8, area, 3 * area) == fixed["7/kept"].ravel()).all()
    content = zlib.decompress(found.packs[entry["image"]]())
    assert (np.frombuffer(content, np.uint8, area, 3 * area) == fixed["7/truth"].ravel()).all()


def test_what_is_embedded_fits_and_starts_with_what_is_shown_first(run):
    everything = dmtkit.explore(run)
    assert set(everything.packs) == set(everything.catalogue.packs)
    least = dmtkit.explore(run, embed=0)
    shown = [v for v in least.catalogue.views if (v["method"], v["student"], v["time"]) == ("dmt", "B", "middle")]
    wanted = {v["samples"]["3"][part] for v in shown for part in ("image", "labels", "student")}
    assert set(least.packs) == wanted, "the first sample through all phases, and no more"
    some = dmtkit.explore(run, embed=0.3)
    assert wanted < set(some.packs) < set(everything.packs)
    assert sum(map(len, some.packs.values())) <= 0.3e6


def test_the_kernel_sends_what_is_asked_for_and_says_what_cannot_be_read(own, monkeypatch):
    explorer = dmtkit.explore(own, embed=0)
    sent = []
    monkeypatch.setattr(explorer, "send", lambda content, buffers=None: sent.append((content, buffers)))
    key = "dmt/1/A/start/7"
    explorer._answer(explorer, {"kind": "wanted", "keys": [key, "../../etc"]}, [])
    explorer._answer(explorer, {"kind": "other"}, [])
    assert sent[0][0] == {"kind": "packs", "keys": [key]}
    assert sent[0][1] == [explorer.catalogue.packs[key]()]
    assert sent[1][0]["kind"] == "error"
    (own / "dmt" / "phase_1" / "A" / "probe_start.npz").write_bytes(b"x")
    explorer._answer(explorer, {"kind": "wanted", "keys": [key]}, [])
    assert "probe_start.npz: cannot be read" in sent[2][0]["text"]


def test_an_unfinished_run_shows_what_there_is_and_says_so(own):
    (own / "DONE.json").unlink()
    (own / "dmt" / "phase_3" / "phase.json").unlink()
    (own / "dmt" / "phase_3" / "B" / "phase.json").unlink()  # A is through with phase 3, B is not
    explorer = dmtkit.explore(own)
    assert "not finished" in explorer.index["notices"][0]
    found = {(v["student"], v["phase"]) for v in explorer.index["views"] if v["method"] == "dmt"}
    assert found == {("A", 1), ("A", 2), ("A", 3), ("B", 1), ("B", 2)}


def test_a_run_of_another_version_says_so(own):
    write_version(own, "0.0.7")
    assert "made by dmtkit 0.0.7" in dmtkit.explore(own).index["notices"][0]
    (own / "environment.json").write_text("{")
    assert "environment.json" in dmtkit.explore(own).index["notices"][0]


def test_settings_of_another_version_are_refused_by_name(own):
    with open(own / "config.yaml", "a") as file:
        file.write("\nsorcery: 3\n")
    with pytest.raises(RunError, match="sorcery"):
        dmtkit.explore(own)


def test_missing_and_damaged_files_are_named_and_left_out(own):
    (own / "dmt" / "phase_1" / "A" / "samples.npz").unlink()
    (own / "dmt" / "phase_1" / "B" / "probe_middle.npz").unlink()
    (own / "dmt" / "phase_2" / "B" / "probe_end.npz").write_bytes(b"torn")
    (own / "cbst" / "phase_1" / "A" / "samples.npz").write_bytes(b"torn")
    explorer = dmtkit.explore(own)
    notices = "\n".join(explorer.index["notices"])
    for words in (
        "dmt/phase_1/A: samples.npz is missing",
        "dmt/phase_1/B: probe_middle.npz is missing",
        "dmt/phase_2/B: probe_end.npz: cannot be read",
        "cbst/phase_1/A: left out",
    ):
        assert words in notices
    assert not [v for v in explorer.index["views"] if (v["method"], v["phase"], v["student"]) == ("dmt", 1, "A")]


def test_one_damaged_byte_costs_what_it_is_in_and_no_more(own):
    path = own / "dmt" / "phase_1" / "B" / "probe_middle.npz"
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    explorer = dmtkit.explore(own)
    (notice,) = explorer.index["notices"]
    assert notice.startswith("dmt/phase_1/B/probe_middle.npz: cannot be read")
    gone = {key for key in explorer.catalogue.packs if key not in explorer.packs}
    assert gone == {"dmt/1/B/middle/3", "dmt/1/B/middle/7"}


def test_a_torn_moment_is_left_out_alone_and_a_phase_beyond_the_configs_too(own):
    path = own / "dmt" / "phase_2" / "B" / "probe_start.npz"
    path.write_bytes(path.read_bytes()[:200])
    shutil.copytree(own / "dmt" / "phase_3", own / "dmt" / "phase_9")
    explorer = dmtkit.explore(own)
    notices = explorer.index["notices"]
    assert any(text.startswith("dmt/phase_2/B: probe_start.npz: cannot be read") for text in notices)
    assert any(text.startswith("dmt/phase_9: left out: config.yaml names 3 label ratios") for text in notices)
    assert len(notices) == 2
    times = {v["time"] for v in explorer.index["views"] if (v["method"], v["phase"], v["student"]) == ("dmt", 2, "B")}
    assert times == {"middle", "end"}
    assert max(v["phase"] for v in explorer.index["views"]) == 3


def test_a_run_without_samples_and_a_folder_that_is_no_run_are_refused_in_words(own, tmp_path):
    for path in own.rglob("samples.npz"):
        path.unlink()
    with pytest.raises(RunError, match=r"holds nothing to look at: the samples .* missing(.|\n)*dmt/phase_1/A"):
        dmtkit.explore(own)
    with pytest.raises(RunError, match="is no run folder"):
        dmtkit.explore(tmp_path / "nowhere")
    bare = explorable(tmp_path, methods=("supervised",))
    with pytest.raises(RunError, match=r"supervised\) store no pseudo labels; run one that does, such as dmt"):
        dmtkit.explore(bare)
    (bare / "config.yaml").write_text((bare / "config.yaml").read_text().replace("- supervised", "- dmt"))
    (bare / "DONE.json").unlink()
    with pytest.raises(RunError, match="no phase with pseudo labels is complete yet"):
        dmtkit.explore(bare)


def test_split_json_missing_is_said_in_words(own):
    (own / "split.json").unlink()
    with pytest.raises(RunError, match=r"split\.json"):
        dmtkit.explore(own)


def test_a_gallery_of_images_and_one_without_truth(tmp_path):
    explorer = dmtkit.explore(gallery(tmp_path / "a"))
    assert explorer.index["truth"]
    (entry,) = (view["samples"]["images"] for view in explorer.index["views"] if view["phase"] == 2)
    assert (len(entry["ids"]), entry["tile"]) == (30, [8, 8])
    assert explorer.index["names"][str(entry["ids"][0])] == f"im-{entry['ids'][0]}"
    assert not dmtkit.explore(gallery(tmp_path / "b", truth=False)).index["truth"]


@pytest.mark.long
def test_the_static_figure_stands_beside_the_widget(run, tmp_path):
    for explorer in (dmtkit.explore(run), dmtkit.explore(run, method="cbst"), dmtkit.explore(gallery(tmp_path))):
        data, _ = explorer._repr_mimebundle_()
        assert set(data) >= {"application/vnd.jupyter.widget-view+json", "image/png"}


@given(st.lists(st.integers(0, 65535)))
def test_levels_come_back_as_they_were(given_levels):
    from dmtkit.losses.levels import confidence_of

    stored = np.array(given_levels, np.uint16)
    assert (levels(confidence_of(stored)) == stored).all()


def test_an_image_of_a_strange_shape_is_refused():
    with pytest.raises(RunError, match="expected height × width × 1 or 3"):
        colours_of(np.zeros((4, 4, 2), np.uint8))


def test_bundling_leaves_no_import_and_one_export():
    text = bundle(SCRIPTS / "explorer.mjs")
    lines = text.splitlines()
    assert not [line for line in lines if line.startswith("import ")]
    assert [line for line in lines if line.startswith("export ")] == ["export default { render: $explorer.render };"]
    assert all(f"const ${path.stem} =" in text for path in SCRIPTS.glob("*.mjs"))


@needs_node
def test_the_bundle_is_a_module_that_loads(tmp_path):
    (tmp_path / "bundle.mjs").write_text(bundle(SCRIPTS / "explorer.mjs"))
    assert node(f"import w from '{tmp_path}/bundle.mjs'; console.log(typeof w.render)").strip() == "function"


@needs_node
@pytest.mark.parametrize("rule", ["uniform", "naive", "dynamic", "flip"])
def test_javascript_weighs_as_the_library_does(rule, tmp_path):
    rng = np.random.default_rng(1)
    n = 4000
    y_a, y_b = rng.integers(0, 3, n), rng.integers(0, 3, n)
    c_a, c_b, p_b = (rng.integers(0, 65536, n) for _ in range(3))
    kept = rng.random(n) < 0.8
    c_b[:50] = c_a[:50]  # as sure as each other
    arrays = {"y_A": y_a, "y_B": y_b, "c_A": c_a, "c_B": c_b, "p_B": p_b, "kept": kept.astype(int)}
    (tmp_path / "in.json").write_text(json.dumps({name: values.tolist() for name, values in arrays.items()}))
    code = f"""
        import {{ weigh }} from "{SCRIPTS}/weigh.mjs"; import fs from "fs";
        const a = JSON.parse(fs.readFileSync("{tmp_path}/in.json"));
        const found = weigh(a, a, {{ gamma1: 2.5, gamma2: 4, rule: "{rule}" }});
        console.log(JSON.stringify([[...found.which], [...found.weight]]));"""
    which, weight = (np.array(values) for values in json.loads(node(code)))
    t = torch.from_numpy
    given_label = np.where(kept, y_a, 255)
    found = weigh(
        t(given_label), t(c_a / 65535), t(y_b), t(c_b / 65535), t(p_b / 65535), gamma1=2.5, gamma2=4.0, rule=rule
    )
    assert np.allclose(weight, found.weight.numpy(), atol=2e-7)
    expected = np.where(found.agree, 0, np.where(found.surer, 2, np.where(found.valid, 1, 255)))
    assert (which == expected).all()


@needs_node
def test_the_javascript_tests_pass():
    folder = ROOT / "tests" / "javascript"
    found = subprocess.run([NODE, "--test", str(folder)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:]
