"""The project holds together: arrows between modules, agreeing dependency lists, params files, light imports."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from dmtkit.config import ClassificationConfig, SegmentationConfig, make_config
from dmtkit.params import load_params
from dmtkit.training.experiment import check

ROOT = Path(__file__).resolve().parent.parent
PARAMS = sorted((ROOT / "params").glob("*.yaml"))

# What each module or room may import of ours; those not listed are the ground that any module may use.
GROUND = {
    "errors",
    "compat",
    "seeds",
    "style",
    "interrupts",
    "distributed",
    "sums",
    "registry",
    "parameters",
    "config",
    "files",
}
ARROWS = {
    "registry": {"methods"},  # their type alone
    "losses": set(),
    "pseudo": {"losses"},
    "class_balance": {"pseudo"},
    "metrics": set(),
    "pixels": {"losses"},
    "params": set(),
    "models": {"params"},
    "data": {"params"},
    "environment": set(),
    "runs": {"metrics"},
    "own": {"params"},
    "run_folder": {"own", "params", "runs"},
    "label_store": {"class_balance", "pseudo"},
    "labelling": {"class_balance", "data", "losses", "label_store", "models", "pixels", "pseudo"},
    "published": set(),
    "methods": {"data", "losses", "metrics"},  # of data the form of a batch alone
    "tasks": {"class_balance", "data", "environment", "label_store", "labelling", "losses", "methods", "metrics", "models",
              "params", "pixels", "pseudo", "run_folder", "runs"},
    "training": {"data", "environment", "losses", "methods", "metrics", "models", "own", "params", "published", "run_folder",
                 "runs", "tasks"},
    "review": set(),
    "keeping": {"class_balance", "pseudo", "review"},
    "pixel_labels": {"class_balance", "data", "keeping", "label_store", "pixels", "pseudo", "review", "runs",
                     "tasks"},
    "report": {"metrics", "params", "published", "runs"},
    "viewer": {"metrics", "plots", "runs"},
    "plots": {"anatomy", "data", "keeping", "label_store", "losses", "metrics", "pixel_labels", "published",
              "report", "review", "runs"},
    "doctor": {"environment", "params"},
    "papermill_io": set(),
    "tied": set(),
    "anatomy": {"losses"},
    "sliders": set(),
    "teach": set(),
    "processes": {"run_folder"},
}  # fmt: skip
TOP = {
    "batch",
    "cli",
    "launch",
    "notebook",
    "report_command",
    "train",
    "together",
    "__init__",
    "__main__",
}  # may import everything


def modules():
    for path in sorted((ROOT / "dmtkit").rglob("*.py")):
        parts = path.relative_to(ROOT / "dmtkit").with_suffix("").parts
        yield parts[0], path


def own_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "dmtkit" else [node.module]
        for name in names:
            if name.startswith("dmtkit."):
                yield name.split(".")[1]


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: getattr(value, "stem", value))
def test_arrows_point_one_way(module, path):
    if module in TOP:
        return
    allowed = ARROWS.get(module, set()) | GROUND | {module}
    assert module in ARROWS or module in GROUND, f"{module} has no place in the design: add it to ARROWS"
    assert set(own_imports(path)) <= allowed


RANKS = {"distributed.py", "sums.py", "files.py", "labelling.py", "pseudo.py", "data/batches.py", "data/crops.py", "training/loop.py",
         "models/sync_norm.py", "train.py"}  # fmt: skip


def test_few_places_know_that_there_may_be_several_processes():
    """Methods, tasks and run folders do not: their measurements are sums, their batches own rows, their writing rank 0's."""
    knowing = {
        path.relative_to(ROOT / "dmtkit").as_posix() for _, path in modules() if "distributed" in set(own_imports(path))
    }
    assert knowing | {"distributed.py"} == RANKS


@pytest.mark.parametrize("path", [p for _, p in modules()], ids=lambda path: path.stem)
def test_files_are_short_and_say_what_they_are_for(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text)), "the first lines say what the file is for"


def test_every_module_is_tracked():
    """An ignore pattern once hid a whole package, and an editable install hid that."""
    tracked = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split())
    assert {path.relative_to(ROOT).as_posix() for _, path in modules()} <= tracked


def test_environment_yml_agrees_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    assert [line for line in pip if not line.startswith("-")] == project["dependencies"]
    assert "-c constraints.txt" in pip
    assert f"python{project['requires-python']}" in conda["dependencies"]


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    assert {re.split(r"[=<>\[]", line)[0].lower() for line in wanted} <= pinned


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_params_files_are_sound(path):
    values = load_params(path)
    check(make_config(values))
    assert values["experiment"] == path.stem
    head = path.read_text().split("\n\n")[0]
    for word in ("Source", "Hardware", "Expected", "Command"):
        assert f"# {word}" in head, f"the header lacks {word}"


def test_the_defaults_are_those_of_the_demonstrations():
    assert make_config(load_params(ROOT / "params" / "digits.yaml")) == ClassificationConfig()
    assert make_config(load_params(ROOT / "params" / "scenes.yaml")) == SegmentationConfig()


def test_importing_dmtkit_loads_nothing_heavy():
    code = "import sys, dmtkit; print([m for m in ('torch', 'matplotlib', 'pandas', 'IPython') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    code = "import sys, dmtkit; dmtkit.dynamic_weights, dmtkit.make_config; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_public_names_exist():
    import dmtkit

    for name in dmtkit.__all__:
        assert getattr(dmtkit, name) is not None
    with pytest.raises(AttributeError, match="it offers"):
        dmtkit.nonsense  # noqa: B018


def test_no_path_of_a_machine_is_committed():
    files = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    pattern = re.compile(r"/(home|root|work|Users)/\w")
    for name in files:
        if name.endswith((".py", ".md", ".yaml", ".yml", ".ipynb", ".toml", ".json", ".txt")):
            assert not pattern.search((ROOT / name).read_text()), name
