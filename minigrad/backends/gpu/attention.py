"""Scaled dot-product attention on a GPU: in one launch over up to 128 keys (cuda/attention.cu), its gradients in another.

Over more keys, by products and a softmax: the scores of as many batches as fit into CHUNK_BYTES exist at once; for the gradient
they are made again from log sum exp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import C_TYPES, kernel
from .products import matmul

CHUNK_BYTES = 64 * 2**20
MOST_KEYS, WARPS = 128, 8  # as in attention.cu


def _is_short(q: Array, k: Array) -> bool:
    return q.dtype in C_TYPES and 0 < k.shape[2] <= MOST_KEYS and q.size > 0


def _rows(x: Array) -> list[Any]:
    """x (B, H, L, E), its features contiguous, and its strides in elements."""
    if x.strides[3] != x.itemsize and x.shape[3] > 1:
        x = xp.ascontiguousarray(x)
    return [x, *(np.int64(stride // x.itemsize) for stride in x.strides[:3])]


def _look(array: Array, shape: tuple[int, ...], dtype: np.dtype) -> list[Any]:
    """A mask, or what dropout left, seen as (B, H, L, S): as bools or as numbers, and its strides in elements."""
    if array is None:
        return [None, None, *(np.int64(0),) * 4]
    seen = xp.broadcast_to(array if array.dtype == bool else array.astype(dtype, copy=False), shape)
    strides = [np.int64(stride // seen.itemsize) for stride in seen.strides]
    return [seen, None, *strides] if seen.dtype == bool else [None, seen, *strides]


def _short(
    q: Array, k: Array, v: Array, mask: Array, dropped: Array, causal: bool, scale: float, keep: bool
) -> tuple[Array, Array, Array]:
    """`attention` in one launch."""
    (b, h, rows, e), (keys, f) = q.shape, v.shape[2:]
    shape = (b, h, rows, keys)
    y, lse = xp.empty((b, rows, h, f), q.dtype), xp.empty(shape[:3], q.dtype)
    p = xp.empty(shape, q.dtype) if keep else None
    kernel("attention", "attention", q.dtype).launch(
        (b * h, -(-rows // WARPS)), (32 * WARPS,), *_rows(q), *_rows(k), *_rows(v), *_look(mask, shape, q.dtype),
        *_look(dropped, shape, q.dtype), y, p, lse, h, rows, keys, e, f, float(scale), causal,
    )  # fmt: skip
    return y.swapaxes(1, 2), p, lse


def _short_backward(
    gy: Array, q: Array, k: Array, v: Array, mask: Array, dropped: Array, p: Array, causal: bool, scale: float,
    needs: Sequence[bool],
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """`attention_backward` in one launch."""
    (b, h, rows, e), (keys, f) = q.shape, v.shape[2:]
    shape = (b, h, rows, keys)
    gq, gk, gv = _gradients(q, k, v, needs)
    scores, weights = xp.empty(shape, q.dtype), xp.empty(shape, q.dtype)
    kernel("attention", "attention_backward", q.dtype).launch(
        (b * h,), (32 * WARPS,), *_rows(gy), *_rows(q), *_rows(k), *_rows(v), *_look(mask, shape, q.dtype),
        *_look(dropped, shape, q.dtype), p, gq, gk, gv, *_strides(gq), *_strides(gk), *_strides(gv), scores, weights,
        h, rows, keys, e, f, float(scale), causal,
    )  # fmt: skip
    return gq, gk, gv, scores if needs[3] else None


def _gradients(q: Array, k: Array, v: Array, needs: Sequence[bool]) -> list[Array]:
    """Where gq, gk, gv go: one behind the other, from where one copy brings them together (JoinHeads), if they are alike."""
    if q.shape == k.shape == v.shape and all(needs[:3]):
        b, h, rows, e = q.shape
        together = xp.empty((3, b, rows, h, e), q.dtype)
        return [part.swapaxes(1, 2) for part in together]
    return [xp.empty(a.shape, a.dtype) if need else None for a, need in zip((q, k, v), needs, strict=False)]


def _strides(x: Array) -> list[Any]:
    return [np.int64(0)] * 3 if x is None else [np.int64(stride // x.itemsize) for stride in x.strides[:3]]


def _chunks(q: Array, k: Array) -> Iterator[slice]:
    """The batches whose scores are there at once."""
    batches, heads, queries, _ = q.shape
    step = max(1, CHUNK_BYTES // max(1, heads * queries * k.shape[2] * q.itemsize))
    for i in range(0, batches, step):
        yield slice(i, min(i + step, batches))


def _scores(q: Array, k: Array, mask: Array, causal: bool, scale: float) -> Array:
    scores = matmul(q * q.dtype.type(scale), k.swapaxes(2, 3))
    if mask is not None:
        scores = xp.where(mask, scores, -xp.inf) if mask.dtype == bool else scores + mask
    if causal:
        allowed = xp.arange(k.shape[2]) <= xp.arange(q.shape[2])[:, None]
        scores = xp.where(allowed, scores, -xp.inf)
    return scores.astype(q.dtype, copy=False)


def _some(array: Array, shape: tuple[int, ...], some: slice) -> Array:
    return None if array is None else xp.broadcast_to(array, shape)[some]


def attention(
    q: Array, k: Array, v: Array, mask: Array, dropped: Array, *, causal: bool, scale: float, keep_probabilities: bool
) -> tuple[Array, Array, Array]:
    """(y, p, lse): p = softmax(q k^T scale + mask) over the keys, y = (p dropped) v; p is None unless kept.

    q (B, H, L, E), k (B, H, S, E), v (B, H, S, F), y (B, H, L, F), lse (B, H, L); mask and dropped broadcast to (B, H, L, S).
    """
    if _is_short(q, k):
        return _short(q, k, v, mask, dropped, causal, scale, keep_probabilities)
    batches, heads, queries, _ = q.shape
    shape = (batches, heads, queries, k.shape[2])
    y = xp.empty((batches, queries, heads, v.shape[3]), q.dtype).swapaxes(1, 2)  # as the next layer wants it: by token
    lse = xp.empty(shape[:3], q.dtype)
    p = xp.empty(shape, q.dtype) if keep_probabilities else None
    for some in _chunks(q, k):
        scores = _scores(q[some], k[some], _some(mask, shape, some), causal, scale)
        if shape[3]:
            largest = scores.max(axis=3, keepdims=True)
        else:
            largest = xp.full((*scores.shape[:3], 1), -xp.inf, q.dtype)
        largest = xp.where(largest == -xp.inf, xp.zeros_like(largest), largest)
        scores = xp.exp(scores - largest)
        total = scores.sum(axis=3, keepdims=True)
        nowhere = total == 0
        total = xp.where(nowhere, xp.ones_like(total), total)
        lse[some] = xp.where(nowhere, xp.full_like(total, xp.inf), largest + xp.log(total))[..., 0]
        scores /= total
        if p is not None:
            p[some] = scores
        if dropped is not None:
            scores *= dropped[some]
        y[some] = matmul(scores, v[some])
    return y, p, lse


def attention_backward(
    gy: Array, q: Array, k: Array, v: Array, mask: Array, dropped: Array, y: Array, p: Array, lse: Array, *,
    causal: bool, scale: float, needs: Sequence[bool],
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """(gq, gk, gv, gscores), None where not needed; gscores (B, H, L, S) is the gradient of a float mask.

    p is None where it was not kept: it is made again from lse then, and y is needed.
    """
    if _is_short(q, k):
        return _short_backward(gy, q, k, v, mask, dropped, p, causal, scale, needs)
    shape = (*q.shape[:3], k.shape[2])
    gq, gk, gv = (xp.empty(a.shape, a.dtype) if need else None for a, need in zip((q, k, v), needs, strict=False))
    gs_all = xp.empty(shape, q.dtype) if needs[3] else None
    for some in _chunks(q, k):
        g = gy[some]
        if p is None:
            here = xp.exp(_scores(q[some], k[some], _some(mask, shape, some), causal, scale) - lse[some][..., None])
        else:
            here = p[some]
        if gv is not None:
            gv[some] = matmul((here if dropped is None else here * dropped[some]).swapaxes(2, 3), g)
        if not (needs[0] or needs[1] or needs[3]):
            continue
        gs = matmul(g, v[some].swapaxes(2, 3))
        if dropped is not None:
            gs *= dropped[some]
        along = (gs * here if p is not None else g * y[some]).sum(axis=3, keepdims=True)
        gs = here * (gs - along)
        if gs_all is not None:
            gs_all[some] = gs
        gs *= q.dtype.type(scale)
        if gq is not None:
            gq[some] = matmul(gs, k[some])
        if gk is not None:
            gk[some] = matmul(gs.swapaxes(2, 3), q[some])
    return gq, gk, gv, gs_all
