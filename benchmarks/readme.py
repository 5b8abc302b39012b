"""Writes the README's numbers from the committed results, so that each is quoted as it came.

Usage: python -m benchmarks.readme
"""

import json
from typing import Any

from benchmarks.common import RESULTS, ROOT

BEGIN, END = "<!-- numbers -->\n", "<!-- end of numbers -->\n"


def load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def digits() -> str:
    """A row a seed, and the paired differences."""
    found = load("digits")
    results = found["results"]
    methods = list(results["accuracy"])
    rows = results["per_seed"]
    lines = [
        f"**Digits, {results['labels_per_class']} labels a class**, test accuracy in percent of every seed and of "
        f"their mean ± standard deviation ({found['machine']}, {found['date']}):",
        "",
        f"| | {' | '.join('seed ' + str(row['seed']) for row in rows)} | mean ± sd |",
        "|---" * (len(rows) + 2) + "|",
    ]
    for name in methods:
        total = results["accuracy"][name]
        cells = " | ".join(f"{row[name]:.1f}" for row in rows)
        lines.append(f"| `{name}` | {cells} | {total['mean']:.1f} ± {total['sd']:.1f} |")
    for name, pair in results["paired_difference"].items():
        cells = " | ".join(signed(value) for value in pair["per_seed"])
        name = name.replace(" - ", " − ")
        lines.append(f"| {name} | {cells} | {signed(pair['mean'])} ± {pair['sd']:.1f} |")
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
    beyond = start["import_seconds"]["dmtkit_beyond_torch"]
    return (
        f"**What you wait for**, after installation: the demo {start['demo_seconds'] / 60:.1f} minutes, notebook and "
        f"all; the tests {start['test_seconds'] / 60:.1f} minutes; `import dmtkit` {1000 * beyond:.0f} ms beyond torch. "
        f"**Killed with SIGKILL** {kill['killed']} times, in training, in the middle of writing a file, while labelling "
        f"and between phases: {kill['same_bits']} of {len(kill['trials'])} re-runs ended in the undisturbed run's bits."
    )


def render(text: str) -> str:
    """The README's text with its numbers renewed."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n\n".join([digits(), cifar(), waiting()]) + "\n" + END + tail


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(render(path.read_text()))
