"""A class as a notebook's cell or a file of one's own has it, and what runs it."""

import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell

from dmtkit import own
from dmtkit.config import make_config
from dmtkit.registry import DATASETS, METHODS, MODELS
from tests.helpers import TINY

CELL = """
import dmtkit
from torch.nn.functional import cross_entropy

def doubled(value):
    return 2 * value

@dmtkit.method("mine", title="My own")
class Mine(dmtkit.Method):
    weight: float = 1.0
    views = ("weak",)

    def losses(self, nets, batch, now):
        logits = nets("model", batch.u["weak"])
        each = cross_entropy(logits, logits.detach().argmax(1), reduction="none")
        loss = now.supervised(nets, batch) + doubled(self.weight) * now.mean(each, batch.valid)
        return dmtkit.Step({"model": loss})
"""
NETWORK = """
@dmtkit.model("plain", task="classification")
def plain(channels, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, classes))
"""


@pytest.fixture(autouse=True)
def _forgotten(tmp_path, monkeypatch):
    """What a test registers, the next one does not know; outputs lie elsewhere."""
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))
    registries = [METHODS, *DATASETS.values(), *MODELS.values()]
    before = [dict(registry._known) for registry in registries]
    yield
    for registry, found in zip(registries, before, strict=True):
        for name in [name for name in registry._known if name not in found and registry.is_own(name)]:
            registry._known.pop(name)
    own._imported.clear()
    own._announced.clear()


@pytest.fixture(name="cell")
def _cell():
    shell = InteractiveShell()

    def run(source):
        result = shell.run_cell(source)
        result.raise_error()

    return run


def config_of(**more):
    return make_config({**TINY, "methods": ("supervised", "mine"), "checkpoint_seconds": 0, **more})


def params_file(folder, code=CELL, **more):
    """A params file, and the file of code beside it."""
    (folder / "my_methods.py").write_text(code)
    values = {**TINY, "methods": ["supervised", "mine"], "code_from": "my_methods.py", **more}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return folder / "params.yaml"
