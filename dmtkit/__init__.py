"""dmtkit: Dynamic Mutual Training for semi-supervised learning, a notebook-driven research kit.

Names are loaded when they are first used, so that `import dmtkit` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmtkit.config import ClassificationConfig, Config, SegmentationConfig, make_config
    from dmtkit.errors import ConfigError, DataError, DmtkitError, RunError, TrainingError
    from dmtkit.losses.dynamic import dynamic_cross_entropy, dynamic_weights
    from dmtkit.methods.method import Helper, Method, Step, method
    from dmtkit.methods.parameters import per_task
    from dmtkit.notebook import methods_table, newest_run, notebook_config, run_all, train
    from dmtkit.params import check_parameters, load_params
    from dmtkit.registry import METHODS, dataset, model
    from dmtkit.runs import Run, load_run
    from dmtkit.training.experiment import load as load_data
    from dmtkit.training.experiment import run_methods
    from dmtkit.viewer.explorer import explore

_PLACES = {
    "ClassificationConfig": "config",
    "Config": "config",
    "SegmentationConfig": "config",
    "check_parameters": "params",
    "load_params": "params",
    "make_config": "config",
    "notebook_config": "notebook",
    "load_data": "training.experiment:load",
    "dynamic_cross_entropy": "losses.dynamic",
    "dynamic_weights": "losses.dynamic",
    "ConfigError": "errors",
    "DataError": "errors",
    "DmtkitError": "errors",
    "RunError": "errors",
    "TrainingError": "errors",
    "METHODS": "registry",
    "Helper": "methods.method",
    "Method": "methods.method",
    "per_task": "methods.parameters",
    "Step": "methods.method",
    "dataset": "registry",
    "method": "methods.method",
    "model": "registry",
    "newest_run": "notebook",
    "run_methods": "training.experiment",
    "explore": "viewer.explorer",
    "methods_table": "notebook",
    "run_all": "notebook",
    "train": "notebook",
    "Run": "runs",
    "load_run": "runs",
}

_ROOMS = ("plots", "report")  # parts that are used by name, dmtkit.plots.plot_curves(run)

__all__ = [
    "METHODS",
    "ClassificationConfig",
    "Config",
    "ConfigError",
    "DataError",
    "DmtkitError",
    "Helper",
    "Method",
    "Run",
    "RunError",
    "SegmentationConfig",
    "Step",
    "TrainingError",
    "check_parameters",
    "dataset",
    "dynamic_cross_entropy",
    "dynamic_weights",
    "explore",
    "load_data",
    "load_params",
    "load_run",
    "make_config",
    "method",
    "methods_table",
    "model",
    "newest_run",
    "notebook_config",
    "per_task",
    "run_all",
    "run_methods",
    "train",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"dmtkit.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'dmtkit' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(f"dmtkit.{module}"), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, "__version__"]
