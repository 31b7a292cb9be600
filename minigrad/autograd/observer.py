"""Watching the ops of a thread: what the anomaly mode, the guard, the profiler and the gradient doctor are made of.

class Count(Observer):
    calls = 0

    def after_forward(self, node, inputs, outputs):
        self.calls += 1

with Count() as count:
    loss = model(x).sum()
print(count.calls)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from minigrad.function import Function
from minigrad.grad_mode import state
from minigrad.tensor import Tensor

Self = TypeVar("Self", bound="Observer")


class Observer:
    """Is told of every op, forward and backward, that the thread runs within `with observer:`. Does nothing by itself."""

    looks_inside = False
    """Whether to be told, too, of the ops that a node's backward is made of."""

    def before_forward(self, node: Function, inputs: tuple[Any, ...]) -> None:
        """`node` is about to run on `inputs`: Tensors, numbers and None."""

    def after_forward(self, node: Function, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        """It has run; `recorded(node, outputs)` says whether it became part of a graph."""

    def before_backward(self, node: Function, gradients: list[Tensor | None]) -> None:
        """Its backward is about to run on the gradients of its outputs."""

    def after_backward(self, node: Function, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        """It has returned `results`, the gradients of its inputs."""

    def failed_backward(self, node: Function, error: Exception) -> None:
        """Its backward raised `error`."""

    def __enter__(self: Self) -> Self:
        state.observers = (*state.observers, self)
        return self

    def __exit__(self, *exception: object) -> None:
        remaining = list(state.observers)
        del remaining[len(remaining) - 1 - remaining[::-1].index(self)]
        state.observers = tuple(remaining)


def recorded(node: Function, outputs: list[Tensor]) -> bool:
    """Whether the op that made `outputs` is a node of the graph."""
    return any(output._node is node for output in outputs)


@contextmanager
def only_observers(*observers: Observer) -> Iterator[None]:
    """Within it these observers are told, and no others."""
    before, state.observers = state.observers, observers
    try:
        yield
    finally:
        state.observers = before


_PACKAGE = str(Path(__file__).parent.parent) + os.sep


def user_line(is_inside: Callable[[str], bool] = lambda name: name.startswith(_PACKAGE)) -> str:
    """file:line of the innermost caller outside this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
