"""Data as people have them, and as nobody should: every case of `hostile_classes` and `hostile_masks` is read right or refused in words.

`python -m tests.data.test_hostile_data` prints what each is told.
"""

import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest
from PIL import Image

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.errors import DataError
from dmtkit.jobs.console import exits
from tests.data.hostile import image
from tests.data.hostile_classes import CLASSES
from tests.data.hostile_masks import MASKS
from tests.helpers import make_tree
from tests.trees import make_voc_style

CASES = [("classes", *row) for row in CLASSES] + [("masks", *row) for row in MASKS]
UNREADABLE = "may not be read"  # by anybody but root
VALUES = {
    "classes": {"labels": 2, "val": 2},
    "masks": {"task": "segmentation", "classes": ["ground", "thing", "other"], "denominator": 2},
}


def good(root: Path) -> dict[str, Path]:
    """A folder of each kind with which all is well, and beside them one that is nobody's business."""
    (root / "outside").mkdir()
    image()(root / "outside" / "secret.png")
    classes = make_tree(root / "classes", per_class=6, size=8)
    return {"classes": classes, "masks": make_voc_style(root / "masks", train=4, test=2, sizes=((8, 8),))}


def answer(task: str, change, settings: dict, root: Path, trees: dict[str, Path]):
    """What is said of the data: those that were read, or the error; and the warnings meanwhile."""
    folder = root / "data"
    shutil.copytree(trees[task], folder)
    change(folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found = load(make_config({"dataset": "folder", "data_dir": str(folder), **VALUES[task], **settings}))
            found.overview()
        except DataError as error:
            found = error
    return found, warned


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return good(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1]}")
def test_data_are_read_right_or_refused_in_words(case, trees, tmp_path, outputs):
    task, name, change, expected, *settings = case
    if name == UNREADABLE and os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "outside").mkdir()
    image()(tmp_path / "outside" / "secret.png")
    found, warned = answer(task, change, *(settings or [{}]), tmp_path, trees)
    assert not warned
    if callable(expected):
        assert not isinstance(found, DataError), found
        assert expected(found)
    else:
        assert isinstance(found, DataError), found.overview()
        assert expected.search(str(found)) if isinstance(expected, re.Pattern) else expected in str(found)
        str(found).encode()  # every terminal can show it
        assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("task", VALUES)
def test_large_images_give_no_warning_of_pillows(task, tmp_path, outputs, monkeypatch):
    trees = good(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # of the 64 there are
    with warnings.catch_warnings(record=True) as warned, exits(code=2):
        assert load(make_config({"dataset": "folder", "data_dir": str(trees[task]), **VALUES[task]}))
    assert [str(each.message) for each in warned] == []


def test_the_cases_are_many_and_have_names_of_their_own():
    names = [case[:2] for case in CASES]
    assert len(set(names)) == len(names) >= 100


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        trees = good(Path(place))
        os.environ["DMTKIT_OUTPUTS"] = f"{place}/outputs"
        print("| task | case | what is said |\n|---|---|---|")
        readable = [case for case in CASES if case[1] != UNREADABLE or os.geteuid()]
        for number, (task, name, change, _, *settings) in enumerate(readable):
            root = Path(place, str(number))
            (root / "outside").mkdir(parents=True)
            image()(root / "outside" / "secret.png")
            found, _ = answer(task, change, *(settings or [{}]), root, trees)
            refused = isinstance(found, DataError)
            first, *rest = (str(found) if refused else found.overview()[-1]).replace(str(root), "").splitlines()
            text = "; ".join([first[: 60 if rest and refused else 200], *(line.strip(" -") for line in rest)])
            print(f"| {task} | {name} | {'refused' if refused else 'read'}: {text.strip()[:260]} |")
