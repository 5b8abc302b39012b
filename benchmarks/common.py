"""What the benchmarks share: results that are kept, programs that are timed, means over seeds, other states of the code."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OUTPUTS = ROOT / "outputs" / "benchmarks"


def load(name: str) -> Any:
    """A committed result, or None where it was never measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def summary(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation and number of values."""
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return {"mean": round(statistics.mean(values), 3), "sd": round(spread, 3), "n": len(values)}


def rounded(values: dict[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}


def seconds(*words: str, folder: Path = ROOT, **variables: str) -> float:
    """Seconds that a Python program takes, from its start to its end."""
    started = time.monotonic()
    environment = {**os.environ, **variables}
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def answer(code: str, *words: str, folder: Path) -> Any:
    """What a program prints last, as JSON, run with the code of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a fresh process, whose memory and threads are its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def peak_mib() -> float:
    """Peak memory of this process; Linux alone (getrusage counts what the parent held when it forked)."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def git(*words: str) -> str:
    return subprocess.check_output(["git", "-C", str(ROOT), *words], text=True).strip()


@contextmanager
def checkout(name: str) -> Iterator[Path]:
    """Another state of the code: a folder as it is, or a commit in a worktree that goes after its use."""
    if Path(name).is_dir():
        yield Path(name).resolve()
        return
    with TemporaryDirectory() as place:
        git("worktree", "add", "-q", "--detach", f"{place}/code", name)
        try:
            yield Path(place, "code")
        finally:
            git("worktree", "remove", "--force", f"{place}/code")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turn(
    sides: dict[str, Callable[[], object]], device: torch.device, repeats: int, together: dict[str, int] | None = None
) -> dict[str, float]:
    """Median seconds of every side, one after the other in each of `repeats` turns, after two turns to warm up.

    Whatever slows the machine for a while slows all sides. As many calls of a side are timed as one as `together` says.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 2):
        for name, work in sides.items():
            count = (together or {}).get(name, 1)
            wait(device)
            started = time.perf_counter()
            for _ in range(count):
                work()
            wait(device)
            times[name].append((time.perf_counter() - started) / count)
    return {name: statistics.median(values[2:]) for name, values in times.items()}
