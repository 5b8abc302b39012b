"""Data sets: `load(config)` gives the labeled, unlabeled, validation and test images of one run."""

from dmtkit.config import Config
from dmtkit.data.images import Data, Images
from dmtkit.data.segmentation import Scenes
from dmtkit.registry import DATASETS

DataSet = Data | Scenes

__all__ = ["Data", "DataSet", "Images", "Scenes", "load"]


def load(config: Config) -> DataSet:
    """Load the data set that `config` names, split: `Data` or `Scenes`; DataError names every offender at once.

    >>> from dmtkit.config import make_config
    >>> data = load(make_config({}))
    >>> len(data.labeled), tuple(data.test.pixels.shape[1:])
    (20, (1, 8, 8))
    >>> data = load(make_config({"task": "segmentation", "scenes": 40, "scene_size": 32}))
    >>> len(data.labeled), len(data.unlabeled), data.classes[0]
    (6, 34, 'background')
    """
    return DATASETS[config.task][config.dataset](config)
