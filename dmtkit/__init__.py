"""dmtkit: Dynamic Mutual Training for semi-supervised learning, a notebook-driven research kit.

Names are loaded when they are first used, so that `import dmtkit` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmtkit.config import make_config
    from dmtkit.errors import DmtkitError
    from dmtkit.losses.dynamic import dynamic_cross_entropy, dynamic_weights
    from dmtkit.methods.method import Method, Step, method
    from dmtkit.methods.parameters import per_task
    from dmtkit.notebook import start, train
    from dmtkit.params import load_params
    from dmtkit.registry import METHODS, dataset, model
    from dmtkit.runs.run import load_run
    from dmtkit.training.experiment import load_data, run_methods
    from dmtkit.viewer.explorer import explore

_NAMES = {
    "config": "make_config",
    "errors": "DmtkitError",
    "losses.dynamic": "dynamic_cross_entropy dynamic_weights",
    "methods.method": "Method Step method",
    "methods.parameters": "per_task",
    "notebook": "start train",
    "params": "load_params",
    "registry": "METHODS dataset model",
    "runs.run": "load_run",
    "training.experiment": "load_data run_methods",
    "viewer.explorer": "explore",
}
_PLACES = {name: module for module, names in _NAMES.items() for name in names.split()}
# used by name: dmtkit.plots.plot_curves(run)
_ROOMS = {"plots": "results.plots", "tables": "results.tables", "teach": "teach"}

__all__ = sorted(_PLACES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"dmtkit.{_ROOMS[name]}")
    if name not in _PLACES:
        raise AttributeError(f"module 'dmtkit' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(f"dmtkit.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, "__version__"]
