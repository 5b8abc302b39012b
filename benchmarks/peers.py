"""Methods that are not DMT beside it, at equal optimiser steps, on seeds that nothing was tuned on: digits and digit scenes.

Usage: python -m benchmarks.peers [SEED …]; two runs at a time, a thread each; goes on where an earlier start stopped.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.common import RESULTS, ROOT, summary, write_result
from benchmarks.rates import in_turn
from dmtkit.config import make_config
from dmtkit.files import read_json
from dmtkit.methods import Method, Step, method
from dmtkit.methods.given import Nets, Now
from dmtkit.params import load_params
from dmtkit.runs.folder import RunFolder
from dmtkit.runs.run import Run
from dmtkit.runs.search import load_run
from dmtkit.training.experiment import load_data, run_methods, start_session
from dmtkit.training.resume import start_loop
from dmtkit.training.step import advance

if TYPE_CHECKING:
    from dmtkit.data.batches import Batch

NEW_OF = {
    "classification": ("mean_teacher", "fixmatch", "flexmatch"),
    "segmentation": ("mean_teacher", "fixmatch", "cps", "unimatch", "adversarial"),
}
PAGE = ROOT / "docs" / "methods.md"
LINES, RESULTS_FROM, END = "<!-- lines -->", "<!-- results -->", "<!-- end of results -->"


class XAlone(Method):
    """The supervised loss for as long as a method that learns from U online."""

    views = ("weak",)

    def losses(self, nets: Nets, batch: "Batch", now: Now) -> Step:
        """U is not looked at."""
        return Step({"model": now.supervised(nets, batch)})


def methods_of(task: str) -> list[str]:
    """What is compared: the baseline, X alone for as long, DMT, and the others that the task has."""
    return ["supervised", "x_alone", "dmt", *NEW_OF[task]]


def run_one(params: str, seed: int) -> Run:
    """Every method on one seed (and split)."""
    method("x_alone", title="X alone, as many steps")(XAlone)
    values = load_params(ROOT / "params" / f"{params}.yaml")
    place = {"seed": seed} | ({"split": seed} if params == "scenes" else {})
    how = {"methods": methods_of(values["task"]), "precision": "fp32", "experiment": f"peers_{params}"}
    folder = ROOT / "outputs" / "benchmarks" / f"peers_{params}_{seed}"
    return run_methods(make_config({**values, **place, **how}), output_dir=folder)


def work(job: tuple[str, int]) -> None:
    """A run in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.peers", job[0], str(job[1])]
    subprocess.run(words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)


def table(params: str, seeds: list[int]) -> dict[str, Any]:
    """Every method's metric over seeds, and its differences to X alone and to DMT, seed by seed."""
    runs = [load_run(ROOT / "outputs" / "benchmarks" / f"peers_{params}_{seed}") for seed in seeds]
    metric = runs[0].task.metric
    rows = {name: [round(run.results[name][metric], 2) for run in runs] for name in runs[0].results}
    differences = {
        f"{name} - {base}": summary([a - b for a, b in zip(rows[name], rows[base], strict=True)])
        for base in ("x_alone", "dmt")
        for name in rows
        if name not in ("supervised", base)
    }
    return {
        "metric": metric,
        "seeds": seeds,
        "commits_of_the_runs": sorted({read_json(run.path / "environment.json")["commit"] for run in runs}),
        "per_seed": rows,
        "over_seeds": {name: summary(values) for name, values in rows.items()},
        "paired_difference": differences,
    }


def costs(params: str, repeats: int = 7, together: int = 20) -> dict[str, float]:
    """Seconds of a training step of each method, data included, in turn in one process."""
    values = load_params(ROOT / "params" / f"{params}.yaml")
    config = make_config({**values, "methods": ["supervised", *NEW_OF[values["task"]]], "precision": "fp32"})
    session = start_session(config, load_data(config))
    sides: dict[str, Callable[[], object]] = {}
    with TemporaryDirectory() as place:
        session.task.start(RunFolder(Path(place), config))
        for training in dict.fromkeys(session.plan.trainings):
            loop, batches = start_loop(session, training), session.task.batches(training)
            sides[training.method] = lambda loop=loop, batches=batches: advance(loop, batches(loop.step))
        seconds = in_turn(sides, session.task.device, repeats, dict.fromkeys(sides, together))
    return {name: round(value, 5) for name, value in seconds.items()}


LEARNED = {
    "mean_teacher": "facts and defaults that differ by task (`per_task`); a second ramp, a straight line",
    "fixmatch": "draws with a row for each image, and maps of U from all processes (`batch.everyones`), for boxes of a partner; "
    "`flexmatch` in the same file: memory, whose sizes a resumed run checks",
    "cps": "the supervised loss from logits that a method has already (`now.cross_entropy`)",
    "unimatch": "the two halves of a network (`nets.features`, `nets.head`), and how wide its features are (`now.channels`)",
    "adversarial": "another batch of X (`x2`); a critic that sees 0 where nothing counts",
}


def lines_table() -> str:
    """A row for each file: how long it is, and what the protocol had to learn for it."""
    rows = ["| | lines | what the protocol had to offer for it |", "|---" * 3 + "|"]
    for name, sentence in LEARNED.items():
        count = len((ROOT / "dmtkit" / "methods" / f"{name}.py").read_text().splitlines())
        rows.append(f"| [`{name}`](../dmtkit/methods/{name}.py) | {count} | {sentence} |")
    return "\n".join(rows)


def results_page(found: dict[str, Any]) -> str:
    """What came out, and what a step costs."""
    titles = {
        "digits": "Digits, 2 labels a class: test accuracy in percent",
        "scenes": "Digit scenes, 80 of 480 labeled: mIoU in percent",
    }
    blocks = []
    for params, title in titles.items():
        results = found["results"][params]
        seconds, base = results["seconds_of_a_step"], results["seconds_of_a_step"]["supervised"]
        n = len(results["seeds"])
        rows = [
            f"**{title}**, n = {n}",
            "",
            "| | mean ± sd | against X alone | against DMT | a step, beside supervised |",
            "|---" * 5 + "|",
        ]
        for name, total in results["over_seeds"].items():
            against = [
                _difference(results["paired_difference"].get(f"{name} - {other}")) for other in ("x_alone", "dmt")
            ]
            cost = f"{seconds[name] / base:.2f} ×" if name in seconds else "–"
            rows.append(f"| `{name}` | {total['mean']:.1f} ± {total['sd']:.1f} | {' | '.join(against)} | {cost} |")
        blocks.append("\n".join(rows))
    return "\n\n".join(
        [
            f"Each at as many optimiser steps as phase 0 and all phases of one model of DMT together (`supervised`: those of phase 0; `dmt` in "
            f"segmentation and `cps` train two networks), same splits, networks, initial weights and learning rates; defaults as published, "
            f"nothing tuned for any of them on these data; `x_alone` is the supervised loss for as many steps. Seeds "
            f"{_seeds(found)}, on which nothing was tuned; float32; {found['machine']}, {found['date']}; `benchmarks/results/peers.json`. At this "
            f"n all differences count as undecided.",
            *blocks,
        ]
    )


def _seeds(found: dict[str, Any]) -> str:
    seeds = found["results"]["digits"]["seeds"]
    return f"{seeds[0]} to {seeds[-1]}"


def _difference(pair: dict[str, float] | None) -> str:
    return "–" if pair is None else f"{pair['mean']:+.1f} ± {pair['sd']:.1f}".replace("-", "−")


def render(text: str) -> str:
    """The page's text with its tables renewed."""
    head, _, rest = text.partition(LINES)
    _, _, rest = rest.partition(RESULTS_FROM)
    _, _, tail = rest.partition(END)
    found = read_json(RESULTS / "peers.json")
    return f"{head}{LINES}\n{lines_table()}\n\n{RESULTS_FROM}\n{results_page(found)}\n{END}{tail}"


def main(words: list[str]) -> None:
    if words[:1] in (["digits"], ["scenes"]):
        run_one(words[0], int(words[1]))
        return
    seeds = [int(word) for word in words] or [11, 12, 13, 14, 15]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [(params, seed) for seed in seeds for params in ("scenes", "digits")]))
    found = {params: table(params, seeds) | {"seconds_of_a_step": costs(params)} for params in ("digits", "scenes")}
    write_result("peers", found)
    PAGE.write_text(render(PAGE.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
