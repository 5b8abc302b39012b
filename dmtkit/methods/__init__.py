"""Methods: one class each says its phases and its losses (`method.py`); `METHODS` finds it by name."""

from dmtkit.methods.method import METHODS, Helper, Method, Step, method

__all__ = ["METHODS", "Helper", "Method", "Step", "method"]
