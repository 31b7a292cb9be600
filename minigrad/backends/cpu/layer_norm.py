"""Layer norm, fused: statistics, values and gradients in one sweep over blocks of rows in the cache.

Rows x (M, D) are short, and an operation with one number a row starts anew at each: it costs twice as much as one of two
whole blocks. So what a block is multiplied by is made whole, by a product of (m, 2) and (2, D), and so is what is added;
sums along and over rows are products with vectors. Source: Ba, Kiros and Hinton (2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigrad.backends.cpu.threads import parallel_for, scratch

__all__ = ["layer_norm", "layer_norm_backward"]

BLOCK = 1 << 16  # numbers worked on at a time
silent = np.errstate(all="ignore")  # a row of equal numbers with eps = 0 is NaN and no warning, as in torch


def _step(length: int) -> int:
    """How many rows make a block."""
    return max(1, BLOCK // max(1, length))


def _pairs(first: np.ndarray, second: float) -> np.ndarray:
    """(m, 2): `first` (m,) beside one number."""
    pairs = np.full((len(first), 2), second, first.dtype)
    pairs[:, 0] = first
    return pairs


def layer_norm(
    x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None, *, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, invstd): y = (x - mean) invstd w + b with the mean and (biased) variance of each row of x (M, D).

    w, b (D,) or None for 1 and 0; mean, invstd = 1 / sqrt(var + eps): (M,).
    """
    x = np.ascontiguousarray(x)
    rows, length = x.shape
    y, mean, invstd = np.empty_like(x), np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    average = np.full(length, 1 / max(1, length), x.dtype)
    factors, terms = np.zeros((2, 2, length), x.dtype)  # of (invstd, 0) and of (-invstd beyond, 1)
    factors[0] = terms[0] = 1 if w is None else w
    terms[1] = 0 if b is None else b
    step = _step(length)

    @silent
    def run(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            block = slice(i, min(i + step, stop))
            out = y[block]
            guess = x[block] @ average
            np.subtract(x[block], guess[:, None], out=out)
            beyond = out @ average  # what rounding left of the mean: a row of equal numbers becomes 0 in spite of it
            var = np.vecdot(out, out) * average[:1] - beyond * beyond
            np.add(guess, beyond, out=mean[block])
            np.divide(1, np.sqrt(np.maximum(var, 0) + x.dtype.type(eps)), out=invstd[block])
            whole = scratch("whole", out.shape, x.dtype)
            out *= np.matmul(_pairs(invstd[block], 0), factors, out=whole)
            out += np.matmul(_pairs(-invstd[block] * beyond, 1), terms, out=whole)

    if x.size:
        parallel_for(rows, run, grain=step)
    return y, mean, invstd


def layer_norm_backward(
    gy: np.ndarray, x: np.ndarray, w: np.ndarray | None, mean: np.ndarray, invstd: np.ndarray, *, needs: Sequence[bool]
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(gx, gw, gb), None where `needs` is False. With z = (x - mean) invstd, g = gy w and means over each row,

    gb = sum gy,    gw = sum gy z,    gx = invstd (g - mean(g) - z mean(g z)).
    """
    gy, x = np.ascontiguousarray(gy), np.ascontiguousarray(x)
    rows, length = x.shape
    gx = np.empty_like(x) if needs[0] else None
    weight = np.ones(length, x.dtype) if w is None else w
    average = weight * x.dtype.type(1 / max(1, length))
    factors = np.stack([weight, np.zeros_like(weight)])  # of (invstd, 0)
    step = _step(length)

    @silent
    def run(start: int, stop: int) -> np.ndarray:
        sums, ones = np.zeros((2, length)), np.ones(step, x.dtype)
        for i in range(start, stop, step):
            block = slice(i, min(i + step, stop))
            g, scale = gy[block], invstd[block]
            d = np.subtract(x[block], mean[block, None], out=scratch("shifted", g.shape, x.dtype))  # z is d scale
            along = np.multiply(g, d, out=scratch("along", g.shape, x.dtype))
            if needs[1]:
                sums[0] += scale @ along
            if needs[2]:
                sums[1] += ones[: len(g)] @ g
            if gx is not None:
                out = np.matmul(_pairs(scale, 0), factors, out=gx[block])
                out *= g
                d *= (scale * scale * scale * (along @ average))[:, None]
                out -= d
                out -= (scale * (g @ average))[:, None]
        return sums

    gw, gb = np.sum(parallel_for(rows, run, grain=step), axis=0).astype(x.dtype)
    return gx, gw if needs[1] else None, gb if needs[2] else None
