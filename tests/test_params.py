"""Every params file: its values are the paper's, its head says the truth, and it trains, on stand-in data."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from dmtkit.compat import torchvision_datasets
from dmtkit.config import make_config
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.methods import METHODS
from dmtkit.params import load_params
from dmtkit.training.experiment import load_data, run_methods
from tests.helpers import make_tree
from tests.trees import make_cifar10, make_cityscapes, make_voc2012, make_voc_style, write_list

ROOT = Path(__file__).resolve().parent.parent
PARAMS = sorted((ROOT / "params").glob("*.yaml"))
STEMS = {path.stem for path in PARAMS}
STEPS = 2

each_file = pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)

# method.md §6 and §5.4, copied by hand. Rows that no source gives: 1/8 of VOC trains as the 1 464 images do, 1/30 of
# Cityscapes as 1/8 does.
SEGMENTATION = """
                  crop     γ  lr    epochs batch baseline   denominator init_a init_b   sampling
voc_106           321×321  5  1e-3  4      1:7   2e-3,300   105.82      COCO   COCO     dms
voc_50            321×321  5  1e-3  4      1:7   2e-3,134   50          COCO   COCO     dms
voc_20            321×321  5  1e-3  4      1:7   2e-3,134   20          COCO   imagenet all
voc_8             321×321  5  1e-3  5      1:7   2e-3,85    8           COCO   imagenet all
voc_sbd           321×321  5  1e-3  5      1:7   2e-3,85    None        COCO   imagenet all
cityscapes_8      256×512  3  4e-3  10     2:6   4e-3,170   8           COCO   imagenet all
cityscapes_30     256×512  3  4e-3  10     2:6   4e-3,170   29.75       COCO   imagenet all
"""
SHARED = {
    "model": "deeplab-resnet101",
    "aspp_rates": (6, 12),
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "poly_power": 0.9,
    "scale": (0.5, 1.5),
    "flip": True,
    "label_ratios": (0.2, 0.4, 0.6, 0.8, 1.0),
    "label_rule": "argmax",
    "snapshot": "last",
    "val": 0,
    "online_threshold": 0.9,
}
CIFAR = {
    "model": "wrn-28-2",
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "epochs": 750,
    "gamma1": 4,
    "gamma2": 4,
    "gamma_ramp": True,
    "mixup": 0.75,
    "crop_padding": 4,
    "flip": True,
    "augment": ("all",),
    "ema_decay": 0.999,
    "label_ratios": (0.2, 0.4, 0.6, 0.8, 1.0),
    "val": 20,
}


def head_of(path):
    """The comment that opens a params file, without its marks."""
    return "\n".join(line.removeprefix("#") for line in path.read_text().split("\n\n")[0].splitlines())


@pytest.fixture(autouse=True)
def _outputs_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))


@each_file
def test_it_fits_its_notebook_and_its_network_can_be_built(path):
    job = plan_job(path, {})
    assert job.config.experiment == path.stem
    assert job.notebook.stem == job.config.task
    assert not job.folder.exists(), "planning writes nothing"


@each_file
def test_its_head_names_its_commands_and_files_that_exist(path):
    head = head_of(path)
    assert f"dmtkit run params/{path.stem}.yaml" in head
    assert {Path(name).stem for name in re.findall(r"params/\w+\.yaml", head)} <= STEMS
    batches = re.findall(r"dmtkit batch params/(\w+)\.yaml", head)
    assert set(batches) <= {path.stem}
    averaged = load_params(path)["dataset"] != "folder"  # ours, measured once each
    assert bool(batches) == averaged


@pytest.mark.parametrize("row", SEGMENTATION.strip().splitlines()[1:], ids=lambda row: row.split()[0])
def test_segmentation_recipes_are_the_papers(row):
    stem, crop, gamma, lr, epochs, batch, baseline, denominator, *inits, sampling = row.split()
    config = make_config(load_params(ROOT / "params" / f"{stem}.yaml"))
    dumped = config.model_dump()
    assert {name: dumped[name] for name in SHARED} == SHARED
    assert config.crop == tuple(map(int, crop.split("×")))
    assert config.gamma1 == config.gamma2 == float(gamma)
    assert (config.lr, config.epochs) == (float(lr), int(epochs))
    assert f"{config.batch_labeled}:{config.batch_pseudo}" == batch
    assert [config.baseline_lr, config.baseline_epochs] == [float(value) for value in baseline.split(",")]
    assert str(config.denominator).removesuffix(".0") == denominator
    assert ["COCO" if "COCO" in init else init for init in (config.init_a, config.init_b)] == inits
    assert config.sampling == sampling
    voc = config.dataset == "voc"
    assert (config.eval_size, config.resize) == ((505, 505), None) if voc else (None, (512, 1024))
    assert config.published == stem


@pytest.mark.parametrize(
    ("stem", "labels", "batch", "steps"),
    [("cifar10_1000", 100, (16, 496), 2120 * 2), ("cifar10_4000", 400, (64, 448), 2120 * 2)],
)
def test_cifar_recipes_are_the_papers(stem, labels, batch, steps):
    config = make_config(load_params(ROOT / "params" / f"{stem}.yaml"))
    dumped = config.model_dump()
    assert {name: dumped[name] for name in CIFAR} == CIFAR
    assert config.labels == labels
    assert (config.batch_labeled, config.batch_pseudo) == batch
    assert config.baseline_epochs * math.ceil(10 * labels / 512) == steps


@pytest.mark.parametrize(
    ("stem", "base", "epochs"), [("voc_full", "voc_20", 30), ("cityscapes_full", "cityscapes_8", 60)]
)
def test_full_supervision_differs_from_its_neighbour_in_the_schedule_alone(stem, base, epochs):
    full, other = (load_params(ROOT / "params" / f"{name}.yaml") for name in (stem, base))
    assert full["methods"] == ["oracle"]
    assert full["epochs"] * len(full["label_ratios"]) == epochs
    own = {"experiment", "methods", "published", "denominator", "init_b", "label_ratios", "epochs"}
    assert {name for name in full.keys() | other.keys() if full.get(name) != other.get(name)} == own


def variants():
    """Files that are named after another one, and that one: the longest, where there are several."""
    for path in PARAMS:
        bases = [stem for stem in STEMS if path.stem.startswith(f"{stem}_")]
        if bases:
            yield path.stem, max(bases, key=len)


@pytest.mark.parametrize(("stem", "base"), list(variants()))
def test_a_variant_differs_from_its_base_in_what_its_head_names(stem, base):
    config, other = (make_config(load_params(ROOT / "params" / f"{name}.yaml")).model_dump() for name in (stem, base))
    head = head_of(ROOT / "params" / f"{stem}.yaml")
    found = re.search(rf"\n Differs +from params/{base}\.yaml in(.*?)\n \w", head, re.DOTALL)
    assert found, f"the header does not say in what it differs from {base}.yaml"
    named = set(re.findall(r"`(\w+)`", found[1])) & config.keys()
    assert {name for name in config if config[name] != other[name]} == named | {"experiment"}


def test_there_are_variants_of_every_kind():
    assert dict(variants()).items() >= {"voc_50_ablation": "voc_50", "cifar10_4000_no_ramp": "cifar10_4000"}.items()
    for stem in ("digits_ablation", "scenes_ablation"):
        config = make_config(load_params(ROOT / "params" / f"{stem}.yaml"))
        ablations = {name for name, method in METHODS.items() if config.task in method.tasks and not method.adds}
        assert set(config.methods) == ablations, "of the paper: those that add no term of their own"


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """Small folders in the layouts of the real data, and what a config needs to be right for each."""
    root = tmp_path_factory.mktemp("data")
    camvid = make_voc_style(root / "camvid", train=8, test=2, classes=11)
    write_list(camvid, "labeled", (camvid / "ImageSets" / "Segmentation" / "train.txt").read_text().split()[:4])
    write_list(camvid, "test", (camvid / "ImageSets" / "Segmentation" / "val.txt").read_text().split())
    small = {"crop": (17, 17)}
    return {
        "voc": {"data_dir": str(make_voc2012(root / "voc", augmented=True)), "eval_size": (24, 32), **small},
        "cityscapes": {"data_dir": str(make_cityscapes(root / "city")), "resize": (24, 48), "crop": (16, 24)},
        "segmentation": {"data_dir": str(camvid), "classes": tuple("abcdefghijk"), "resize": (20, 24), **small},
        "scenes": {"scenes": 6, "scene_size": 16, "crop": (16, 16)},
        "cifar10": {"data_dir": str(make_cifar10(root / "cifar")), "labels": 1, "val": 1},
        "classification": {
            "data_dir": str(make_tree(root / "folder", 3, tuple("abcdefghij"), 16)),
            "labels": 1,
            "val": 1,
        },
        "digits": {"lists": str(few_digits(root / "lists.yaml"))},
    }


def few_digits(path):
    """Own lists: X and the held-out digits as they are, 12 digits in U."""
    data = load_data(make_config({}))
    lists = {"labeled": data.labeled.names, "unlabeled": data.unlabeled.names[:12], "val": data.val.names}
    path.write_text(yaml.safe_dump({part: list(names) for part, names in lists.items()}))
    return path


def in_two_steps(path, stand_ins):
    """The file's config on its stand-in, every pass over the data being one step and every phase two passes."""
    values = load_params(path)
    key = values["task"] if values["dataset"] == "folder" else values["dataset"]
    values |= stand_ins[key] | {
        "model": "deeplab-tiny" if values["task"] == "segmentation" else "wrn-10-1",
        "label_ratios": values["label_ratios"][:1] + values["label_ratios"][1:][-1:],
        "epochs": STEPS,
        "baseline_epochs": STEPS,
        "device": "cpu",
        "log_points": 1,
        "checkpoint_seconds": 3600,
    }
    if values["task"] == "segmentation":
        values |= {"init_a": None, "init_b": None, "workers": 0}
        values |= {"denominator": 3} if values["denominator"] else {}
    data = load_data(make_config(values))
    labeled, pseudo = values["batch_labeled"], values["batch_pseudo"]  # the ratio stays
    labeled, pseudo = labeled // math.gcd(labeled, pseudo), pseudo // math.gcd(labeled, pseudo)
    x, u = len(data.labeled), len(data.unlabeled)
    whole = x + u if "oracle" in values["methods"] else x
    times = max(math.ceil(u / pseudo), math.ceil(whole / (labeled + pseudo)))
    return make_config({**values, "batch_labeled": times * labeled, "batch_pseudo": times * pseudo}), data


def steps_of(run, method):
    """How many steps every phase of every model of a method took."""
    found = {
        place.parent.relative_to(run / method).as_posix(): json.loads(place.read_text()).get("steps")
        for place in run.glob(f"{method}/phase_*/**/phase.json")
    }
    return {place: steps for place, steps in found.items() if steps is not None}  # a test of two models has none


def promised(config, name):
    """The phases that a method has, and how many steps the loops promise for each when one pass is one step."""
    method, phases = METHODS[name], len(config.label_ratios)
    segments = config.task == "segmentation"
    if method.teacher == "truth":  # in segmentation as long as all phases together
        return {"phase_0/A": STEPS * phases} if segments else {"phase_0": STEPS}
    dms = segments and config.sampling == "dms"
    two = method.teacher == "other"
    if method.teacher == "nobody":
        two = not dms and any(METHODS[other].teacher == "other" for other in config.methods)
    models = [f"/{model}" for model in ("AB" if two else "A")] if segments else [""]
    own_start = method.teacher == "nobody" or (dms and two)
    numbers = {0: STEPS} if own_start else {}
    if method.teacher == "online":
        numbers |= {1: STEPS * phases}
    elif method.teacher != "nobody":
        numbers |= dict.fromkeys(range(1, phases + 1), STEPS)
    return {f"phase_{k}{model}": steps for k, steps in numbers.items() for model in models}


def test_it_is_the_config_that_it_was():
    """What the files of 0.1.0 said then, they say now; settings that came later have their defaults."""
    then = json.loads((ROOT / "tests" / "configs_0_1_0.json").read_text())
    for stem, own in then["files"].items():
        config = make_config(load_params(ROOT / "params" / f"{stem}.yaml")).model_dump(mode="json")
        expected = then["defaults"][own["task"]] | own
        assert {name: config[name] for name in expected} == expected, stem
    assert len(then["files"]) == 25


# Every day one of each data set and of each kind of recipe; the others differ from them in numbers.
EVERY_DAY = [
    "camvid_8",
    "cifar10_4000_no_ramp",
    "cifar10_cpu",
    "cityscapes_8",
    "digits",
    "tour",
    "voc_50_normalized",
    "voc_full",
]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[] if path.stem in EVERY_DAY else pytest.mark.long) for path in PARAMS],
)
def test_it_trains_for_two_steps_on_stand_in_data(path, stand_ins, tmp_path, monkeypatch):
    cifar = torchvision_datasets().cifar  # which knows the checksums of the real archive alone
    monkeypatch.setattr(cifar, "check_integrity", lambda place, md5: Path(place).is_file())
    monkeypatch.setattr("dmtkit.data.segmentation.TEST_SCENES", 6)
    config, data = in_two_steps(path, stand_ins)
    run = run_methods(config, data, tmp_path / "run")
    done = json.loads((run.path / "DONE.json").read_text())
    assert done["experiment"] == path.stem
    assert tuple(done["results"]) == config.methods == tuple(load_params(path)["methods"])
    for name, result in done["results"].items():
        values = [value for part in result.values() for value in (part if isinstance(part, list) else [part])]
        assert all(math.isfinite(value) and 0 <= value <= 100 for value in values), name
        assert steps_of(run.path, name) == promised(config, name), name
