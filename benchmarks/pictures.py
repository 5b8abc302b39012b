"""Draws the README's pictures into docs/images/: diagrams of the method, and figures of finished runs of digits, scenes or tour."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib

from benchmarks.common import ROOT
from dmtkit import explore, load_data, load_run, teach
from dmtkit.results import plots, style

IMAGES = ROOT / "docs" / "images"
SAMPLE = 1  # of the scenes kept for looking at


def pictures(*run_folders: str) -> None:
    """Diagrams, and the figures of each RUN_FOLDER.

    Of a run of scenes or of digits the explorer is photographed too, in light and dark, by Playwright and the system's Chromium.
    """
    matplotlib.use("Agg")
    style.apply_style()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, draw in {
        "framework": teach.plot_framework,
        "chain": teach.plot_chain,
        "label_way": teach.plot_label_way,
    }.items():
        save(draw(), name, 96)
    save(teach.plot_weight_surface(), "weight_surface", 90)
    save(teach.plot_opinions(gamma1=1, gamma2=1), "opinions", 90)
    for folder in run_folders:
        run = load_run(folder)
        if run.config.experiment == "tour":
            draw_walkthroughs(run)
        elif run.config.task == "segmentation":
            save(plots.plot_weight_maps(run, sample=SAMPLE), "weights")
            save(plots.plot_error_search(run), "error_search")
            photograph(run, "explorer", "light", compare)
            photograph(run, "explorer_dark", "dark", point)
        else:
            save(plots.plot_case_accuracy(run), "case_accuracy", 90)
            save(plots.plot_extremes(run, count=9), "extremes", 90)
            photograph(run, "explorer_images", "light", sort)


def draw_walkthroughs(run: Any) -> None:
    """The main figures of 01 (errors found against labels reviewed) and 03 (what a share keeps)."""
    data = load_data(run.config)
    save(teach.plot_errors_found(teach.searches(run, data, "dmt", 1, "B"), share=0.1), "errors_found")
    save(teach.plot_kept_pixels(run, data, run.config.label_ratios[0]), "kept_pixels")


def save(drawn: Any, name: str, dpi: int = 80) -> None:
    """Store a figure, or that of the first of its Axes."""
    first = drawn.flat[0] if hasattr(drawn, "flat") else drawn
    figure = first if hasattr(first, "savefig") else first.get_figure(root=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=dpi, facecolor="white")
    print(f"docs/images/{name}.png")


def photograph(run: Any, name: str, scheme: Any, act: Callable[[Any], None]) -> None:
    """The explorer of a run as a page of its own, after something was done with it."""
    from playwright.sync_api import sync_playwright

    from tests.browser.lab import find_browser

    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = explore(run).save(Path(folder) / "explorer.html")
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme=scheme)
        page.goto(page_file.as_uri())
        page.wait_for_timeout(1500)
        act(page)
        page.wait_for_timeout(800)
        page.locator(".dmt-explorer").screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def hover(page: Any, x: int, y: int) -> None:
    page.wait_for_timeout(500)
    page.locator(".dmt-cursor").first.hover(position={"x": x, "y": y})


def compare(page: Any) -> None:
    """The last phase beside the first, the three cases shown, the pointer on a doubtful place."""
    page.get_by_role("button", name="image").nth(SAMPLE).click()
    page.get_by_label("5 three cases").check()
    page.get_by_label("6 weight w").uncheck()
    page.get_by_label("compare side by side").check()
    hover(page, 320, 300)


def point(page: Any) -> None:
    """The weights of the last phase, the pointer on a doubtful place."""
    page.get_by_role("button", name="image").nth(SAMPLE).click()
    hover(page, 380, 400)


def sort(page: Any) -> None:
    """Labels by weight, with their names; the pointer on the first."""
    page.get_by_label("sort images by").select_option("weight")
    page.get_by_label("3 pseudo label y_A").check()
    page.get_by_label("4 prediction y_B").check()
    hover(page, 30, 30)
