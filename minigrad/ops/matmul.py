"""Products of matrices and vectors: matmul, mm, bmm, mv, dot, addmm and their kin."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backends
from minigrad.backends import Array
from minigrad.dtypes import result_type
from minigrad.fused import FusedOp
from minigrad.op import Op, in_float32
from minigrad.ops.common import real, sum_to
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Matmul(Op):
    """Z = X Y over the last two axes, the others broadcast;  gX = gZ Y^T,  gY = X^T gZ."""

    fresh = True
    widens = True
    saves = {0: 1, 1: 0}

    def forward(self, x: Array, y: Array) -> Array:
        self.shapes = x.shape, y.shape
        return backends.of(x).matmul(x, y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, y = self.inputs
        needs_x, needs_y = self.asked_for
        return (
            sum_to(gz @ y.mT, self.shapes[0]) if needs_x else None,
            sum_to(x.mT @ gz, self.shapes[1]) if needs_y else None,
        )


class Linear(FusedOp):
    """Y = X W^T + b;  gX = gY W,  gW = gY^T X,  gb = the sum of gY over all rows.

    X (..., in), W (out, in), b (out) or None, Y (..., out).
    """

    fresh = True
    widens = True
    saves = {0: 1, 1: 0}

    def definition(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        y = matmul(x, w.mT)
        return y if b is None else y + b

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        self.shape, self.out = x.shape, w.shape[0]
        rows = x.reshape(math.prod(x.shape[:-1]), w.shape[1])
        return backends.of(x).linear(rows, w, b).reshape(*x.shape[:-1], w.shape[0])

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        rows = math.prod(self.shape[:-1])
        x = None if x is None else x.reshape(rows, x.shape[-1])
        needs = (*self.asked_for, False)[:3]
        gx, gw, gb = backends.of(gy).linear_backward(gy.reshape(rows, self.out), x, w, needs=needs)
        return None if gx is None else gx.reshape(self.shape), gw, gb


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product. Vectors count as a row on the left and a column on the right; leading axes broadcast."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        name, x = ("other", other) if isinstance(input, Tensor) else ("input", input)
        raise TypeError(f"matmul(): argument {name!r} must be Tensor, not {type(x).__name__}")
    if input.ndim == 0 or other.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {input.ndim}D and {other.ndim}D"
        )
    if input.dtype != other.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {input.dtype} != {other.dtype}")
    if input.dtype.kind == "b":
        raise NotImplementedError("matmul is not implemented for bool, as in torch: convert with .to(minigrad.int64)")
    a = input.unsqueeze(0) if input.ndim == 1 else input
    b = other.unsqueeze(1) if other.ndim == 1 else other
    if a.array.shape[-1] != b.array.shape[-2]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({describe(input)} and {describe(other)})")
    z = Matmul()(a, b)
    if other.ndim == 1:
        z = z.squeeze(-1)
    return z.squeeze(z.ndim - (1 if other.ndim == 1 else 2)) if input.ndim == 1 else z


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm expects two matrices, got {describe(input)} and {describe(mat2)}")
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    if input.ndim != 3 or mat2.ndim != 3 or input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm expects two batches (b, n, m) and (b, m, p), got {describe(input)} and {describe(mat2)}"
        )
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"mv expects a matrix and a vector, got {describe(input)} and {describe(vec)}")
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1 or input.shape != tensor.shape:
        raise RuntimeError(f"dot expects two 1D tensors of one length, got {describe(input)} and {describe(tensor)}")
    return matmul(input, tensor)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, as dot: numbers are real."""
    return dot(input, other)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Z[i, j] = x[i] y[j] of two vectors."""
    for name, v in (("self", input), ("vec2", vec2)):
        if v.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {describe(v)}")
    return input.unsqueeze(1) * vec2


@in_float32
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat1 @ mat2). With beta = 0 the input counts for nothing, even where it is NaN."""
    return _added(input, mm(mat1, mat2), beta, alpha)


@in_float32
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat @ vec)."""
    return _added(input, mv(mat, vec), beta, alpha)


@in_float32
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (the outer product of vec1 and vec2)."""
    product = outer(vec1, vec2)
    dtype = result_type(input, product)
    return _added(input.to(dtype), product.to(dtype), beta, alpha)


@in_float32
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (batch1 @ batch2), for batches of matrices."""
    return _added(input, bmm(batch1, batch2), beta, alpha)


@in_float32
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (the sum over the batch of batch1 @ batch2): one product of (n, b m) and (b m, p)."""
    if batch1.ndim != 3 or batch2.ndim != 3 or batch1.shape[::2] != batch2.shape[:2]:
        raise RuntimeError(
            f"addbmm expects two batches (b, n, m) and (b, m, p), got {describe(batch1)} and {describe(batch2)}"
        )
    b, n, m = batch1.shape
    product = mm(batch1.permute(1, 0, 2).reshape(n, b * m), batch2.reshape(b * m, batch2.shape[2]))
    return _added(input, product, beta, alpha)


def _added(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    if input.dtype != product.dtype:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {input.dtype} and {product.dtype}")
    beta, alpha = real(beta, "beta"), real(alpha, "alpha")
    if isinstance(beta, bool) or isinstance(alpha, bool):
        raise RuntimeError("Boolean beta and alpha only supported for Boolean results.")
    if product.dtype.kind != "f":  # as torch, which takes integers of them
        beta, alpha = int(beta), int(alpha)
    input = input.expand(product.shape)
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., in) times weight (out, in) transposed, plus bias (out)."""
    if input.ndim == 0 or weight.ndim not in (1, 2) or input.array.shape[-1] != weight.array.shape[-1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied: linear was given {describe(input)} and weight {describe(weight)}"
        )
    if input.dtype != weight.dtype:
        raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {input.dtype} and {weight.dtype}")
    if weight.ndim == 1:
        y = matmul(input, weight)
        return y if bias is None else y + bias
    return Linear()(input, weight, bias)


offer("minigrad Tensor Tensor_", addbmm, addmm, addmv, addr, baddbmm)
offer("minigrad Tensor linalg", matmul)
offer("minigrad Tensor", bmm, dot, mm, mv, outer, vdot)
offer("nn.functional", linear)
