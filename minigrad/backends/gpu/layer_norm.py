"""Layer norm: each row of an (M, D) matrix normalised by its own mean and variance.

    y = (x - mean) invstd w + b,   invstd = (var + eps)^(-1/2)
    gb = sum gy,   gw = sum gy z,   gx = invstd (g - mean(g) - z mean(g z))   with z = (x - mean) invstd, g = gy w

(Ba, Kiros and Hinton 2016). One block a row; the sums over rows as in batch norm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import kernel, max_blocks
from .normalization import Needs, chunked_sums, contiguous

MAX_THREADS = 256


def _over_rows(name: str, x: Array, *args: Any) -> None:
    rows, length = x.shape
    if x.size:
        threads = min(MAX_THREADS, -(-length // 32) * 32)
        kernel("layer_norm", name, x.dtype).launch((min(rows, max_blocks()),), (threads,), *args)


def layer_norm(x: Array, w: Array, b: Array, *, eps: float) -> tuple[Array, Array, Array]:
    """(y, mean, invstd) of x (M, D) for w, b (D,) or None; y (M, D), mean and invstd (M,)."""
    x, w, b = contiguous(x, w, b)
    rows, length = x.shape
    y, mean, invstd = xp.empty_like(x), xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    _over_rows("layer_norm", x, x, w, b, y, mean, invstd, np.int64(rows), length, np.float64(eps))
    return y, mean, invstd


def layer_norm_backward(
    gy: Array, x: Array, w: Array, mean: Array, invstd: Array, *, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed."""
    gy, x, w = contiguous(gy, x, w)
    rows, length = x.shape
    gx = gw = gb = None
    if needs[0]:
        gx = xp.empty_like(x)
        _over_rows("layer_norm_backward", x, gy, x, w, mean, invstd, gx, np.int64(rows), length)
    if needs[1] or needs[2]:
        make = xp.empty if x.size else xp.zeros
        gw, gb = make(length, x.dtype), make(length, x.dtype)
        if x.size:
            chunked_sums("layer_norm", "layer_norm_sums", gy, (x, mean, invstd), (gw, gb))
    return gx, gw if needs[1] else None, gb if needs[2] else None
