"""Norms: of vectors, the size of what lies along some axes; of matrices, along two."""

from __future__ import annotations

from math import inf, isinf
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.dtypes import as_dtype
from minigrad.op import Op
from minigrad.ops.choice import where
from minigrad.ops.common import alone, axes, axis, quiet, real
from minigrad.ops.public import offer
from minigrad.ops.reduction import Dim, exact_sum, spread
from minigrad.ops.singular import SingularValues
from minigrad.tensor import Tensor, describe


class Norm(Op):
    """y = (sum |x|^p)^(1/p) over axes; max |x| for p = inf, min |x| for -inf, how many are not 0 for p = 0.

    gx = gy sign(x) (|x| / y)^(p-1), with torch's choice at 0: no gradient where y = 0. For +-inf, gy sign(x) goes to the
    extremes in equal shares.
    """

    widens = True
    saves = {0: None}
    saves_output = True

    def __init__(self, p: float, over: tuple[int, ...], keepdim: bool) -> None:
        self.p, self.over, self.keepdim = p, over, keepdim

    def forward(self, x: Array) -> Array:
        xp, p, over, keepdim = backends.of(x).xp, self.p, self.over, self.keepdim
        self.shape = x.shape
        size = xp.abs(x)
        with quiet():
            if isinf(p):
                return (size.max if p > 0 else size.min)(axis=over, keepdims=keepdim)
            if p == 0:
                return (x != 0).sum(axis=over, keepdims=keepdim).astype(x.dtype)
            if p == 1:
                return exact_sum(size, over, keepdim)
            wide = size.astype(np.float64) if x.dtype == np.float32 else size
            total = (wide * wide if p == 2 else wide**p).sum(axis=over, keepdims=keepdim)
            return (xp.sqrt(total) if p == 2 else total ** (1 / p)).astype(x.dtype, copy=False)

    def backward(self, gy: Tensor) -> Tensor:
        (x,), y, p = self.inputs, self.output, self.p
        gy, y = (spread(v, self.shape, self.over, self.keepdim) for v in (gy, y))
        if p == 0:
            return x.detach() * 0.0
        if p == 1:
            return gy * x.sign()
        if isinf(p):
            extreme = ((x.abs() == y) | x.isnan()).to(gy.dtype)
            return x.sign() * (gy / extreme.sum(self.over, keepdim=True) * extreme)
        if p == 2:
            return where(y == 0, 0.0, gy * (x / where(y == 0, 1.0, y)))
        safe = where(y == 0, 1.0, y)
        if p < 1:
            return where(x == 0, 0.0, x.sign() * where(x == 0, 1.0, x).abs() ** (p - 1)) * gy * y ** (1 - p)
        part = x.sign() * x.abs() ** (p - 1) if p < 2 else x * x.abs() ** (p - 2)
        return part * where(y == 0, 0.0, gy / safe ** (p - 1))


def vector_norm(
    input: Any = None, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None, x: Any = None
) -> Tensor:
    """(sum |input|^ord)^(1/ord) over `dim` (None: over all elements); ord = 0, inf and -inf as in the class Norm.

    x: input by its other name.
    """
    input, ord = x if input is None else input, real(ord, "linalg.vector_norm: ord")
    if dtype is not None:
        input = input.to(as_dtype(dtype))
    if input.dtype.kind != "f":
        raise NotImplementedError(
            f"linalg.vector_norm: Expected a floating point tensor as input, got {describe(input)}"
        )
    over = axes(dim, input.ndim)
    if (ord < 0 or ord == inf) and any([input.shape[i] == 0 for i in over]):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have an "
            f"identity ({describe(input)})"
        )
    return Norm(float(ord), over, keepdim)(input)


def matrix_norm(
    input: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """'fro': the root of the sum of squares; 1, -1, inf, -inf: the largest or smallest sum of |input| along columns or rows;
    2, -2: the largest or smallest singular value; 'nuc': their sum."""
    if input.ndim < 2 or isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(
            f"linalg.matrix_norm: input must have two axes, and dim name them: {describe(input)}, dim={dim}"
        )
    if ord == "fro":
        return vector_norm(input, 2, dim, keepdim, dtype=dtype)
    if ord not in (1, -1, 2, -2, inf, -inf, "nuc"):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord!r} not supported.")
    if ord in (2, -2, "nuc"):
        return _spectral(
            input if dtype is None else input.to(as_dtype(dtype)),
            ord,
            tuple([axis(d, input.ndim) for d in dim]),
            keepdim,
        )
    summed, left = (dim[0], dim[1]) if abs(ord) == 1 else (dim[1], dim[0])
    sums = vector_norm(input, 1, summed, True, dtype=dtype)
    result = _extreme(sums, ord, left)
    return result if keepdim else result.squeeze(tuple(dim))


def _extreme(sizes: Tensor, ord: float, dim: int) -> Tensor:
    """The largest along an axis, of none 0, or for a negative order the smallest."""
    if ord < 0:
        return sizes.amin(dim, keepdim=True)
    return sizes.amax(dim, keepdim=True) if sizes.shape[dim] else sizes.sum(dim, keepdim=True)


def _spectral(x: Tensor, ord: Any, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """The sum of the singular values along two axes, or the largest or smallest of them."""
    if dim[0] == dim[1]:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got {dim}")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"linalg.matrix_norm: Expected a floating point tensor as input, got {describe(x)}")
    values = SingularValues()(x.movedim(dim, (-2, -1)))
    result = values.sum(-1) if ord == "nuc" else _extreme(values, ord, -1).squeeze(-1)
    if keepdim:
        for d in sorted(dim):
            result = result.unsqueeze(d)
    return result


def linalg_norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """vector_norm of all elements (ord and dim None), of a vector or along one axis; matrix_norm of two axes."""
    if ord is None or (dim is not None and alone(dim)) or (dim is None and input.ndim == 1):
        return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    if dim is None:
        if input.ndim != 2:
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D."
            )
        dim = (-2, -1)
    if len(dim) == 1:
        return vector_norm(input, ord, dim, keepdim, dtype=dtype)
    return matrix_norm(input, ord, dim, keepdim, dtype=dtype)


def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm over `dim`, as of one vector; 'fro' and None are p = 2; 'nuc': the sum of a matrix's singular values."""
    if p == "nuc":
        return matrix_norm(input, p, tuple(range(input.ndim)) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: p must be a number, 'fro' or 'nuc', not {p!r}")
    return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype)


offer("minigrad Tensor", norm)
offer("linalg", matrix_norm, vector_norm, norm=linalg_norm)
