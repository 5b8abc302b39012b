"""Data sets: `load(config)` gives the labeled, unlabeled, validation and test images of one run."""

from dmtkit.data.images import Data, Images, load

__all__ = ["Data", "Images", "load"]
