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
from typing import Any, ClassVar, TypeVar

from minigrad.grad_mode import Switch, state
from minigrad.op import Op
from minigrad.tensor import Tensor

Self = TypeVar("Self", bound="Observer")


class Observer(Switch):
    """Sees every op, forward and backward, that the thread runs within `with observer:`. Does nothing by itself."""

    looks_inside = False
    """Whether to see, too, the ops that a node's backward is made of."""

    def before_forward(self, node: Op, inputs: tuple[Any, ...]) -> None:
        """`node` is about to run on `inputs`: Tensors, numbers and None."""

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        """It has run; `recorded(node, outputs)` says whether it became part of a graph."""

    def before_backward(self, node: Op, gradients: list[Tensor | None]) -> None:
        """Its backward is about to run on the gradients of its outputs."""

    def after_backward(self, node: Op, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        """It has returned `results`, the gradients of its inputs."""

    def failed_backward(self, node: Op, error: Exception) -> None:
        """Its backward raised `error`."""

    def __enter__(self: Self) -> Self:
        super().__enter__()
        return self

    def _on(self) -> bool:
        """Whether it was there already: then it goes on seeing each op once."""
        there = any([observer is self for observer in state.observers])
        if not there:
            state.observers = (*state.observers, self)
        return there

    def _off(self, before: bool) -> None:
        if not before:
            state.observers = tuple([observer for observer in state.observers if observer is not self])


class OneOfAKind(Observer):
    """An observer that takes the place of those of its kind as long as it is entered: the innermost counts."""

    kind: ClassVar[type[Observer]]
    mode = True
    """False: it takes their place, and does nothing there."""

    def __init_subclass__(cls) -> None:
        if OneOfAKind in cls.__bases__:
            cls.kind = cls

    def _on(self) -> Any:
        before = state.observers
        others = [observer for observer in before if not isinstance(observer, self.kind)]
        state.observers = (*others, self) if self.mode else tuple(others)
        return before, state.observers

    def _what(self) -> type[Observer]:
        return self.kind

    def _off(self, before: Any) -> None:
        before, after = before
        if state.observers != after:  # others have come or gone meanwhile, and stay so
            theirs = [observer for observer in state.observers if not isinstance(observer, self.kind)]
            before = (*theirs, *[observer for observer in before if isinstance(observer, self.kind)])
        state.observers = before


def recorded(node: Op, outputs: list[Tensor]) -> bool:
    """Whether the op that made `outputs` is a node of the graph."""
    return any(output._node is node for output in outputs)


@contextmanager
def only_observers(*observers: Observer) -> Iterator[None]:
    """Within it these observers see the ops, and no others."""
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
