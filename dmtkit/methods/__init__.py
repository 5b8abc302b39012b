"""Methods: one class each says its phases and its losses (`method.py`). A file of one, here or your own, imports what it needs from here."""

from dmtkit.data.batches import Batch
from dmtkit.methods.given import Nets, Now
from dmtkit.methods.lab import Lab, Score
from dmtkit.methods.method import Helper, Method, NotNegative, Share, Step, method
from dmtkit.methods.parameters import per_task
from dmtkit.registry import METHODS

__all__ = ["METHODS", "Batch", "Helper", "Lab", "Method", "Nets", "NotNegative", "Now", "Score", "Share", "Step"]
__all__ += ["method", "per_task"]
