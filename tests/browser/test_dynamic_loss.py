"""The notebook on the dynamic loss in JupyterLab: its sliders by keyboard, the pictures that follow, and how fast."""

import re
import statistics
import time
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_dynamic_loss.ipynb"

pytestmark = pytest.mark.browser


class Explored:
    """A picture with its sliders, found by the words that describe it."""

    def __init__(self, page, words):
        self.page, self.words = page, words
        self.picture = page.locator(f'img[alt^="{words}"]')
        self.picture.wait_for()
        self.box = page.locator(".widget-vbox").filter(has=self.picture).last

    @property
    def source(self):
        return self.picture.get_attribute("src")

    @property
    def says(self):
        return self.picture.get_attribute("alt")

    def press(self, slider, key, words, times=1):
        """Press a key on a slider; the seconds until the picture says so, for each press alone."""
        handle = self.box.get_by_role("slider").nth(slider)
        handle.focus()
        before = self.source
        started = time.perf_counter()
        for _ in range(times):
            self.page.keyboard.press(key)
        self.page.locator(f'img[alt^="{self.words}"][alt*="{words}"]').wait_for()
        seconds = time.perf_counter() - started
        assert words in self.says
        assert self.source != before
        return seconds


def test_sliders_by_keyboard_move_the_figures(opened, shoot):
    notebook = opened(NOTEBOOK)
    notebook.run_all()
    surface = Explored(notebook.page, "The weight of a label over")
    assert re.search(r"c_A 0\.7, γ₁ 3, γ₂ 3, classes 3", surface.says)
    first = surface.source
    waits = [surface.press(0, "ArrowLeft", f"c_A {0.7 - 0.05 * step:g},") for step in range(1, 7)]
    waits += [surface.press(0, "ArrowRight", f"c_A {0.4 + 0.05 * step:g},") for step in range(1, 7)]
    assert surface.source == first, "the same place, the same picture"
    print(f"slider to picture: median {1000 * statistics.median(waits):.0f} ms, longest {1000 * max(waits):.0f} ms")
    surface.press(1, "ArrowLeft", "γ₁ 2,", times=2)
    surface.box.get_by_role("combobox").select_option("10")
    notebook.page.locator('img[alt*="classes 10"]').wait_for()

    opinions = Explored(notebook.page, "What a teacher and a student say")
    opinions.press(6, "ArrowRight", "B: dog 2.2", times=10)
    for theme in ("Light", "Dark"):
        notebook.theme(theme)
        notebook.page.wait_for_timeout(500)
        for name, explored in (("surface", surface), ("opinions", opinions)):
            explored.box.scroll_into_view_if_needed()
            shoot(explored.box, f"02_{name}_{theme.lower()}")
