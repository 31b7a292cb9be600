"""Exponentials, logarithms, the logistic function and the error function.

Notation: z = f(x, y), gz = dL/dz comes in, gx = dL/dx and gy = dL/dy go out. Integers and bools count as float32.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backends
from minigrad.backends import Array
from minigrad.op import Op, in_float32
from minigrad.ops.choice import where
from minigrad.ops.common import floating, operands, quiet, real
from minigrad.ops.pointwise import Binary, Unary, floats_only, tensors
from minigrad.ops.public import offer
from minigrad.tensor import Tensor

LN_2, LN_10 = math.log(2), math.log(10)


class Exp(Unary):
    """z = e^x;  gx = gz z."""

    ufunc = "exp"
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        return gz * self.output


class Exp2(Unary):
    """z = 2^x;  gx = gz z ln 2."""

    ufunc = "exp2"
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        return gz * self.output * LN_2


class Expm1(Unary):
    """z = e^x - 1, exact near 0;  gx = gz (z + 1)."""

    ufunc = "expm1"
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        return gz * (self.output + 1)


class Log(Unary):
    """z = ln x;  gx = gz / x."""

    ufunc = "log"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz / self.inputs[0]


class Log2(Unary):
    """z = log2 x;  gx = gz / (x ln 2)."""

    ufunc = "log2"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz / (self.inputs[0] * LN_2)


class Log10(Unary):
    """z = log10 x;  gx = gz / (x ln 10)."""

    ufunc = "log10"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz / (self.inputs[0] * LN_10)


class Log1p(Unary):
    """z = ln(1 + x), exact near 0;  gx = gz / (1 + x)."""

    ufunc = "log1p"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz / (self.inputs[0] + 1)


class Logaddexp(Binary):
    """z = ln(e^x + e^y), without overflow;  gx = gz / (1 + e^(y - x)),  gy = gz / (1 + e^(x - y))."""

    widens = True
    saves = {0: None, 1: None}

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(x).xp.logaddexp(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return gz * _share(x - y)

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return gz * _share(y - x)


def _share(d: Tensor) -> Tensor:
    """1 / (1 + e^-d), in steps whose own gradients neither overflow nor cancel, as sigmoid's z (1 - z) does where z is near 1."""
    e = exp(where(d > 0, -d, d))
    return where(d > 0, 1.0, e) / (1 + e)


class Sigmoid(Op):
    """z = 1 / (1 + e^-x);  gx = gz z (1 - z)."""

    elementwise = True
    widens = True
    saves_output = True

    def forward(self, x: Array) -> Array:
        with quiet():  # e^-x overflows to inf far to the left, and z is 0 as it should be
            z = backends.of(x).xp.exp(-x)
            z += 1
            return 1 / z

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (z * (1 - z))


class Logit(Op):
    """z = ln(p / (1 - p)), p = x clamped to [eps, 1 - eps];  gx = gz / (x (1 - x)), 0 outside of those bounds and for NaN.

    Without bounds: NaN outside of [0, 1].
    """

    elementwise = True
    widens = True
    saves = {0: None}

    def __init__(self, eps: float | None) -> None:
        self.eps = eps

    def forward(self, x: Array) -> Array:
        xp, eps = backends.of(x).xp, self.eps
        with quiet():
            p = (
                x
                if eps is None
                else xp.where(x < eps, x.dtype.type(eps), xp.where(x > 1 - eps, x.dtype.type(1 - eps), x))
            )
            return xp.log(p / (1 - p))

    def backward(self, gz: Tensor) -> Tensor:
        x, eps = self.inputs[0], self.eps
        gx = gz / (x * (1 - x))
        if eps is None:
            return gx.masked_fill((x < 0) | (x > 1), math.nan)
        return gx.masked_fill(((x >= eps) & (x <= 1 - eps)).logical_not(), 0.0)


class Xlogy(Binary):
    """z = x ln y, 0 where x = 0 unless y is NaN;  gx = gz ln y, 0 where x = 0 and y <= 0;  gy = gz x / y."""

    widens = True
    saves = {0: None, 1: None}

    def compute(self, x: Array, y: Array) -> Array:
        xp = backends.of(x).xp
        return xp.where((x == 0) & (y == y), x.dtype.type(0), x * xp.log(y))

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        nothing = (x == 0) & (y <= 0)
        return (gz * log(y.masked_fill(nothing, 1.0))).masked_fill(nothing, 0.0)

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return gz * (x / y)


class Erf(Op):
    """z = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x;  gx = gz 2 / sqrt(pi) e^(-x^2)."""

    widens = True
    saves = {0: None}

    def forward(self, x: Array) -> Array:
        return backends.of(x).erf(x)

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * exp(-(x * x)) * (2 / math.sqrt(math.pi))


class Erfc(Op):
    """z = 1 - erf x, exact where erf x is nearly 1;  gx = -gz 2 / sqrt(pi) e^(-x^2)."""

    widens = True
    saves = {0: None}

    def forward(self, x: Array) -> Array:
        return backends.of(x).erfc(x)

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * exp(-(x * x)) * (-2 / math.sqrt(math.pi))


# -- the functions, as torch names them ------------------------------------------------------------------------------


def exp(input: Tensor) -> Tensor:
    """e^input."""
    return Exp()(floating(input))


def exp2(input: Tensor) -> Tensor:
    """2^input."""
    return Exp2()(floating(input))


def expm1(input: Tensor) -> Tensor:
    """e^input - 1, exact near 0."""
    return Expm1()(floating(input))


def log(input: Tensor) -> Tensor:
    """The natural logarithm."""
    return Log()(floating(input))


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
    return Log2()(floating(input))


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
    return Log10()(floating(input))


def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), exact near 0."""
    return Log1p()(floating(input))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(e^input + e^other), without overflow."""
    tensors("logaddexp", input, other)
    floats_only("logaddexp", input, other)
    return Logaddexp()(*operands(input, other))


@in_float32
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), without overflow."""
    return logaddexp(input * LN_2, other * LN_2) / LN_2


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-input)."""
    return Sigmoid()(floating(input))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """ln(p / (1 - p)) of p = input, clamped to [eps, 1 - eps] if eps is given: the inverse of sigmoid."""
    return Logit(None if eps is None else real(eps, "eps"))(floating(input))


def xlogy(input: Any, other: Any) -> Tensor:
    """input ln(other), 0 where input is 0 (but NaN where other is)."""
    x, y = operands(input, other)
    tensor = x if isinstance(x, Tensor) else y
    numbers = [v if isinstance(v, Tensor) else tensor.new_tensor(v, dtype=floating(tensor).dtype) for v in (x, y)]
    return Xlogy()(*map(floating, numbers))


def erf(input: Tensor) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to input."""
    return Erf()(floating(input))


def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact where erf(input) is nearly 1."""
    return Erfc()(floating(input))


"""torch.special's name."""


offer("minigrad Tensor Tensor_ special", erf, erfc, exp2, expm1, log1p, logit, xlogy)
offer("minigrad Tensor Tensor_ nn.functional", sigmoid)
offer("minigrad Tensor Tensor_", exp, log, log10, log2)
offer("minigrad Tensor", logaddexp, logaddexp2)
offer("special", expit=sigmoid)
