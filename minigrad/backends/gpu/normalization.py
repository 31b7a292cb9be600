"""Batch norm, and sums over the columns of a matrix.

    y = (x - mean) invstd w + b,   invstd = (var + eps)^(-1/2)
    gb = sum gy,   gw = sum gy xhat,   gx = w invstd (gy - gb/R - xhat gw/R)   with xhat = (x - mean) invstd

over the R = N*H*W*... values of each channel (Ioffe and Szegedy 2015). Sums are taken in double, chunk by chunk of
rows, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import counters, kernel
from .layout import from_rows, to_rows

COLUMNS, ROW_THREADS = 32, 8  # as in common.cuh
MIN_CHUNK_ROWS, MAX_CHUNKS = 256, 1024

Needs = Sequence[bool]


def _chunk_rows(rows: int) -> int:
    return max(MIN_CHUNK_ROWS, -(-rows // MAX_CHUNKS))


def chunked_sums(file: str, name: str, x: Array, inputs: Sequence[Array], outputs: Sequence[Array], *args: Any) -> None:
    """Run a kernel that sums over the rows of x (R, C): two sums of each chunk in double, and `outputs` (C,) from all of them."""
    rows, channels = x.shape
    chunk_rows = _chunk_rows(rows)
    chunks, tiles = -(-rows // chunk_rows), -(-channels // COLUMNS)
    sums = xp.empty((2, chunks, channels), xp.float64)
    kernel(file, name, x.dtype).launch(
        (chunks, tiles), (COLUMNS, ROW_THREADS), x, *inputs, sums[0], sums[1], counters(tiles), *outputs, np.int64(rows),
        channels, chunk_rows, *args,
    )  # fmt: skip


def column_sums(x: Array) -> Array:
    """The sums over the columns of x (R, C), contiguous: (C,)."""
    total = xp.empty(x.shape[1], x.dtype) if x.size else xp.zeros(x.shape[1], x.dtype)
    if x.size:
        chunked_sums("normalization", "gradient_sums", x, (None, None, None), (total, None))
    return total


def contiguous(*arrays: Array) -> list[Array]:
    """Each array, copied if it is not contiguous; None stays None."""
    return [None if a is None else xp.ascontiguousarray(a) for a in arrays]


def batch_norm(
    x: Array, w: Array, b: Array, running_mean: Array = None, running_var: Array = None, *, eps: float,
    momentum: float = 0.0, unbias: float = 1.0,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """(y, mean, invstd, var) of x (N, C, ...) over all axes but 1; var is biased; w, b (C,) or None. The running ones follow.

    With no values to take statistics of (an empty batch) they are NaN.
    """
    rows = to_rows(x, xp)
    channels = x.shape[1]
    if x.size:
        mean, invstd, var = (xp.empty(channels, x.dtype) for _ in range(3))
        at_once = all(a is None or (a.dtype == x.dtype and a.flags.c_contiguous) for a in (running_mean, running_var))
        running = (running_mean, running_var) if at_once else (None, None)
        chunked_sums(
            "normalization", "moments", rows.reshape(-1, channels), (), (mean, invstd, var), np.float64(eps), *running,
            float(momentum), 1 - float(momentum), float(unbias),
        )  # fmt: skip
        if not at_once:
            follow(running_mean, running_var, mean, var, momentum=momentum, unbias=unbias)
    else:
        mean, invstd, var = (xp.full(channels, np.nan, x.dtype) for _ in range(3))
    return batch_norm_apply(x, w, b, mean, invstd), mean, invstd, var


def follow(
    running_mean: Array | None, running_var: Array | None, mean: Array, var: Array, *, momentum: float, unbias: float
) -> None:
    """running = (1 - momentum) running + momentum batch, in place, the batch's variance times `unbias` first."""
    known = [a for a in (running_mean, running_var) if a is not None]
    if any(a.dtype != mean.dtype or not a.flags.c_contiguous for a in known):
        for running, batch in ((running_mean, mean), (running_var, var * unbias)):
            if running is not None:
                running[...] = (1 - momentum) * running.astype(batch.dtype) + momentum * batch
    elif known:
        kernel("normalization", "follow", mean.dtype).over(
            mean.size,
            mean,
            var,
            running_mean,
            running_var,
            mean.size,
            float(momentum),
            1 - float(momentum),
            float(unbias),
        )


def batch_norm_apply(x: Array, w: Array, b: Array, mean: Array, invstd: Array) -> Array:
    """y = (x - mean) invstd w + b with the statistics given, all (C,)."""
    rows = to_rows(x, xp)
    y = xp.empty_like(rows)
    apply = kernel("normalization", "normalize", x.dtype)
    apply.over(y.size, rows, *contiguous(w, b, mean, invstd), y, np.int64(y.size), x.shape[1])
    return from_rows(y, xp)


def batch_norm_backward(
    gy: Array, x: Array, w: Array, mean: Array, invstd: Array, *, training: bool, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed. training: mean and invstd are of x itself, so gx goes through them too.

    x may be None where neither that nor gw asks for it.
    """
    channels = gy.shape[1]
    gy = to_rows(gy, xp)
    x = to_rows(x, xp) if training or needs[1] else None
    w, mean, invstd = contiguous(w, mean, invstd)
    gx = gw = gb = None
    if needs[1] or needs[2] or training:
        make = xp.empty if gy.size else xp.zeros
        gw, gb = make(channels, gy.dtype), make(channels, gy.dtype)
        if gy.size:
            chunked_sums("normalization", "gradient_sums", gy.reshape(-1, channels), (x, mean, invstd), (gb, gw))
    if needs[0]:
        gx = xp.empty_like(gy)
        backward = kernel("normalization", "normalize_backward", gy.dtype)
        backward.over(gx.size, gy, x, w, mean, invstd, gw, gb, gx, np.int64(gx.size), channels, training)
        gx = from_rows(gx, xp)
    return gx, gw if needs[1] else None, gb if needs[2] else None
