"""Writes docs/performance.md and its figure from the committed results, so that each number is quoted as it came.

Usage: python -m benchmarks.performance
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.common import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
FIGURE = ROOT / "docs" / "images" / "scaling.png"


def load(name: str) -> dict[str, Any] | None:
    """A committed result, or None where it was never measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def where(found: dict[str, Any]) -> str:
    """Command, machine and date, below every table."""
    return f"<sub>`{found['command']}`, {found['machine']}, {found['date']}, commit {found['commit']}</sub>"


def steps_section(found: dict[str, Any]) -> str:
    results = found["results"]
    rates = {case: row["best_rates"] for case, row in results["steps"].items()}
    sides = list(next(iter(results["steps"].values()))["seconds"])
    rows = []
    for case, row in results["steps"].items():
        for side in sides:
            if side in row["seconds"]:
                rows.append(
                    (
                        case if side == sides[0] else "",
                        side,
                        f"{row['seconds'][side]:.3g}",
                        f"**{row['times_reference'][side]:.2f}**",
                        f"{100 * row['share_of_matrix_rate'][side]:.0f} %",
                        f"{row['times_reference'][side] / row['share_of_matrix_rate'][side]:.1f}",
                    )
                )
    return "\n\n".join(
        [
            table(["step", "side", "seconds", "× reference", "of the matrix rate", "ceiling"], rows),
            "*Of the matrix rate*: operations of the step's convolutions and products per second, as a share of what a 2048×2048 "
            "matrix product reaches on the same threads in the same turns. The same operations are counted for every side. "
            "*Ceiling*: how many times as fast as the reference a step would be that did nothing but its convolutions, all of them "
            "at that rate. "
            + "; ".join(
                f"{case}: {row['fp32_gflops']:g} GFLOP/s in fp32, {row['bf16_gflops']:g} in bf16, memory copied at "
                f"{row['copied_gigabytes']:g} GB/s"
                for case, row in rates.items()
            )
            + ".",
            where(found),
        ]
    )


def profile_section(found: dict[str, Any]) -> str:
    cases = found["results"]
    kinds = list(dict.fromkeys(kind for row in cases.values() for kind in row["share"]))
    shares = [[f"{100 * row['share'].get(kind, 0):.1f} %" for row in cases.values()] for kind in kinds]
    head = ["share of the time", *(f"{case} ({row['precision']})" for case, row in cases.items())]
    rows = [(kind, *cells) for kind, cells in zip(kinds, shares, strict=True)]
    total = ("step without its batch, ms", *(f"{row['step_ms']:g}" for row in cases.values()))
    return "\n\n".join([table(head, [*rows, total]), where(found)])


def loss_section(found: dict[str, Any]) -> str:
    results = found["results"]
    rows = [
        (
            name.replace("_", " "),
            f"{value:.4g}",
            results["times_cross_entropy"][name],
            results["faster_than_reference"][name],
        )
        for name, value in results["seconds"].items()
    ]
    shape = "×".join(map(str, results["shape"]))
    return "\n\n".join(
        [
            f"Forward and backward at {shape}:",
            table(["loss", "seconds", "× cross-entropy", "times as fast as the reference"], rows),
            where(found),
        ]
    )


def augmentation_section(found: dict[str, Any]) -> str:
    rows = [
        (
            size,
            *(f"{rate:,}" for rate in row["images_per_second"].values()),
            *(f"{times:.2f}" for name, times in row["batched_times"].items() if name != "batched"),
        )
        for size, row in found["results"]["sizes"].items()
    ]
    sides = list(next(iter(found["results"]["sizes"].values()))["images_per_second"])
    head = ["images", *(f"{side}, images/s" for side in sides), *(f"batched × {side}" for side in sides[:-1])]
    return "\n\n".join([table(head, rows), where(found)])


def labelling_section(found: dict[str, Any]) -> str:
    results = found["results"]
    rows = [
        (
            case,
            row["seconds"]["reference"],
            row["seconds"]["fp32"],
            row["seconds"]["bf16"],
            f"**{row['times_reference']['fp32']:.2f}**",
            f"**{row['times_reference']['bf16']:.2f}**",
            row["ratio"],
            f"{row['bytes_a_pixel']:g} / {row['bytes_a_pixel_reference']:g}",
        )
        for case, row in results["time"].items()
    ]
    head = [
        "labels and thresholds of",
        "reference, s",
        "fp32, s",
        "bf16, s",
        "× reference, fp32",
        "bf16",
        "fp32 over plain inference",
        "bytes a pixel",
    ]
    peaks = ", ".join(f"{count} scenes {value:g} MiB" for count, value in results.get("peak_memory_mib", {}).items())
    return "\n\n".join([table(head, rows), f"Peak memory of the process: {peaks}.", where(found)])


def threads_section(found: dict[str, Any]) -> str:
    results = found["results"]
    counts = list(next(iter(results.values()))["milliseconds"])
    rows = [
        (name, *(f"{row['milliseconds'][count]:g}" for count in counts), f"{row['faster_with_all']:.2f}")
        for name, row in results.items()
    ]
    head = ["step", *(f"{count} thread{'s' * (count != '1')}, ms" for count in counts), "times as fast"]
    return "\n\n".join([table(head, rows), where(found)])


def demos_section(found: dict[str, Any]) -> str:
    results = dict(found["results"])
    before = results.pop("before_commit")
    rows = [
        (f"`{demo}`", row["before"]["seconds"], row["after"]["seconds"], row["faster"]) for demo, row in results.items()
    ]
    return "\n\n".join([table(["", f"before ({before}), s", "now, s", "times as fast"], rows), where(found)])


def precision_section(*found: dict[str, Any]) -> str:
    rows = []
    for one in found:
        name, results = one["command"].split()[3], one["results"]
        for method, difference in results["bf16_minus_fp32"].items():
            sides = [results["precision"][p][results["metric"]][method] for p in ("fp32", "bf16")]
            each = ", ".join(f"{value:+.1f}".replace("-", "−") for value in difference["per_seed"])
            rows.append(
                (
                    name,
                    f"`{method}`",
                    *(f"{side['mean']:.1f} ± {side['sd']:.1f}" for side in sides),
                    f"{difference['mean']:+.1f} ± {difference['sd']:.1f}".replace("-", "−"),
                    each,
                )
            )
    head = ["", "method", "fp32", "bf16", "bf16 − fp32", "of each seed"]
    return "\n\n".join([table(head, rows), precision_answer(found), *(where(one) for one in found)])


def precision_answer(found: Sequence[dict[str, Any]]) -> str:
    """Whether differences are within the spread over seeds, and of how many seeds DMT is lower."""
    beyond, lower = [], []
    for one in found:
        name, results = one["command"].split()[3], one["results"]
        for method, difference in results["bf16_minus_fp32"].items():
            if abs(difference["mean"]) > results["precision"]["fp32"][results["metric"]][method]["sd"]:
                beyond.append(f"{name}, `{method}`")
        each = results["bf16_minus_fp32"]["dmt"]["per_seed"]
        lower.append(f"{sum(value < 0 for value in each)} of {len(each)} seeds of {name}")
    verdict = (
        f"Beyond the spread over seeds: {'; '.join(beyond)}."
        if beyond
        else "No difference exceeds the spread over seeds."
    )
    return f"{verdict} DMT is lower in bf16 in {' and '.join(lower)}; `precision: fp32` is there for who minds."


def scaling_section(found: dict[str, Any]) -> str:
    parts = {name: rows for name, rows in found["results"].items() if name != "nothing"}
    sizes = list(next(iter(parts.values())))
    rows = [
        (name, *(f"{row[size]['seconds']:.3g} s, {row[size]['peak_mib']:.0f} MiB" for size in sizes))
        for name, row in parts.items()
    ]
    bare = next(iter(found["results"]["nothing"].values()))["peak_mib"]
    largest = sizes[-1]
    cost = {name: row[largest]["seconds"] / int(largest) for name, row in parts.items()}
    pixels, small = cost["label pixels, 48×48"], cost["label images, 8×8"]
    peaks = [parts["label pixels, 48×48"][size]["peak_mib"] for size in (sizes[0], largest)]
    kept = (peaks[1] - peaks[0]) * 2**20 / (int(largest) - int(sizes[0]))
    hours = 1e7 * pixels / 3600
    disk = 1e7 * 3 * 48 * 48 / 1e9
    return "\n\n".join(
        [
            table(["", *(f"{int(size):,} images" for size in sizes)], rows),
            f"A process that does nothing but import all this takes {bare:.0f} MiB.",
            "![Seconds and peak memory against the number of images](images/scaling.png)",
            f"**Ten million images**, at the cost of an image measured at {int(largest):,}: labelling 48×48 scenes takes "
            f"{1e6 * pixels:.0f} µs an image, {hours:.1f} hours for 10⁷ on these two cores, and {disk:.0f} GB of disk at three "
            f"bytes a pixel, mapped, not read into memory; the histogram stays at 65 536 levels a class. Labels of images "
            f"({1e6 * small:.0f} µs each for the small network) lie in memory: 10⁷ of them take 30 MB, but the images "
            "themselves, held as bytes on the device, take 30.7 GB at 32×32, which fits a large GPU and no small one: "
            "beyond that, read them as segmentation does, crop by crop, in worker processes. Names and sizes of images "
            f"are lists in memory and JSON on disk: the process that labels grew by {kept:.0f} bytes an image, {1e7 * kept / 1e9:.0f} GB "
            "for 10⁷, the first thing to replace there.",
            where(found),
        ]
    )


def draw_scaling(found: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from dmtkit.results.style import apply_style

    apply_style()
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    parts = {name: rows for name, rows in found["results"].items() if name != "nothing"}
    for (name, rows), marker in zip(parts.items(), "os^Dv*", strict=True):
        sizes = [int(size) for size in rows]
        for ax, key in zip(axes, ("seconds", "peak_mib"), strict=True):
            ax.plot(sizes, [row[key] for row in rows.values()], marker=marker, label=name)
    bare = next(iter(found["results"]["nothing"].values()))["peak_mib"]
    axes[1].axhline(bare, color="0.5", linestyle="--", label="imports alone")
    for ax, label in zip(axes, ("seconds", "peak memory of the process (MiB)"), strict=True):
        ax.set(xscale="log", xlabel="images", ylabel=label)
    axes[0].set_yscale("log")
    axes[1].set_ylim(bottom=0)
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    figure.savefig(FIGURE, dpi=110)
    plt.close(figure)


SECTIONS = (
    (
        "A training step",
        ("steps",),
        steps_section,
        "A step of a DMT phase with everything that belongs to it: reading or augmenting the batch, the weights' extra forward pass "
        "where mixup needs it, loss, backward, optimiser, average, statistics. Of the small network an epoch of steps is timed as one. "
        "*Compiled* is `compile: true`; compiling takes minutes, once a phase's kind of step, and is not in these times.",
    ),
    (
        "Where a step's time goes",
        ("profile",),
        profile_section,
        "By kind of work, as torch's profiler sees the eager step; convolutions are what the hardware limits.",
    ),
    (
        "Threads",
        ("threads",),
        threads_section,
        "PyTorch's default, a thread a core, is kept: nothing is much slower with it, most is faster; `dmtkit batch` gives each of its workers a share of "
        "the cores. Inter-op threads play no part in eager steps.",
    ),
    (
        "The loss",
        ("loss",),
        loss_section,
        "One array of exponentials gives weights, loss and statistics, and is then overwritten by the gradient; compiled, neither is "
        "written before it is needed. *Dynamic* has logits whose channels lie last, as the networks here give them; *nchw* and, but for "
        "the last row, *compiled* have them in PyTorch's own order.",
    ),
    (
        "Augmentation",
        ("augmentation",),
        augmentation_section,
        "Padded crop, flip and one random operation an image, all images of a batch at once.",
    ),
    (
        "Labelling",
        ("labelling",),
        labelling_section,
        "One pass instead of two: thresholds come from a histogram, so every pixel is predicted once.",
    ),
    (
        "The demos",
        ("demos",),
        demos_section,
        "Notebook and all, from nothing, with the code of an earlier commit and with this one; one run of each, so that a few percent may "
        "be chance.",
    ),
    (
        "Is bf16 as accurate?",
        ("precision_digits", "precision_scenes"),
        precision_section,
        "Test accuracy (digits) and mIoU of A (scenes) in percent, mean ± standard deviation, the same seeds in both. Logits, losses, "
        "weights and the optimiser's state are float32 in both.",
    ),
    (
        "More data",
        ("scaling",),
        scaling_section,
        "Time should grow in proportion, memory not at all, where the data itself does not lie in memory. *Make a run* does hold its "
        "images in memory, and its batches grow with the data here.",
    ),
)

HEAD = """# Speed

*The other side* is `benchmarks/reference/`: the same method as most training scripts write it (float32, NCHW, PIL image by
image in a DataLoader, weights by mask indexing, statistics read in every step, two labelling passes, float32 pairs on disk). It is
correct: `tests/test_reference.py` holds its weights, losses, thresholds, labels and training steps against the library's.
Steps, threads, loss, augmentation and labelling: all sides run in one process in turn, and each number is a median. This page is written by
`python -m benchmarks.performance` from `benchmarks/results/`; `make bench` measures all of it again.
"""


def render() -> str:
    parts = [HEAD]
    for title, names, section, words in SECTIONS:
        found = [load(name) for name in names]
        parts.append(f"## {title}\n\n{words}\n")
        parts.append(section(*found) + "\n" if all(found) else "Not measured yet.\n")
    gpu = load("gpu")
    parts.append("## On a GPU\n")
    if gpu is None:
        parts.append(
            "`python -m benchmarks.gpu` is ready and tested at a tiny size on a CPU; it has not run on a GPU yet.\n"
        )
    else:
        parts.append(steps_section({**gpu, "results": gpu["results"]["steps"]}) + "\n")
    return "\n".join(parts)


def main() -> None:
    PAGE.write_text(render())
    if found := load("scaling"):
        draw_scaling(found)
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
