"""Phase-0 models are trained once: found again by what decides them, and by nothing else."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import dmtkit
from dmtkit.config import make_config
from dmtkit.training import resume
from dmtkit.training.baselines import STORE, code, store_for
from dmtkit.training.experiment import baselines, load_data, run_baseline, run_methods, start_session
from tests.helpers import TINY, TINY_SEGMENTATION, Stop, fingerprint, stop_after

CONFIG = make_config({**TINY, "methods": ("cl",)})


@pytest.fixture
def trained(monkeypatch):
    """Every training that happens: (method, steps)."""
    seen = []
    real = resume.train

    def train(loop, batches, **more):
        seen.append((loop.method.name, loop.recipe.steps))
        return real(loop, batches, **more)

    monkeypatch.setattr(resume, "train", train)
    return seen


def keys(**changes):
    config = make_config({**TINY, "methods": ("dmt",), **changes})
    return set(baselines(start_session(config)))


def test_two_runs_share_one_baseline_and_end_in_the_bits_of_runs_of_their_own(outputs, tmp_path, trained):
    for name in ("cl", "dmt"):
        config = make_config({**TINY, "methods": (name,), "baseline_epochs": 7})
        shared = run_methods(config, None, outputs / "digits" / name)
        alone = run_methods(config, None, tmp_path / f"{name}-alone")
        assert fingerprint(shared.path) == fingerprint(alone.path)
        assert shared.done["seconds"] > 0
    assert len(list((outputs / STORE).iterdir())) == 1
    assert trained.count(("supervised", 7)) == 3, "one shared, and one for each run that stands alone"


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma1": 1, "gamma2": 2, "gamma_ramp": False},
        {"methods": ("supervised", "cl")},
        {"experiment": "other"},
        {"label_ratios": (0.5, 1.0), "epochs": 3},
        {"checkpoint_seconds": 1, "online_threshold": 0.5},
    ],
)
def test_what_does_not_decide_a_baseline_does_not_change_its_key(changes):
    assert keys(**changes) == keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"labels": 3},
        {"val": 4},
        {"lr": 0.05},
        {"baseline_epochs": 7},
        {"model": "wrn-10-2"},
        {"batch_pseudo": 25},
        {"mixup": 0},
        {"augment": ("rotate",)},
        {"ema_decay": 0.5},
        {"precision": "bf16"},
        {"weight_decay": 0},
        {"log_points": 4},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_decides_a_baseline_changes_its_key(changes):
    assert keys(**changes).isdisjoint(keys())


def test_models_parts_and_the_oracle_have_baselines_of_their_own():
    values = {**TINY_SEGMENTATION, "denominator": 2}

    def found(**changes):
        config = make_config({**values, **changes})
        return {(training.owner, training.model): key for key, training in baselines(start_session(config)).items()}

    plain = found(methods=("supervised", "dmt", "oracle"))
    assert len(set(plain.values())) == 3
    sampled = found(methods=("supervised", "dmt"), sampling="dms")
    assert sampled["supervised", "A"] == plain["supervised", "A"], "all of X, sampled or not"
    assert {key for (method, _), key in sampled.items() if method == "dmt"}.isdisjoint(plain.values())
    naive = found(methods=("dmt_naive",), sampling="dms")
    assert naive["dmt_naive", "B"] == sampled["dmt", "B"], "the same part and initialisation, whoever asks"
    assert found(methods=("dmt",), lr=0.001) == found(methods=("dmt",)), "phase 0 has a learning rate of its own"
    assert found(methods=("dmt",), baseline_lr=0.001) != found(methods=("dmt",))


def test_a_baseline_half_trained_by_one_run_is_taken_up_by_another(outputs, tmp_path):
    config = make_config({**TINY, "methods": ("cl",), "checkpoint_seconds": 0})
    with pytest.raises(Stop):
        run_methods(config, None, outputs / "digits" / "cl", progress=stop_after(3))
    told = []
    other = config.model_copy(update={"methods": ("dmt",)})
    run = run_methods(other, None, outputs / "digits" / "dmt", progress=told.append)
    assert told[0].step > 1, "it does not begin anew"
    assert fingerprint(run.path) == fingerprint(run_methods(other, None, tmp_path / "alone").path)
    first = run_methods(config, None, outputs / "digits" / "cl")
    assert fingerprint(first.path) == fingerprint(run_methods(config, None, tmp_path / "cl").path)


def test_trained_ahead_it_is_only_taken_over(outputs, trained):
    data = load_data(CONFIG)
    ((key, training),) = baselines(start_session(CONFIG, data)).items()
    folder = run_baseline(CONFIG, training.owner, training.model, outputs / STORE)
    assert folder == outputs / STORE / key
    assert len(trained) == 1
    assert run_baseline(CONFIG, training.owner, training.model, outputs / STORE) == folder
    run = run_methods(CONFIG, data, outputs / "digits" / "cl")
    assert len(trained) == 1 + len(CONFIG.label_ratios)
    assert len(run.metrics[run.metrics["method"] == "supervised"]) == CONFIG.log_points
    (path,) = run.path.glob("supervised/phase_0/model-*.pt")
    assert path.samefile(folder / path.name), "one file in two folders"


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_a_damaged_baseline_is_trained_again(outputs, tmp_path):
    data = load_data(CONFIG)
    run_methods(CONFIG, data, outputs / "digits" / "cl")
    (model,) = (outputs / STORE).glob("*/model-*.pt")
    model.write_bytes(model.read_bytes()[:-9])
    run = run_methods(CONFIG.model_copy(update={"seed": 1, "gamma1": 2.0}), data, outputs / "digits" / "again")
    assert run.finished
    assert torch.load(next((outputs / STORE).glob("*/model-*.pt")), weights_only=True)


def test_a_run_waits_for_a_baseline_that_another_trains_and_says_so(outputs):
    data = load_data(CONFIG)
    ((key, _),) = baselines(start_session(CONFIG, data)).items()
    place = outputs / STORE / key
    place.mkdir(parents=True)
    (place / ".writer.json").write_text(json.dumps({"pid": 12345, "host": "elsewhere"}))
    held, notes = threading.Event(), outputs / "digits" / "cl" / "notes.log"

    def hold():
        with FileLock(place / ".lock"):
            held.set()
            for _ in range(3000):  # until the run has met the lock
                if notes.is_file():
                    break
                time.sleep(0.1)

    threading.Thread(target=hold).start()
    held.wait()
    run = run_methods(CONFIG, data, outputs / "digits" / "cl")
    assert run.finished
    assert "process 12345 on elsewhere" in notes.read_text()


def test_a_run_elsewhere_has_a_store_of_its_own(outputs, tmp_path):
    assert store_for(outputs / "digits" / "seed-1") == outputs.resolve() / STORE
    assert store_for(tmp_path / "elsewhere") == tmp_path / "elsewhere" / STORE


def test_whoever_changes_the_code_gets_new_baselines(monkeypatch):
    before = keys()
    monkeypatch.setattr("dmtkit.training.baselines.code", lambda: "another")
    assert keys().isdisjoint(before)


def test_code_that_trains_phase_0_decides_its_key_and_no_other_code_does(tmp_path):
    kit = Path(shutil.copytree(Path(dmtkit.__file__).parent, tmp_path / "dmtkit"))
    checksum = code.__wrapped__  # it is read once in a process
    before = checksum(kit)
    for place in ("methods/new.py", "methods/fixmatch.py", "labels/keep.py", "registry.py", "results/style.py"):
        with open(kit / place, "a") as file:
            file.write("# more\n")
        assert checksum(kit) == before, place
    for place in ("data/batches.py", "training/step.py", "data/new.py", "methods/supervised.py", "seeds.py"):
        before = checksum(kit)
        with open(kit / place, "a") as file:
            file.write("# more\n")
        assert checksum(kit) != before, place
    (kit / "methods" / "given.py").rename(kit / "methods" / "moved.py")
    with pytest.raises(FileNotFoundError):  # whoever moves a file that decides a model must name it anew
        checksum(kit)


def test_a_baseline_of_another_machine_is_said_to_be(outputs):
    data = load_data(CONFIG)
    run_methods(CONFIG, data, outputs / "digits" / "cl")
    (path,) = (outputs / STORE).glob("*/machine.json")
    path.write_text('"another, 64 threads"')
    run = run_methods(CONFIG.model_copy(update={"gamma1": 1.0}), data, outputs / "digits" / "again")
    assert "trained elsewhere (another, 64 threads" in (run.path / "notes.log").read_text()
