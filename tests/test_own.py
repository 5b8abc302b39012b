"""Methods, networks and data of one's own: from a notebook's cells, from a file that `code_from` names."""

import json
import sys
from pathlib import Path

import pytest
import yaml

import dmtkit
from dmtkit import own
from dmtkit.config import make_config
from dmtkit.errors import ConfigError, RunError
from dmtkit.jobs.command import run_list
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.plan import make_batch
from dmtkit.params import load_params
from dmtkit.registry import METHODS
from dmtkit.results.tables import collect
from dmtkit.results.tables.experiment import methods_table
from dmtkit.training.experiment import run_methods
from tests.commands import dmtkit as command
from tests.helpers import TINY, Stop, fingerprint, stop_after
from tests.own_cells import CELL, NETWORK, _cell, _forgotten, config_of, params_file  # noqa: F401


def test_a_class_of_a_cell_trains_resumes_logs_and_reports(cell, tmp_path):
    cell(CELL)
    whole = dmtkit.train(config_of(), output_dir=tmp_path / "outputs" / "a" / "whole")
    for _ in range(40):
        try:
            run_methods(config_of(), None, tmp_path / "b", progress=stop_after(9))
            break
        except Stop:
            cell(CELL)  # the notebook again, from the top
    assert fingerprint(tmp_path / "b") == fingerprint(whole.path)
    assert set(whole.metrics["method"]) == {"supervised", "mine"}
    METHODS._known.pop("mine")  # as where nobody knows it
    found = dmtkit.load_run(whole.path)
    assert (found.method("mine").title, found.method("mine").views) == ("My own", ["weak"])
    assert found.method("mine").parameters == {"weight": 1.0}
    from dmtkit.results import plots

    plots.plot_curves(found)
    plots.plot_phases(found)
    collected = collect(tmp_path / "outputs")
    assert "mine" in str(methods_table(collected, whole.config.experiment))
    with pytest.raises(RunError, match="store no pseudo labels"):
        dmtkit.explore(whole.path)


def test_a_cell_run_again_replaces_its_class_and_a_changed_one_does_not_go_on(cell, tmp_path):
    cell(CELL)
    with pytest.raises(Stop):
        run_methods(config_of(), None, tmp_path / "run", progress=stop_after(9))
    for changed in (
        CELL.replace("2 * value", "3 * value"),
        CELL.replace("float = 1.0", "float = 0.5"),
        CELL.replace("argmax(1)", "argmin(1)"),
    ):
        cell(changed)
        with pytest.raises(
            RunError, match="method mine has changed since this run began; restore it, or give --output"
        ):
            run_methods(config_of(), None, tmp_path / "run")
    cell(CELL.replace("    views", "    # nothing but a comment\n    views"))
    run_methods(config_of(), None, tmp_path / "run")
    assert METHODS["mine"].weight == 1.0


def test_a_class_that_is_not_there_on_resume_is_named(cell, tmp_path):
    cell(CELL)
    with pytest.raises(Stop):
        run_methods(config_of(), None, tmp_path / "run", progress=stop_after(9))
    METHODS._known.pop("mine")
    with pytest.raises(
        RunError, match=r"was started with method mine, which is not here; .*run the cell that defines it"
    ):
        run_methods(config_of(), None, tmp_path / "run")
    assert list((tmp_path / "run").glob("mine/phase_1/checkpoint-*.pt")), "nothing is lost"


def test_names_of_the_kit_are_refused(cell):
    for source in (
        CELL.replace('"mine"', '"dmt"'),
        NETWORK.replace('"plain"', '"wrn"').replace("@", "import dmtkit\n@"),
    ):
        with pytest.raises(ConfigError, match="is the kit's own; choose another name"):
            cell(source)
    assert METHODS["dmt"].title == "DMT"
    with pytest.raises(ConfigError, match="expected small letters"):
        cell(CELL.replace('"mine"', '"../mine"'))


def test_what_a_cell_defines_stays_in_its_process(cell, tmp_path):
    cell(CELL)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"methods": ["supervised", "mine"], "dataset": "digits"}))
    for start in (
        lambda: make_batch([path]),
        lambda: dmtkit.train(config_of(), output_dir=tmp_path / "r", processes=2),
    ):
        with pytest.raises(ConfigError, match="method mine: defined in this notebook or program alone"):
            start()
    assert not (tmp_path / "r").exists()


def test_a_source_that_cannot_be_read_is_refused_before_training(tmp_path):
    exec(CELL, {"__name__": "typed"})
    with pytest.raises(ConfigError, match="method mine: its source cannot be read here"):
        run_methods(config_of(), None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_of_ones_own_is_imported_by_what_runs_alone(tmp_path, capsys):
    path = params_file(tmp_path, CELL + NETWORK, model="plain")
    batch = make_batch([path], imports=False)
    assert "mine" not in METHODS
    assert "importing" not in capsys.readouterr().out
    assert [job.checked for job in batch.jobs] == [False]
    from rich.console import Console

    Console().print(run_list(batch))
    assert "not checked" in capsys.readouterr().out.replace("\n", " ")
    job = plan_job(path, {"mine_weight": 0.5})
    assert "my_methods.py: importing this file of your own" in capsys.readouterr().out
    assert job.config.parameters == {"mine": {"weight": 0.5}}
    run = run_methods(job.config, output_dir=tmp_path / "run")
    assert run.finished
    assert (tmp_path / "run" / "my_methods.py").read_text() == CELL + NETWORK
    METHODS._known.pop("mine")
    own._imported.clear()
    found = dmtkit.load_run(run.path)
    assert found.method("mine").parameters == {"weight": 0.5}
    assert found.config == job.config.model_copy(update={"threads": 1}), "one thread was enough"
    assert "mine" not in METHODS, "looking imports nothing"


def test_a_changed_file_refuses_to_go_on(tmp_path):
    job = plan_job(params_file(tmp_path), {"checkpoint_seconds": 0})
    with pytest.raises(Stop):
        run_methods(job.config, None, tmp_path / "run", progress=stop_after(9))
    params_file(tmp_path, CELL.replace("2 *", "4 *"))
    with pytest.raises(
        RunError,
        match=r"method mine in my_methods.py has changed since this run began; restore it \(a copy: .*run/my_methods.py\), or give --output",
    ):
        run_methods(job.config, None, tmp_path / "run")
    (tmp_path / "my_methods.py").write_text((tmp_path / "run" / "my_methods.py").read_text())
    assert run_methods(job.config, None, tmp_path / "run").finished


def test_code_from_is_relative_to_its_params_file(tmp_path, monkeypatch):
    path = params_file(tmp_path)
    monkeypatch.chdir(Path(__file__).parent)
    assert own.place_of(load_params(path)["code_from"]) == tmp_path / "my_methods.py"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import dmtkit\n\ndmtkit.nothing\n", "my_methods.py, line 3: AttributeError: .*no attribute 'nothing'"),
        ("def f(:\n", "my_methods.py, line 1: SyntaxError"),
        ("import sys\nsys.exit(0)\n", "my_methods.py, line 2: SystemExit"),
        (CELL.replace('@dmtkit.method("mine", title="My own")', "@dmtkit.method"), "@method: found .*expected a name"),
        (CELL.replace('("weak",)', '"weak"'), r"views: found 'weak', expected a tuple, such as \('weak',\)"),
        (
            CELL.replace("    views", "    tasks = ('images',)\n    views"),
            "tasks: found images, expected some of classification",
        ),
        (CELL.replace("weight: float", "weight: 'Nowhere'"), "mine: the type of a parameter cannot be read"),
        (CELL.replace('"mine"', '"dmt"'), "my_methods.py: methods: the method 'dmt' is the kit's own"),
        (CELL.replace("views = ", "views: tuple = "), "views: a fact and no parameter: leave out its type"),
        (CELL.replace("weight: float = 1.0", "weight: float"), "mine_weight: a parameter needs a default value"),
        (CELL.replace('("weak",)', '("weak", "depth")'), "views: found depth, expected some of plain, weak"),
    ],
)
def test_a_file_that_fails_says_where(tmp_path, code, message):
    with pytest.raises(ConfigError, match=message):
        plan_job(params_file(tmp_path, code), {})
    (tmp_path / "my_methods.py").unlink()
    with pytest.raises(ConfigError, match=r"code_from: .*my_methods.py: cannot be read"):
        plan_job(tmp_path / "params.yaml", {})


def test_an_own_network_has_baselines_of_its_own(tmp_path):
    from dmtkit.training.experiment import baselines, start_session

    keys = []
    for code in (NETWORK, NETWORK.replace("64 *", "64  *  1 *"), NETWORK):
        job = plan_job(params_file(tmp_path, CELL + code, model="plain"), {})
        keys.append(next(iter(baselines(start_session(job.config)))))
    assert keys[0] == keys[2] != keys[1]


def test_a_run_of_before_methods_were_recorded_opens(tmp_path):
    run = run_methods(make_config({**TINY, "methods": ("supervised", "dmt")}), output_dir=tmp_path / "run")
    recorded = json.loads((run.path / "methods.json").read_text())
    assert recorded["own"] == {}
    (run.path / "methods.json").unlink()
    assert run.method("dmt").stores_labels
    assert run_methods(run.config, output_dir=run.path).finished


@pytest.mark.long
def test_a_file_of_ones_own_runs_from_the_command_line_in_a_notebook(tmp_path):
    found = command("run", params_file(tmp_path, CELL + NETWORK, model="plain"), "--output", tmp_path / "run")
    assert found.exit_code == 0, found.stderr
    assert "importing this file of your own" in found.stdout
    assert dmtkit.load_run(tmp_path / "run").finished


@pytest.mark.long
def test_a_file_of_ones_own_runs_in_two_processes(tmp_path):
    job = plan_job(params_file(tmp_path, CELL + NETWORK, model="plain"), {})
    run_methods(job.config, output_dir=tmp_path / "one")
    two = make_config({**job.config.model_dump(), "processes": 2})
    sys.modules.pop("dmtkit_own_my_methods", None)
    assert dmtkit.train(two, output_dir=tmp_path / "two").finished
    values = [dmtkit.load_run(tmp_path / name).metrics.query("method == 'mine'")["loss"] for name in ("one", "two")]
    assert (values[0] - values[1]).abs().max() < 1e-4


def test_the_readmes_method_is_short_and_trains(cell, tmp_path, monkeypatch):
    text = (Path(__file__).parent.parent / "README.md").read_text().split("<!-- own method -->")[1]
    source = text.split("```python\n")[1].split("```")[0]
    assert sum(map(bool, source.splitlines())) <= 15
    monkeypatch.setattr(dmtkit, "make_config", lambda values: make_config({**TINY, **values}), raising=False)
    cell(source)
    run = dmtkit.load_run(tmp_path / "outputs" / "mine" / "seed-1")
    assert run.finished
    assert run.method("pseudo_label").title == "Pseudo-Label"
