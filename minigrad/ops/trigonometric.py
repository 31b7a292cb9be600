"""Circular and hyperbolic functions and their inverses; angles in radians.

Notation: z = f(x), gz = dL/dz comes in, gx = dL/dx goes out. Integers and bools count as float32.
"""

from __future__ import annotations

from minigrad import backends
from minigrad.backends import Array
from minigrad.ops.common import floating, operands
from minigrad.ops.pointwise import Binary, Unary, tensors
from minigrad.ops.public import offer
from minigrad.tensor import Tensor


class Sin(Unary):
    """z = sin x;  gx = gz cos x."""

    ufunc = "sin"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz * cos(self.inputs[0])


class Cos(Unary):
    """z = cos x;  gx = -gz sin x."""

    ufunc = "cos"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz * -sin(self.inputs[0])


class Tan(Unary):
    """z = tan x;  gx = gz (1 + z^2)."""

    ufunc = "tan"
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (1 + z * z)


class Asin(Unary):
    """z = arcsin x;  gx = gz / sqrt(1 - x^2)."""

    ufunc = "arcsin"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * (1 - x * x).rsqrt()


class Acos(Unary):
    """z = arccos x;  gx = -gz / sqrt(1 - x^2)."""

    ufunc = "arccos"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * -(1 - x * x).rsqrt()


class Atan(Unary):
    """z = arctan x;  gx = gz / (1 + x^2)."""

    ufunc = "arctan"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz / (1 + x * x)


class Atan2(Binary):
    """z = the angle of the point (y, x);  gx = gz y / (x^2 + y^2),  gy = -gz x / (x^2 + y^2), 0 at the origin.

    x is the first operand, as ever: the point's second coordinate.
    """

    saves = {0: None, 1: None}

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(x).xp.arctan2(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return gz * y * self._scale(x, y)

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return gz * -x * self._scale(x, y)

    def _scale(self, x: Tensor, y: Tensor) -> Tensor:
        square = x * x + y * y
        return square.reciprocal().masked_fill(square == 0, 0.0)


class Sinh(Unary):
    """z = sinh x;  gx = gz cosh x."""

    ufunc = "sinh"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz * cosh(self.inputs[0])


class Cosh(Unary):
    """z = cosh x;  gx = gz sinh x."""

    ufunc = "cosh"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz * sinh(self.inputs[0])


class Tanh(Unary):
    """z = tanh x;  gx = gz (1 - z^2)."""

    ufunc = "tanh"
    widens = True
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (1 - z * z)


class Asinh(Unary):
    """z = arsinh x;  gx = gz / sqrt(x^2 + 1)."""

    ufunc = "arcsinh"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * (x * x + 1).rsqrt()


class Acosh(Unary):
    """z = arcosh x;  gx = gz / sqrt(x^2 - 1)."""

    ufunc = "arccosh"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz * (x * x - 1).rsqrt()


class Atanh(Unary):
    """z = artanh x;  gx = gz / (1 - x^2)."""

    ufunc = "arctanh"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0]
        return gz / (1 - x * x)


# -- the functions, as torch names them ------------------------------------------------------------------------------


def sin(input: Tensor) -> Tensor:
    """The sine."""
    return Sin()(floating(input))


def cos(input: Tensor) -> Tensor:
    """The cosine."""
    return Cos()(floating(input))


def tan(input: Tensor) -> Tensor:
    """The tangent."""
    return Tan()(floating(input))


def asin(input: Tensor) -> Tensor:
    """The angle in [-pi/2, pi/2] of that sine."""
    return Asin()(floating(input))


def acos(input: Tensor) -> Tensor:
    """The angle in [0, pi] of that cosine."""
    return Acos()(floating(input))


def atan(input: Tensor) -> Tensor:
    """The angle in (-pi/2, pi/2) of that tangent."""
    return Atan()(floating(input))


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in [-pi, pi] between the first axis and the point (other, input)."""
    tensors("atan2", input, other)
    x, y = operands(input, other)
    return Atan2()(floating(x), floating(y))


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
    return Sinh()(floating(input))


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
    return Cosh()(floating(input))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh()(floating(input))


def asinh(input: Tensor) -> Tensor:
    """The number of that hyperbolic sine."""
    return Asinh()(floating(input))


def acosh(input: Tensor) -> Tensor:
    """The number >= 0 of that hyperbolic cosine."""
    return Acosh()(floating(input))


def atanh(input: Tensor) -> Tensor:
    """The number of that hyperbolic tangent."""
    return Atanh()(floating(input))


offer("minigrad Tensor Tensor_ nn.functional", tanh)
offer(
    "minigrad Tensor Tensor_",
    acos, acosh, asin, asinh, atan, atan2, atanh, cos, cosh, sin, sinh, tan, arccos=acos, arccosh=acosh, arcsin=asin,
    arcsinh=asinh, arctan=atan, arctan2=atan2, arctanh=atanh,
)  # fmt: skip
