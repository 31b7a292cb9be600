"""Hooks: the handle that takes one away, and what one may return: other values, not another shape, type, device or number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import finalize

Hooks = dict[int, Callable[..., Any]]
"""The hooks of one thing, by the numbers of their handles."""

BEFORE, AFTER = -1, -2
"""Where a node keeps its own hooks, among those of its outputs 0, 1, ..."""


class RemovableHandle:
    """What registering a hook returns: .remove() takes the hook away again."""

    _numbers = iter(range(2**62))

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks, self._id = hooks, next(RemovableHandle._numbers)
        hooks[self._id] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self._id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def checked(hook: Callable[..., Any], before: Any, after: Any) -> Any:
    """`after`, with which a hook replaces the gradient `before`; torch's errors where it cannot stand in for it."""
    if after is None:
        return None
    if not hasattr(after, "array"):
        raise TypeError(f"expected Variable, but hook returned '{type(after).__name__}'")
    if before is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if after.dtype != before.dtype or after.device != before.device:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value (was {before.dtype} on {before.device} got {after.dtype} "
            f"on {after.device})"
        )
    if after.array.shape != before.array.shape:
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the size of value (was {list(before.array.shape)} got "
            f"{list(after.array.shape)})"
        )
    return after


def all_checked(hook: Callable[..., Any], before: Sequence[Any], after: Any) -> tuple[Any, ...]:
    """A tuple with which a hook replaces several gradients, each as in `checked`."""
    if not isinstance(after, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(after).__name__}'")
    if len(after) != len(before):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(after)}, but expected {len(before)})"
        )
    return tuple([checked(hook, b, a) for b, a in zip(before, after, strict=True)])


def replaced(hooks: Hooks | None, gradient: Any) -> Any:
    """The gradient of one tensor, when each hook has seen it, and perhaps replaced it."""
    for hook in list((hooks or {}).values()):
        other = hook(gradient)
        if other is not None:
            gradient = checked(hook, gradient, other)
    return gradient


def before_node(hooks: dict[int, Hooks], gradients: list[Any]) -> None:
    """Lets the hooks of a node's outputs, then the node's own, replace the gradients that came in."""
    for i in sorted(i for i in hooks if i >= 0):
        if gradients[i] is not None:
            gradients[i] = replaced(hooks[i], gradients[i])
    for hook in list(hooks.get(BEFORE, {}).values()):
        others = hook(tuple(gradients))
        if others is not None:
            gradients[:] = all_checked(hook, gradients, others)


def after_node(hooks: dict[int, Hooks], results: tuple[Any, ...], gradients: list[Any]) -> tuple[Any, ...]:
    """Lets a node's own hooks replace the gradients that go out."""
    for hook in list(hooks.get(AFTER, {}).values()):
        others = hook(results, tuple(gradients))
        if others is not None:
            results = all_checked(hook, results, others)
    return results


class AfterAccumulation:
    """A leaf's hook that is called with the leaf when its .grad has been added to. Among the gradient's hooks it does nothing."""

    def __init__(self, hook: Callable[[Any], None]) -> None:
        self.hook = hook

    def __call__(self, gradient: Any) -> None:
        return None


class AtCompletion(AfterAccumulation):
    """A leaf's hook that is called with the leaf and its gradient as soon as that is complete, while the pass goes on elsewhere.

    Complete is what one backward pass adds to .grad, which it does at its very end. The other hooks have seen it.
    """

    count = 0
    """How many there are: without any, the engine does not look for them."""

    def __init__(self, hook: Callable[[Any, Any], None]) -> None:
        super().__init__(lambda leaf: None)
        self.completed = hook
        AtCompletion.count += 1
        finalize(self, AtCompletion._one_less)

    @classmethod
    def _one_less(cls) -> None:
        cls.count -= 1


def at_completion(leaf: Any) -> list[AtCompletion]:
    """Those hooks of a leaf that are called with its complete gradient."""
    return [hook for hook in (leaf._hooks or {}).values() if isinstance(hook, AtCompletion)]


def after_accumulation(leaf: Any) -> None:
    """Calls those hooks of a leaf that wait until its .grad has been added to."""
    for hook in list((leaf._hooks or {}).values()):
        if isinstance(hook, AfterAccumulation):
            hook.hook(leaf)


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", type(hook).__name__)
