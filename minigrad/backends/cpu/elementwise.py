"""ReLU, the error function and GELU.

In float32, erf(x) = tanh(x P(x^2)): the P below is fitted to artanh(erf(x)) / x, which is smooth, and where tanh
flattens out errors of P vanish. Its largest relative error in erf is 9.5e-8, below the rounding of float32 (minimax over
[0, 4.3] by weighted least squares, against erf of 40 digits; beyond, P keeps rising and tanh stays at 1). It takes a
quarter of the time of SciPy's erf, which is used in float64.

With Phi(x) = (1 + erf(x / sqrt 2)) / 2, the normal distribution's probability of less than x, GELU is y = x Phi(x) and
y' = Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi). Source: D. Hendrycks, K. Gimpel, Gaussian Error Linear Units (2016).
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.backends.cpu.layout import in_blocks
from minigrad.backends.cpu.threads import scratch
from minigrad.backends.cpu.windows import masked, relu_passes
from minigrad.backends.kernels import Array

__all__ = ["erf", "erfc", "floor_divide", "gelu", "gelu_backward", "relu", "relu_backward", "remainder"]

# P's coefficients, for erf: of x^0, x^2, ..., x^12.
ERF = (
    1.1283792742908685,
    0.10276905592548052,
    -0.00019183109143762326,
    -0.0006197844185026985,
    8.763723984025417e-05,
    -5.668461723093964e-06,
    1.4185144934950105e-07,
)
# The same for Phi: erf(x / sqrt 2) = tanh(x P(x^2 / 2) / sqrt 2).
PHI = tuple(c / math.sqrt(2) / 2**i for i, c in enumerate(ERF))
DENSITY = 1 / math.sqrt(2 * math.pi)  # of the normal distribution at 0
SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715  # GELU's approximation: Phi(x) = (1 + tanh(SLOPE (x + CUBIC x^3))) / 2


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), in x's layout; NaN stays NaN."""
    y = np.empty_like(x)

    def body(x: np.ndarray, y: np.ndarray) -> None:
        zeros = scratch("zeros", x.shape, x.dtype)  # the ufunc is several times slower with a scalar
        zeros[...] = 0
        np.maximum(x, zeros, out=y)

    in_blocks(body, x, y)
    return y


def relu_backward(gy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """gy where y > 0 (or NaN), else 0, in y's layout."""
    gx = np.empty_like(y, dtype=gy.dtype)

    def body(y: np.ndarray, gy: np.ndarray, gx: np.ndarray) -> None:
        masked(gy, relu_passes(y), gx)

    in_blocks(body, y, gy, gx)
    return gx


def floor_divide(x: Array, y: Array) -> Array:
    """floor(x / y) of the exact quotient, not of the rounded one: 1.0 // 0.1 is 9."""
    return x // y


def remainder(x: Array, y: Array) -> Array:
    """x - y floor(x / y) of the exact quotient, with the sign of y."""
    return x % y


def _tanh_of(x: np.ndarray, square: np.ndarray, coefficients: tuple[float, ...], out: np.ndarray) -> None:
    """out = tanh(x P(square)), by Horner's rule."""
    *rest, last = coefficients
    np.multiply(square, last, out=out)
    for c in reversed(rest[1:]):
        out += c
        out *= square
    out += rest[0]
    out *= x
    np.tanh(out, out=out)


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, in x's layout. float32: within three units in the last place."""
    y = np.empty_like(x)

    def body(x: np.ndarray, y: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            if x.dtype == np.float32:
                square = scratch("square", x.shape, x.dtype)
                np.multiply(x, x, out=square)
                _tanh_of(x, square, ERF, y)
            else:
                from scipy import special

                special.erf(x, out=y, casting="same_kind")

    in_blocks(body, x, y)
    return y


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), exact also where erf(x) is nearly 1, in x's layout."""
    from scipy import special

    y = np.empty_like(x)
    in_blocks(lambda x, y: special.erfc(x, out=y, casting="same_kind"), x, y)
    return y


def gelu(x: np.ndarray, *, approximate: bool, keep: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """(y, kept): y = x Phi(x), or with Phi's approximation by tanh, in x's layout. kept: dy/dx if `keep`, else None.

    Here the derivative costs a quarter more; left to the backward pass it would cost all of this again.
    """
    y = np.empty_like(x)
    body = _approximate if approximate else _exact
    if not keep:
        in_blocks(body, x, y)
        return y, None
    slope = np.empty_like(x)
    in_blocks(body, x, y, slope)
    return y, slope


def _exact(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None = None) -> None:
    square, phi = scratch("square", x.shape, x.dtype), scratch("phi", x.shape, x.dtype)
    with np.errstate(all="ignore"):
        np.multiply(x, x, out=square)
        if x.dtype == np.float32:
            _tanh_of(x, square, PHI, phi)
            phi *= 0.5
            phi += 0.5
        else:
            from scipy import special

            special.ndtr(x, out=phi)
        np.multiply(x, phi, out=y)
        if slope is not None:
            square *= -0.5
            np.exp(square, out=square)
            square *= x
            square *= DENSITY
            np.add(phi, square, out=slope)


def _approximate(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None = None) -> None:
    """With p for Phi's approximation: y = x p, y' = p + x 2 p (1 - p) SLOPE (1 + 3 CUBIC x^2)."""
    square, phi = scratch("square", x.shape, x.dtype), scratch("phi", x.shape, x.dtype)
    with np.errstate(all="ignore"):
        np.multiply(x, x, out=square)
        _tanh_of(x, square, (SLOPE, SLOPE * CUBIC), phi)
        phi *= 0.5
        phi += 0.5
        np.multiply(x, phi, out=y)
        if slope is not None:
            square *= 6 * SLOPE * CUBIC
            square += 2 * SLOPE
            square *= x
            square *= phi
            np.subtract(1, phi, out=slope)
            slope *= square
            slope += phi


def gelu_backward(gy: np.ndarray, x: np.ndarray, kept: np.ndarray | None, *, approximate: bool) -> np.ndarray:
    """gx = gy dy/dx, in x's layout: `kept` is what gelu returned, None to have it computed from x."""
    slope = gelu(x, approximate=approximate, keep=True)[1] if kept is None else kept
    gx = np.empty_like(x)
    in_blocks(lambda slope, gy, gx: np.multiply(gy, slope, out=gx), slope, gy, gx)  # type: ignore[arg-type]
    return gx
