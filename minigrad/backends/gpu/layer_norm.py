"""Layer norm: each row of an (M, D) matrix normalised by its own mean and variance.

    y = (x - mean) invstd w + b,   invstd = (var + eps)^(-1/2)
    gb = sum gy,   gw = sum gy z,   gx = invstd (g - mean(g) - z mean(g z))   with z = (x - mean) invstd, g = gy w

(Ba, Kiros and Hinton 2016). One block a row; the gradients come out of one launch, but of long rows.
"""

from __future__ import annotations

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import counters, kernel, max_blocks
from .normalization import Needs, chunked_sums, contiguous

MAX_THREADS = 256
LONGEST = 4 * MAX_THREADS  # row of which the gradients of weight and bias come with that of x


def _threads(length: int) -> int:
    return min(MAX_THREADS, -(-length // 32) * 32)


def layer_norm(x: Array, w: Array, b: Array, *, eps: float) -> tuple[Array, Array, Array]:
    """(y, mean, invstd) of x (M, D) for w, b (D,) or None; y (M, D), mean and invstd (M,)."""
    x, w, b = contiguous(x, w, b)
    rows, length = x.shape
    y, mean, invstd = xp.empty_like(x), xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    if x.size:
        kernel("layer_norm", "layer_norm", x.dtype).launch(
            (min(rows, max_blocks()),),
            (_threads(length),),
            x,
            w,
            b,
            y,
            mean,
            invstd,
            np.int64(rows),
            length,
            np.float64(eps),
        )
    return y, mean, invstd


def layer_norm_backward(
    gy: Array, x: Array, w: Array, mean: Array, invstd: Array, *, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed."""
    gy, x, w = contiguous(gy, x, w)
    rows, length = x.shape
    affine = needs[1] or needs[2]
    gx = xp.empty_like(x) if needs[0] else None
    make = xp.empty if x.size else xp.zeros
    gw, gb = (make(length, x.dtype), make(length, x.dtype)) if affine else (None, None)
    at_once = affine and length <= LONGEST
    if x.size and (needs[0] or at_once):
        blocks = min(rows, max(1, max_blocks() // 4))
        sums = xp.empty((2, blocks, length) if at_once else (2, 1, 1), np.float64)
        kernel("layer_norm", "layer_norm_backward", x.dtype).launch(
            (blocks,), (_threads(length),), gy, x, w, mean, invstd, gx, *((gw, gb) if at_once else (None, None)), sums[0],
            sums[1], counters(1), np.int64(rows), length,
        )  # fmt: skip
    if x.size and affine and not at_once:
        chunked_sums("layer_norm", "layer_norm_sums", gy, (x, mean, invstd), (gw, gb))
    return gx, gw if needs[1] else None, gb if needs[2] else None
