"""How arrays lie in memory: kernels ignore strides, so each takes its arrays in one known order.

Images are (N, C, H, W) to the reader and (N, H, W, C), contiguous, to the kernels.
"""

from __future__ import annotations

from typing import Any


def memory_order(x: Any) -> list[int]:
    """The axes of x from the slowest to the fastest in memory: [0, 2, 3, 1] for channels-last images."""
    return sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))


def is_dense(x: Any) -> bool:
    """True if x fills one block of memory without gaps or repeats, in whatever order of its axes."""
    return bool(x.transpose(memory_order(x)).flags.c_contiguous)


def dense(x: Any) -> Any:
    """x, or a copy of it in the same order of axes, without gaps."""
    return x if is_dense(x) else x.copy(order="K")


def like(x: Any, model: Any, xp: Any) -> Any:
    """x, or a copy of it, lying in memory as the dense array `model` of the same shape does."""
    if x.strides == model.strides and x.dtype == model.dtype:
        return x
    copy = xp.empty_like(model)
    copy[...] = x
    return copy


def to_rows(x: Any, xp: Any) -> Any:
    """x (N, C, ...) as a contiguous (N, ..., C): no copy if x is channels-last already."""
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1))


def from_rows(x: Any, xp: Any) -> Any:
    """The (N, C, ...) view of a channels-last (N, ..., C)."""
    return xp.moveaxis(x, -1, 1)
