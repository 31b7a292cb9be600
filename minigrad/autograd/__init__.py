"""Differentiation for people: backward, grad, and the switches of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from minigrad.autograd.calls import backward, grad, register_post_accumulate_grad_hook
from minigrad.autograd.function import Function
from minigrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.autograd.graph import print_graph, saved_bytes, saved_tensors_hooks
from minigrad.autograd.guard import guard, is_guard_enabled, set_guard
from minigrad.autograd.observer import Observer
from minigrad.autograd.variable import Variable
from minigrad.errors import no_attribute
from minigrad.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

if TYPE_CHECKING:
    from minigrad.autograd import functional
    from minigrad.autograd.doctor import Finding, diagnose
    from minigrad.autograd.profiler import profile

__all__ = [
    "Variable",
    "Finding", "Function", "GradcheckError", "Observer", "backward", "detect_anomaly", "diagnose", "enable_grad",
    "functional", "grad", "gradcheck", "gradgradcheck", "guard", "inference_mode", "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled", "is_guard_enabled", "no_grad", "print_graph", "profile", "register_post_accumulate_grad_hook",
    "saved_bytes", "saved_tensors_hooks", "set_detect_anomaly", "set_grad_enabled", "set_guard",
]  # fmt: skip

_WHEN_ASKED_FOR = {"Finding": "doctor", "diagnose": "doctor", "profile": "profiler"}


def __getattr__(name: str) -> Any:
    """What is named here is imported when first asked for."""
    import importlib

    if name == "functional":
        return importlib.import_module("minigrad.autograd.functional")
    if name in _WHEN_ASKED_FOR:
        globals()[name] = getattr(importlib.import_module(f"minigrad.autograd.{_WHEN_ASKED_FOR[name]}"), name)
        return globals()[name]
    raise no_attribute(__name__, name)
