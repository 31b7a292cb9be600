"""Matrix products: those of float32 and float64 by our kernel (cuda/products.cu), by strides, without copies; others by CuPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.window import Window

from ..kernels import Array
from ..precision import cuda
from .columns import Geometry
from .convolution import gradient_of_w
from .device import xp
from .launch import C_TYPES, kernel, tensor_cores
from .normalization import column_sums

TILE, THREADS = 64, 256  # as in tiles.cuh
MOST_MATRICES = 65535  # of a batch, in one launch
MOST = 2**31 - TILE  # rows, columns, steps of a sum: they are counted in 32 bits


def matmul(x: Array, y: Array, b: Array | None = None) -> Array:
    """x @ y for x (..., M, K) and y (..., K, N), as numpy.matmul; plus b (N,)."""
    if not (
        x.dtype == y.dtype and x.dtype in C_TYPES and min(x.ndim, y.ndim) > 1 and max(*x.shape[-2:], y.shape[-1]) < MOST
    ):
        z = xp.matmul(x, y)
        return z if b is None else z + b
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matmul: {x.shape} and {y.shape} do not fit")
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    z = xp.empty((*batch, x.shape[-2], y.shape[-1]), x.dtype)
    if z.size:
        x, y = (xp.broadcast_to(a, (*batch, *a.shape[-2:])) if a.shape[:-2] != batch else a for a in (x, y))
        x, y = _two_axes(x), _two_axes(y)
        _launch(x, y, None if b is None else xp.ascontiguousarray(b), z.reshape(-1, *z.shape[-2:]))
    return z


def _two_axes(x: Array) -> Array:
    """x (..., M, K) with two axes of matrices: (1, 1, M, K), (1, B, M, K), (B1, B2, M, K), or a copy where there are more."""
    if x.ndim > 4:
        return x.reshape(-1, x.shape[-3], *x.shape[-2:])
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def _launch(x: Array, y: Array, b: Array | None, z: Array) -> None:
    """z (B, M, N) = x (B1, B2, M, K) y (B1, B2, K, N) + b, in one launch for each 65,535 matrices."""
    inner, rows, steps = x.shape[1:]
    run = kernel("products", "product", z.dtype, tf32=tensor_cores(z.dtype, cuda.matmul.allow_tf32))
    most = max(1, MOST_MATRICES // inner)  # of the outer axis
    if inner > MOST_MATRICES:
        x, y, inner, most = x.reshape(-1, 1, *x.shape[2:]), y.reshape(-1, 1, *y.shape[2:]), 1, MOST_MATRICES
    for first in range(0, len(x), most):
        some = slice(first, min(first + most, len(x)))
        a, c, out = x[some], y[some], z[some.start * inner : some.stop * inner]
        grid = (-(-rows // TILE), -(-z.shape[2] // TILE), len(out))
        run.launch(grid, (THREADS,), a, c, b, out, rows, z.shape[2], steps, inner, *_strides(a), *_strides(c))


def _strides(x: Array) -> list[np.int64]:
    """Of rows, columns, and the two axes of matrices, in elements."""
    return [np.int64(x.strides[axis] // x.itemsize) for axis in (2, 3, 0, 1)]


def linear(x: Array, w: Array, b: Array | None) -> Array:
    """x w^T + b for x (M, K), w (N, K), b (N,) or None."""
    return matmul(x, w.T, b)


def linear_backward(
    gy: Array, x: Array | None, w: Array | None, *, needs: Sequence[bool]
) -> tuple[Array | None, Array | None, Array | None]:
    """(gx, gw, gb) = (gy w, gy^T x, the sum of gy's rows), None where not needed. gw and gb come out of one launch."""
    needs_x, needs_w, needs_b = needs
    gx = matmul(gy, w) if needs_x else None
    if not (needs_w or needs_b):
        return gx, None, None
    if gy.dtype not in C_TYPES or not gy.size or len(gy) > MOST or (needs_w and x is not None and not x.size):
        gw = matmul(gy.T, x) if needs_w else None
        return gx, gw, sum_rows(gy) if needs_b else None
    gy = xp.ascontiguousarray(gy)
    if not needs_w or x is None:
        return gx, None, column_sums(gy)
    g = Geometry(Window((1, 1)), gy.shape[1], len(gy), x.shape[1], 1, 1, allow_tf32=cuda.matmul.allow_tf32)
    gw, gb = xp.empty((gy.shape[1], x.shape[1]), gy.dtype), xp.empty(gy.shape[1], gy.dtype) if needs_b else None
    gradient_of_w(g, gy, None, xp.ascontiguousarray(x), gw, gb, False)
    return gx, gw, gb


def sum_rows(x: Array) -> Array:
    """The sum of the rows of x (M, N), as (N,), added in float64."""
    if x.dtype in C_TYPES:
        return column_sums(xp.ascontiguousarray(x))
    return x.sum(axis=0, dtype=np.float64).astype(x.dtype)
