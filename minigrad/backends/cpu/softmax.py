"""Softmax, log-softmax and cross-entropy: rows that stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backends.cpu.indexing import check_indices
from minigrad.backends.cpu.layout import memory_order
from minigrad.backends.cpu.threads import parallel_for

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_total",
    "log_softmax",
    "log_softmax_backward",
    "softmax",
    "softmax_backward",
    "sums_losses",
]

BLOCK = 1 << 15  # numbers worked on at a time: they stay in a core's own cache


def _along(dim: int, body: Callable[..., None], *arrays: np.ndarray) -> None:
    """body(*parts, axis): parts keep all of axis `dim` and take turns along the slowest other one."""
    first = arrays[0]
    dim %= first.ndim
    small = first.size <= BLOCK // 8
    others = [] if small else [axis for axis in memory_order(first) if axis != dim]
    if not others:
        with np.errstate(all="ignore"):
            body(*arrays, dim)
        return
    turn = others[0]
    length = first.shape[turn]
    step = max(1, BLOCK * length // first.size)

    def run(start: int, stop: int) -> None:
        with np.errstate(all="ignore"):  # inf - inf is NaN and no warning, as in torch
            for i in range(start, stop, step):
                some = (slice(None),) * turn + (slice(i, min(i + step, stop)),)
                body(*(a[some] for a in arrays), dim)

    parallel_for(length, run, grain=step)


def softmax(x: np.ndarray, *, dim: int) -> np.ndarray:
    """y_i = exp(x_i - max x) / sum over j of exp(x_j - max x) along `dim`, in x's layout; a row of -inf is NaN."""
    if x.ndim == 0:
        return softmax(x.reshape(1), dim=0).reshape(())
    y = np.empty_like(x)

    def body(x: np.ndarray, y: np.ndarray, axis: int) -> None:
        np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), out=y)
        np.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)

    _along(dim, body, x, y)
    return y


def softmax_backward(gy: np.ndarray, y: np.ndarray, *, dim: int) -> np.ndarray:
    """gx = y (gy - sum over `dim` of gy y), in y's layout."""
    if y.ndim == 0:
        return softmax_backward(gy.reshape(1), y.reshape(1), dim=0).reshape(())
    gx = np.empty_like(y)

    def body(y: np.ndarray, gy: np.ndarray, gx: np.ndarray, axis: int) -> None:
        np.multiply(gy, y, out=gx)
        np.subtract(gy, gx.sum(axis=axis, keepdims=True), out=gx)
        gx *= y

    _along(dim, body, y, gy, gx)
    return gx


def log_softmax(x: np.ndarray, *, dim: int) -> np.ndarray:
    """y_i = x_i - max x - log sum over j of exp(x_j - max x) along `dim`, in x's layout; a row of -inf is NaN."""
    if x.ndim == 0:
        return log_softmax(x.reshape(1), dim=0).reshape(())
    y = np.empty_like(x)

    def body(x: np.ndarray, y: np.ndarray, axis: int) -> None:
        np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), out=y)
        y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))

    _along(dim, body, x, y)
    return y


def log_softmax_backward(gy: np.ndarray, y: np.ndarray, *, dim: int) -> np.ndarray:
    """gx = gy - exp(y) (sum over `dim` of gy), in y's layout."""
    if y.ndim == 0:
        return log_softmax_backward(gy.reshape(1), y.reshape(1), dim=0).reshape(())
    gx = np.empty_like(y)

    def body(y: np.ndarray, gy: np.ndarray, gx: np.ndarray, axis: int) -> None:
        np.exp(y, out=gx)
        gx *= gy.sum(axis=axis, keepdims=True)
        np.subtract(gy, gx, out=gx)

    _along(dim, body, y, gy, gx)
    return gx


def cross_entropy(
    logits: np.ndarray, target: np.ndarray, weight: np.ndarray | None, *, ignore_index: int, label_smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """(losses (M,), logp (M, C)): logp = log_softmax(logits) and, for e = label_smoothing and w = weight or ones,

        losses[m] = -(1 - e) w[t] logp[m, t] - e / C * sum over c of w[c] logp[m, c],    t = target[m],

    0 where t is ignore_index: torch.nn.functional.cross_entropy with reduction="none". logits (M, C), target (M,)
    integers, weight (C,).
    """
    rows, classes = logits.shape
    kept = target != ignore_index
    logp = log_softmax(logits, dim=1)
    t = np.where(kept, target, 0)
    losses = -logp[np.arange(rows), t]
    if weight is not None:
        losses *= weight[t]
    if label_smoothing:
        smooth = -(logp if weight is None else logp * weight).sum(axis=1)
        losses = (1 - label_smoothing) * losses + smooth * (label_smoothing / classes)
    return np.where(kept, losses, logits.dtype.type(0)), logp


sums_losses = False
"""Whether a loss and its mean are one kernel: here they are ops of their own."""


def cross_entropy_total(
    logits: np.ndarray, target: np.ndarray, weight: np.ndarray | None, *, ignore_index: int, label_smoothing: float,
    mean: bool, error: type[Exception], message: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(the sum of the losses, over `divisor`; logp; divisor): the sum of the weights of the targets' classes if `mean`, else 1."""
    check_indices(target, high=logits.shape[1], ignore=ignore_index, error=error, message=message)
    options: dict[str, Any] = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    losses, logp = cross_entropy(logits, target, weight, **options)
    kept = target != ignore_index
    weights = kept if weight is None else kept * weight[np.where(kept, target, 0)]
    divisor = np.asarray(weights.sum(dtype=np.float64) if mean else 1, logits.dtype)
    with np.errstate(invalid="ignore"):
        return np.asarray(losses.sum(dtype=np.float64) / divisor, logits.dtype), logp, divisor


def cross_entropy_backward(
    g: np.ndarray, logp: np.ndarray, target: np.ndarray, weight: np.ndarray | None, divisor: np.ndarray | None = None, *,
    ignore_index: int, label_smoothing: float,
) -> np.ndarray:  # fmt: skip
    """g_logits (M, C) = exp(logp) s - d, where d[m, c] = g[m] ((1 - e) w[t] [c = t] + e / C w[c]), g (M,), or 0-d over divisor.

    s are the row sums of d; e, w, t as in `cross_entropy`. Rows whose target is ignore_index get 0.
    """
    rows, classes = logp.shape
    g = g if divisor is None else np.broadcast_to(g / divisor, (rows,))
    kept = target != ignore_index
    t = np.where(kept, target, 0)
    w = np.ones(classes, logp.dtype) if weight is None else weight
    g = np.where(kept, g, logp.dtype.type(0))
    hit = (1 - label_smoothing) * g * w[t]
    total = hit + g * (label_smoothing / classes * math.fsum(w)) if label_smoothing else hit
    out = np.exp(logp)
    out *= total[:, None]
    if label_smoothing:
        out -= g[:, None] * (w * (label_smoothing / classes))
    out[np.arange(rows), t] -= hit
    return out
