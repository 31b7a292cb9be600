"""Matrix products, split over the threads, and sums of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.backends.cpu.threads import get_num_threads, parallel_for

__all__ = ["linear", "linear_backward", "matmul", "sum_rows"]

SMALL = 1 << 20  # multiply-adds below which a second thread costs more than it brings
SHARES = 2  # of a product for each thread: more would balance better, but each packs the operand that all need anew
BLOCK = 1 << 15  # numbers summed at a time


def matmul(x: np.ndarray, y: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """x @ y for x (..., M, K) and y (..., K, N), with numpy.matmul's broadcasting, errors and 1-D cases; plus b (N,).

    A batch is split by its first axis, a single product by its rows or columns, whichever are more. b is added to each
    share while it is in the cache.
    """
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2] or x.size * y.size < SMALL:
        return _plus(np.matmul(x, y), b)  # nothing to split: multiply-adds are fewer than that product
    rows, columns = x.shape[-2], y.shape[-1]
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out = np.empty((*batch, rows, columns), np.result_type(x, y))
    if out.size * x.shape[-1] < SMALL:
        return _plus(np.matmul(x, y, out=out), b)

    def images(start: int, stop: int) -> None:
        left, right = (z[start:stop] if z.ndim == out.ndim and len(z) > 1 else z for z in (x, y))
        _plus(np.matmul(left, right, out=out[start:stop]), b)

    def some_rows(start: int, stop: int) -> None:
        _plus(np.matmul(x[..., start:stop, :], y, out=out[..., start:stop, :]), b)

    def some_columns(start: int, stop: int) -> None:
        _plus(np.matmul(x, y[..., start:stop], out=out[..., start:stop]), None if b is None else b[start:stop])

    if batch and batch[0] >= get_num_threads():
        parallel_for(batch[0], images)
    elif rows >= columns:
        parallel_for(rows, some_rows, each=SHARES)
    else:
        parallel_for(columns, some_columns, each=SHARES)
    return out


def _plus(z: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """z + b, in z's memory."""
    if b is not None:
        z += b
    return z


def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """x w^T + b for x (M, K), w (N, K), b (N,) or None."""
    return matmul(x, w.T, b)


def linear_backward(
    gy: np.ndarray, x: np.ndarray | None, w: np.ndarray | None, *, needs: Sequence[bool]
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(gx, gw, gb) = (gy w, gy^T x, the sum of gy's rows), None where not needed."""
    gx = matmul(gy, w) if needs[0] and w is not None else None
    gw = matmul(gy.T, x) if needs[1] and x is not None else None
    return gx, gw, sum_rows(gy) if needs[2] else None


def sum_rows(x: np.ndarray) -> np.ndarray:
    """The sum of the rows of x (M, N), as (N,): blocks of rows as products with ones, their sums added in float64."""
    step = max(1, min(128, BLOCK // max(1, x.shape[1])))
    ones = np.ones(step, x.dtype)

    def run(start: int, stop: int) -> np.ndarray:
        total = np.zeros(x.shape[1])
        for i in range(start, stop, step):
            part = x[i : min(i + step, stop)]
            total += ones[: len(part)] @ part
        return total

    return np.sum(parallel_for(len(x), run, grain=step), axis=0).astype(x.dtype)
