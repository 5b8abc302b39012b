"""Draws the README's pictures into docs/images/: diagrams of the method, and figures of finished runs of digits, scenes or tour.

Usage: python -m benchmarks.pictures [RUN_FOLDER …]

With a run of scenes or of digits the explorer is photographed too, in light and dark, by Playwright and the system's Chromium.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.common import ROOT

SAMPLE = 1  # of the scenes kept for looking at


def main(folders: list[str]) -> None:
    matplotlib.use("Agg")
    from dmtkit import load_run, teach
    from dmtkit.results import plots, style

    style.apply_style()
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    diagrams = {"framework": teach.plot_framework, "chain": teach.plot_chain, "label_way": teach.plot_label_way}
    for name, draw in diagrams.items():
        draw().get_figure().savefig(images / f"{name}.png", dpi=96, facecolor="white")
    teach.plot_weight_surface().savefig(images / "weight_surface.png", dpi=90, facecolor="white")
    teach.plot_opinions(gamma1=1, gamma2=1).savefig(images / "opinions.png", dpi=90, facecolor="white")
    for folder in folders:
        run = load_run(folder)
        if run.config.experiment == "tour":
            draw_walkthroughs(run, images)
        elif run.config.task == "segmentation":
            plots.plot_weight_maps(run, sample=SAMPLE).savefig(images / "weights.png", dpi=80)
            plots.plot_error_search(run).get_figure().savefig(images / "error_search.png", dpi=80)
            photograph(run, images / "explorer.png", "light", compare)
            photograph(run, images / "explorer_dark.png", "dark", point)
        else:
            plots.plot_case_accuracy(run).get_figure().savefig(images / "case_accuracy.png", dpi=90)
            plots.plot_extremes(run, count=9).savefig(images / "extremes.png", dpi=90)
            photograph(run, images / "explorer_images.png", "light", sort)
    print(*(path.relative_to(ROOT) for path in sorted(images.glob("*.png"))))


def draw_walkthroughs(run: Any, images: Path) -> None:
    """The main figures of 01 (errors found against labels reviewed) and 03 (what a share keeps)."""
    from dmtkit import load_data, teach

    data = load_data(run.config)
    save(teach.plot_errors_found(teach.searches(run, data, "dmt", 1, "B"), share=0.1), images / "errors_found.png")
    save(teach.plot_kept_pixels(run, data, run.config.label_ratios[0]), images / "kept_pixels.png")


def save(drawn: Any, path: Path) -> None:
    """Store a figure, or that of the first of its Axes."""
    first = drawn.flat[0] if hasattr(drawn, "flat") else drawn
    figure = first if hasattr(first, "savefig") else first.get_figure(root=True)
    figure.savefig(path, dpi=80, facecolor="white")


def photograph(run: Any, path: Path, scheme: Any, act: Any) -> None:
    """The explorer of a run as a page of its own, after something was done with it."""
    from playwright.sync_api import sync_playwright

    from dmtkit import explore
    from tests.browser.lab import find_browser

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = explore(run).save(Path(folder) / "explorer.html")
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme=scheme)
        page.goto(page_file.as_uri())
        page.wait_for_timeout(1500)
        act(page)
        page.wait_for_timeout(800)
        page.locator(".dmt-explorer").screenshot(path=path)
        browser.close()


def compare(page: Any) -> None:
    """The last phase beside the first, the three cases shown, the pointer on a doubtful place."""
    page.get_by_role("button", name="image").nth(SAMPLE).click()
    page.get_by_label("5 three cases").check()
    page.get_by_label("6 weight w").uncheck()
    page.get_by_label("compare side by side").check()
    page.wait_for_timeout(500)
    page.locator(".dmt-cursor").first.hover(position={"x": 320, "y": 300})


def point(page: Any) -> None:
    """The weights of the last phase, the pointer on a doubtful place."""
    page.get_by_role("button", name="image").nth(SAMPLE).click()
    page.wait_for_timeout(500)
    page.locator(".dmt-cursor").first.hover(position={"x": 380, "y": 400})


def sort(page: Any) -> None:
    """Labels by weight, with their names; the pointer on the first."""
    page.get_by_label("sort images by").select_option("weight")
    page.get_by_label("3 pseudo label y_A").check()
    page.get_by_label("4 prediction y_B").check()
    page.wait_for_timeout(500)
    page.locator(".dmt-cursor").first.hover(position={"x": 30, "y": 30})


if __name__ == "__main__":
    main(sys.argv[1:])
