"""Matrix products. Every product of the GPU kernels goes through gemm, every product of the ops through matmul."""

from __future__ import annotations

import numpy as np

from ..kernels import Array
from .device import xp


def gemm(
    a: Array,
    b: Array,
    out: Array = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> Array:
    """C = A B for a (..., M, K) and b (..., K, N), transposed first where asked for; C += A B if `accumulate`.

    Operands are 2-D, or 3-D for a batch of products. `out` is C-contiguous.
    """
    if transpose_a:
        a = a.swapaxes(-1, -2)
    if transpose_b:
        b = b.swapaxes(-1, -2)
    if accumulate:
        out += xp.matmul(a, b)
        return out
    return xp.matmul(a, b, out=out)


def matmul(x: Array, y: Array, b: Array = None) -> Array:
    """x @ y for x (..., M, K) and y (..., K, N), as numpy.matmul; plus b (N,)."""
    z = xp.matmul(x, y)
    if b is not None:
        z += b
    return z


def sum_rows(x: Array) -> Array:
    """The sum of the rows of x (M, N), as (N,), added in float64."""
    return x.sum(axis=0, dtype=np.float64).astype(x.dtype)
