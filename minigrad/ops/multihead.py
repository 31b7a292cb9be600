"""Multi-head attention: every head looks for something else in the same tokens.

Y = [head_1, ..., head_H] Wo^T + bo, head_i = softmax(Q_i K_i^T / sqrt(D) + mask) V_i, Q_i = X_q Wq_i^T + bq_i and so on.
N samples, L queries, S keys, H heads of D numbers each, E = H D. Source: A. Vaswani et al., Attention Is All You Need (2017),
3.2.2.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from minigrad.op import in_float32
from minigrad.ops.attention import merge_heads, split_heads
from minigrad.ops.common import real
from minigrad.ops.creation import zeros
from minigrad.ops.late import functional as F
from minigrad.ops.late import given
from minigrad.ops.public import offer
from minigrad.ops.shape import cat
from minigrad.random import Generator
from minigrad.tensor import Tensor, describe


@in_float32
def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True,
    is_causal: bool = False, *, generator: Generator | None = None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """(Y, P): Y (L, N, E) for query (L, N, E), key (S, N, K), value (S, N, V); all without N for one sample. P: the weights.

    in_proj_weight (3E, E) holds Wq, Wk, Wv one below the other (one product where query, key and value are one tensor), or
    they are q_proj_weight (E, E), k_proj_weight (E, K), v_proj_weight (E, V); in_proj_bias (3E). bias_k, bias_v (1, 1, E) are
    one more key and value, zeros (add_zero_attn) another; static_k, static_v (N H, S, D) stand in for the projected ones.

    key_padding_mask (N, S), attn_mask (L, S) or (N H, L, S): True where a query may NOT look, or floats of the query's type,
    which are added to the scores. is_causal promises that attn_mask is the causal one, which is then not read where that
    saves work. In training each probability is dropped with chance dropout_p: kept are those where
    generator.uniform(0, 1, (N, H, L, S), float32) >= dropout_p.

    need_weights: the probabilities, dropped ones as 0, are returned: (N, L, S), the mean over the heads, or (N, H, L, S) if not
    average_attn_weights; a query that may look nowhere has NaN there. Otherwise scaled_dot_product_attention runs, P is
    None, and such a query has zeros. AssertionError and RuntimeError as torch, for what does not fit.
    """
    batched = _check_axes(query, key, value, key_padding_mask, attn_mask, num_heads)
    _check_masks(key_padding_mask, attn_mask, is_causal)
    query, key, value = once_each(lambda x: x.transpose(0, 1) if batched else x.unsqueeze(0), query, key, value)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    separate = [q_proj_weight, k_proj_weight, v_proj_weight] if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, num_heads, in_proj_weight, separate, in_proj_bias)
    k = k if static_k is None else _static(static_k, "static_k", k)
    v = v if static_v is None else _static(static_v, "static_v", v)

    causal = is_causal and key_padding_mask is None and not need_weights
    mask = _merge(None if causal else attn_mask, key_padding_mask, q, key.shape[1], need_weights)
    k, v = _with_biases(k, v, bias_k, bias_v, static_k is not None or static_v is not None)
    if add_zero_attn:
        k, v = (_one_more(x, zeros(query.shape[2], dtype=k.dtype, device=k.device)) for x in (k, v))
    if mask is not None and k.shape[2] > key.shape[1]:  # every query may look at the keys that were added
        mask = F.pad(mask, (0, k.shape[2] - key.shape[1]), value=mask.dtype == np.bool_)

    p, chance = None, real(dropout_p, "dropout_p") if training else 0.0
    if need_weights:
        p = F.dropout(_probabilities(q, k, mask), chance, **given(generator=generator))
        y, p = p @ v, p.mean(1) if average_attn_weights else p
    else:
        y = F.scaled_dot_product_attention(q, k, v, mask, chance, causal, **given(generator=generator))
    y = F.linear(merge_heads(y), out_proj_weight, out_proj_bias)
    if not batched:
        return y.squeeze(0), None if p is None else p.squeeze(0)
    return y.transpose(0, 1), p


def _check_masks(key_padding_mask: Tensor | None, attn_mask: Tensor | None, is_causal: bool) -> None:
    """Raises as torch for masks of other types than it takes, and for is_causal without a mask."""
    for mask, name in ((key_padding_mask, "key_padding_mask"), (attn_mask, "attn_mask")):
        if mask is not None and mask.dtype.kind not in "bf":
            raise AssertionError(f"only bool and floating types of {name} are supported, but got {describe(mask)}")
    if key_padding_mask is not None and attn_mask is not None and key_padding_mask.dtype != attn_mask.dtype:
        warnings.warn(
            "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")


def _projected(
    query: Tensor, key: Tensor, value: Tensor, heads: int, together: Tensor | None, separate: list[Tensor | None] | None,
    bias: Tensor | None,
) -> list[Tensor]:  # fmt: skip
    """Q, K, V (N, H, L, D) by weights `together` or `separate`: one product for what is one tensor."""
    weights: list[Tensor | None]
    if separate is not None:
        counts, weights = [1, 1, 1], separate
    else:
        counts = [3] if query is key is value else [1, 2] if key is value else [1, 1, 1]
        weights = _rows(together, counts, query.shape[2])
    if None in weights:
        raise AssertionError(f"use_separate_proj_weight is {separate is not None}, but its weights are None")
    biases = _rows(bias, counts, query.shape[2])
    return [
        part
        for x, weight, b, count in zip((query, key, value), weights, biases, counts, strict=False)
        for part in split_heads(F.linear(x, weight, b), count, heads)
    ]


def _with_biases(
    k: Tensor, v: Tensor, bias_k: Tensor | None, bias_v: Tensor | None, static: bool
) -> tuple[Tensor, Tensor]:
    """Keys and values with one more each, which every query may look at."""
    if (bias_k is None) != (bias_v is None):
        raise AssertionError(f"bias_k is {_given(bias_k)}, but bias_v is {_given(bias_v)}")
    if bias_k is None or bias_v is None:
        return k, v
    if static:
        raise AssertionError("bias cannot be added to a static key or value")
    return _one_more(k, bias_k), _one_more(v, bias_v)


def _probabilities(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(D) + mask), (N, H, L, S)."""
    scores = (q * (1 / math.sqrt(q.shape[3]))) @ k.mT
    if mask is not None:
        if mask.dtype != q.dtype:
            raise RuntimeError(f"expected masks to be bool or of query's type {q.dtype}, but got {mask.dtype}")
        scores = scores + mask
    return F.softmax(scores, -1)


def once_each(change: Callable[[Tensor], Tensor], *tensors: Tensor) -> list[Tensor]:
    """change(x) of each tensor; what was one tensor stays one."""
    changed = {id(x): change(x) for x in {id(x): x for x in tensors}.values()}
    return [changed[id(x)] for x in tensors]


def _rows(packed: Tensor | None, counts: list[int], each: int) -> list[Tensor | None]:
    """A packed weight (3E, E) or bias (3E) cut into pieces of that many times E rows."""
    if packed is None or len(counts) == 1:
        return [packed] * len(counts)
    return list(packed.split([count * each for count in counts]))


def _one_more(x: Tensor, row: Tensor) -> Tensor:
    """x (N, H, S, D) with a row (..., H D) after the last, the same in each sample."""
    n, heads, _, each = x.shape
    return cat([x, row.reshape(1, heads, 1, each).expand(n, heads, 1, each)], 2)


def _static(given: Tensor, name: str, projected: Tensor) -> Tensor:
    """static_k or static_v (N H, S, D) as (N, H, S, D)."""
    n, heads, _, each = projected.shape
    if given.ndim != 3 or given.shape[0] != n * heads or given.shape[2] != each:
        raise AssertionError(f"expecting {name} of shape ({n * heads}, S, {each}), but got {describe(given)}")
    return given.reshape(n, heads, given.shape[1], each)


def _merge(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, keys: int, as_floats: bool
) -> Tensor | None:
    """Both masks as one of four axes that broadcasts to (N, H, L, S).

    Bools, True where to look; or floats to add, where one of them is floats or as_floats asks for it.
    """
    n, heads, length, _ = q.shape
    masks = []
    if attn_mask is not None:
        expected = (length, keys) if attn_mask.ndim == 2 else (n * heads, length, keys)
        if attn_mask.shape != expected:
            raise RuntimeError(
                f"The shape of the {attn_mask.ndim}D attn_mask is {tuple(attn_mask.shape)}, but should be {expected}."
            )
        masks.append(attn_mask.reshape(*((1, 1) if attn_mask.ndim == 2 else (n, heads)), length, keys))
    if key_padding_mask is not None:
        padding = key_padding_mask.reshape(-1, key_padding_mask.shape[-1])
        if padding.shape != (n, keys):
            raise AssertionError(
                f"Expected key_padding_mask to be of shape {(n, keys)}, but got {tuple(key_padding_mask.shape)}"
            )
        masks.append(padding.reshape(n, 1, 1, keys))
    if not masks:
        return None
    if not as_floats and all(mask.dtype == np.bool_ for mask in masks):
        return ~masks[0] if len(masks) == 1 else ~(masks[0] | masks[1])
    added = [
        zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(mask, -math.inf)
        if mask.dtype == np.bool_
        else mask
        for mask in masks
    ]
    return added[0] if len(added) == 1 else added[0] + added[1]


# -- what does not fit ---------------------------------------------------------------------------------------------------


def _given(x: Tensor | None) -> str:
    return "None" if x is None else "given"


def _check_axes(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is an axis of samples. AssertionError where the numbers of axes do not go together."""
    if query.ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {describe(query)}")
    batched = query.ndim == 3
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(
            f"For {kind} query, expected key and value to be {query.ndim}-D, but got {describe(key)}, {describe(value)}"
        )
    if padding is not None and padding.ndim != query.ndim - 1:
        raise AssertionError(
            f"For {kind} query, expected key_padding_mask to be None or {query.ndim - 1}-D, but got {describe(padding)}"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(f"For {kind} query, expected attn_mask to be None, 2-D or 3-D, but got {describe(mask)}")
    if mask is not None and mask.ndim == 3 and not batched:
        expected = (num_heads, query.shape[0], key.shape[0])
        if mask.shape != expected:
            raise AssertionError(f"Expected attn_mask shape to be {expected}, but got {tuple(mask.shape)}")
    return batched


def _check_sizes(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, separate: bool
) -> None:
    """query (N, L, E), key (N, S, K), value (N, S, V)."""
    embed_dim = query.shape[2]
    given = f"query {describe(query)}, key {describe(key)}, value {describe(value)} (samples first)"
    if embed_dim != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}: {given}")
    if embed_dim % num_heads:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"key's sequence and batch dims do not match value's: {given}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape does not match value shape: {given}")
    if key.shape[0] != query.shape[0]:
        raise RuntimeError(f"expected as many samples of key and value as of query, but got {given}")


offer("nn.functional", multi_head_attention_forward)
