"""Attention within windows: an image of tokens (B, H, W, C) is cut into windows, and tokens look at their own window only.

B images, H x W tokens of C numbers, windows of h x w tokens; nH = ceil(H / h) rows of nW = ceil(W / w) windows.
Source: Z. Liu et al., Swin Transformer (2021), 3.2, https://arxiv.org/abs/2103.14030.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.ops.attention import merge_heads, split_heads
from minigrad.ops.common import alone, integer
from minigrad.ops.creation import zeros_like
from minigrad.ops.late import functional as F
from minigrad.ops.late import given
from minigrad.ops.public import offer
from minigrad.ops.repeating import roll
from minigrad.ops.shape import cat
from minigrad.random import Generator
from minigrad.tensor import Tensor, describe

APART = -100.0
"""What is added to the score of two tokens that a cyclic shift brought together: torchvision's number."""


def window_partition(input: Tensor, window_size: int | Sequence[int], shift_size: int | Sequence[int] = 0) -> Tensor:
    """The windows (B nH nW, h, w, C) of input (B, H, W, C): image by image, row by row.

    Zeros are added right and below where the windows do not divide the image; then the image is moved left and up by
    shift_size, what leaves on one side coming back on the other. A window that is the whole image is a view of it.
    RuntimeError for another number of axes; ValueError for a window without tokens, or sizes that are no pair.
    """
    if input.ndim != 4:
        raise RuntimeError(f"window_partition: expected an input (B, H, W, C), but got {describe(input)}")
    (h, w), shift = _window(window_size), _pair(shift_size)
    batch, height, width, channels = input.shape
    below, right = -height % h, -width % w
    x = F.pad(input, (0, 0, 0, right, 0, below)) if below or right else input
    x = roll(x, (-shift[0], -shift[1]), (1, 2)) if any(shift) else x
    x = x.reshape(batch, (height + below) // h, h, (width + right) // w, w, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, channels)


def window_reverse(
    windows: Tensor, window_size: int | Sequence[int], height: int, width: int, shift_size: int | Sequence[int] = 0
) -> Tensor:
    """The image (B, height, width, C) whose windows (B nH nW, h, w, C) are given: undoes window_partition, padding and shift.

    RuntimeError for windows that do not make up whole images; ValueError as there.
    """
    (h, w), shift = _window(window_size), _pair(shift_size)
    height, width = integer(height, "height"), integer(width, "width")
    rows, columns = math.ceil(height / h), math.ceil(width / w)
    if windows.ndim != 4 or windows.shape[1:3] != (h, w) or windows.shape[0] % (rows * columns):
        raise RuntimeError(
            f"window_reverse: expected windows (B * {rows} * {columns}, {h}, {w}, C) for an image of {height} x {width}, "
            f"but got {describe(windows)}"
        )
    channels = windows.shape[3]
    x = windows.reshape(-1, rows, columns, h, w, channels).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(-1, rows * h, columns * w, channels)
    x = roll(x, shift, (1, 2)) if any(shift) else x
    return x if x.shape[1:3] == (height, width) else x[:, :height, :width]


def shifted_window_attention(
    input: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    relative_position_bias: Tensor | None,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    logit_scale: Tensor | None = None,
    training: bool = True,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Y = softmax(Q K^T / sqrt(d) + bias + mask) V W_proj^T + b_proj in each window: input, result (B, H, W, C).

    Q, K, V = X W_qkv^T + b_qkv, split into num_heads heads of d = C / num_heads numbers. qkv_weight (3 C, C), qkv_bias
    (3 C,), proj_weight (C, C), proj_bias (C,); relative_position_bias broadcasts to (B nH nW, heads, N, N) for the
    N = h w tokens of a window, or None. The windows are those of the image moved by shift_size: tokens that are no
    neighbours in the image are kept apart by a mask. Along an axis that one window covers there is no shift. Tokens of
    the padding are zeros before W_qkv, and are looked at, as in torchvision.

    logit_scale (heads, 1, 1): cosine attention, softmax(cos(Q, K) exp(min(logit_scale, log 100)) + ...), keys without
    bias. Dropout in training: of probabilities by attention_dropout, of the result by `dropout`, from `generator`.
    As torchvision.models.swin_transformer.shifted_window_attention; Liu et al. (2021), equation 4, and for cosine
    attention Liu et al., Swin Transformer V2 (2022), equation 2.

    RuntimeError for an input that is not (B, H, W, C), or heads that do not divide C; ValueError for a window without
    tokens, or sizes that are no pair.
    """
    if input.ndim != 4:
        raise RuntimeError(f"shifted_window_attention: expected an input (B, H, W, C), but got {describe(input)}")
    window, num_heads = _window(window_size), integer(num_heads, "num_heads")
    _, height, width, channels = input.shape
    if num_heads < 1 or channels % num_heads:
        raise RuntimeError(
            f"shifted_window_attention: {num_heads} heads cannot share the channels of {describe(input)}"
        )
    padded = height + -height % window[0], width + -width % window[1]
    shift = tuple([0 if h >= n else s for s, h, n in zip(_pair(shift_size), window, padded, strict=True)])
    if sum(shift) <= 0:  # as torchvision decides it, negative shifts included
        shift = (0, 0)
    x = window_partition(input, window, shift).flatten(1, 2)
    mask = _masked(relative_position_bias, x, padded, window, shift) if any(shift) else relative_position_bias
    if logit_scale is not None and qkv_bias is not None:
        of_q, of_k, of_v = qkv_bias.chunk(3)
        qkv_bias = cat([of_q, zeros_like(of_k), of_v])
    q, k, v = split_heads(F.linear(x, qkv_weight, qkv_bias), 3, num_heads)
    scale = None
    if logit_scale is not None:
        q = F.normalize(q, dim=-1) * logit_scale.clamp(max=math.log(100.0)).exp()
        k, scale = F.normalize(k, dim=-1), 1.0
    probability = attention_dropout if training else 0.0
    drawn = given(generator=generator)
    y = F.scaled_dot_product_attention(q, k, v, mask, probability, scale=scale, **drawn)
    y = F.dropout(F.linear(merge_heads(y), proj_weight, proj_bias), dropout, training, **drawn)
    return window_reverse(y.unflatten(1, window), window, height, width, shift)


def _masked(
    bias: Tensor | None, x: Tensor, size: tuple[int, int], window: tuple[int, int], shift: tuple[int, ...]
) -> Tensor:
    """The bias of the windows x (B nH nW, N, C), and APART for tokens that were no neighbours before the shift."""
    apart = Tensor(_apart(size, window, shift).astype(x.dtype)).to(x.device)
    apart = apart.repeat(x.shape[0] // len(apart), 1, 1, 1)
    return apart if bias is None else bias + apart


@lru_cache(maxsize=64)
def _apart(size: tuple[int, int], window: tuple[int, int], shift: tuple[int, ...]) -> np.ndarray:
    """(nH nW, 1, N, N): APART for two tokens of a window that were no neighbours before the shift, else 0.

    After the shift, the last row of windows holds tokens from two ends of the image, and so does the last column.
    """
    region = np.zeros(size)
    # Without a shift along an axis, the last slice is all of it: one region, as it has to be.
    rows, columns = ([slice(0, -w), slice(-w, -s), slice(-s, None)] for w, s in zip(window, shift, strict=True))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            region[row, column] = 3 * i + j
    (height, width), (h, w) = size, window
    tokens = region.reshape(height // h, h, width // w, w).transpose(0, 2, 1, 3).reshape(-1, 1, h * w)
    return np.where(tokens[..., None, :] == tokens[..., None], 0.0, APART)


def _pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    if alone(value):
        return (n := integer(value, "a size"), n)
    if len(value) != 2:
        raise ValueError(f"expected one number or a pair (height, width), but got {tuple(value)}")
    return integer(value[0], "a size"), integer(value[1], "a size")


def _window(size: int | Sequence[int]) -> tuple[int, int]:
    """The height and width of a window. ValueError unless both are positive."""
    h, w = _pair(size)
    if h < 1 or w < 1:
        raise ValueError(f"a window has at least one token, but got window_size {(h, w)}")
    return h, w


offer("nn.functional", shifted_window_attention, window_partition, window_reverse)
