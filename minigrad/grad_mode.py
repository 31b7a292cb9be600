"""What a thread is doing: recording gradients or not, running fast paths or definitions, being watched.

Each switch is a context manager and a decorator, nests, may be entered again while it is on, and holds for the thread that
entered it alone. A decorated generator or coroutine is within the switch while it runs, and not while it waits.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
import warnings
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from minigrad.errors import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    grad = True  # ops record themselves for the backward pass
    definitions: bool | frozenset[str] = False  # fused ops, all or those of these names, run their definitions
    observers: tuple[Any, ...] = ()  # who watches every op (minigrad.autograd.observer)

    def __init__(self) -> None:
        self.entered: list[tuple[Switch, Any]] = []  # the switches that are on, and what each of them will put back


state = _State()
fused_ops: set[str] = set()  # the names that `definitions` knows; each FusedOp adds its own


class Switch:
    """Changes the thread's state where it is entered, and puts back what was there before."""

    def _on(self) -> Any:
        """Changes the state; returns what `_off` is to be given."""
        raise NotImplementedError

    def _off(self, before: Any) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        state.entered.append((self, self._on()))

    def _what(self) -> Any:
        """What is changed: of two switches of one thing, the second holds on when the first is left before it."""
        return self

    def __exit__(self, *exception: object) -> None:
        entered = state.entered
        for i in range(len(entered) - 1, -1, -1):  # the last is found at once, where contexts are left as they nest
            if entered[i][0] is self:
                before = entered.pop(i)[1]
                for later in range(i, len(entered)):
                    if entered[later][0]._what() == self._what():
                        entered[later] = entered[later][0], before
                        return
                self._off(before)
                return

    def __call__(self, function: F) -> F:
        return decorated(self, function)


class Bare:
    """A switch that needs no argument: as a decorator it needs no parentheses either, as in torch."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        switch = super().__new__(cls)
        if not (args and (callable(args[0]) or isinstance(args[0], (staticmethod, classmethod)))):
            return switch
        switch.__init__()  # type: ignore[misc]  # used as a decorator without parentheses
        return switch(args[0])  # type: ignore[operator]


class AtOnce(Switch):
    """A switch by a flag that takes effect where it is made, without a `with`. What was before that is what is put back."""

    def __init__(self, mode: bool) -> None:
        if type(mode) is not bool:
            raise TypeError(f"{type(self).__name__}: mode must be a bool, not {type(mode).__name__}")
        self.mode = mode
        self._made: tuple[int, Any] | None = (threading.get_ident(), self._on())

    def _before_made(self) -> Any:
        """(what was before the switch was made,), for the first to ask in that thread; () for all others."""
        made = self._made
        if made is None or made[0] != threading.get_ident():
            return ()
        self._made = None
        return made[1:]

    def __enter__(self) -> Any:
        before = self._on()
        state.entered.append((self, *(self._before_made() or (before,))))  # type: ignore[arg-type]

    def __call__(self, function: F) -> F:
        for before in self._before_made():
            self._off(before)
        return super().__call__(function)


def decorated(switch: Any, function: Any) -> Any:
    """The function, generator function, coroutine function, method or class, run within the switch.

    Of a class it is the `__init__`; torch says of that, by a FutureWarning, that it will go.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(decorated(switch, function.__func__))
    if inspect.isclass(function):
        warnings.warn(
            "Decorating classes is deprecated and will be disabled in future versions. You should only decorate functions or "
            "methods. To preserve the current behavior of class decoration, you can directly decorate the `__init__` method "
            "and nothing else.",
            FutureWarning,
            stacklevel=3,
        )
        if function.__init__ is not object.__init__:
            function.__init__ = decorated(switch, function.__init__)  # type: ignore[method-assign]
        return function
    wrapped: Any
    if _is(inspect.isgeneratorfunction, function):

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return (yield from _within(switch, function(*args, **kwargs)))

    elif _is(inspect.iscoroutinefunction, function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            return await _awaited(switch, function(*args, **kwargs))

    elif _is(inspect.isasyncgenfunction, function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            resume = steps.asend(None)
            while True:
                try:
                    yielded = await _awaited(switch, resume)
                except StopAsyncIteration:
                    return
                try:
                    resume = steps.asend((yield yielded))
                except GeneratorExit:
                    await _awaited(switch, steps.aclose())
                    raise
                except BaseException as error:
                    resume = steps.athrow(error)

    else:

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with switch:
                return function(*args, **kwargs)

    return wrapped


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    """Whether a function, or the `__call__` of an object that is called as one, is of that kind."""
    return kind(function) or kind(getattr(function, "__call__", None))  # noqa: B004 - what it is, not whether


def _within(switch: Any, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """A generator (or coroutine) each of whose steps runs within the switch: what it yields is yielded outside of it."""
    resume: Callable[[], Any] = functools.partial(steps.send, None)
    while True:
        try:
            with switch:
                yielded = resume()
        except StopIteration as end:
            return end.value
        try:
            resume = functools.partial(steps.send, (yield yielded))
        except GeneratorExit:
            with switch:
                steps.close()
            raise
        except BaseException as error:
            resume = functools.partial(steps.throw, error)


_awaited: Any = types.coroutine(_within)


class _Setting(Switch):
    """Sets one attribute of the thread's state."""

    name: str
    value: Any

    def _on(self) -> Any:
        before = getattr(state, self.name)
        setattr(state, self.name, self._chosen(before))
        return before

    def _what(self) -> str:
        return self.name

    def _chosen(self, before: Any) -> Any:
        return self.value

    def _off(self, before: Any) -> None:
        setattr(state, self.name, before)


class _BareSetting(Bare, _Setting):
    """A setting that needs no argument."""


class no_grad(_BareSetting):
    """Within it nothing is recorded: results do not require gradients."""

    name, value = "grad", False


class enable_grad(_BareSetting):
    """Within it ops are recorded, also inside a no_grad."""

    name, value = "grad", True


class set_grad_enabled(AtOnce, _Setting):
    """no_grad or enable_grad by a flag. As in torch, it also takes effect without a `with`."""

    name = "grad"

    def _chosen(self, before: bool) -> bool:
        return self.mode


class definitions(_BareSetting):
    """Within it fused ops run their definitions in primitives: the textbook way, slower, for reading and checking.

    With names, those ops alone: definitions("conv2d", "gelu"), and inside of another `definitions` those as well. The names
    are torch's; a function that is made of another one's op goes by that one's: conv1d by conv2d, std by var.
    ValueError, with the known names, for an unknown one.
    """

    name = "definitions"

    def __init__(self, *names: str) -> None:
        if unknown := sorted(set(names) - fused_ops):
            near, known = did_you_mean(unknown[0], fused_ops), ", ".join(sorted(fused_ops))
            raise ValueError(f"no fused op is called {', '.join(unknown)}{near}: there are {known}")
        self.value = frozenset(names) or True

    def _chosen(self, before: bool | frozenset[str]) -> bool | frozenset[str]:
        if isinstance(before, frozenset) and isinstance(self.value, frozenset):
            return before | self.value
        return before if before is True else self.value


class inference_mode(_BareSetting):
    """Nothing is recorded within it: no_grad under torch's name for evaluation; mode=False records, as enable_grad.

    torch's tensors made in it can never enter a graph later; ours can, as those made under no_grad.
    """

    name = "grad"

    def __init__(self, mode: bool = True) -> None:
        self.value = not mode


def is_grad_enabled() -> bool:
    """Whether ops of this thread are recorded."""
    return state.grad


def is_definitions(op: str) -> bool:
    """Whether the fused op of that name runs its definition in this thread."""
    chosen = state.definitions
    return chosen if isinstance(chosen, bool) else op in chosen
