"""Writes the numbers of README and docs/numbers.md from the committed results, so that each is quoted as it came.

Usage: python -m benchmarks.readme
"""

import json
import re
from typing import Any

import pandas as pd

from benchmarks.common import RESULTS, ROOT
from dmtkit.methods import METHODS
from dmtkit.results.tables import spread

PAGES = (ROOT / "README.md", ROOT / "docs" / "numbers.md")
BLOCK = re.compile(r"<!-- numbers (\w+) -->\n.*?<!-- end of numbers -->", re.DOTALL)


def load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def seeds_table(results: dict[str, Any], metric: str) -> list[str]:
    """A row a method and a paired difference, a column a seed."""
    rows = results["per_seed"]
    lines = [
        f"| | {' | '.join('seed ' + str(row['seed']) for row in rows)} | mean ± sd |",
        "|---" * (len(rows) + 2) + "|",
    ]
    for name, total in results[metric].items():
        cells = " | ".join(f"{row[name]:.1f}" for row in rows)
        lines.append(f"| `{name}` | {cells} | {total['mean']:.1f} ± {total['sd']:.1f} |")
    for name, pair in results["paired_difference"].items():
        cells = " | ".join(signed(value) for value in pair["per_seed"])
        name = name.replace(" - ", " − ")
        lines.append(f"| {name} | {cells} | {signed(pair['mean'])} ± {pair['sd']:.1f} |")
    return lines


def digits() -> str:
    """Accuracies over seeds."""
    found = load("digits")
    head = (
        f"**Digits, {found['results']['labels_per_class']} labels a class**, test accuracy in percent of every seed and of "
        f"their mean ± standard deviation (float32; {found['machine']}, {found['date']}):"
    )
    return "\n".join([head, "", *seeds_table(found["results"], "accuracy")])


def scenes() -> str:
    """mIoU over seeds, and the search for wrong labels in short."""
    found = load("scenes")
    results = found["results"]
    head = (
        f"**Digit scenes, 80 of 480 labeled**, mIoU in percent of model A on test scenes (float32; a seed is also a split; "
        f"{found['machine']}, {found['date']}):"
    )
    models = ", ".join(
        f"{name} {value['mean']:.1f} ± {value['sd']:.1f}" for name, value in results["dmt_models"].items()
    )
    return "\n".join([head, "", *seeds_table(results, "miou"), "", f"DMT's two models and their mean: {models}."])


def search() -> str:
    """AUROC tables: DMT's student and CBST's, by phase and time."""
    results = load("scenes")["results"]["error_search"]
    lines = [
        "<details><summary>Wrong labels found by low scores in those runs, phase by phase</summary>",
        "",
        "AUROC, mean of the seeds; 0.5 is chance. c_A is the teacher's "
        "confidence, which needs no second model; p_B the student's probability of the label; w the weight:",
        "",
        "| | | DMT: w | p_B | c_A | p_B·c_A | w − c_A | CBST: w | c_A |",
        "|---" * 9 + "|",
    ]
    rows = {(row["method"], row["phase"], row["time"]): row for row in results}
    for (method, phase, time), row in rows.items():
        if method != "dmt":
            continue
        other = rows["cbst", phase, time]
        scores = " | ".join(f"{row[score]['mean']:.3f}" for score in ("w", "p_B", "c_A", "p_B·c_A"))
        gap = f"{row['w - c_A']['mean']:+.3f} ± {row['w - c_A']['sd']:.3f}".replace("-", "−")
        lines.append(
            f"| phase {phase} | {time} | {scores} | {gap} | {other['w']['mean']:.3f} | {other['c_A']['mean']:.3f} |"
        )
    return "\n".join([*lines, "", "</details>"])


def camvid() -> str:
    """Street photographs."""
    (run,) = load("camvid")["results"]
    found = run["results"]
    dmt = found["dmt"]
    first = {row["time"]: row for row in run["error_search"] if row["phase"] == 1}
    search = ", ".join(f"{time} {row['w']:.2f} against {row['c_A']:.2f}" for time, row in first.items())
    return (
        f"**CamVid street photographs, 45 of 367 labeled, on two CPU cores** (`params/camvid_8.yaml`: half size, a network of "
        f"six convolutions from scratch, one split): mIoU supervised {found['supervised']['A']:.1f} (B "
        f"{found['supervised']['B']:.1f}), CBST {found['cbst']['miou']:.1f}, DMT {dmt['A']:.1f} (B {dmt['B']:.1f}, A+B "
        f"{dmt['A+B']:.1f}), in {run['wall_seconds'] / 60:.0f} minutes. "
        f"Wrong labels found in phase 1 (AUROC of w against c_A): {search}."
    )


def costs() -> str:
    """The loss and the labelling."""
    loss, labelling = load("loss")["results"]["times_cross_entropy"], load("labelling")["results"]
    memory = ", ".join(f"{value:.0f} MiB for {count}" for count, value in labelling["peak_memory_mib"].items())
    lines = [
        f"**What the method costs.** The dynamic loss at 8×21×321×321, forward and backward, takes {loss['dynamic']:.2f} × "
        f"`F.cross_entropy` (in NCHW {loss['dynamic_nchw']:.2f} ×), compiled {loss['dynamic_compiled_channels_last']:.2f} × (in "
        f"NCHW {loss['dynamic_compiled']:.2f} ×; cross-entropy compiled {loss['cross_entropy_compiled']:.2f} ×; written the plain way "
        f"{loss['reference']:.2f} ×): the networks here give logits whose channels lie last. Labels take three bytes "
        f"a pixel; a process that labels scenes takes {memory} of them. Labelling beside plain inference:",
        "",
        "| | labelling | and weighing the labels it learned |",
        "|---|---|---|",
    ]
    for name, row in labelling["time"].items():
        lines.append(f"| {name} | {row['ratio']:.2f} × | {row['ratio_with_weights']:.2f} × |")
    return "\n".join(lines)


def speed() -> str:
    """A training step beside the plain way's."""
    found = load("steps")
    rows = [
        f"| {case} | "
        + " | ".join(f"{row['seconds'][side]:.3g}" for side in ("reference", "fp32", "bf16"))
        + f" | {row['times_reference']['bf16']:.2f} × |"
        for case, row in found["results"]["steps"].items()
    ]
    lines = [
        "**Speed**, a DMT training step, data and augmentation included, in seconds, beside the same method written "
        f"the plain way (`benchmarks/reference/`; {found['machine']}, {found['date']}; all of it in "
        "[Speed](performance.md)):",
        "",
        "| | plain way | dmtkit, fp32 | dmtkit, bf16 | times as fast |",
        "|---" * 5 + "|",
        *rows,
    ]
    return "\n".join(lines)


def ablations() -> str:
    """Every method on the embedded data, in short."""
    found = load("ablations")
    runs = pd.DataFrame(found["results"]["runs"])
    experiments = list(runs["experiment"].unique())
    values = runs.groupby(["experiment", "method"])["value"].apply(list).to_dict()
    heads = [f"{name}, n = {runs[runs['experiment'] == name].groupby('method').size().min()}" for name in experiments]
    lines = [f"| | who labels | weights | {' | '.join(heads)} |", "|---" * (3 + len(heads)) + "|"]
    for method, row in METHODS.items():
        if method not in set(runs["method"]):
            continue
        cells = [spread(values.get((name, method), [])) for name in experiments]
        shown = [f"{cell.mean:.1f} ± {cell.sd:.1f}" if cell.n else "–" for cell in cells]
        lines.append(f"| `{method}` | {row.teacher} | {row.rule} | {' | '.join(shown)} |")
    return "\n".join(lines)


def cifar() -> str:
    """The reduced run on real CIFAR-10."""
    found = load("cifar10_cpu")
    (run,) = found["results"]
    accuracy, minutes = run["accuracy"], run["wall_seconds"] / 60
    return (
        f"**Real CIFAR-10, 1 000 labels, on two CPU cores** (`params/cifar10_cpu.yaml`: WRN-10-1, three short phases, "
        f"no RandAugment, one seed; the images are JPEG copies): supervised {accuracy['supervised']:.1f} %, DMT "
        f"{accuracy['dmt']:.1f} %, in {minutes:.0f} minutes. This is no reproduction of the paper, whose recipe "
        "(WRN-28-2, 750 epochs a phase) wants a GPU; `params/cifar10_4000.yaml` holds it."
    )


def waiting() -> str:
    """What a newcomer waits for, and the kills."""
    start, kill = load("startup")["results"], load("kill")["results"]
    minutes = {demo: row["after"]["seconds"] / 60 for demo, row in load("demos")["results"].items() if "make" in demo}
    demos = " and ".join(f"`{demo}` {value:.1f} minutes" for demo, value in minutes.items())
    batch, report = load("batch")["results"], load("report")["results"]
    imports = start["import_seconds"]
    alone, used = imports["dmtkit"] - imports["nothing"], imports["used"] - imports["torch"]
    return (
        f"**What you wait for**, after installation: {demos}, notebook and all; `import "
        f"dmtkit` {1000 * alone:.0f} ms, and {1000 * used:.0f} ms beyond torch when loss and settings are used. A batch of {batch['runs']} runs on {batch['workers']} workers takes "
        f"{batch['ratio']:.2f} × half the sum of the runs' own times; `dmtkit report` over {report['runs']} finished runs "
        f"{report['seconds']:.1f} s. "
        f"**Killed with SIGKILL** {kill['killed']} times, runs of digits, in training, in the middle of writing a file, while labelling "
        f"and between phases: {kill['same_bits']} of {len(kill['trials'])} re-runs ended in the undisturbed run's bits."
    )


BLOCKS = {block.__name__: block for block in (digits, scenes, search, ablations, cifar, camvid, speed, costs, waiting)}


def render(text: str) -> str:
    """A page's text with every block `<!-- numbers NAME -->` renewed."""
    return BLOCK.sub(lambda found: f"<!-- numbers {found[1]} -->\n{BLOCKS[found[1]]()}\n<!-- end of numbers -->", text)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(render(path.read_text()))
