"""Batch normalisation, fused: statistics, values and gradients in sweeps over blocks of rows in the cache.

Inside this file arrays are rows (M, C): the pixels of the images, channels-last. A sum over rows is made block by block,
as a product with ones, and the sums of the blocks are added in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigrad.backends.cpu.threads import parallel_for, scratch

__all__ = ["batch_norm", "batch_norm_apply", "batch_norm_backward", "follow"]

BLOCK = 1 << 14  # numbers worked on at a time
SAMPLE = 256  # rows that a first guess at the mean is made from


def _rows(x: np.ndarray) -> np.ndarray:
    """x (N, C, ...) as (M, C): a view if the channels lie innermost, else a copy."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(-1, x.shape[1])


def _channels_last_like(x: np.ndarray) -> np.ndarray:
    """An uninitialised array of x's shape (N, C, ...) whose channels lie innermost."""
    return np.moveaxis(np.empty((x.shape[0], *x.shape[2:], x.shape[1]), x.dtype), -1, 1)


def _step(rows: np.ndarray) -> int:
    """Rows in a block."""
    return max(1, min(len(rows), BLOCK // max(1, rows.shape[1])))


def _repeat(v: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """v (C,) for each row of a block, (step, C): NumPy is half as fast where it has to broadcast a few numbers."""
    return np.tile(v.astype(rows.dtype, copy=False), (_step(rows), 1))


def _sweep(rows: np.ndarray, body: Callable[[slice, slice], None]) -> None:
    """body(block, as many rows from 0 on) for blocks of rows, over the threads."""
    step = _step(rows)

    def run(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            block = slice(i, min(i + step, stop))
            body(block, slice(0, block.stop - i))

    parallel_for(rows.shape[0], run, grain=step)


def _sums(rows: np.ndarray, terms: Callable[..., Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The sums over all rows of the two arrays (m, C) that terms(block, as many rows from 0 on, *two to fill) returns, in
    float64.
    """
    step = _step(rows)

    def run(start: int, stop: int) -> np.ndarray:
        total = np.zeros((2, rows.shape[1]))
        ones = np.ones(step, rows.dtype)
        work = [scratch(name, (step, rows.shape[1]), rows.dtype) for name in ("first", "second")]
        for i in range(start, stop, step):
            block, part = slice(i, min(i + step, stop)), slice(0, min(step, stop - i))
            for k, term in enumerate(terms(block, part, *(w[part] for w in work))):
                total[k] += ones[: term.shape[0]] @ term
        return total

    return list(np.sum(parallel_for(rows.shape[0], run, grain=step), axis=0))


def batch_norm(
    x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None, running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None, *, eps: float, momentum: float = 0.0, unbias: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(y, mean, invstd, var): y = (x - mean) invstd w + b with the mean and (biased) variance over all axes but 1.

    x (N, C, ...), of any rank from 2; w, b (C,) or None for 1 and 0; invstd = 1 / sqrt(var + eps), mean, var (C,).
    y is channels-last. The running statistics follow. Ioffe and Szegedy 2015, algorithm 1.
    """
    rows = _rows(x)
    m = rows.shape[0]
    # Sums of x - guess and its square: with a guess near the mean, the variance loses no digits to a large mean.
    guess = (
        rows[:: max(1, m // SAMPLE)].mean(axis=0, dtype=np.float64).astype(x.dtype) if m else np.zeros(rows.shape[1])
    )
    guesses = _repeat(guess, rows)

    def terms(block: slice, part: slice, shifted: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        np.subtract(rows[block], guesses[part], out=shifted)
        return shifted, np.multiply(shifted, shifted, out=squared)

    first, second = _sums(rows, terms)
    with np.errstate(all="ignore"):
        first, second = first / m, second / m
        var = np.maximum(second - first * first, 0)
        mean, invstd = first + guess, 1 / np.sqrt(var + eps)
    mean, invstd, var = mean.astype(x.dtype), invstd.astype(x.dtype), var.astype(x.dtype)
    if running_mean is not None or running_var is not None:
        follow(running_mean, running_var, mean, var, momentum=momentum, unbias=unbias)
    return batch_norm_apply(x, w, b, mean, invstd), mean, invstd, var


def follow(
    running_mean: np.ndarray | None, running_var: np.ndarray | None, mean: np.ndarray, var: np.ndarray, *, momentum: float,
    unbias: float,
) -> None:  # fmt: skip
    """running = (1 - momentum) running + momentum batch, in place, the batch's variance times `unbias` first."""
    for running, batch in ((running_mean, mean), (running_var, var * unbias)):
        if running is None:
            continue
        if running.dtype == np.float16:
            running[...] = (1 - momentum) * running.astype(np.float32) + momentum * batch
        else:
            running *= 1 - momentum
            running += (momentum * batch).astype(running.dtype)


def batch_norm_apply(
    x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None, mean: np.ndarray, invstd: np.ndarray
) -> np.ndarray:
    """y = (x - mean) invstd w + b, with given mean and invstd (C,); y (N, C, ...) is channels-last."""
    rows, y = _rows(x), _channels_last_like(x)
    out = _rows(y)
    means, scales = _repeat(mean, rows), _repeat(invstd if w is None else invstd * w, rows)
    biases = None if b is None else _repeat(b, rows)

    def body(block: slice, part: slice) -> None:
        np.subtract(rows[block], means[part], out=out[block])
        out[block] *= scales[part]
        if biases is not None:
            out[block] += biases[part]

    _sweep(rows, body)
    return y


def batch_norm_backward(
    gy: np.ndarray, x: np.ndarray | None, w: np.ndarray | None, mean: np.ndarray, invstd: np.ndarray, *, training: bool,
    needs: Sequence[bool],
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
    """(gx, gw, gb), None where `needs` is False. With z = (x - mean) invstd and sums and means over the M rows,

        gb = sum gy,    gw = sum gy z,    gx = invstd w (gy - mean(gy) - z mean(gy z)) in training, else invstd w gy.

    x may be None where neither gw nor training asks for it.
    """
    g = _rows(gy)
    rows = g if x is None else _rows(x)
    means = _repeat(mean, g)
    gx = gw = gb = None

    def terms(block: slice, part: slice, product: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        np.subtract(rows[block], means[part], out=product)
        product *= g[block]
        return g[block], product

    if needs[1] or needs[2] or training:
        sum_g, sum_gz = _sums(g, terms)
        sum_gz = sum_gz * invstd
        gw, gb = sum_gz.astype(gy.dtype) if needs[1] else None, sum_g.astype(gy.dtype) if needs[2] else None
    if needs[0]:
        gx = _channels_last_like(gy)
        out, scale = _rows(gx), invstd if w is None else invstd * w
        scales = _repeat(scale, g)
        if training and len(g):
            slopes, shifts = _repeat(-sum_gz / len(g) * invstd, g), _repeat(-sum_g / len(g) * scale, g)

        def body(block: slice, part: slice) -> None:
            if not training:
                np.multiply(g[block], scales[part], out=out[block])
                return
            np.subtract(rows[block], means[part], out=out[block])
            out[block] *= slopes[part]
            out[block] += g[block]
            out[block] *= scales[part]
            out[block] += shifts[part]

        _sweep(g, body)
    return gx, gw, gb
