"""Methods: one class each says its phases and its losses (`method.py`); `METHODS` finds it by name."""

from dmtkit.methods.method import Helper, Method, NotNegative, Share, Step, method
from dmtkit.methods.parameters import per_task
from dmtkit.registry import METHODS

__all__ = ["METHODS", "Helper", "Method", "NotNegative", "Share", "Step", "method", "per_task"]
