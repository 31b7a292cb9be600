"""The encoder of the transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from minigrad.nn import functional as F
from minigrad.nn.attention import MultiheadAttention
from minigrad.nn.containers import ModuleList
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.normalization import LayerNorm
from minigrad.random import Generator
from minigrad.tensor import Tensor

ACTIVATIONS = ("relu", "gelu")


class TransformerEncoderLayer(Module):
    """x = LN1(x + A(x)), y = LN2(x + M(x)); with norm_first x = x + A(LN1(x)), y = x + M(LN2(x)).

    A: self-attention with nhead heads; M(x) = act(x W1^T + b1) W2^T + b2 with dim_feedforward numbers between; dropout
    in training of the probabilities, of A's result, after the activation and of M's result, drawn in this order from
    `generator`. x, y (S, N, d_model), (N, S, d_model) if batch_first, or (S, d_model). activation: "relu", "gelu"
    (RuntimeError for another name) or any function or module (Vaswani et al. 2017, 3.1; norm_first: Xiong et al. 2020,
    arXiv:2002.04745, figure 1).
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, generator=generator, **kind
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, **kind)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **kind)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, **kind)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, **kind)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise RuntimeError(f"activation should be relu/gelu, not {activation}")
        self.activation = getattr(F, activation) if isinstance(activation, str) else activation

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """y of x = src. src_mask (S, S) or (N nhead, S, S), src_key_padding_mask (N, S): True where NOT to look, or added.

        is_causal promises that src_mask, which has to be given, is the causal one.
        """
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool
    ) -> Tensor:
        y, _ = self.self_attn(x, x, x, key_padding_mask, need_weights=False, attn_mask=attn_mask, is_causal=is_causal)
        return self.dropout1(y)

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """num_layers copies of encoder_layer, one after another, then `norm`, if given.

    The copies start with the same weights, as in torch; they share the layer's generator. enable_nested_tensor and
    mask_check have no effect: torch skips padded tokens with them in evaluation without gradients, and returns zeros
    there, where these layers compute.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        shared = [m.generator for m in encoder_layer.modules() if getattr(m, "generator", None) is not None]
        self.layers = ModuleList(
            [
                copy.deepcopy(encoder_layer, {id(generator): generator for generator in shared})
                for _ in range(num_layers)
            ]
        )
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The layers' result for src, each with these masks (TransformerEncoderLayer.forward)."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)
