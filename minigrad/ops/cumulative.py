"""Running sums and products, and products over an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.op import Op
from minigrad.ops.common import axis, quiet
from minigrad.ops.public import offer
from minigrad.ops.reduction import _typed
from minigrad.ops.shape import cat
from minigrad.tensor import Tensor


def _running(xp: Any, name: str, x: Array, dim: int, reverse: bool = False) -> Array:
    """xp.cumsum or xp.cumprod, from the end if reverse; float32 is accumulated in float64, as by torch."""
    x = xp.flip(x, dim) if reverse else x
    y = getattr(xp, name)(x, axis=dim, dtype=np.float64 if x.dtype == np.float32 else None).astype(x.dtype, copy=False)
    return xp.flip(y, dim) if reverse else y


class Cumsum(Op):
    """y_i = x_0 + ... + x_i along an axis;  gx_i = gy_i + ... + gy_n: the same from the other end."""

    widens = True

    def __init__(self, dim: int, reverse: bool = False) -> None:
        self.dim, self.reverse = dim, reverse

    def forward(self, x: Array) -> Array:
        return _running(backends.of(x).xp, "cumsum", x, self.dim, self.reverse)

    def backward(self, gy: Tensor) -> Tensor:
        return Cumsum(self.dim, not self.reverse)(gy)


class Prod(FusedOp):
    """y = x_0 x_1 ... x_n along an axis, kept with length 1;  gx_i = gy times the product of all the others.

    The others' product comes from running products from both ends, so zeros do no harm.
    """

    widens = True
    saves = {0: None}

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        while (n := x.shape[self.dim]) > 1:  # the product of the halves, until one is left
            half = x.narrow(self.dim, 0, n // 2) * x.narrow(self.dim, n // 2, n // 2)
            x = cat([half, x.narrow(self.dim, n - 1, 1)], self.dim) if n % 2 else half
        if n == 1:
            return x
        return x.sum(self.dim, keepdim=True) + 1.0

    def forward(self, x: Array) -> Array:
        wide = np.float64 if x.dtype == np.float32 else None
        with quiet():
            return x.prod(axis=self.dim, keepdims=True, dtype=wide).astype(x.dtype, copy=False)

    def backward_arrays(self, gy: Array) -> Array:
        (x,) = self.arrays
        xp = backends.of(x).xp
        one = xp.ones_like(x[_stretch(self.dim, 0, 1)])
        x = x.astype(np.float64) if x.dtype == np.float32 else x
        before = xp.concatenate([one, xp.cumprod(x, axis=self.dim)[_stretch(self.dim, 0, -1)]], axis=self.dim)
        others = xp.cumprod(xp.flip(x, self.dim), axis=self.dim)[_stretch(self.dim, 0, -1)]
        after = xp.flip(xp.concatenate([one, others], axis=self.dim), self.dim)
        return (before * after * gy).astype(gy.dtype, copy=False)


def _stretch(dim: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (slice(None),) * dim + (slice(start, stop),)


class Cumprod(FusedOp):
    """y_i = x_0 ... x_i along an axis;  gx_i = sum over k >= i of gy_k y_k / x_i.

    Where x_i is the first zero, y_k / x_i is the running product with that zero left out; after it, all is 0.
    """

    widens = True
    saves = {0: None}

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        step, n = 1, x.shape[self.dim]
        while step < n:  # each element takes in as many again from its left: 1, 2, 4 ...
            product = x.narrow(self.dim, step, n - step) * x.narrow(self.dim, 0, n - step)
            x = cat([x.narrow(self.dim, 0, step), product], self.dim)
            step *= 2
        return x if n > 1 else x.clone()

    def forward(self, x: Array) -> Array:
        with quiet():
            return _running(backends.of(x).xp, "cumprod", x, self.dim)

    def backward_arrays(self, gy: Array) -> Array:
        (x,) = self.arrays
        xp, dtype = backends.of(x).xp, x.dtype
        x, gy = (a.astype(np.float64) if dtype == np.float32 else a for a in (x, gy))
        zeros = xp.cumsum(x == 0, axis=self.dim, dtype=np.int64)  # how many so far
        first = (x == 0) & (zeros == 1)
        without = xp.where(first, 1, x)
        products = xp.cumprod(without, axis=self.dim)
        until = _running(xp, "cumsum", xp.where(zeros == 0, gy * products, 0), self.dim, reverse=True)
        at_first = _running(xp, "cumsum", gy * products, self.dim, reverse=True)
        gx = xp.where(first, at_first, xp.where(zeros == 0, until / without, 0))
        return gx.astype(dtype, copy=False)


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running sum along an axis. Integers and bools are summed as int64."""
    d, x = axis(dim, input.ndim), _typed(input, dtype)
    return Cumsum(d)(x) if x.ndim else x.clone()


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running product along an axis. Integers and bools are multiplied as int64."""
    d, x = axis(dim, input.ndim), _typed(input, dtype)
    return Cumprod(d)(x) if x.ndim else x.clone()


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product along an axis, or of all elements. Integers and bools are multiplied as int64."""
    x = _typed(input, dtype)
    if dim is None:
        return Prod(0)(x.reshape(-1)).reshape(())
    d = axis(dim, x.ndim)
    if not x.ndim:
        return x.clone()
    y = Prod(d)(x)
    return y if keepdim else y.squeeze(d)


offer("minigrad Tensor Tensor_", cumprod, cumsum)
offer("minigrad Tensor", prod)
