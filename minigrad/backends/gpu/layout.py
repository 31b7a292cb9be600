"""How arrays lie in memory: kernels ignore strides, so each takes its arrays in one known order.

Images are (N, C, H, W) to the reader and (N, H, W, C), contiguous, to the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..kernels import Array


def memory_order(x: Array) -> list[int]:
    """The axes of x from the slowest to the fastest in memory: [0, 2, 3, 1] for channels-last images."""
    return sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))


def is_dense(x: Array) -> bool:
    """True if x fills one block of memory without gaps or repeats, in whatever order of its axes."""
    return bool(x.transpose(memory_order(x)).flags.c_contiguous)


def dense(x: Array) -> Array:
    """x, or a copy of it in the same order of axes, without gaps."""
    return x if is_dense(x) else x.copy(order="K")


def like(x: Array, model: Array, xp: Any) -> Array:
    """x, or a copy of it, lying in memory as the dense array `model` of the same shape does."""
    if x.strides == model.strides and x.dtype == model.dtype:
        return x
    copy = xp.empty_like(model)
    copy[...] = x
    return copy


def shared_order(arrays: Sequence[Any]) -> list[int] | None:
    """The order of axes in which all of the arrays of the largest shape are contiguous; None where that is no order but C's."""
    rank = max(array.ndim for array in arrays)
    shape = max(array.shape for array in arrays if array.ndim == rank)
    whole = [array for array in arrays if array.shape == shape]
    if all(array.flags.c_contiguous for array in whole):
        return None
    order = memory_order(next(array for array in whole if not array.flags.c_contiguous))
    return order if all(array.transpose(order).flags.c_contiguous for array in whole) else None


def keeping_layout(function: Callable[..., Any], *arrays: Array) -> Array:
    """function(*arrays), element by element: where the arrays lie alike in memory, so does the result.

    CuPy makes every result C-contiguous. So the function is given the arrays with their axes in the order of memory, and the
    result's axes are put back: no kernel more, none that has to walk through memory in strides.
    """
    order = shared_order([array for array in arrays if hasattr(array, "strides")])
    if order is None:
        return function(*arrays)
    result = function(*[_turned(array, order) if getattr(array, "ndim", 0) else array for array in arrays])
    return result.transpose(inverse(order))


def _turned(array: Array, order: list[int]) -> Array:
    """The array as one of as many axes as `order` has, in that order."""
    return array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(order)


def inverse(order: list[int]) -> list[int]:
    """The order that puts axes back."""
    return sorted(range(len(order)), key=order.__getitem__)


def to_rows(x: Array, xp: Any) -> Array:
    """x (N, C, ...) as a contiguous (N, ..., C): no copy if x is channels-last already."""
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1))


def from_rows(x: Array, xp: Any) -> Array:
    """The (N, C, ...) view of a channels-last (N, ..., C)."""
    return xp.moveaxis(x, -1, 1)
