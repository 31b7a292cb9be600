"""Embedding: rows of a table looked up by number. Its gradient is added at the rows that were looked up.

Source: Y. Bengio et al., A Neural Probabilistic Language Model (2003), section 2.
"""

from __future__ import annotations

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.op import Op, in_float32
from minigrad.ops.common import integer
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Embedding(Op):
    """y[i] = w[index[i]];  gw = gy added at the rows of the index, but for `padding`; by_count: over how often each occurs."""

    fresh = True
    saves = {1: 0}

    def __init__(self, padding: int | None, by_count: bool) -> None:
        self.padding, self.by_count = padding, by_count

    def forward(self, w: Array, index: Array) -> Array:
        self.shape = w.shape
        return backends.of(w).xp.take(w, index, axis=0)

    def backward(self, gy: Tensor) -> tuple[Tensor, None]:
        index = self.inputs[1]
        if self.padding is not None:
            gy = gy * (index != self.padding).unsqueeze(-1).to(gy.dtype)
        return (self._by_count(gy, index) if self.by_count else AddRows(self.shape)(gy, index)), None

    @in_float32
    def _by_count(self, gy: Tensor, index: Tensor) -> Tensor:
        """The gradients of each row over how often the index names it: their mean."""
        backend = backends.of(gy.array)
        counts = backend.scatter_add(index.array, backend.xp.ones(index.shape, gy.dtype), shape=self.shape[:1])
        return AddRows(self.shape)(gy / Tensor._wrap(counts[index.array][..., None]), index)


class AddRows(Op):
    """w = zeros of a shape, with y[i] added at row index[i];  gy[i] = gw[index[i]]."""

    widens = True
    saves = {1: 0}

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, y: Array, index: Array) -> Array:
        return backends.of(y).scatter_add(index, y, shape=self.shape)

    def backward(self, gw: Tensor) -> tuple[Tensor, None]:
        return Embedding(None, False)(gw, self.inputs[1]), None


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: input of any shape (...), int64 or int32, weight (V, D), result (..., D).

    padding_idx: a row that gets no gradient. scale_grad_by_freq: each row's gradient is divided by how often the input
    names it. IndexError for a number outside of 0 to V - 1. max_norm and sparse gradients are not built.
    """
    if max_norm is not None:
        raise NotImplementedError("embedding with max_norm is not built: rescale the weight outside of the graph")
    if sparse:
        raise NotImplementedError("embedding with sparse=True is not built: gradients are dense")
    if input.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"Expected indices of type int64 or int32, but got {describe(input)}")
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got {describe(weight)}")
    if input.device != weight.device:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but got {describe(input)} and weight {describe(weight)}"
        )
    rows = weight.shape[0]
    if padding_idx is not None:
        padding_idx = integer(padding_idx, "padding_idx")
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"Padding_idx must be within num_embeddings: got {padding_idx} for {rows} rows")
        padding_idx %= rows
    message = f"index out of range in embedding: {{}} is none of the rows 0 to {rows - 1}"
    backends.of(input.array).check_indices(input.array, high=rows, error=IndexError, message=message)
    return Embedding(padding_idx, scale_grad_by_freq)(weight, input)


offer("nn.functional", embedding)
