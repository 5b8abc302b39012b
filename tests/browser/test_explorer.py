"""The explorer as a user meets it: in JupyterLab, with a mouse, with the keyboard alone, and without a kernel."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser
EXPLORE = ROOT / "notebooks" / "explore_weights.ipynb"
TOP = 65535


class Explorer:
    """The widget on a page."""

    def __init__(self, notebook):
        self.page, self.root = notebook.page, notebook.page.locator(".dmt-explorer").first
        self.root.wait_for(timeout=60_000)
        self.root.scroll_into_view_if_needed()
        self.settled()

    def settled(self):
        """Wait until it has drawn what was asked for last."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_function("() => document.querySelector('.dmt-explorer').dataset.drawn")
        self.page.wait_for_timeout(150)

    def picture(self, which=0):
        return self.root.locator(".dmt-picture").nth(which).evaluate("canvas => canvas.toDataURL()")

    def pointer(self, which=0):
        return self.root.locator(".dmt-cursor").nth(which)

    def hover(self, x, y, size):
        """Point at a pixel of a map of `size`, height and width."""
        box = self.pointer().bounding_box()
        place = {"x": (x + 0.5) * box["width"] / size[1], "y": (y + 0.5) * box["height"] / size[0]}
        self.pointer().hover(position=place)

    def readout(self, which=0):
        told = self.root.locator(".dmt-readout").nth(which).evaluate("table => ({...table.dataset})")
        return {name: float(value) for name, value in told.items()}

    def key(self, label, name, times=1):
        """Press a key on a control that is found by its label."""
        control = self.root.get_by_label(label, exact=True).first
        control.focus()
        for _ in range(times):
            control.press(name)
        self.settled()


def stored(run, method, phase, student, time, sample):
    place = run / method / f"phase_{phase}" / student
    fixed, asked = np.load(place / "samples.npz"), np.load(place / f"probe_{time}.npz")
    names = {
        "truth": fixed,
        "y_A": fixed,
        "c_A": fixed,
        "kept": fixed,
        "y_B": asked,
        "c_B": asked,
        "p_B": asked,
        "w": asked,
    }
    return {name: arrays[f"{sample}/{name}"] for name, arrays in names.items()}


def agrees(readout, maps, x, y):
    """The readout is what the run holds of this pixel."""
    for shown, name in {
        "truth": "truth",
        "yA": "y_A",
        "cA": "c_A",
        "yB": "y_B",
        "cB": "c_B",
        "pB": "p_B",
        "kept": "kept",
    }.items():
        assert readout[shown] == maps[name][y, x], name
    assert readout["w"] == pytest.approx(maps["w"][y, x] / TOP, abs=2 / TOP)


def test_with_mouse_and_keyboard_in_light_and_dark(opened, runs, shoot, tmp_path):
    notebook = opened(EXPLORE, run_dir=str(runs["small"]))
    notebook.run_all()
    notebook.theme("Light")  # JupyterLab remembers what another test chose
    cells = notebook.page.locator(".jp-Notebook .jp-Cell").count()
    explorer = Explorer(notebook)
    size = (40, 48)

    maps = stored(runs["small"], "dmt", 3, "B", "middle", 3)
    for x, y in [(0, 0), (47, 39), (20, 11), (33, 30)]:
        explorer.hover(x, y, size)
        agrees(explorer.readout(), maps, x, y)

    # the phase by the arrow keys of its slider, the pointer staying where it is
    explorer.key("phase", "ArrowLeft")
    agrees(explorer.readout(), stored(runs["small"], "dmt", 2, "B", "middle", 3), 33, 30)
    explorer.root.get_by_label("direction").select_option("A")
    explorer.root.get_by_label("moment of the phase").select_option("end")
    explorer.settled()
    maps = stored(runs["small"], "dmt", 2, "A", "end", 3)
    agrees(explorer.readout(), maps, 33, 30)

    # layers by number keys: the picture changes, and comes back
    before = explorer.picture()
    explorer.pointer().focus()
    notebook.page.keyboard.press("3")
    explorer.settled()
    assert explorer.picture() != before
    notebook.page.keyboard.press("3")
    explorer.settled()
    assert explorer.picture() == before
    explorer.key("opacity of weight w", "Home")
    assert explorer.picture() != before
    explorer.key("opacity of weight w", "End")

    # another γ: weights anew from the stored probabilities
    y, x = np.argwhere(maps["kept"] & (maps["y_A"] == maps["y_B"]) & (maps["p_B"] < 0.9 * TOP))[0]
    explorer.hover(int(x), int(y), size)
    assert explorer.readout()["case"] == 0
    explorer.key("γ₁ agreement", "ArrowRight", 4)
    assert explorer.readout()["w"] == pytest.approx((maps["p_B"][y, x] / TOP) ** 4, abs=1e-6)
    explorer.root.get_by_role("button", name="as trained").click()
    explorer.settled()
    agrees(explorer.readout(), maps, x, y)

    # the pointer by arrow keys alone
    explorer.pointer().press("ArrowRight")
    explorer.pointer().press("Shift+ArrowUp")
    assert explorer.readout()["element"] == max(0, y - 10) * 48 + min(47, x + 1)

    # the brush
    explorer.key("weights from", "End")
    faded = explorer.picture()
    explorer.root.get_by_role("button", name="show all").click()
    explorer.settled()
    assert explorer.picture() != faded
    bars = explorer.root.locator(".dmt-histogram").first
    box = bars.bounding_box()
    notebook.page.mouse.move(box["x"] + 5, box["y"] + 30)
    notebook.page.mouse.down()
    notebook.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30, steps=3)
    notebook.page.mouse.up()
    explorer.settled()
    assert float(explorer.root.get_by_label("weights to").input_value()) == pytest.approx(0.5, abs=0.02)
    explorer.root.get_by_role("button", name="show all").click()

    # side by side: two methods, one pointer
    explorer.root.get_by_label("compare side by side").check()
    explorer.settled()
    explorer.root.get_by_label("method", exact=True).nth(1).select_option("cbst")
    explorer.settled()
    explorer.hover(12, 9, size)
    agrees(explorer.readout(0), stored(runs["small"], "dmt", 2, "A", "end", 3), 12, 9)
    agrees(explorer.readout(1), stored(runs["small"], "cbst", 1, "A", "end", 3), 12, 9)
    shoot(explorer.root, "explorer-compare-light")
    explorer.root.get_by_label("compare side by side").uncheck()

    # another sample, by its thumbnail; samples sorted
    explorer.root.get_by_label("sort samples by").select_option("error")
    explorer.settled()
    explorer.root.get_by_role("button", name="image 7").click()
    explorer.settled()
    explorer.hover(5, 6, size)
    agrees(explorer.readout(), stored(runs["small"], "dmt", 2, "A", "end", 7), 5, 6)

    # a PNG of it all
    with notebook.page.expect_download() as download:
        explorer.root.get_by_role("button", name="save as PNG").click()
    with Image.open(download.value.path()) as picture:
        assert picture.width >= 500
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50

    # keys that mean something to JupyterLab end in the widget
    explorer.pointer().focus()
    for name in "abddmyxv":
        notebook.page.keyboard.press(name)
    assert notebook.page.locator(".jp-Notebook .jp-Cell").count() == cells

    shoot(explorer.root, "explorer-light")
    light = explorer.root.evaluate("root => getComputedStyle(root).backgroundColor")
    notebook.theme("Dark")
    explorer.settled()
    assert explorer.root.evaluate("root => getComputedStyle(root).backgroundColor") != light
    shoot(explorer.root, "explorer-dark")


def test_a_gallery_of_images(opened, runs, shoot):
    notebook = opened(EXPLORE.with_name("explore_weights.ipynb"), run_dir=str(runs["gallery"]))
    notebook.run_all()
    explorer = Explorer(notebook)
    explorer.root.get_by_label("sort images by").select_option("weight")
    explorer.settled()
    explorer.pointer().focus()
    notebook.page.keyboard.press("ArrowRight")  # the pointer enters at the first tile
    rows = np.load(runs["gallery"] / "dmt" / "phase_2" / "samples.npz")
    shown, seen = explorer.readout(), []
    for _ in range(5):
        i = int(shown["element"])
        for name, key in {"yA": "y_A", "yB": "y_B", "truth": "truth", "kept": "kept"}.items():
            assert shown[name] == rows[key][i]
        for name, key in {"cA": "c_A", "cB": "c_B", "pB": "p_B"}.items():
            assert shown[name] / TOP == pytest.approx(rows[key][i], abs=1e-5)
        seen.append(shown["w"])
        notebook.page.keyboard.press("ArrowRight")
        shown = explorer.readout()
    assert seen == sorted(seen), "lowest weight first"
    shoot(explorer.root, "explorer-gallery")


def execute(path: Path, environment: dict[str, str], **parameters: object) -> Path:
    """The explorer's notebook, run by papermill."""
    words = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "papermill", str(EXPLORE), str(path), "-k", "python3", "--no-progress-bar", *words]
    found = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    return path


def test_a_signed_papermill_notebook_is_interactive_without_running_a_cell(opened, runs, lab, environment, shoot):
    path = execute(lab.folder / "executed.ipynb", environment, run_dir=runs["small"], embed=0)
    subprocess.run(
        [sys.executable, "-m", "jupyter", "trust", str(path)], env=environment, check=True, capture_output=True
    )
    explorer = Explorer(opened(path))
    explorer.hover(20, 11, (40, 48))
    agrees(explorer.readout(), stored(runs["small"], "dmt", 3, "B", "middle", 3), 20, 11)
    explorer.key("phase", "ArrowLeft", 2)
    agrees(explorer.readout(), stored(runs["small"], "dmt", 1, "B", "middle", 3), 20, 11)
    explorer.root.get_by_label("direction").select_option("A")
    message = explorer.root.locator(".dmt-message").first
    message.wait_for(timeout=15_000)
    assert "not stored in the notebook" in message.inner_text()
    explorer.root.get_by_label("direction").select_option("B")
    message.wait_for(state="hidden")


def test_an_untrusted_notebook_shows_the_static_figure_and_how_to_trust_it(opened, runs, lab, environment):
    path = execute(lab.folder / "foreign.ipynb", environment, run_dir=runs["small"])
    page = opened(path).page
    picture = page.locator(".jp-OutputArea-output img").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 400
    assert page.locator(".dmt-explorer").count() == 0
    page.locator("strong", has_text="File → Trust Notebook").wait_for()


def test_a_sample_as_large_as_vocs_answers_within_a_tenth_of_a_second(opened, runs):
    notebook = opened(EXPLORE, run_dir=str(runs["large"]), embed=0)
    notebook.run_all()
    explorer = Explorer(notebook)
    size = (500, 500)
    explorer.hover(250, 130, size)
    agrees(explorer.readout(), stored(runs["large"], "dmt", 6, "B", "middle", 3), 250, 130)
    explorer.root.get_by_role("button", name="image 7").click()  # not embedded: the kernel sends it
    explorer.page.wait_for_timeout(3000)
    explorer.hover(250, 130, size)
    agrees(explorer.readout(), stored(runs["large"], "dmt", 6, "B", "middle", 7), 250, 130)
    for _ in range(2):
        explorer.key("phase", "ArrowLeft", 5)
        explorer.key("phase", "ArrowRight", 5)
    explorer.page.evaluate("performance.clearMeasures()")
    for control, keys in {
        "phase": ["ArrowLeft"] * 5 + ["ArrowRight"] * 5,
        "γ₁ agreement": ["ArrowRight"] * 6,
        "opacity of weight w": ["ArrowLeft"] * 6,
    }.items():
        for key in keys:
            explorer.key(control, key)
    spent = sorted(explorer.page.evaluate("performance.getEntriesByName('dmtkit-explorer').map(e => e.duration)"))
    median, worst = spent[len(spent) // 2], spent[-1]
    print(
        f"\nexplorer, 500×500, 21 classes, 6 phases: slider to pixels {median:.0f} ms (median of {len(spent)}), "
        f"worst {worst:.0f} ms; {payload(runs['large'])}"
    )
    assert len(spent) >= 22
    assert median <= 100


def payload(run):
    """What a sample weighs: unpacked and packed bytes a pixel of one phase, and what the notebook carries at first."""
    import dmtkit

    explorer = dmtkit.explore(run, embed=0)
    entry = explorer.index["views"][0]["samples"]["3"]
    packed = {part: len(explorer.catalogue.packs[entry[part]]()) for part in ("image", "labels", "student")}
    return {
        "bytes a pixel, packed": {part: round(size / 250_000, 2) for part, size in packed.items()},
        "embedded, six phases of a sample, MB": round(sum(map(len, explorer.packs.values())) / 1e6, 2),
    }
