"""Along axes: sums, means, variances, extremes, orderings.

An axis that is reduced disappears, or stays with length 1 under keepdim=True. Gradients are spread back along it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.function import Function
from minigrad.ops.common import axes, axis, floating, sum_to
from minigrad.ops.elementwise import where
from minigrad.ops.indexing import gather
from minigrad.tensor import Tensor, describe

Dim = int | Sequence[int] | None


def exact_sum(x: Any, over: tuple[int, ...] | None, keepdims: bool = False) -> Any:
    """Sums float32 in float64: NumPy adds along leading axes one by one, which loses digits over long axes."""
    if x.dtype == np.float32 and x.size > 64:
        return x.sum(axis=over, keepdims=keepdims, dtype=np.float64).astype(np.float32)
    return x.sum(axis=over, keepdims=keepdims)


class Sum(Function):
    """y = sum of x over axes;  gx = gy, repeated along them."""

    def __init__(self, over: tuple[int, ...], keepdim: bool) -> None:
        self.over, self.keepdim = over, keepdim

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return exact_sum(x, self.over, self.keepdim)

    def backward(self, gy: Tensor) -> Tensor:
        return spread(gy, self.shape, self.over, self.keepdim)


class Mean(Sum):
    """y = sum of x over axes / count;  gx = gy / count, repeated along them. The mean of nothing is NaN."""

    def forward(self, x: Any) -> Any:
        self.count = _count(x, self.over)
        total = super().forward(x)
        return total / self.count if self.count else total * float("nan")

    def backward(self, gy: Tensor) -> Tensor:
        return spread(gy, self.shape, self.over, self.keepdim) / self.count


def _count(x: Any, over: tuple[int, ...]) -> int:
    """How many elements are reduced to one."""
    count = 1
    for i in over:
        count *= x.shape[i]
    return count


def spread(y: Tensor, shape: tuple[int, ...], over: tuple[int, ...], keepdim: bool) -> Tensor:
    """The adjoint of a sum: y repeated along the axes that were reduced."""
    if not keepdim:
        y = y.reshape(tuple([1 if i in over else n for i, n in enumerate(shape)]))
    return y.expand(shape)


class Extreme(Function):
    """y = max (or min) of x over axes;  gy goes to the extremes, in equal shares where several are equal."""

    saves = {0: None}
    saves_output = True

    def __init__(self, name: str, over: tuple[int, ...], keepdim: bool) -> None:
        self.which, self.over, self.keepdim = name, over, keepdim

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return getattr(x, self.which)(axis=self.over, keepdims=self.keepdim)

    def backward(self, gy: Tensor) -> Tensor:
        x, y = self.inputs[0].detach(), self.output.detach()
        y = spread(y, self.shape, self.over, self.keepdim)
        chosen = ((x == y) | ((x != x) & (y != y))).to(gy.dtype)
        share = chosen / chosen.sum(self.over, keepdim=True)
        return spread(gy, self.shape, self.over, self.keepdim) * share


def sum(x: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:  # noqa: A001
    """The sum over `dim` (an axis, several, or None for all). Integers and bools are summed as int64."""
    if dtype is not None:
        x = x.to(np.dtype(dtype))
    elif x.dtype.kind != "f":
        x = x.to(dtypes.int64)
    return Sum(axes(dim, x.ndim), keepdim)(x)


def mean(x: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim`: sum / count."""
    if dtype is not None:
        x = x.to(np.dtype(dtype))
    if x.dtype.kind != "f":
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: {x.dtype}"
        )
    return Mean(axes(dim, x.ndim), keepdim)(x)


def var(
    x: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """sum (x - mean)^2 / max(0, count - correction) over `dim`; correction is 1 (unbiased) unless told."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if x.dtype.kind != "f":
        raise RuntimeError(f"std and var only support floating point dtypes, not {x.dtype}")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    over = axes(dim, x.ndim)
    centred = x - mean(x, over if x.ndim else None, keepdim=True)
    squares = sum(centred * centred, over if x.ndim else None, keepdim)
    freedom = max_number(0.0, _count(x, over) - correction)
    return squares / freedom


def max_number(a: float, b: float) -> float:
    """The larger of two Python numbers (`max` is torch's here)."""
    return a if a >= b else b


def std(
    x: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """The square root of var; its gradient is 0 where all values are equal."""
    variance = var(x, dim, unbiased, keepdim, correction=correction)
    root = variance.sqrt()
    if not variance.requires_grad:
        return root
    safe = where(variance == 0, 1.0, variance).sqrt()
    return where(variance == 0, root.detach() + 0.0 * variance, safe)


def amax(x: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest over `dim`; the gradient is shared evenly among equals."""
    return Extreme("max", _nonempty(x, axes(dim, x.ndim), "amax"), keepdim)(x)


def amin(x: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest over `dim`; the gradient is shared evenly among equals."""
    return Extreme("min", _nonempty(x, axes(dim, x.ndim), "amin"), keepdim)(x)


def _nonempty(x: Tensor, over: tuple[int, ...], name: str) -> tuple[int, ...]:
    for i in over:
        if x.shape[i] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {i} to have non-zero size, but the input is {describe(x)}"
            )
    return over


_max = namedtuple("max", ["values", "indices"])  # type: ignore[name-match]
_min = namedtuple("min", ["values", "indices"])  # type: ignore[name-match]
_topk = namedtuple("topk", ["values", "indices"])  # type: ignore[name-match]
_sort = namedtuple("sort", ["values", "indices"])  # type: ignore[name-match]


def max(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001
    """max(x): the largest element. max(x, dim): (values, indices) along an axis. max(x, other): as maximum."""
    if isinstance(dim, Tensor):
        from minigrad.ops.elementwise import maximum

        return maximum(x, dim)
    if dim is None:
        _nonempty_all(x, "max")
        return amax(x)
    return _max(*_along(x, argmax(x, dim, keepdim=True), dim, keepdim))


def min(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001
    """min(x): the smallest element. min(x, dim): (values, indices) along an axis. min(x, other): as minimum."""
    if isinstance(dim, Tensor):
        from minigrad.ops.elementwise import minimum

        return minimum(x, dim)
    if dim is None:
        _nonempty_all(x, "min")
        return amin(x)
    return _min(*_along(x, argmin(x, dim, keepdim=True), dim, keepdim))


def _nonempty_all(x: Tensor, name: str) -> None:
    if x.numel() == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )


def _along(x: Tensor, indices: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, Tensor]:
    if x.ndim == 0:
        return x.clone(), indices
    values = gather(x, axis(dim, x.ndim), indices)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def _arg(name: str, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if x.dtype == dtypes.bool_:
        raise NotImplementedError(f"{name} is not implemented for bool, as in torch: convert with .to(minigrad.uint8)")
    if dim is None:
        if x.numel() == 0:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        flat = getattr(x.array.reshape(-1), name)()
        return Tensor._wrap(
            backends.of(x.array).xp.asarray(flat).astype(np.int64).reshape((1,) * x.ndim if keepdim else ())
        )
    dim = axis(dim, x.ndim)
    if x.ndim == 0:
        return Tensor._wrap(backends.of(x.array).xp.zeros((), np.int64))
    _nonempty(x, (dim,), name)
    return Tensor._wrap(getattr(x.array, name)(axis=dim, keepdims=keepdim).astype(np.int64))


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the largest element, the first among equals; over the flattened tensor if dim is None."""
    return _arg("argmax", x, dim, keepdim)


def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the smallest element, the first among equals; over the flattened tensor if dim is None."""
    return _arg("argmin", x, dim, keepdim)


def argsort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices (int64) that sort along an axis; equal elements stay in order. NaN counts as the largest."""
    xp = backends.of(x.array).xp
    if x.ndim == 0:
        return Tensor._wrap(xp.zeros((), np.int64))
    dim = axis(dim, x.ndim)
    array = x.array
    if descending:
        # Sorting the reversed axis and reversing the result keeps equal elements in order.
        order = array.shape[dim] - 1 - xp.flip(_stable_argsort(xp, xp.flip(array, dim), dim), dim)
    else:
        order = _stable_argsort(xp, array, dim)
    return Tensor._wrap(order.astype(np.int64))


def _stable_argsort(xp: Any, array: Any, dim: int) -> Any:
    return xp.argsort(array, axis=dim, kind="stable")


def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) sorted along an axis."""
    indices = argsort(x, dim, descending, stable)
    return _sort(x.clone() if x.ndim == 0 else gather(x, axis(dim, x.ndim), indices), indices)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002
    """(values, indices) of the k largest (or smallest) elements along an axis, in order."""
    size = x.shape[axis(dim, x.ndim)] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(
            f"selected index k out of range: k = {k}, but dim {dim} of {describe(x)} has {size} elements"
        )
    if x.ndim == 0:
        return _topk(x.clone(), argsort(x))
    indices = argsort(x, dim, descending=largest).narrow(dim, 0, k)
    return _topk(gather(x, axis(dim, x.ndim), indices), indices)


def all(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:  # noqa: A001
    """Whether every element (along `dim`) is not zero."""
    return _truth("all", x, dim, keepdim)


def any(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:  # noqa: A001
    """Whether any element (along `dim`) is not zero."""
    return _truth("any", x, dim, keepdim)


def _truth(name: str, x: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    over = axes(dim, x.ndim)
    result = getattr(x.array if x.dtype == dtypes.bool_ else x.array != 0, name)(axis=over, keepdims=keepdim)
    return Tensor._wrap(result.astype(np.uint8) if x.dtype == dtypes.uint8 else result)


def count_nonzero(x: Tensor, dim: Dim = None) -> Tensor:
    """How many elements (along `dim`) are not zero."""
    return Tensor._wrap((x.array != 0).sum(axis=axes(dim, x.ndim), dtype=np.int64))


def logsumexp(x: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over `dim`, without overflow."""
    x = floating(x)
    over = axes(dim, x.ndim)
    largest = amax(x.detach(), over if x.ndim else (), keepdim=True)
    largest = where(largest.isfinite(), largest, 0.0)
    total = sum((x - largest).exp(), over if x.ndim else None, keepdim=True).log() + largest
    return total if keepdim else total.reshape(tuple([n for i, n in enumerate(x.shape) if i not in over]))


__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "count_nonzero", "logsumexp", "max", "mean", "min", "sort",
    "std", "sum", "sum_to", "topk", "var",
]  # fmt: skip
