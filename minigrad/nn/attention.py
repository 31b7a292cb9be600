"""Attention as a layer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.creation import empty
from minigrad.ops.late import given
from minigrad.ops.multihead import once_each
from minigrad.random import Generator
from minigrad.tensor import Tensor


class MultiheadAttention(Module):
    """Y = [head_1, ..., head_H] Wo^T + bo, head_i = softmax(Q_i K_i^T / sqrt(D) + mask) V_i, for H = num_heads.

    Q_i = X_q Wq_i^T + bq_i: D = embed_dim / H numbers a head; K_i and V_i likewise, of inputs of kdim and vdim numbers
    (embed_dim unless given). Wq, Wk, Wv lie one below the other in in_proj_weight (3 embed_dim, embed_dim), or in
    q_proj_weight, k_proj_weight and v_proj_weight where kdim or vdim is another; their biases in in_proj_bias
    (3 embed_dim); Wo, bo in out_proj. add_bias_kv: one more key and value, bias_k and bias_v (1, 1, embed_dim), are
    learned; add_zero_attn: another pair is zeros. dropout: of the probabilities, in training, drawn from `generator`.

    Input weights start as xavier uniform, bias_k and bias_v as xavier normal, out_proj's weight as Linear's, biases at 0.
    ValueError for sizes below 1, AssertionError for an embed_dim that num_heads does not divide.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, but got embed_dim={embed_dim} and num_heads={num_heads}"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self.generator = generator

        def add(name: str, shape: tuple[int, ...], wanted: bool) -> None:
            self.register_parameter(name, Parameter(empty(shape, dtype=dtype, device=device)) if wanted else None)

        packed = self.kdim == self.vdim == embed_dim
        add("q_proj_weight", (embed_dim, embed_dim), not packed)
        add("k_proj_weight", (embed_dim, self.kdim), not packed)
        add("v_proj_weight", (embed_dim, self.vdim), not packed)
        add("in_proj_weight", (3 * embed_dim, embed_dim), packed)
        add("in_proj_bias", (3 * embed_dim,), bias)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        add("bias_k", (1, 1, embed_dim), add_bias_kv)
        add("bias_v", (1, 1, embed_dim), add_bias_kv)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw the parameters anew; out_proj's weight stays, as in torch."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(Y, P) of query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim); (N, L, ...) and so on if batch_first.

        Without N for one sample. Masks say where NOT to look; what they are, and P, says F.multi_head_attention_forward.
        need_weights=False takes the fast path: nothing of size (L, S) is kept where less will do, and P is None.
        """
        turn = self.batch_first and query.ndim == 3
        if turn:
            query, key, value = once_each(lambda x: x.transpose(0, 1), query, key, value)
        y, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            **given(generator=self.generator),
        )
        return y.transpose(0, 1) if turn else y, weights
