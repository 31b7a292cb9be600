"""Scaled dot-product attention, a block of queries at a time: the scores of a block live in the cache alone.

B batches, H heads, L queries of E numbers, S keys, values of F numbers. Softmax needs a row's sum only to divide by it, so
that a row of probabilities can be made again from the scores and one number, log sum exp: what a backward pass keeps.
Source: T. Dao et al., FlashAttention (2022), 3.1; here rows are whole, for they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minigrad.backends.cpu.threads import get_num_threads, parallel_for, scratch

__all__ = ["attention", "attention_backward"]

BLOCK = 1 << 16  # scores worked on at a time: they stay in a core's own cache
MODERATE = 64.0  # up to there exp neither overflows nor vanishes, nor does a sum of such numbers

Part = tuple[slice, slice]  # of the batches, of the queries


def _parts(start: int, stop: int, heads: int, queries: int, keys: int) -> Iterator[Part]:
    """Blocks of some BLOCK scores of the batches start to stop: several batches, or some queries of one."""
    batches = max(1, BLOCK // max(1, heads * queries * keys))
    rows = max(1, BLOCK // max(1, heads * keys))
    for i in range(start, stop, batches):
        for j in range(0, queries, rows):
            yield slice(i, min(i + batches, stop)), slice(j, min(j + rows, queries))


def _scores(
    q: np.ndarray, k: np.ndarray, mask: np.ndarray | None, causal: bool, scale: float, part: Part
) -> np.ndarray:
    """q k^T scale + mask for a block, in scratch memory: -inf where the mask or causality forbids to look."""
    some, rows = part
    shape = (some.stop - some.start, q.shape[1], rows.stop - rows.start, k.shape[2])
    scores = scratch("scores", shape, q.dtype)
    np.matmul(np.multiply(q[some, :, rows], q.dtype.type(scale)), k[some].swapaxes(2, 3), out=scores)
    if mask is not None:
        here = mask[some, :, rows]
        if mask.dtype == np.bool_:
            np.copyto(scores, -np.inf, where=~here)
        else:
            scores += here
    if causal:
        later = np.arange(k.shape[2]) > np.arange(rows.start, rows.stop)[:, None]
        np.copyto(scores, -np.inf, where=later)
    return scores


def _take_off_largest(scores: np.ndarray) -> np.ndarray | float:
    """Each row's largest score, taken off in place so that exp does not overflow; 0 where all are moderate as they are."""
    if scores.size and -MODERATE < scores.min() and scores.max() < MODERATE:  # much quicker; not where one is NaN
        return 0.0
    largest = scores.max(axis=3, keepdims=True, initial=-np.inf)
    largest[largest == -np.inf] = 0
    scores -= largest
    return largest


def _turned(*arrays: np.ndarray | None) -> list[np.ndarray | None]:
    """Batches and heads exchanged, so that there is enough on the first axis to share among threads."""
    return [None if a is None else a.swapaxes(0, 1) for a in arrays]


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, dropped: np.ndarray | None, *, causal: bool,
    scale: float, keep_probabilities: bool,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:  # fmt: skip
    """(y, p, lse): p = softmax(q k^T scale + mask) over the keys, y = (p dropped) v, lse = log sum exp of the scores.

    q (B, H, L, E), k (B, H, S, E), v (B, H, S, F), y (B, H, L, F), lse (B, H, L). mask and dropped broadcast to the
    probabilities' (B, H, L, S), dropped their factors. A bool mask says where to look, a float one is added; causal: query
    i looks at keys 0 to i. A query that may look nowhere has y = 0, p = 0 and lse = inf. p is None unless kept.
    """
    batches, heads, queries, _ = q.shape
    shape = (batches, heads, queries, k.shape[2])
    mask = None if mask is None else np.broadcast_to(mask, shape)
    if batches < min(heads, get_num_threads()):
        q, k, v, mask, dropped = _turned(q, k, v, mask, dropped)  # type: ignore[assignment]
        return tuple(
            _turned(
                *attention(q, k, v, mask, dropped, causal=causal, scale=scale, keep_probabilities=keep_probabilities)
            )
        )  # type: ignore[return-value]
    y = np.empty((batches, queries, heads, v.shape[3]), q.dtype).swapaxes(1, 2)  # as the next layer wants it: by token
    lse = np.empty(shape[:3], q.dtype)
    p = np.empty(shape, q.dtype) if keep_probabilities else None
    ones = np.ones(shape[3], q.dtype)

    def body(start: int, stop: int) -> None:
        with np.errstate(all="ignore"):
            for part in _parts(start, stop, heads, queries, shape[3]):
                some, rows = part
                scores = _scores(q, k, mask, causal, scale, part)
                largest = _take_off_largest(scores)
                np.exp(scores, out=scores)
                total = (scores @ ones)[..., None]
                nowhere = total == 0
                total[nowhere] = 1
                lse[some, :, rows] = np.where(nowhere, np.inf, largest + np.log(total))[..., 0]
                scores /= total
                if p is not None:
                    p[some, :, rows] = scores
                if dropped is not None:
                    scores *= dropped[some, :, rows]
                np.matmul(scores, v[some], out=y[some, :, rows])

    parallel_for(batches, body, 1 if y.size * shape[3] >= BLOCK else batches)
    return y, p, lse


def _gather(weights: np.ndarray, given: np.ndarray, total: np.ndarray, rows: slice) -> None:
    """total += weights^T given, for some rows of queries; the first rows set it."""
    if rows.start == 0:
        np.matmul(weights.swapaxes(2, 3), given, out=total)
    else:
        total += weights.swapaxes(2, 3) @ given


def _probabilities(
    q: np.ndarray, k: np.ndarray, mask: np.ndarray | None, causal: bool, scale: float,
    p: np.ndarray | None, lse: np.ndarray | None, part: Part,
) -> np.ndarray:  # fmt: skip
    """Those of a block: of p, or where it was not kept made again from lse, in scratch memory."""
    some, rows = part
    if p is not None:
        return p[some, :, rows]
    assert lse is not None, "neither the probabilities nor their log sum exp were kept"
    scores = _scores(q, k, mask, causal, scale, part)
    scores -= lse[some, :, rows, None]
    return np.exp(scores, out=scores)


def _score_gradient(
    g: np.ndarray, v: np.ndarray, y: np.ndarray | None, p: np.ndarray, factors: np.ndarray | None, gs: np.ndarray
) -> None:
    """gs = p (gp - sum gp p) with gp = (g v^T) factors, a block of `attention_backward`; the sum is that of g y, if given."""
    np.matmul(g, v.swapaxes(2, 3), out=gs)
    if factors is not None:
        gs *= factors
    along = np.einsum("bhls,bhls->bhl", gs, p) if y is None else np.einsum("bhlf,bhlf->bhl", g, y)
    gs -= along[..., None]
    gs *= p


def attention_backward(
    gy: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, dropped: np.ndarray | None,
    y: np.ndarray | None, p: np.ndarray | None, lse: np.ndarray | None, *, causal: bool, scale: float,
    needs: Sequence[bool],
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
    """(gq, gk, gv, gscores), None where `needs` is False; gscores (B, H, L, S) is the gradient of a float mask. With p the
    probabilities (or None: made again from lse), d the dropped factors, and sums over the keys,

        gv = (p d)^T gy,    gp = (gy v^T) d,    gs = p (gp - sum gp p),    gq = gs k scale,    gk = gs^T q scale,

    where sum gp p is sum gy y over the F numbers of a value too: y may be None where p is given.
    """
    batches, heads, queries, _ = q.shape
    shape = (batches, heads, queries, k.shape[2])
    mask = None if mask is None else np.broadcast_to(mask, shape)
    if batches < min(heads, get_num_threads()):
        gy, q, k, v, mask, dropped, y, p, lse = _turned(gy, q, k, v, mask, dropped, y, p, lse)  # type: ignore[assignment]
        return tuple(  # type: ignore[return-value]
            _turned(*attention_backward(gy, q, k, v, mask, dropped, y, p, lse, causal=causal, scale=scale, needs=needs))
        )
    gq = np.empty(q.shape, q.dtype) if needs[0] else None
    new = np.empty if queries else np.zeros
    gk = new(k.shape, k.dtype) if needs[1] else None
    gv = new(v.shape, v.dtype) if needs[2] else None
    gs_all = np.empty(shape, q.dtype) if needs[3] else None
    factor = q.dtype.type(scale)

    def body(start: int, stop: int) -> None:
        with np.errstate(all="ignore"):
            for some, rows in _parts(start, stop, heads, queries, shape[3]):
                g, here = gy[some, :, rows], _probabilities(q, k, mask, causal, scale, p, lse, (some, rows))
                factors = None if dropped is None else dropped[some, :, rows]
                gs = scratch("gradient of scores", here.shape, q.dtype)
                if gv is not None:
                    used = here if factors is None else np.multiply(here, factors, out=gs)
                    _gather(used, g, gv[some], rows)
                if not (needs[0] or needs[1] or needs[3]):
                    continue
                _score_gradient(g, v[some], None if p is not None or y is None else y[some, :, rows], here, factors, gs)
                if gs_all is not None:
                    gs_all[some, :, rows] = gs
                gs *= factor
                if gq is not None:
                    np.matmul(gs, k[some], out=gq[some, :, rows])
                if gk is not None:
                    _gather(gs, q[some, :, rows], gk[some], rows)

    parallel_for(batches, body, 1 if gy.size * shape[3] >= BLOCK else batches)
    return gq, gk, gv, gs_all
