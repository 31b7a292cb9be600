"""Functions of pairs of vectors: how alike, how far apart, and products of both."""

from __future__ import annotations

import numpy as np

from minigrad.op import in_float32
from minigrad.ops.choice import clamp_min
from minigrad.ops.common import floating
from minigrad.ops.norm import vector_norm
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along an axis: the cosine of the angle. The two broadcast."""
    if "f" not in (x1.dtype.kind, x2.dtype.kind):
        raise RuntimeError(f"expected common dtype to be floating point, got {describe(x1)} and {describe(x2)}")
    x1, x2 = (floating(x) for x in (x1, x2))
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise RuntimeError(f"cosine_similarity: the shapes of {describe(x1)} and {describe(x2)} do not match") from None
    x1, x2 = x1.expand(shape), x2.expand(shape)
    x1, x2 = (x / clamp_min(vector_norm(x, 2, dim, True), eps) for x in (x1, x2))
    return (x1 * x2).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis; x1 (N, D) or (D), x2 of a shape that broadcasts with it."""
    return vector_norm(floating(x1) - floating(x2) + eps, p, -1, keepdim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input / max(its p-norm, eps) along an axis."""
    return input / clamp_min(vector_norm(input, p, dim, True), eps)


@in_float32
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T W_k x2 + b_k: input1 (..., I), input2 (..., J), weight (K, I, J), bias (K), result (..., K)."""
    if weight.ndim != 3 or input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match, or weight is not 3D: {describe(input1)}, {describe(input2)}, "
            f"weight {describe(weight)}"
        )
    out, first, second = weight.shape
    if input1.shape[-1] != first or input2.shape[-1] != second or (bias is not None and bias.shape != (out,)):
        raise RuntimeError(
            f"bilinear(): sizes do not match weight {describe(weight)}: {describe(input1)}, {describe(input2)}"
            + ("" if bias is None else f", bias {describe(bias)}")
        )
    batch = input1.shape[:-1]
    rows1, rows2 = input1.reshape(-1, first), input2.reshape(-1, second)
    products = (rows1 @ weight.permute(1, 0, 2).reshape(first, out * second)).unflatten(-1, (out, second))
    y = (products * rows2.unsqueeze(1)).sum(-1).reshape(*batch, out)
    return y if bias is None else y + bias


offer("minigrad nn.functional", bilinear, cosine_similarity, pairwise_distance)
offer("nn.functional", normalize)
