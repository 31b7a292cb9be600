"""Differentiation for people: backward, grad, and the switches of the graph."""

from minigrad.engine import backward, grad
from minigrad.function import Function, FusedFunction
from minigrad.grad_mode import detect_anomaly, enable_grad, no_grad, set_grad_enabled

__all__ = [
    "Function", "FusedFunction", "backward", "detect_anomaly", "enable_grad", "grad", "no_grad", "set_grad_enabled",
]  # fmt: skip
