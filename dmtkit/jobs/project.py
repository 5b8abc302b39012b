"""`dmtkit new` makes a project to work in, `dmtkit lab` opens it: notebooks, params, a place for data, outputs."""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from dmtkit.errors import ConfigError, RunError
from dmtkit.files import cannot_write
from dmtkit.params import kits_own, project_root

DATA = """\
Put your data here, and say so in a params file of params/:

my_images.yaml   photographs in classes: data/my_images/train/<class>/*.jpg and data/my_images/unlabeled/*.jpg
my_masks.yaml    photographs with masks: data/my_masks, laid out as PASCAL VOC is (JPEGImages, SegmentationClass, ImageSets)

`dmtkit data check params/my_images.yaml` names every file that cannot be used.
"""


def make_project(folder: Path) -> list[str]:
    """Fill a new or empty folder with notebooks, params, data/ and outputs/; what to do next, line by line.

    ConfigError, and nothing is changed, where something lies there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is not empty; give the name of a new folder, nothing was changed")
    part = folder.with_name(f".{folder.name}.partial")
    try:
        for name in ("notebooks", "params"):
            shutil.copytree(kits_own(name), part / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        for notebook in (part / "notebooks").glob("*.ipynb"):
            notebook.write_text(without_links_out(notebook.read_text(encoding="utf-8")), encoding="utf-8")
        for name in ("data", "outputs"):
            (part / name).mkdir()
        (part / "data" / "README.txt").write_text(DATA, encoding="utf-8")
        if folder.is_dir():
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise cannot_write(folder, error) from error
    return [
        f"{folder}: ready. Go there, and begin with one of these:",
        f"  cd {folder}",
        "  dmtkit lab                       the tour, in JupyterLab",
        "  dmtkit run params/digits.yaml    train on handwritten digits, a few minutes",
        "  data/README.txt                  your own images",
    ]


def without_links_out(notebook: str) -> str:
    """A notebook's text whose links to the kit's code and docs, which a project has not, are words alone.

    >>> without_links_out("see [the loss](../dmtkit/losses/dynamic.py) and [the settings](../params/tour.yaml)")
    'see the loss and [the settings](../params/tour.yaml)'
    """
    return re.sub(r"(?<!!)\[([^\[\]]+)\]\(\.\./(?!notebooks|params|data|outputs)[^)]*\)", r"\1", notebook)


def lab_command(arguments: list[str], root: Path) -> list[str]:
    """JupyterLab on the project, with the tour open and without its news pop-up."""
    tour = "notebooks/00_tour.ipynb"
    start = f"/lab/tree/{tour}" if (root / tour).is_file() else "/lab"
    settings = [f"--ServerApp.root_dir={root}", f"--LabApp.default_url={start}", "--LabApp.news_url="]
    return [sys.executable, "-m", "jupyterlab", *settings, *arguments]


def open_lab(arguments: list[str]) -> NoReturn:
    """Become JupyterLab on the project; RunError where there are no notebooks to open."""
    root = project_root()
    if not (root / "notebooks").is_dir():
        raise RunError(f"{root}: holds no notebooks/; make a project with `dmtkit new my_project` and go there")
    os.execv(sys.executable, lab_command(arguments, root))
