"""Softmax, log-softmax and cross-entropy: one kernel each way, rows of C numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import Array
from .device import flag, xp
from .launch import counters, kernel, max_blocks

LONG_ROW = 1024  # from here on a row has a block of 256 threads; shorter ones have a warp each, eight to a block


def _grid(rows: int, length: int) -> tuple[int, tuple[int, int]]:
    """Blocks, and a block's threads: along a row, and rows."""
    threads, rows_per_block = (256, 1) if length >= LONG_ROW else (32, 8)
    return min(-(-rows // rows_per_block), max_blocks()), (threads, rows_per_block)


def _launch(name: str, dtype: np.dtype, rows: int, length: int, *args: Any) -> None:
    if rows * length:
        blocks, block = _grid(rows, length)
        kernel("softmax", name, dtype).launch((blocks,), block, *args)


def _over_rows(name: str, dim: int, *arrays: Array) -> Array:
    """Run the kernel over the rows along `dim` of one or two arrays of one shape; the result has that shape."""
    if arrays[0].ndim == 0:
        return _over_rows(name, 0, *(a.reshape(1) for a in arrays)).reshape(())
    arrays = tuple(xp.ascontiguousarray(xp.moveaxis(a, dim, -1)) for a in arrays)
    out = xp.empty_like(arrays[0])
    length = out.shape[-1]
    rows = out.size // max(length, 1)
    _launch(name, out.dtype, rows, length, *arrays, out, np.int64(rows), length)
    return xp.moveaxis(out, -1, dim)


def softmax(x: Array, *, dim: int) -> Array:
    """y = exp(x - max x) / sum exp(x - max x) along `dim`."""
    return _over_rows("softmax", dim, x)


def softmax_backward(gy: Array, y: Array, *, dim: int) -> Array:
    """gx = y (gy - sum gy y) along `dim`."""
    return _over_rows("softmax_backward", dim, gy, y)


def log_softmax(x: Array, *, dim: int) -> Array:
    """y = x - log sum exp(x) along `dim`."""
    return _over_rows("log_softmax", dim, x)


def log_softmax_backward(gy: Array, y: Array, *, dim: int) -> Array:
    """gx = gy - exp(y) sum gy along `dim`."""
    return _over_rows("log_softmax_backward", dim, gy, y)


def _prepare(array: Array, dtype: Any) -> Array:
    return None if array is None else xp.ascontiguousarray(array, dtype)


def cross_entropy(
    logits: Array, target: Array, weight: Array, *, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array]:
    """(losses (M,), logp (M, C)) for logits (M, C), target (M,) integers, weight (C,) or None; s = label_smoothing.

        loss = -(1 - s) w[t] logp[t] - s/C sum over c of w[c] logp[c],   0 where t = ignore_index

    A target that is no class gives a NaN loss: the op has it refused by check_indices.
    """
    rows, classes = logits.shape
    losses = xp.empty(rows, logits.dtype) if classes else xp.zeros(rows, logits.dtype)
    logp = xp.empty((rows, classes), logits.dtype)
    _launch(
        "cross_entropy", logits.dtype, rows, classes, xp.ascontiguousarray(logits), _prepare(target, xp.int64),
        _prepare(weight, logits.dtype), losses, logp, np.int64(rows), classes, np.int64(ignore_index),
        float(label_smoothing),
    )  # fmt: skip
    return losses, logp


def cross_entropy_total(
    logits: Array, target: Array, weight: Array, *, ignore_index: int, label_smoothing: float, mean: bool,
    error: type[Exception], message: str,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(the sum of the losses, over `divisor`; logp; divisor): the sum of the weights of the targets' classes if `mean`, else 1."""
    rows, classes = logits.shape
    total, divisor = xp.empty((), logits.dtype), xp.empty((), logits.dtype)
    if not rows * classes:
        total.fill(np.nan if mean else 0)
        divisor.fill(0 if mean else 1)
        return total, xp.empty((rows, classes), logits.dtype), divisor
    logp, (blocks, block), (flagged, number) = (
        xp.empty((rows, classes), logits.dtype),
        _grid(rows, classes),
        flag(error, message),
    )
    kernel("softmax", "cross_entropy_total", logits.dtype).launch(
        (blocks,), block, xp.ascontiguousarray(logits), _prepare(target, xp.int64), _prepare(weight, logits.dtype), logp, total,
        divisor, xp.empty(2 * blocks, np.float64), counters(1), flagged, np.int64(number), np.int64(rows), classes,
        np.int64(ignore_index), float(label_smoothing), mean,
    )  # fmt: skip
    return total, logp, divisor


sums_losses = True
"""Whether a loss and its mean are one kernel, cross_entropy_total."""


def count_hits(loss: Array, logits: Array, target: Array, norm: Array | None, row: Array) -> None:
    """Fill row (4,) float64: a batch's mean loss, its top-1 and top-5 hits, and the norm of its gradient, NaN for None.

    loss, norm: 0-d; logits (M, C); target (M,) integers. The ranks are those of minigrad.training.meters.target_ranks.
    """
    rows, classes = logits.shape
    block = (256, 1) if classes >= LONG_ROW else (32, 16)
    kernel("softmax", "count_hits", logits.dtype).launch(
        (1,), block, _prepare(loss, logits.dtype), _prepare(norm, logits.dtype), xp.ascontiguousarray(logits),
        _prepare(target, xp.int64), row, np.int64(rows), classes,
    )  # fmt: skip


def cross_entropy_backward(
    g: Array,
    logp: Array,
    target: Array,
    weight: Array,
    divisor: Array = None,
    *,
    ignore_index: int,
    label_smoothing: float,
) -> Array:
    """g_logits (M, C) = g (exp(logp) sum q - q) for g (M,), or 0-d over divisor, where loss = -sum q logp."""
    rows, classes = logp.shape
    gx = xp.empty((rows, classes), logp.dtype)
    _launch(
        "cross_entropy_backward", logp.dtype, rows, classes, xp.ascontiguousarray(g), divisor, xp.ascontiguousarray(logp),
        _prepare(target, xp.int64), _prepare(weight, logp.dtype), gx, np.int64(rows), classes, np.int64(ignore_index),
        float(label_smoothing),
    )  # fmt: skip
    return gx
