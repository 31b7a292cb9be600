"""Attention: each query gets a mean of the values, weighted by how well its keys fit.

Y = softmax(Q K^T / sqrt(E) + mask) V. Q (..., L, E), K (..., S, E), V (..., S, F), Y (..., L, F): L queries, S keys.
Source: A. Vaswani et al., Attention Is All You Need (2017), equation 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.function import FusedFunction
from minigrad.ops.activation import softmax
from minigrad.ops.common import sum_to
from minigrad.ops.elementwise import where
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, describe


class ScaledDotProductAttention(FusedFunction):
    """Y = D(P) V with P = softmax(Q K^T scale + mask), D dropout;  gV = D(P)^T gY,  gS = P (gP - sum gP P),
    gQ = gS K scale,  gK = gS^T Q scale,  gmask = gS, where gP = D(gY V^T) and sums run over the keys.

    Saves P where that is no more than Y and each row's log sum exp, from which P can be made again; those otherwise.
    Q, K, V (B, H, ...); mask broadcasts to (B, H, L, S), bool (True: look) or added; `dropped` holds dropout's factors.
    """

    saves = {0: None, 1: None, 2: None, 3: None}
    keeps = ("p", "lse")

    def __init__(self, causal: bool, scale: float, dropped: Any) -> None:
        self.causal, self.scale, self.dropped = causal, scale, dropped

    def definition(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        xp = backends.of(q.array).xp
        scores = (q * self.scale) @ k.mT
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == np.bool_ else scores + mask
        if self.causal:
            later = xp.arange(k.shape[-2]) > xp.arange(q.shape[-2])[:, None]
            scores = scores.masked_fill(Tensor._wrap(later), -math.inf)
        nowhere = (scores.detach() == -math.inf).all(-1, keepdim=True)
        p = where(nowhere, 0.0, softmax(scores.masked_fill(nowhere, 0.0), -1)) if k.shape[-2] else scores
        return (p if self.dropped is None else p * Tensor._wrap(self.dropped)) @ v

    def forward(self, q: Any, k: Any, v: Any, mask: Any) -> Any:
        small = k.shape[2] <= v.shape[3] + 1
        self.saves_output = not small  # type: ignore[misc]
        attention = backends.of(q).attention
        y, self.p, lse = attention(q, k, v, mask, self.causal, self.scale, self.dropped, small and any(self.needs))
        self.lse = None if small else lse
        return y

    def backward_arrays(self, gy: Any) -> Any:
        q, k, v, mask = self.arrays
        y = self.output_array if self.saves_output else None
        gq, gk, gv, gs = backends.of(gy).attention_backward(
            gy, q, k, v, mask, self.causal, self.scale, self.dropped, y, self.p, self.lse, (*self.needs, False)[:4]
        )
        return gq, gk, gv, None if gs is None else sum_to(Tensor._wrap(gs), mask.shape).array


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(query key^T scale + attn_mask) value: query (..., L, E), key (..., S, E), value (..., S, F), result (..., L, F).

    attn_mask broadcasts to (..., L, S): bools say where a query may look, floats of the query's type are added. is_causal:
    query i looks at keys 0 to i (no attn_mask then). A query that may look nowhere gets zeros. scale: 1 / sqrt(E) unless
    given. dropout_p: each probability is zeroed with that chance and the others scaled by 1 / (1 - p), always: pass 0
    outside of training. enable_gqa is not built. Vaswani et al. (2017), equation 1.
    """
    if enable_gqa:
        raise NotImplementedError(
            "scaled_dot_product_attention with enable_gqa=True is not built: repeat key and value"
        )
    _check(query, key, value, attn_mask, is_causal)
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    batch = np.broadcast_shapes(*(t.shape[:-2] for t in (query, key, value)))
    shape = (*batch, query.shape[-2], key.shape[-2])
    q, k, v = (_four_axes(t.expand(*batch, *t.shape[-2:]), batch) for t in (query, key, value))
    mask = attn_mask
    if mask is not None and len(batch) != 2:
        mask = _four_axes(mask.expand(*shape), batch)
    elif mask is not None:
        mask.expand(*shape)  # raises where it does not fit
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    dropped = None
    if dropout_p:
        drawn = (generator or default_generator).uniform(0, 1, (*q.shape[:3], key.shape[-2]), np.float32)
        factors = (drawn >= dropout_p) * (0.0 if dropout_p == 1 else 1 / (1 - dropout_p))
        dropped = Tensor(factors.astype(q.dtype)).to(q.device).array
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    y = ScaledDotProductAttention(is_causal, factor, dropped)(q, k, v, mask)
    return y if len(batch) == 2 else y.reshape(*batch, *y.shape[-2:])


def _four_axes(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """x (*batch, n, m) as (B, H, n, m)."""
    if len(batch) == 2:
        return x
    heads = batch[-1] if batch else 1
    return x.reshape(math.prod(batch[:-1]), heads, *x.shape[-2:])


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    """Raises as torch does."""
    given = f"query {describe(q)}, key {describe(k)}, value {describe(v)}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(f"Expected query, key, and value to all be at least 2 dimensional, but got {given}")
    if not q.dtype == k.dtype == v.dtype or q.dtype.kind != "f":
        raise RuntimeError(f"Expected query, key, and value to have the same floating point dtype, but got {given}")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"Expected query (..., L, E), key (..., S, E) and value (..., S, F) with one E and one S, but got {given}"
        )
    try:
        np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise RuntimeError(f"Expected leading axes that broadcast, but got {given}") from None
    if mask is None:
        return
    if is_causal:
        raise RuntimeError("Explicit attn_mask should not be set when is_causal=True")
    if mask.dtype != np.bool_ and mask.dtype != q.dtype:
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or to match query dtype, but got {describe(mask)} and {given}"
        )
