"""Order: sorting, the k largest, medians, distinct values, and where a value belongs among sorted ones.

Values are read at the indices found, so gradients go back to where each value came from.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.ops.common import axis, integer
from minigrad.ops.indexing import gather
from minigrad.ops.public import offer
from minigrad.ops.reduction import Extreme
from minigrad.tensor import Tensor, describe

_sort = namedtuple("sort", ["values", "indices"])  # type: ignore[name-match]
_topk = namedtuple("topk", ["values", "indices"])  # type: ignore[name-match]
_kthvalue = namedtuple("kthvalue", ["values", "indices"])  # type: ignore[name-match]
_median = namedtuple("median", ["values", "indices"])  # type: ignore[name-match]


class Median(Extreme):
    """y = the lower middle of all values, NaN if one is;  gy goes to the elements equal to y, in equal shares."""

    def __init__(self, ndim: int) -> None:
        super().__init__("median", tuple(range(ndim)), False, True)

    def forward(self, x: Array) -> Array:
        xp = backends.of(x).xp
        self.shape = x.shape
        ordered = xp.sort(x.reshape(-1))  # NaN comes last
        middle = ordered[(x.size - 1) // 2]
        return xp.where(xp.isnan(ordered[-1]), ordered[-1], middle) if x.dtype.kind == "f" else middle


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices (int64) that sort along an axis; equal elements stay in order. NaN counts as the largest."""
    array = input.array
    xp = backends.of(array).xp
    d = axis(dim, input.ndim)
    if input.ndim == 0:
        return Tensor._wrap(xp.zeros((), np.int64))
    if descending:
        # Sorting the reversed axis and reversing the result keeps equal elements in order.
        order = array.shape[d] - 1 - xp.flip(xp.argsort(xp.flip(array, d), axis=d, kind="stable"), d)
    else:
        order = xp.argsort(array, axis=d, kind="stable")
    return Tensor._wrap(order.astype(np.int64))


def _picked(x: Tensor, dim: int, indices: Tensor) -> Tensor:
    return x.clone() if x.ndim == 0 else gather(x, axis(dim, x.ndim), indices)


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """(values, indices) sorted along an axis; equal elements stay in order. NaN counts as the largest."""
    indices = argsort(input, dim, descending, stable=stable)
    return _sort(_picked(input, dim, indices), indices)


def msort(input: Tensor) -> Tensor:
    """The values sorted along the first axis."""
    return sort(input, 0)[0]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) elements along an axis, in order."""
    size, k = input.shape[axis(dim, input.ndim)] if input.ndim else 1, integer(k, "k")
    if not 0 <= k <= size:
        raise RuntimeError(
            f"selected index k out of range: k = {k}, but dim {dim} of {describe(input)} has {size} elements"
        )
    indices = argsort(input, dim, descending=largest)
    if input.ndim:
        indices = indices.narrow(dim, 0, k)
    return _topk(_picked(input, dim, indices), indices)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest element along an axis, k counted from 1; the first among equals."""
    size, k = input.shape[axis(dim, input.ndim)] if input.ndim else 1, integer(k, "k")
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim} of {describe(input)}")
    indices = argsort(input, dim)
    if input.ndim:
        indices = indices.narrow(dim, k - 1, 1)
    values = _picked(input, dim, indices)
    return _kthvalue(*((values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))))


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """median(x): the lower of the two middle values of all. median(x, dim): (values, indices) along an axis.

    NaN wins over everything, and the median of no elements is NaN.
    """
    if dim is None:
        if input.numel() == 0 and input.dtype.kind == "f":
            return input.sum() * float("nan")
        return Median(input.ndim)(input)
    size = input.shape[axis(dim, input.ndim)] if input.ndim else 1
    if size == 0:
        raise IndexError(f"median(): Expected reduction dim {dim} to have non-zero size, but got {describe(input)}")
    middle = _median(*kthvalue(input, (size + 1) // 2, dim, True))
    if input.dtype.kind == "f" and input.ndim:
        nan = input.isnan()
        indices = middle.indices.where(~nan.any(dim, keepdim=True), nan.to(np.uint8).argmax(dim, keepdim=True))
        middle = _median(gather(input, axis(dim, input.ndim), indices), indices)
    return middle if keepdim else _median(middle.values.squeeze(dim), middle.indices.squeeze(dim))


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct values in order (or the distinct slices along `dim`); each NaN is distinct from the others.

    With return_inverse also where each element of the input is in them, with return_counts how often each occurs (int64).
    They are sorted whether asked for or not. No gradient.
    """
    d = None if dim is None else axis(dim, input.ndim)
    # Whole slices are compared on the host: CuPy orders them by their hashes.
    array = input.detach().array if d is None else input.numpy(force=True)
    xp = backends.of(array).xp
    values, inverse, counts = xp.unique(array, return_inverse=True, return_counts=True, axis=d, equal_nan=False)
    shape = input.shape if d is None else (input.shape[d] if input.ndim else 1,)
    results = [values]
    if return_inverse:
        results.append(inverse.astype(np.int64).reshape(shape))
    if return_counts:
        results.append(counts.astype(np.int64))
    made = [Tensor._wrap(result).to(input.device) for result in results]
    return made[0] if len(made) == 1 else tuple(made)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of integers, or the sum of its weights. No gradient."""
    if input.dtype.kind not in "iu":
        raise NotImplementedError(f"bincount is not implemented for {input.dtype}")
    if input.ndim != 1 or (input.numel() and int(input.array.min()) < 0):
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, not {describe(input)}.")
    minlength = integer(minlength, "minlength")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, not {minlength}")
    xp = backends.of(input.array).xp
    if weights is None:
        if not input.numel():
            return Tensor._wrap(xp.zeros(minlength, np.int64))
        return Tensor._wrap(xp.bincount(input.array, minlength=minlength).astype(np.int64))
    if weights.shape != input.shape:
        raise RuntimeError(f"weights should be 1-d and have the same length as input: {weights.shape}, {input.shape}")
    dtype = weights.dtype if weights.dtype == dtypes.float32 else dtypes.float64
    if not input.numel():
        return Tensor._wrap(xp.zeros(minlength, dtype))
    counts = xp.bincount(input.array, weights.array.astype(np.float64), minlength=minlength)
    return Tensor._wrap(counts.astype(dtype))


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each value would be inserted to keep the (innermost) sequence in order: before its equals, or after (right).

    sorted_sequence (..., n): leading axes as input's, or a vector for all. sorter: the indices that sort the sequence.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError("torch.searchsorted(): side and right can't be set to opposites")
    if sorter is not None:
        sorted_sequence = gather(sorted_sequence, -1, sorter)
    side = side or ("right" if right else "left")
    sequence = sorted_sequence.detach().array
    xp = backends.of(sequence).xp
    values = input.detach().array if isinstance(input, Tensor) else xp.asarray(input)
    dtype = np.int32 if out_int32 else np.int64
    if sequence.ndim == 1:
        return Tensor._wrap(xp.searchsorted(sequence, values.reshape(-1), side).astype(dtype).reshape(values.shape))
    if sequence.ndim == 0 or sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
            f"and input value tensor must match, but we got {sequence.shape} and {values.shape}"
        )
    found = xp.empty(values.shape, dtype)
    for row in np.ndindex(*sequence.shape[:-1]):
        found[row] = xp.searchsorted(sequence[row], values[row], side)
    return Tensor._wrap(found)


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The bucket that each value falls in: i where boundaries[i-1] < x <= boundaries[i] (right: <= x <)."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


offer("minigrad Tensor", argsort, bincount, kthvalue, median, msort, sort, topk, unique)
offer("minigrad", bucketize, searchsorted)
