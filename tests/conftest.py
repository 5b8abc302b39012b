"""Shape annotations are checked while testing; torch is deterministic and light on threads."""

import json
import os
import signal
from collections.abc import Iterator

os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  found by name below
from tests.helpers import TINY

ROOMS = ["losses", "labels.keep", "labels.predict", "metrics", "data", "models"]  # whose shapes are checked
install_import_hook([f"dmtkit.{room}" for room in ROOMS], "tests.typecheck.check")

import pytest
import torch

from tests.made_runs import spoiled, three  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C works in every test, and none may leave it to someone else: the next one pays.

    A shell that starts pytest in the background has it ignore Ctrl-C; dask_jobqueue takes it by its mere import.
    """
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, outside)
    assert after == signal.default_int_handler, f"this test left {after} to handle SIGINT"


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """Another folder for all runs than the project's."""
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@pytest.fixture
def tiny(tmp_path):
    """A params file of runs of seconds; its changes are not part of the folders' names."""

    def write(name="tiny", base=TINY, **changes):
        values = {**base, **changes}
        path = tmp_path / f"{name}.yaml"
        lines = (f"{key}: {json.dumps(list(v) if isinstance(v, tuple) else v)}" for key, v in values.items())
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
