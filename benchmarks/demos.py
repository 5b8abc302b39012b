"""Wall time of the two demos, notebook and all, with the code of an earlier commit and with this one, in turn.

Usage: python -m benchmarks.demos [BEFORE] [--name demos]      (BEFORE: a commit; by default the last before steps were made faster)
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, write_result
from dmtkit.files import read_json

DEMOS = {"make demo": "digits", "make demo-segmentation": "scenes"}


def run(params: str, code: Path, outputs: Path) -> dict[str, Any]:
    """Seconds and results of `dmtkit run params/<params>.yaml` with the code in a folder, from nothing."""
    environment = {**os.environ, "PYTHONPATH": str(code), "DMTKIT_OUTPUTS": str(outputs)}
    started = time.monotonic()
    words = [sys.executable, "-m", "dmtkit", "run", f"params/{params}.yaml"]
    subprocess.run(words, cwd=code, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    (done,) = outputs.rglob("DONE.json")
    found = read_json(done)["results"]
    metric = "accuracy" if params == "digits" else "miou"
    return {"seconds": round(seconds, 1), metric: {name: round(value[metric], 2) for name, value in found.items()}}


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"before_commit": arguments.before}
    with tempfile.TemporaryDirectory() as place:
        before = Path(place, "before")
        subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(before), arguments.before], check=True
        )
        try:
            for demo, params in DEMOS.items():
                sides = {"before": before, "after": ROOT}
                results[demo] = {
                    name: run(params, code, Path(place, "outputs", name, params)) for name, code in sides.items()
                }
                results[demo]["faster"] = round(
                    results[demo]["before"]["seconds"] / results[demo]["after"]["seconds"], 2
                )
                print(demo, results[demo], flush=True)
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(before)], check=True)
    if arguments.name:
        write_result(arguments.name, results)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", nargs="?", default="c9e815b")
    parser.add_argument("--name", default="demos", help="name of the result; empty for none")
    main(parser.parse_args())
