"""What a thread is doing: recording gradients or not, running fast roads or definitions, being watched.

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
    definitions: bool | frozenset[str] = False  # fused ops, all or those of these names, run their definitions
    observers: tuple[Any, ...] = ()  # who is told of every op (minigrad.autograd.observer)


state = _State()
fused_ops: set[str] = set()  # the names that `definitions` knows; each FusedFunction adds its own


class _Switch:
    """Sets one attribute of the thread's state, and puts the old value back."""

    name: str
    value: Any

    def __init__(self) -> None:
        self._before: list[Any] = []

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


class _BareSwitch(_Switch):
    """A switch that needs no argument: as a decorator it needs no parentheses either, as in torch."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        switch = super().__new__(cls)
        if not (args and callable(args[0])):
            return switch
        switch.__init__()  # type: ignore[misc]  # used as a decorator without parentheses, as torch allows
        return switch(args[0])


class no_grad(_BareSwitch):
    """Within it nothing is recorded: results do not require gradients."""

    name, value = "grad", False


class enable_grad(_BareSwitch):
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


class definitions(_BareSwitch):
    """Within it fused ops run their definitions in primitives: the textbook road, slower, for reading and checking.

    With names, those ops alone: definitions("conv2d", "gelu"), and inside of another `definitions` those as well. The names
    are torch's; a function that is made of another one's op goes by that one's: conv1d by conv2d, std by var.
    ValueError, with the known names, for an unknown one.
    """

    name = "definitions"

    def __init__(self, *names: str) -> None:
        super().__init__()
        if unknown := sorted(set(names) - fused_ops):
            raise ValueError(f"no fused op is called {', '.join(unknown)}: there are {', '.join(sorted(fused_ops))}")
        self.value = frozenset(names) or True

    def __enter__(self) -> None:
        super().__enter__()
        before = self._before[-1]
        if isinstance(before, frozenset) and isinstance(self.value, frozenset):
            state.definitions = before | self.value
        elif before is True:
            state.definitions = True


class inference_mode(_BareSwitch):
    """Nothing is recorded within it: no_grad under torch's name for evaluation; mode=False records, as enable_grad.

    torch's tensors made in it can never enter a graph later; ours can, as those made under no_grad.
    """

    name = "grad"

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.value = not mode


def is_grad_enabled() -> bool:
    """Whether ops of this thread are recorded."""
    return state.grad


def is_definitions(op: str) -> bool:
    """Whether the fused op of that name runs its definition in this thread."""
    chosen = state.definitions
    return chosen if isinstance(chosen, bool) else op in chosen
