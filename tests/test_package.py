"""The package works anywhere: a project made by `dmtkit new`, and the wheel in a new environment, from an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from typer.testing import CliRunner

from dmtkit.cli import app
from dmtkit.jobs import project
from dmtkit.params import kits_own, load_params, notebook_of, project_root
from tests.helpers import TINY

ROOT = project_root()


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_new_project_has_everything_and_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["new", "mine"])
    assert made.exit_code == 0, made.output
    assert "dmtkit lab" in made.output
    there = files(tmp_path / "mine")
    assert {"notebooks/00_tour.ipynb", "params/digits.yaml", "params/my_images.yaml", "data/README.txt"} <= there
    assert (tmp_path / "mine" / "outputs").is_dir()
    for path in (tmp_path / "mine" / "notebooks").glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, 4))
        for link in re.findall(r"\]\((\.\./[^)#]*)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"], "nothing else is left behind"
    monkeypatch.chdir(tmp_path / "mine")
    assert project_root() == tmp_path / "mine"
    assert notebook_of("classification") == tmp_path / "mine" / "notebooks" / "classification.ipynb"


def test_an_empty_folder_is_filled_and_a_full_one_left_as_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    assert CliRunner().invoke(app, ["new", str(tmp_path / "empty")]).exit_code == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("a")
    (tmp_path / "file").write_text("b")
    for name in ("full", "file"):
        refused = CliRunner().invoke(app, ["new", str(tmp_path / name)])
        assert refused.exit_code == 2
        assert "is not empty" in refused.output
    assert files(tmp_path / "full") == {"a.txt"}
    assert (tmp_path / "file").read_text() == "b"


def test_outside_a_project_the_kits_own_notebooks_are_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notebook_of("segmentation") == kits_own("notebooks") / "segmentation.ipynb"
    refused = CliRunner().invoke(app, ["lab"])
    assert refused.exit_code == 2
    assert "dmtkit new" in refused.output


def test_jupyterlab_opens_at_the_tour_without_news(tmp_path):
    command = project.lab_command(["--no-browser"], ROOT)
    assert f"--ServerApp.root_dir={ROOT}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb" in command
    assert "--LabApp.news_url=" in command
    assert command[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab" in project.lab_command([], tmp_path)


@pytest.mark.parametrize("name", ["my_images", "my_masks"])
def test_the_starters_say_where_data_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_params(kits_own("params") / f"{name}.yaml")["data_dir"] == f"data/{name}"
    checked = CliRunner().invoke(app, ["data", "check", str(kits_own("params") / f"{name}.yaml")])
    assert checked.exit_code == 2
    assert name in checked.output


@pytest.mark.long
def test_the_wheel_runs_in_a_new_environment_from_an_empty_folder(tmp_path):
    def do(*words, cwd=tmp_path, code=0):
        ended = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True)
        assert ended.returncode == code, ended.stdout[-3000:] + ended.stderr[-3000:]
        return ended.stdout + ended.stderr

    quiet = ("-q", "--disable-pip-version-check")
    do(sys.executable, "-m", "pip", "wheel", *quiet, "--no-deps", "-w", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("dmtkit-*.whl")
    do(sys.executable, "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv" / "bin"
    do(programs / "pip", "install", *quiet, "-c", ROOT / "constraints.txt", wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    values = {**TINY, "experiment": "tiny", "methods": ["supervised", "dmt"]}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    (empty / "tiny.yaml").write_text(yaml.safe_dump(plain))
    assert "over supervised" in do(programs / "dmtkit", "run", "tiny.yaml", cwd=empty)
    assert len(list(Path(empty).glob("outputs/tiny/*/DONE.json"))) == 1
    do(programs / "dmtkit", "new", "mine", cwd=empty)
    do(programs / "dmtkit", "run", "../tiny.yaml", cwd=empty / "mine")
    assert (empty / "mine" / "outputs" / "tiny" / "seed-1" / "classification.ipynb").is_file()
    assert "is not empty" in do(programs / "dmtkit", "new", "mine", cwd=empty, code=2)
    assert "ready" in do(programs / "dmtkit", "doctor", cwd=empty)
