"""The explorer as a page of its own: all inside, nothing from elsewhere, and names that are no markup."""

import json
import shutil

import pytest

import dmtkit
from dmtkit.errors import RunError
from tests.explorable import explorable


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return dmtkit.load_run(explorable(tmp_path_factory.mktemp("runs")))


def test_names_in_a_page_are_text_and_never_markup(run, tmp_path):
    root = tmp_path / "x<" / "title><img src=x onerror=alert(1)>"  # a folder's name may hold what closes a tag
    shutil.copytree(run.path, root)
    split = root / "split.json"
    split.write_text(split.read_text().replace("class 1", "<!--<script>"))
    explorer = dmtkit.explore(root)
    text = explorer.save(tmp_path / "page.html").read_text()
    assert "<title>x&lt;/title&gt;&lt;img src=x" in text
    state = text.partition('id="state">')[2].partition("</script>")[0]
    assert "<" not in state
    assert json.loads(state)["index"] == json.loads(json.dumps(explorer.index))


def test_a_page_holds_everything_and_asks_the_network_for_nothing(run, tmp_path):
    text = dmtkit.explore(run).save(tmp_path / "page.html").read_text()
    assert "src=" not in text.replace("src: sample.thumbnail", "")
    assert "http" not in text.partition("<script")[0]
    assert "import " not in text
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file"):
        dmtkit.explore(run).save(tmp_path / "file" / "page.html")
