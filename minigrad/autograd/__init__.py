"""Differentiation for people: backward, grad, and the switches of the graph."""

from minigrad.autograd import functional  # noqa: F401
from minigrad.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from minigrad.autograd.doctor import Finding, diagnose
from minigrad.autograd.function import Function
from minigrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.autograd.observer import Observer
from minigrad.engine import backward, grad
from minigrad.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = [
    "Finding", "Function", "GradcheckError", "Observer", "backward", "detect_anomaly", "diagnose", "enable_grad", "grad",
    "gradcheck", "gradgradcheck", "inference_mode", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "no_grad",
    "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
