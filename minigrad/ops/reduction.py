"""Along axes: sums, means, variances, extremes.

An axis that is reduced disappears, or stays with length 1 under keepdim=True. Gradients are spread back along it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.dtypes import as_dtype
from minigrad.fused import FusedOp
from minigrad.op import Op, in_float32
from minigrad.ops.choice import where
from minigrad.ops.common import axes, axis, floating, quiet, real
from minigrad.ops.indexing import gather
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe

Dim = int | Sequence[int] | None


def exact_sum(x: Any, over: tuple[int, ...] | None, keepdims: bool = False) -> Any:
    """Sums float32 in float64: NumPy adds along leading axes one by one, which loses digits over long axes."""
    if x.dtype == np.float32 and x.size > 64:
        return x.sum(axis=over, keepdims=keepdims, dtype=np.float64).astype(np.float32)
    return x.sum(axis=over, keepdims=keepdims)


class Sum(Op):
    """y = sum of x over axes;  gx = gy, repeated along them."""

    widens = True

    def __init__(self, over: tuple[int, ...], keepdim: bool) -> None:
        self.over, self.keepdim = over, keepdim

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return exact_sum(x, self.over, self.keepdim)

    def backward(self, gy: Tensor) -> Tensor:
        return spread(gy, self.shape, self.over, self.keepdim)


class NanSum(Sum):
    """As Sum, with NaN counted as 0;  gx = gy, times 0 at NaN."""

    saves = {0: None}

    def forward(self, x: Array) -> Array:
        return super().forward(backends.of(x).xp.where(x == x, x, x.dtype.type(0)))

    def backward(self, gy: Tensor) -> Tensor:
        return super().backward(gy) * self.inputs[0].isnan().logical_not()


class Mean(Sum):
    """y = sum of x over axes / count;  gx = gy / count, repeated along them. The mean of nothing is NaN."""

    def forward(self, x: Array) -> Array:
        self.count = _count(x, self.over)
        total = super().forward(x)
        return total / self.count if self.count else total * float("nan")

    def backward(self, gy: Tensor) -> Tensor:
        return spread(gy, self.shape, self.over, self.keepdim) / self.count


class ExactMean(Mean):
    """As Mean, summed in float64 however few the elements: what is centred must be centred well."""

    def forward(self, x: Array) -> Array:
        return super().forward(x.astype(np.float64)).astype(x.dtype) if x.dtype == np.float32 else super().forward(x)


class Var(FusedOp):
    """y = sum of (x - mean)^2 over axes / freedom;  gx = gy (x - mean) 2 / freedom. Summed in float64."""

    fresh = True
    widens = True
    saves = {0: None}

    def __init__(self, over: tuple[int, ...], keepdim: bool, freedom: float) -> None:
        self.over, self.keepdim, self.freedom = over, keepdim, freedom

    def definition(self, x: Tensor) -> Tensor:
        centred = x - ExactMean(self.over, True)(x)
        return Sum(self.over, self.keepdim)(centred * centred) / self.freedom

    def forward(self, x: Array) -> Array:
        with quiet():
            centred = self._centred(x)
            squares = (centred * centred).sum(axis=self.over, keepdims=self.keepdim)
            return (squares / np.float64(self.freedom)).astype(x.dtype, copy=False)

    def _centred(self, x: Any) -> Any:
        wide = x.astype(np.float64) if x.dtype == np.float32 else x
        return wide - wide.sum(axis=self.over, keepdims=True) / np.float64(_count(x, self.over))

    def backward_arrays(self, gy: Array) -> Array:
        (x,) = self.arrays
        if not self.keepdim:
            gy = gy.reshape([1 if i in self.over else n for i, n in enumerate(x.shape)])
        return (self._centred(x) * (gy * (np.float64(2) / self.freedom))).astype(x.dtype, copy=False)


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


class Extreme(Op):
    """y = max (or min) of x over axes;  gy goes to the extremes, in equal shares where several are equal.

    Where y is NaN, gy goes to the NaNs if `to_nan` (torch's max), else everything is NaN (torch's amax).
    """

    saves = {0: None}
    saves_output = True

    def __init__(self, name: str, over: tuple[int, ...], keepdim: bool, to_nan: bool = False) -> None:
        self.which, self.over, self.keepdim, self.to_nan = name, over, keepdim, to_nan

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return getattr(x, self.which)(axis=self.over, keepdims=self.keepdim)

    def backward(self, gy: Tensor) -> Tensor:
        # Whom gy goes to is constant, whatever gy is: worked out on the arrays.
        x, y = self.inputs[0].array, self.output.array
        y = y.reshape([1 if i in self.over else n for i, n in enumerate(self.shape)])
        chosen = (x == y) | ((x != x) & (y != y)) if self.to_nan else x == y
        chosen = chosen.astype(gy.dtype)
        share = Tensor._wrap(chosen / chosen.sum(axis=self.over, keepdims=True))
        return spread(gy, self.shape, self.over, self.keepdim) * share


def _typed(x: Tensor, dtype: Any) -> Tensor:
    """What a sum or a product is taken of: x in the type asked for; integers and bools as int64."""
    if dtype is not None:
        return x.to(as_dtype(dtype))
    return x if x.dtype.kind == "f" else x.to(dtypes.int64)


def _only_floats(x: Tensor, name: str) -> None:
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"{name}: Input dtype must be a floating point dtype, but the input is {describe(x)}. "
            "Convert it with .to(minigrad.float32) first."
        )


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an axis, several, or None for all). Integers and bools are summed as int64."""
    return Sum(axes(dim, input.ndim), keepdim)(_typed(input, dtype))


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim`: sum / count. Integers need a floating-point `dtype`."""
    x = input if dtype is None else input.to(as_dtype(dtype))
    _only_floats(x, "mean()")
    return Mean(axes(dim, x.ndim), keepdim)(x)


def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """As sum, with NaN counted as 0."""
    x = _typed(input, dtype)
    return (NanSum if x.dtype.kind == "f" else Sum)(axes(dim, x.ndim), keepdim)(x)


@in_float32
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` of what is not NaN; NaN where all are."""
    _only_floats(input, "nanmean()")
    x = input if dtype is None else input.to(as_dtype(dtype))
    return nansum(x, dim, keepdim) / sum(x.isnan().logical_not(), dim, keepdim)


def _variance(
    x: Tensor, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> tuple[Tensor, tuple[int, ...]]:
    """The variance, and the axes that it is taken over."""
    if isinstance(dim, bool) and unbiased is None and not keepdim and correction is None:
        dim, unbiased = None, dim
    _only_floats(x, "var and std")
    if unbiased is not None and correction is not None:
        raise TypeError("var and std take either unbiased or correction, not both")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    over = axes(dim, x.ndim)
    freedom = _count(x, over) - real(correction, "correction")
    return Var(over, keepdim, freedom if freedom > 0 else 0.0)(x), over


def _root(variance: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0."""
    root = variance.sqrt()
    if not variance.requires_grad:
        return root
    safe = where(variance == 0, 1.0, variance).sqrt()
    return where(variance == 0, root.detach() + 0.0 * variance, safe)


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """sum (x - mean)^2 / max(0, count - correction) over `dim`; correction is 1 (unbiased) by default."""
    return _variance(input, dim, unbiased, keepdim, correction)[0]


@in_float32
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The square root of var; its gradient is 0 where all values are equal."""
    return _root(_variance(input, dim, unbiased, keepdim, correction)[0])


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(var, mean) over `dim`."""
    variance, over = _variance(input, dim, unbiased, keepdim, correction)
    return variance, ExactMean(over, keepdim)(input)


@in_float32
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(std, mean) over `dim`."""
    variance, over = _variance(input, dim, unbiased, keepdim, correction)
    return _root(variance), ExactMean(over, keepdim)(input)


def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest over `dim`; the gradient is shared evenly among equals."""
    return Extreme("max", _nonempty(input, dim, "amax"), keepdim)(input)


def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest over `dim`; the gradient is shared evenly among equals."""
    return Extreme("min", _nonempty(input, dim, "amin"), keepdim)(input)


def _nonempty(x: Tensor, dim: Dim, name: str) -> tuple[int, ...]:
    """The axes that `dim` names. Of no elements there is no extreme."""
    over = axes(dim, x.ndim)
    if x.numel() == 0 and (dim is None or (type(dim) is tuple and not dim)):
        raise (IndexError if name.startswith("arg") else RuntimeError)(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            f"'dim' argument. The input is {describe(x)}"
        )
    for i in over:
        if x.array.shape[i] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {i} to have non-zero size, but the input is {describe(x)}"
            )
    return over


_max = namedtuple("max", ["values", "indices"])  # type: ignore[name-match]
_min = namedtuple("min", ["values", "indices"])  # type: ignore[name-match]
_aminmax = namedtuple("aminmax", ["min", "max"])  # type: ignore[name-match]


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max) over an axis or over all; gradients are shared evenly among equals."""
    over = () if dim is None else dim
    return _aminmax(amin(input, over, keepdim), amax(input, over, keepdim))


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """max(x): the largest element. max(x, dim): (values, indices) along an axis. max(x, other): as maximum."""
    if isinstance(dim, Tensor) or other is not None:
        from minigrad.ops.choice import maximum

        return maximum(input, dim if other is None else other)
    if dim is None:
        return Extreme("max", _nonempty(input, None, "max"), False, True)(input)
    return _max(*_along(input, _arg("argmax", input, dim, True, "max"), dim, keepdim))


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """min(x): the smallest element. min(x, dim): (values, indices) along an axis. min(x, other): as minimum."""
    if isinstance(dim, Tensor) or other is not None:
        from minigrad.ops.choice import minimum

        return minimum(input, dim if other is None else other)
    if dim is None:
        return Extreme("min", _nonempty(input, None, "min"), False, True)(input)
    return _min(*_along(input, _arg("argmin", input, dim, True, "min"), dim, keepdim))


def _along(x: Tensor, indices: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, Tensor]:
    if x.ndim == 0:
        return x.clone(), indices
    values = gather(x, axis(dim, x.ndim), indices)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def _arg(name: str, x: Tensor, dim: int | None, keepdim: bool, caller: str) -> Tensor:
    xp = backends.of(x.array).xp
    over = _nonempty(x, dim, caller)
    if dim is None:
        flat = xp.asarray(getattr(x.array.reshape(-1), name)())
        return Tensor._wrap(flat.astype(np.int64).reshape((1,) * x.ndim if keepdim else ()))
    if x.ndim == 0:
        return Tensor._wrap(xp.zeros((), np.int64))
    return Tensor._wrap(getattr(x.array, name)(axis=over[0], keepdims=keepdim).astype(np.int64))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the largest element, the first among equals; over the flattened tensor if dim is None."""
    _no_bool(input, "argmax")
    return _arg("argmax", input, dim, keepdim, "argmax")


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index (int64) of the smallest element, the first among equals; over the flattened tensor if dim is None."""
    _no_bool(input, "argmin")
    return _arg("argmin", input, dim, keepdim, "argmin")


def _no_bool(x: Tensor, name: str) -> None:
    if x.dtype == dtypes.bool_:
        raise NotImplementedError(f"{name} is not implemented for bool, as in torch: convert with .to(minigrad.uint8)")


def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether every element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
    return _truth("all", input, dim, keepdim)


def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether any element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
    return _truth("any", input, dim, keepdim)


def _truth(name: str, x: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    over = (
        () if type(dim) is tuple and not dim else axes(dim, x.ndim)
    )  # alone among torch's reductions, () means no axis here
    result = getattr(x.array if x.dtype == dtypes.bool_ else x.array != 0, name)(axis=over, keepdims=keepdim)
    return Tensor._wrap(result.astype(np.uint8) if x.dtype == dtypes.uint8 else result)


def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements (along `dim`) are not zero."""
    return Tensor._wrap((input.array != 0).sum(axis=axes(dim, input.ndim), dtype=np.int64))


@in_float32
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
    x = floating(input)
    over = axes(dim, x.ndim)
    if _count(x, over):
        largest = Extreme("max", over, True)(x.detach())
        largest = where(largest.isfinite(), largest, 0.0)
        total = Sum(over, True)((x - largest).exp()).log() + largest
    else:
        total = Sum(over, True)(x) - inf
    return total if keepdim else total.reshape(tuple([n for i, n in enumerate(x.shape) if i not in over]))


offer("minigrad Tensor special", logsumexp)
offer(
    "minigrad Tensor",
    all, amax, amin, aminmax, any, argmax, argmin, count_nonzero, max, mean, min, nanmean, nansum, std, sum, var,
)  # fmt: skip
offer("minigrad", std_mean, var_mean)
