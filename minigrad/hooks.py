"""Hooks: the handle that takes one away, and what one may return: other values, not another shape, type, device or number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


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


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", type(hook).__name__)
