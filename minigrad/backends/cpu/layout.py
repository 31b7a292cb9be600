"""Arrays as plain runs of memory, whatever their shape and strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backends.cpu.threads import parallel_for
from minigrad.backends.kernels import Array

__all__ = ["in_blocks", "keeping_layout", "memory_order"]

BLOCK = 1 << 15  # numbers in a block: a few arrays of them stay in a core's own cache


def memory_order(x: np.ndarray) -> tuple[int, ...]:
    """x's axes from the longest stride to the shortest: x.transpose(these) is contiguous if x has no gaps."""
    return tuple(sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis)))


def keeping_layout(function: Callable[..., Any], *arrays: Array) -> Array:
    """function(*arrays), element by element: NumPy's results lie in memory as the arrays do, where those lie alike."""
    return function(*arrays)


def in_blocks(body: Callable[..., None], *arrays: np.ndarray) -> None:
    """body(*parts) for matching parts of arrays of one shape, over the threads; parts stay in the cache.

    Where all arrays lie in memory in the same order without gaps, the parts are 1-D; else they are slices along the
    first array's slowest axis. Small arrays go as they are: to look at their memory would cost more than the work.
    """
    if 0 < arrays[0].size <= BLOCK // 8:
        body(*arrays)
        return
    order = memory_order(arrays[0])
    parts = [a.transpose(order) for a in arrays]
    if all(p.flags.c_contiguous for p in parts):
        parts = [p.reshape(-1) for p in parts]
    if parts[0].size == 0:
        return
    length = parts[0].shape[0]
    step = max(1, BLOCK * length // parts[0].size)

    def run(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            body(*(p[i : min(i + step, stop)] for p in parts))

    parallel_for(length, run, grain=2 * step)
