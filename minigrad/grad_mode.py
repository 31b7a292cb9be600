"""What a thread is doing: recording gradients or not, running fast roads or definitions, looking for anomalies.

Each switch is a context manager and a decorator, nests, and holds for the thread that entered it alone.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    grad = True  # ops record themselves for the backward pass
    definitions = False  # fused ops run their definition in primitives
    anomaly = False  # every op checks what it returns for NaN and Inf


state = _State()


class _Switch:
    """Sets one attribute of the thread's state, and puts the old value back."""

    name: str
    value: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(getattr(state, self.name))
        setattr(state, self.name, self.value)

    def __exit__(self, *exception: object) -> None:
        setattr(state, self.name, self._before.pop())

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _again(self) -> _Switch:
        """A fresh switch of the same setting, so that a decorated function may be re-entered from any thread."""
        other = _Switch.__new__(type(self))
        other._before, other.name, other.value = [], self.name, self.value
        return other


class no_grad(_Switch):
    """Within it nothing is recorded: results do not require gradients."""

    name, value = "grad", False


class enable_grad(_Switch):
    """Within it ops are recorded, also inside a no_grad."""

    name, value = "grad", True


class set_grad_enabled(_Switch):
    """no_grad or enable_grad by a flag. As in torch, it also takes effect without a `with`."""

    name = "grad"

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.value = bool(mode)
        self._before.append(state.grad)
        state.grad = self.value

    def __enter__(self) -> None:
        state.grad = self.value  # the value before was noted when the object was made

    def __call__(self, function: F) -> F:
        state.grad = self._before.pop()
        return super().__call__(function)


class definitions(_Switch):
    """Within it every fused op runs its definition in primitives: the textbook road, slower, for reading and checking."""

    name, value = "definitions", True


class detect_anomaly(_Switch):
    """Within it the first op whose result holds NaN or Inf, made from finite inputs, raises an error that names it.

    Checks the forward pass and every gradient of the backward pass. Slow: for debugging.
    """

    name, value = "anomaly", True

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.value = bool(mode)


def is_grad_enabled() -> bool:
    """Whether ops of this thread are recorded."""
    return state.grad


def is_definitions() -> bool:
    """Whether fused ops of this thread run their definitions."""
    return state.definitions


def is_anomaly_enabled() -> bool:
    """Whether ops of this thread are checked for NaN and Inf."""
    return state.anomaly
