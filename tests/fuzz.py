"""Hostile settings: whatever is given, the answer is a config or a ConfigError that can be read. By hand: `python -m tests.fuzz`.

`python -m tests.fuzz 100000` draws so many mappings, a tenth of that of `-p` words and a hundredth of params files.
"""

import json
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from dmtkit.config import TASKS, make_config
from dmtkit.errors import ConfigError, DataError, TrainingError
from dmtkit.jobs.console import overrides
from dmtkit.params import load_params
from dmtkit.registry import METHODS
from dmtkit.training.experiment import run_methods
from tests.helpers import TINY, TINY_SEGMENTATION, Stop, stop_after

LONGEST = 10_000  # letters of a message: twenty lines


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


NUMBERS = [0, 1, -1, 2, 7, 0.5, 1.0, 1e-300, 1e39, 1e300, 2**63, 10**12, 10**400, 10**5000, float("nan"), float("inf")]
WORDS = ["", " ", "no", "auto", "1e-3", "0xff", "a,b", "..", "/", "../x", "\0", "\ud800", "é 猫", "<img src=x>", "$^$"]
WORDS += ["a" * 300, "b" * 2_000_000, "{}", "[1", "2020-99-99", "None", "\n", "\x1b[31m"]
OTHERS = [
    None,
    True,
    False,
    (),
    [],
    {},
    {"a": 1},
    {1: 2},
    [[]],
    [None],
    nested(50),
    set(),
    b"x",
    date(2020, 1, 1),
    [1, 2],
    ["a"],
]
TEXTS = [
    "{name}: [[[[" + "[" * 3000,
    "{name}: " + "9" * 5000,
    "{name}: 0x" + "f" * 100_000,
    "{name}: 2020-99-99",
    "{name}: !!int x",
    "{name}: !!float x",
    "{name}: !!bool x",
    "{name}: !!timestamp x",
    "{name}: !!binary x",
    "{name}: !!python/object/apply:os.getcwd []",
    "{name}: 190:20:30",
    "{name}: " + "1:" * 200 + "1.0",
    "seed: 3",
    "{name}: " + ",".join(f"number_{k}" for k in range(100)),
    "{name}: [" + "1, " * 5_000 + "1]",
    "\n".join(f"unknown_{k}: 1" for k in range(60)),
    "{name}: *nowhere",
    "{name}: &a [*a]",
    '{name}: "\\0"',
    '{name}: "\\ud800"',
    "? [a]\n: b",
    "{name}: {{",
    "\tx: 1",
    "- 1",
    "",
    "\ufeff{name}: 1",
    "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
    "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n{name}: *f",
]


def value(draw: random.Random, name: str, kind: type) -> Any:
    """Something for a setting: its default, a name that exists, or what nobody expects."""
    field = kind.model_fields.get(name)
    usual = [field.default] if field and not field.is_required() else []
    return draw.choice(
        [draw.choice(NUMBERS), draw.choice(WORDS), draw.choice(OTHERS), *usual * 3, draw.choice(list(METHODS))]
    )


def name(draw: random.Random, kind: type) -> str:
    """A setting, mostly one that exists."""
    known = [*kind.model_fields, "fixmatch_threshold", "parameters", "output_dir"]
    return draw.choice(known) if draw.random() < 0.9 else draw.choice([*WORDS, "splt", "task"])


def mapping(draw: random.Random) -> dict[str, Any]:
    """Some settings of one of the tasks."""
    task = draw.choice(list(TASKS))
    given = {name(draw, TASKS[task]): None for _ in range(draw.randint(1, 6))}
    return {"task": task} | {key: value(draw, key, TASKS[task]) for key in given}


def words(draw: random.Random) -> list[str]:
    """`-p name=value`, as a shell hands it on."""
    kind = draw.choice(list(TASKS.values()))
    text = draw.choice([*WORDS, *map(str, (1, 1e39, -1)), *(line.partition(": ")[2] for line in TEXTS)])
    return [f"{name(draw, kind)}={text}"]


def text(draw: random.Random) -> str:
    """A params file."""
    kind = draw.choice(list(TASKS.values()))
    lines = [
        draw.choice(TEXTS).replace("{name}", name(draw, kind)).replace("{{", "{") for _ in range(draw.randint(1, 3))
    ]
    return "\n".join(lines)


def answered(work: Callable[[Any], object], given: Any) -> str:
    """`accepted`, `refused`, or what else came of it."""
    try:
        work(given)
    except ConfigError as error:
        return "refused" if len(str(error)) <= LONGEST else f"a message of {len(str(error))} letters"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:80]}"
    return "accepted"


def from_file(path: Path, content: str) -> object:
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    return make_config(load_params(path))


def fuzz(count: int, seed: int = 1) -> dict[str, Counter]:
    """How often each answer was given: to mappings, words of `-p` and files."""
    draw, told = random.Random(seed), {"mappings": Counter(), "words": Counter(), "files": Counter()}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "params.yaml"
        for kind, tries, drawn, work in (
            ("mappings", count, mapping, make_config),
            ("words", count // 10, words, lambda given: make_config(overrides(given))),
            ("files", count // 100, text, lambda given: from_file(path, given)),
        ):
            for _ in range(tries):
                told[kind][answered(work, drawn(draw))] += 1
    return told


EXTREMES: dict[str, dict[str, list]] = {
    "both": {
        "seed": [0, 2**64],
        "lr": [1e-30, 1e-3, 10.0, 1e30],
        "momentum": [0.0, 0.999999],
        "weight_decay": [0.0, 1.0, 1e30],
        "gamma1": [0.0, 1.0, 1000.0],
        "gamma2": [0.0, 0.5, 1000.0],
        "label_ratios": [(1e-9,), (1.0,), (0.5, 1.0), tuple(k / 50 for k in range(1, 51))],
        "batch_labeled": [1, 2, 100, 1000],
        "batch_pseudo": [1, 3, 100, 1000],
        "epochs": [1, 10**9],
        "baseline_epochs": [1, 10**9],
        "log_points": [1, 10**9],
        "online_threshold": [0.0, 0.999],
        "quiet_unlabeled": [True, False],
        "checkpoint_seconds": [0.0, 1e30],
        "threads": ["auto", 1, 4096],
        "processes": [1, 2, 4096],
        "device": ["auto", "cpu", "cuda", "nonsense"],
        "precision": ["auto", "fp32", "bf16"],
        "published": [None, "nonsense", "cifar10_4000"],
        "dataset": ["nonsense", "folder"],
        "data_dir": ["nowhere", "/", "/dev/null"],
        "lists": ["nowhere.yaml", "/", "/dev/null"],
    },
    "classification": {
        "labels": [1, 2, 100, 10**9, None],
        "val": [0, 1, 100, 10**9],
        "ema_decay": [0.0, 0.999999],
        "gamma_ramp": [True, False],
        "mixup": [0.0, 1e-9, 1e30],
        "crop_padding": [0, 3, 1000],
        "flip": [True, False],
        "augment": [("all",), ("nonsense",), ("identity",)],
        "model": ["wrn-10-1", "wrn-16-1", "wrn-11-1", "wrn-10-0", "deeplab-tiny", "nonsense"],
    },
    "segmentation": {
        "denominator": [1, 1.5, 8, 1e9, None],
        "split": [0, 999],
        "val": [0, 1, 10, 10**9],
        "sampling": ["all", "dms"],
        "resize": [None, (1, 1), (8, 40), (16_384, 16_384)],
        "scenes": [1, 2, 16, 50],
        "scene_size": [16, 31],
        "scene_difficulty": [0.0, 1.0],
        "aspp_rates": [(1,), (16_384,), (1, 2, 3, 4)],
        "baseline_lr": [1e-30, 1e30],
        "poly_power": [0.0, 1000.0],
        "snapshot": ["last", "best"],
        "label_rule": ["argmax", "normalized"],
        "crop": [(1, 1), (24, 24), (1, 60), (16_384, 16_384)],
        "scale": [(0.1, 0.1), (10.0, 10.0), (0.1, 10.0)],
        "flip": [True, False],
        "eval_size": [None, (1, 1), (64, 17)],
        "keep_labels": [True, False],
        "init_a": ["nowhere.pt", "imagenet", "/"],
        "model": ["deeplab-tiny", "wrn-10-1", "nonsense", "deeplab-resnet18"],
    },
}


def lives(draw: random.Random, place: Path) -> str:
    """What becomes of settings that the config may accept: refused before anything is written, or some steps of a run."""
    task = draw.choice(list(TASKS))
    choices = EXTREMES["both"] | EXTREMES[task]
    methods = [name for name, method in METHODS.items() if task in method.tasks]
    changed = {key: draw.choice(choices[key]) for key in draw.sample(list(choices), draw.randint(1, 4))}
    values = (TINY if task == "classification" else TINY_SEGMENTATION) | {"methods": (draw.choice(methods),)} | changed
    folder = place / "run"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run_methods(make_config(values), None, folder, progress=stop_after(3))
    except (ConfigError, DataError) as error:
        return "refused" if not folder.exists() and len(str(error)) <= LONGEST else f"refused too late: {values}"
    except (Stop, TrainingError):  # the latter: numbers that no network stands
        return "runs"
    except Exception as error:
        return f"{type(error).__name__}: {error}: {values}"
    return "runs"


def live(count: int, seed: int = 1) -> Counter:
    """How often each of these happened."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Counter(lives(draw, Path(place)) for _ in range(count))


if __name__ == "__main__":
    count = int(sys.argv[1]) if sys.argv[1:] else 1000
    print(json.dumps(fuzz(count) | {"runs": live(count // 100)}, indent=1))
