"""Attention: each query gets a mean of the values, weighted by how well its keys fit.

Y = softmax(Q K^T / sqrt(E) + mask) V. Q (..., L, E), K (..., S, E), V (..., S, F), Y (..., L, F): L queries, S keys.
Source: A. Vaswani et al., Attention Is All You Need (2017), equation 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.op import Op
from minigrad.ops.activation import softmax
from minigrad.ops.choice import where
from minigrad.ops.common import drawn, real, sum_to
from minigrad.ops.public import offer
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, describe


class ScaledDotProductAttention(FusedOp):
    """Y = D(P) V with P = softmax(Q K^T scale + mask), D dropout;  gV = D(P)^T gY,  gS = P (gP - sum gP P),
    gQ = gS K scale,  gK = gS^T Q scale,  gmask = gS, where gP = D(gY V^T) and sums run over the keys.

    Saves P where that is no more than Y and each row's log sum exp, from which P can be made again; those otherwise.
    Q, K, V (B, H, ...); mask broadcasts to (B, H, L, S), bool (True: look) or added. D(P) is P where `kept` (bools of P's
    shape, or None) times a constant, `gain`: V is multiplied by that instead, so that a byte a probability is all to save.
    """

    fresh = True
    widens = True
    saves = {0: None, 1: None, 2: None, 3: None}
    keeps = ("p", "lse", "kept")

    def __init__(self, causal: bool, scale: float, kept: Any = None, gain: float = 1.0) -> None:
        self.causal, self.scale, self.kept, self.gain = causal, scale, kept, gain

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
        return p @ v if self.kept is None else (p * Tensor._wrap(self.kept)) @ (v * self.gain)

    def forward(self, q: Array, k: Array, v: Array, mask: Array) -> Array:
        small = k.shape[2] <= v.shape[3] + 1
        self.saves_output = not small
        attention = backends.of(q).attention
        v = v if self.kept is None else v * v.dtype.type(self.gain)
        y, self.p, lse = attention(
            q, k, v, mask, self.kept, causal=self.causal, scale=self.scale, keep_probabilities=small and any(self.needs)
        )
        self.lse = None if small else lse
        return y

    def backward_arrays(self, gy: Array) -> Any:
        q, k, v, mask = self.arrays
        y = self.output_array if self.saves_output else None
        v = v if self.kept is None else v * v.dtype.type(self.gain)
        gq, gk, gv, gs = backends.of(gy).attention_backward(
            gy,
            q,
            k,
            v,
            mask,
            self.kept,
            y,
            self.p,
            self.lse,
            causal=self.causal,
            scale=self.scale,
            needs=(*self.asked_for, False)[:4],
        )
        if gv is not None and self.kept is not None:
            gv *= gv.dtype.type(self.gain)
        return gq, gk, gv, None if gs is None else sum_to(Tensor._wrap(gs), mask.shape).array


class SplitHeads(Op):
    """x (N, L, parts H D) as that many tensors (N, H, L, D), in x's memory;  gx = their gradients, side by side again."""

    fresh = True

    def __init__(self, parts: int, heads: int) -> None:
        self.parts, self.heads = parts, heads

    def forward(self, x: Array) -> Array:
        n, length, width = x.shape
        x = x.reshape(n, length, self.parts, self.heads, width // (self.parts * self.heads))
        return tuple([x[:, :, i].swapaxes(1, 2) for i in range(self.parts)])

    def backward(self, *gradients: Tensor) -> Tensor:
        return JoinHeads()(*gradients)


class JoinHeads(Op):
    """x (N, L, parts H D), whose parts are tensors (N, H, L, D);  their gradients are the parts of gx."""

    def forward(self, *parts: Array) -> Array:
        self.parts, (n, self.heads, length, each) = len(parts), parts[0].shape
        x = one_behind_the_other(parts)
        if x is not None:
            return x.transpose(1, 2, 0, 3, 4).reshape(n, length, self.parts * self.heads * each)
        x = backends.of(parts[0]).xp.empty((n, length, self.parts, self.heads, each), parts[0].dtype)
        for i, part in enumerate(parts):
            x[:, :, i] = part.swapaxes(1, 2)
        return x.reshape(n, length, self.parts * self.heads * each)

    def backward(self, gx: Tensor) -> Any:
        return SplitHeads(self.parts, self.heads)(gx)


def one_behind_the_other(parts: Sequence[Array]) -> Array | None:
    """The (parts, N, L, H, D) array whose parts are these (N, H, L, D), if there is one: attention's gradients on a GPU."""
    x, (n, heads, length, each) = parts[0].base, parts[0].shape
    if x is None or x.shape != (len(parts), n, length, heads, each):
        return None
    slices = [x[i].swapaxes(1, 2) for i in range(len(parts))]
    same = [a.base is x and _place(a) == _place(b) for a, b in zip(parts, slices, strict=True)]
    return x if all(same) else None


def _place(array: Array) -> tuple[int, tuple[int, ...]]:
    """Address and strides."""
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr), array.strides


def split_heads(input: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """input (N, L, parts heads D) as `parts` tensors (N, heads, L, D): queries, keys and values of one product x W^T.

    They share the input's memory; their gradients are written side by side, without a sum. RuntimeError for another number
    of axes, or numbers that parts * heads does not divide.
    """
    if input.ndim != 3 or input.shape[2] % (parts * heads):
        raise RuntimeError(f"expected (N, L, numbers that {parts} * {heads} heads divide), but got {describe(input)}")
    split = SplitHeads(parts, heads)(input)
    for part in split:
        part._memory = input.memory
        part.memory.holders += 1
    return split


def merge_heads(input: Tensor) -> Tensor:
    """input (N, H, L, D) as (N, L, H D): each token's heads side by side. A view of what attention returns."""
    return input.transpose(1, 2).flatten(2)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(query key^T scale + attn_mask) value: query (..., L, E), key (..., S, E), value (..., S, F), result (..., L, F).

    attn_mask broadcasts to (..., L, S): bools say where a query may look, floats (the query's type, or float32) are added.
    is_causal: query i looks at keys 0 to i (no attn_mask then). A query that may look nowhere gets zeros. scale: 1 / sqrt(E)
    unless given. dropout_p: each probability is zeroed with that chance and the others scaled by 1 / (1 - p), always: pass 0
    outside of training; kept are those where generator.uniform(0, 1, (..., L, S), float32) >= p. enable_gqa: each head of
    key and value (their third axis from the end) serves as many heads of query as there are to each: Ainslie et al., GQA
    (2023). RuntimeError for shapes and types that do not fit. Vaswani et al. (2017), equation 1.
    """
    if enable_gqa:
        key, value = _for_each_head(key, query), _for_each_head(value, query)
    _check(query, key, value, attn_mask, is_causal)
    dropout_p = real(dropout_p, "dropout_p")
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    batch = np.broadcast_shapes(*(t.shape[:-2] for t in (query, key, value)))
    shape = (*batch, query.shape[-2], key.shape[-2])
    q, k, v = (_four_axes(t, batch) for t in (query, key, value))
    mask = attn_mask
    if mask is not None and mask.dtype != np.bool_:
        mask = mask.to(query.dtype)
    if mask is not None and len(batch) != 2:
        mask = _four_axes(mask.expand(*shape), batch)
    elif mask is not None:
        mask.expand(*shape)  # raises where it does not fit
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    kept = None
    if dropout_p:
        random, scores = generator or default_generator, (*q.shape[:3], key.shape[-2])
        kept = drawn(lambda: random.uniform(0, 1, scores, np.float32) >= dropout_p, q).array
    gain = 0.0 if dropout_p == 1 else 1 / (1 - dropout_p)
    factor = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else float(real(scale, "scale"))
    y = ScaledDotProductAttention(is_causal, factor, kept, gain)(q, k, v, mask)
    return y if len(batch) == 2 else y.reshape(*batch, *y.shape[-2:])


def _four_axes(x: Tensor, batch: tuple[int, ...]) -> Tensor:
    """x (..., n, m), whose leading axes broadcast to `batch`, as (B, H, n, m)."""
    if x.shape[:-2] != batch:
        x = x.expand(*batch, *x.shape[-2:])
    if len(batch) == 2:
        return x
    heads = batch[-1] if batch else 1
    return x.reshape(math.prod(batch[:-1]), heads, *x.shape[-2:])


def _for_each_head(x: Tensor, query: Tensor) -> Tensor:
    """x (..., heads, S, E) with each head repeated until there are as many as query has."""
    if min(x.ndim, query.ndim) < 3:
        raise IndexError(
            f"enable_gqa needs heads, the third axis from the end: got query {describe(query)}, {describe(x)}"
        )
    heads, wanted = x.shape[-3], query.shape[-3]
    if not heads or wanted % heads:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query, "
            f"but query is {describe(query)} and one of them {describe(x)}"
        )
    return x if heads == wanted else x.repeat_interleave(wanted // heads, -3)


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
    if mask.dtype not in (np.bool_, np.float32, q.dtype):
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or float32 or to match query dtype, but got {describe(mask)} and {given}"
        )


offer("nn.functional", scaled_dot_product_attention)
