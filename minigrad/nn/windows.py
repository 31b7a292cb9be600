"""Attention within windows as a layer (Liu et al. 2021, https://arxiv.org/abs/2103.14030)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.creation import empty, from_numpy
from minigrad.ops.late import given
from minigrad.random import Generator
from minigrad.tensor import Tensor


class WindowAttention(Module):
    """Attention of num_heads heads in windows of (h, w) tokens, moved by shift_size: x, y (B, H, W, dim).

    y = F.shifted_window_attention(x, ...), whose docstring has the formula. Arguments and state_dict keys are those of
    torchvision's ShiftedWindowAttention: `qkv` and `proj` are Linear layers; relative_position_bias_table
    ((2h-1)(2w-1), num_heads) holds a number for each head and each offset between two tokens of a window, from a
    truncated normal distribution of deviation .02 at first; relative_position_index (N N,) says which one a pair of the
    N = h w tokens takes. relative_positions=False: none of them. Dropout's masks come from `generator`.

    Raises ValueError for a dim that num_heads does not divide, a window or a shift that is no pair, or a window without
    tokens.
    """

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        relative_positions: bool = True,
        generator: Generator | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError(
                f"window_size and shift_size must be of length 2, but got {tuple(window_size)} and {tuple(shift_size)}"
            )
        if min(window_size) < 1:
            raise ValueError(f"a window has at least one token, but got window_size {tuple(window_size)}")
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads must divide dim, but got {num_heads} heads and dim {dim}")
        self.window_size = tuple(window_size)
        self.shift_size = tuple(shift_size)
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.generator = generator
        self.qkv = Linear(dim, 3 * dim, qkv_bias, device=device, dtype=dtype)
        self.proj = Linear(dim, dim, proj_bias, device=device, dtype=dtype)
        self.register_parameter("relative_position_bias_table", None)
        self.register_buffer("relative_position_index", None)
        if relative_positions:
            h, w = window_size
            table = empty(((2 * h - 1) * (2 * w - 1), num_heads), dtype=dtype, device=device)
            self.relative_position_bias_table = Parameter(table)
            init.trunc_normal_(self.relative_position_bias_table, std=0.02)
            self.relative_position_index = from_numpy(_offsets(h, w)).to(table.device)

    def relative_position_bias(self) -> Tensor | None:
        """(1, num_heads, N, N): what is added to the scores of a window's tokens; None without relative positions."""
        if self.relative_position_bias_table is None:
            return None
        tokens = self.window_size[0] * self.window_size[1]
        chosen = self.relative_position_bias_table[self.relative_position_index]
        return chosen.reshape(tokens, tokens, self.num_heads).permute(2, 0, 1).unsqueeze(0)

    def forward(self, x: Tensor) -> Tensor:
        return F.shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            self.relative_position_bias(),
            self.window_size,
            self.num_heads,
            self.shift_size,
            self.attention_dropout,
            self.dropout,
            self.qkv.bias,
            self.proj.bias,
            training=self.training,
            **given(generator=self.generator),
        )

    def extra_repr(self) -> str:
        return (
            f"window_size={self.window_size}, shift_size={self.shift_size}, num_heads={self.num_heads}, "
            f"relative_positions={self.relative_position_bias_table is not None}"
        )


def _offsets(h: int, w: int) -> np.ndarray:
    """(N N,): the number of the offset from each token of an h x w window to each other, rows first."""
    y, x = np.indices((h, w)).reshape(2, -1)
    rows, columns = y[:, None] - y + h - 1, x[:, None] - x + w - 1
    return (rows * (2 * w - 1) + columns).ravel().astype(np.int64)
