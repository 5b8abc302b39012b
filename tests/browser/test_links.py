"""Every link of every notebook, clicked in JupyterLab as `dmtkit lab` starts it: in a checkout and in a new project."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from dmtkit.jobs.project import make_project
from tests.browser.lab import PATIENCE, Notebook, isolated, start_lab, wait_for

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ".jp-RenderedMarkdown a[href]:not([href^='http']):not([href^='#']), .jp-RenderedMarkdown a[href*='127.0.0.1']"


@pytest.fixture(params=["checkout", "project"])
def project(request, tmp_path):
    folder = tmp_path / "project"
    if request.param == "project":
        make_project(folder)
        return folder
    ignore = shutil.ignore_patterns("__pycache__", "_build", ".ipynb_checkpoints")
    for name in ("notebooks", "params", "docs", "dmtkit", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def count_links(notebook: Path) -> int:
    """How many links to other files its Markdown holds."""
    cells = nbformat.read(notebook, as_version=4).cells
    texts = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return len(re.findall(r"\]\((?!http|#)", texts))


@pytest.mark.browser
def test_every_link_of_every_notebook_leads_somewhere(project, browser, tmp_path):
    clicked, dead = 0, []
    with start_lab(project, isolated(tmp_path / "home", tmp_path / "outputs")) as lab:
        page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
        page.on("response", lambda answer: answer.status >= 400 and dead.append(f"{name}: {answer.url}"))
        for path in sorted((project / "notebooks").glob("*.ipynb")):
            name = path.name
            Notebook(page, lab, name).open()
            links = count_links(path)
            wait_for(
                lambda n=links: page.wait_for_timeout(100) or page.locator(LOCAL).count() == n, f"{name}: {links} links"
            )
            for place in range(links):
                link = page.locator(LOCAL).nth(place)
                words = link.inner_text()
                if "#" in (link.get_attribute("href") or "").partition("?")[0]:
                    continue  # within the notebook
                link.click()
                page.wait_for_timeout(300)
                if page.locator(".jp-Dialog").count():
                    dead.append(f"{name}: {words}: {page.locator('.jp-Dialog').inner_text()}")
                    page.keyboard.press("Escape")
                clicked += 1
                page.locator(f".lm-TabBar-tab[title*='{name}']").first.click(timeout=1000 * PATIENCE)
        page.context.close()
    assert dead == []
    assert clicked > 2
