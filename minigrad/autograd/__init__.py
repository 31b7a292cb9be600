"""Differentiation for people: backward, grad, and the switches of the graph."""

from minigrad.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from minigrad.autograd.function import Function
from minigrad.autograd.observer import Observer
from minigrad.engine import backward, grad
from minigrad.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = [
    "Function", "Observer", "backward", "detect_anomaly", "enable_grad", "grad", "inference_mode",
    "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
