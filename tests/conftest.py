"""Shape annotations are checked while testing; torch is deterministic and light on threads."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  found by name below

install_import_hook(
    ["dmtkit.dynamic", "dmtkit.pseudo", "dmtkit.class_balance", "dmtkit.metrics", "dmtkit.data", "dmtkit.models"],
    "tests.typecheck.check",
)

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: starts processes or trains for seconds")
