"""ReLU, the error function, GELU."""

from __future__ import annotations

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import C_TYPES, UINT8, kernel
from .layout import dense, like


def relu(x: Array) -> Array:
    """y = max(x, 0), NaN stays NaN. Any shape, any dtype; y lies in memory as x does."""
    if x.dtype not in C_TYPES:
        return xp.maximum(x, 0)
    x = dense(x)
    y = xp.empty_like(x)
    kernel("elementwise", "relu", x.dtype).over(x.size, x, y, np.int64(x.size))
    return y


def relu_backward(gy: Array, y: Array) -> Array:
    """gx = gy where y > 0 (or NaN), else 0. gx lies in memory as y does."""
    y = dense(y)
    gy = like(gy, y, xp)
    gx = xp.empty_like(y)
    kernel("elementwise", "relu_backward", y.dtype).over(y.size, gy, y, gx, np.int64(y.size))
    return gx


def _map(name: str, x: Array) -> Array:
    """A kernel of one array in and one out, in x's layout."""
    x = dense(x)
    y = xp.empty_like(x)
    kernel("elementwise", name, x.dtype).over(x.size, x, y, np.int64(x.size))
    return y


def erf(x: Array) -> Array:
    """The error function, in x's layout."""
    return _map("erf_of", x)


def erfc(x: Array) -> Array:
    """1 - erf(x), exact also where erf(x) is nearly 1, in x's layout."""
    return _map("erfc_of", x)


def gelu(x: Array, *, approximate: bool, keep: bool) -> tuple[Array, None]:
    """(y, None): y = x Phi(x), or with Phi's approximation by tanh. Nothing is kept: computing it anew is no dearer."""
    x = dense(x)
    y = xp.empty_like(x)
    kernel("elementwise", "gelu", x.dtype).over(x.size, x, y, np.int64(x.size), approximate)
    return y, None


def gelu_backward(gy: Array, x: Array, kept: None, *, approximate: bool) -> Array:
    """gx = gy dy/dx, in x's layout."""
    x = dense(x)
    gy = like(gy, x, xp)
    gx = xp.empty_like(x)
    kernel("elementwise", "gelu_backward", x.dtype).over(x.size, gy, x, gx, np.int64(x.size), approximate)
    return gx


def _is_float(x: Array, y: Array) -> bool:
    return any(isinstance(v, float) or getattr(v, "dtype", UINT8).kind == "f" for v in (x, y))


def floor_divide(x: Array, y: Array) -> Array:
    """floor(x / y) of the exact quotient, not of the rounded one: 1.0 // 0.1 is 9.

    By fmod, which is exact, as NumPy does and torch. CuPy's own // of floats is floor of the rounded quotient.
    """
    if not _is_float(x, y):
        return x // y
    left = xp.fmod(x, y)
    quotient = (x - left) / y
    quotient = xp.rint(quotient - ((left != 0) & ((y < 0) != (left < 0))))
    return xp.where(y == 0, x / y, xp.where(quotient == 0, xp.copysign(0.0 * quotient, x / y), quotient))


def remainder(x: Array, y: Array) -> Array:
    """x - y floor(x / y) of the exact quotient, with the sign of y; of floats by fmod, which is exact. x % inf is x."""
    if not _is_float(x, y):
        return x % y
    left = xp.fmod(x, y)
    left = xp.where((left != 0) & ((y < 0) != (left < 0)), left + y, left)
    return xp.where(left == 0, xp.copysign(left, y), left)
