"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.dtypes import as_dtype
from minigrad.op import Op
from minigrad.ops.common import axis, integer
from minigrad.ops.creation import placed
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


def _diagonal_of(x: Any, offset: int, a: int, b: int) -> Any:
    """The diagonal as an array that shares memory and can be written into (NumPy hands out one for reading only)."""
    y = x.diagonal(offset, a, b)
    if isinstance(x, np.ndarray) and x.flags.writeable:
        y.flags.writeable = True
    return y


class Diagonal(Op):
    """y[..., i] = x[..., i, ..., i + offset, ...];  gx = gy on the diagonal of zeros."""

    is_view = True

    def __init__(self, offset: int, a: int, b: int) -> None:
        self.offset, self.axes = offset, (a, b)

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return _diagonal_of(x, self.offset, *self.axes)

    def backward(self, gy: Tensor) -> Tensor:
        return Embed(self.shape, self.offset, *self.axes)(gy)


class Embed(Op):
    """y = zeros of `shape` with x on a diagonal: the transpose of Diagonal;  gx = that diagonal of gy."""

    def __init__(self, shape: tuple[int, ...], offset: int, a: int, b: int) -> None:
        self.shape, self.offset, self.axes = shape, offset, (a, b)

    def forward(self, x: Array) -> Array:
        y = backends.of(x).xp.zeros(self.shape, x.dtype)
        _diagonal_of(y, self.offset, *self.axes)[...] = x
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return Diagonal(self.offset, *self.axes)(gy)


def _two(dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    a, b = axis(dim1, ndim), axis(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return a, b


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements at (i, i + offset) of two axes, as the last axis. Shares memory."""
    return Diagonal(integer(offset, "offset"), *_two(dim1, dim2, input.ndim))(input)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices, in the axes dim1 and dim2, with the last axis on a diagonal and zeros elsewhere."""
    if input.ndim == 0:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    a, b = _two(dim1, dim2, input.ndim + 1)
    offset = integer(offset, "offset")
    size = input.shape[-1] + abs(offset)
    rest = iter(input.shape[:-1])
    shape = tuple([size if i in (a, b) else next(rest) for i in range(input.ndim + 1)])
    return Embed(shape, offset, a, b)(input)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as a matrix with that diagonal; a matrix's diagonal as a vector."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return (
        diag_embed(input, diagonal) if input.ndim == 1 else Diagonal(integer(diagonal, "diagonal"), 0, 1)(input).clone()
    )


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got {describe(input)}")
    return diagonal(input).sum()


class Triangle(Op):
    """y = x with zeros above (tril) or below (triu) a diagonal of the last two axes;  gx = gy with the same zeros."""

    def __init__(self, name: str, diagonal: int) -> None:
        self.which, self.diagonal = name, diagonal

    def forward(self, x: Array) -> Array:
        return getattr(backends.of(x).xp, self.which)(x, self.diagonal)

    def backward(self, gy: Tensor) -> Tensor:
        return Triangle(self.which, self.diagonal)(gy)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes, zeros above it."""
    return Triangle("tril", integer(diagonal, "diagonal"))(_matrices(input, "tril"))


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes, zeros below it."""
    return Triangle("triu", integer(diagonal, "diagonal"))(_matrices(input, "triu"))


def _matrices(x: Tensor, name: str) -> Tensor:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, not {describe(x)}")
    return x


@placed
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """(2, count): rows and columns of the elements of a (row, col) matrix on and below a diagonal, row by row."""
    return _indices(np.tril, row, col, offset, dtype, device)


@placed
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """(2, count): rows and columns of the elements of a (row, col) matrix on and above a diagonal, row by row."""
    return _indices(np.triu, row, col, offset, dtype, device)


def _indices(part: Any, row: int, col: int, offset: int, dtype: Any, device: Any) -> Tensor:
    row, col, offset = integer(row, "row"), integer(col, "col"), integer(offset, "offset")
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got {row} and {col}")
    found = np.stack(np.nonzero(part(np.ones((row, col), bool), offset)))
    return Tensor(found.astype(dtypes.int64 if dtype is None else as_dtype(dtype))).to(
        "cpu" if device is None else device
    )


offer("minigrad Tensor Tensor_", tril, triu)
offer("minigrad Tensor", diag, diag_embed, diagonal)
offer("Tensor", trace)  # minigrad.trace(x), which records too, stands in minigrad/tracing
offer("minigrad", tril_indices, triu_indices)
