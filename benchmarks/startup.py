"""What a newcomer waits for after installation: imports and the tests (the demos: benchmarks.demos).

Usage: python -m benchmarks.startup [--without-tests]
"""

import statistics
import subprocess
import sys
import time

from benchmarks.common import ROOT, write_result

REPEATS = 7


def seconds(*command: str) -> float:
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def imports() -> dict[str, float]:
    """Medians of interleaved fresh processes, in seconds."""
    codes = {"nothing": "pass", "dmtkit": "import dmtkit", "torch": "import torch", "both": "import torch, dmtkit"}
    codes["used"] = "import torch, dmtkit; dmtkit.dynamic_weights, dmtkit.make_config"
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(REPEATS):
        for name, code in codes.items():
            times[name].append(seconds(sys.executable, "-c", code))
    median = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return median | {"dmtkit_beyond_torch": round(median["both"] - median["torch"], 3)}


def main() -> None:
    results: dict[str, object] = {"import_seconds": imports()}
    if "--without-tests" not in sys.argv:
        command = (sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup")
        quotes = "tests/test_benchmarks.py::test_the_readme_quotes_the_results_as_they_came"  # this result among them
        results["test_seconds"] = round(seconds(*command, "--deselect", quotes), 1)
    print(results)
    write_result("startup", results)


if __name__ == "__main__":
    main()
