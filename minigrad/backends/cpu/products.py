"""The matrix product, split over the threads."""

from __future__ import annotations

import numpy as np

from minigrad.backends.cpu.threads import get_num_threads, parallel_for

__all__ = ["matmul"]

SMALL = 1 << 20  # multiply-adds below which a second thread costs more than it brings


def matmul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x @ y for x (..., M, K) and y (..., K, N), with numpy.matmul's broadcasting, errors and 1-D cases.

    A batch is split by its first axis, a single product by its rows or columns, whichever are more.
    """
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2] or x.size * y.size < SMALL:
        return np.matmul(x, y)  # nothing to split: multiply-adds are fewer than that product
    rows, columns = x.shape[-2], y.shape[-1]
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out = np.empty((*batch, rows, columns), np.result_type(x, y))
    if out.size * x.shape[-1] < SMALL:
        return np.matmul(x, y, out=out)

    def images(start: int, stop: int) -> None:
        a, b = (z[start:stop] if z.ndim == out.ndim and len(z) > 1 else z for z in (x, y))
        np.matmul(a, b, out=out[start:stop])

    def some_rows(start: int, stop: int) -> None:
        np.matmul(x[..., start:stop, :], y, out=out[..., start:stop, :])

    def some_columns(start: int, stop: int) -> None:
        np.matmul(x, y[..., start:stop], out=out[..., start:stop])

    if batch and batch[0] >= get_num_threads():
        parallel_for(batch[0], images)
    elif rows >= columns:
        parallel_for(rows, some_rows)
    else:
        parallel_for(columns, some_columns)
    return out
