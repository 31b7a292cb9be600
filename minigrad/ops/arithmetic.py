"""Arithmetic: sums, products, quotients, powers, roots.

Notation: z = f(x, y), gz = dL/dz comes in, gx = dL/dx and gy = dL/dy go out. Operands broadcast, and are brought to one
type by torch's rules; integers overflow as in C.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.op import HALF, Op, in_float32
from minigrad.ops.common import cast, floating, must_broadcast, number, operands, quiet, real, sum_to
from minigrad.ops.pointwise import (
    Binary,
    Broadcasting,
    Unary,
    floats_only,
    no_bools,
    ones_like,
    tensors,
    with_zero_gradient,
    zeros_like,
)
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Add(Binary):
    """z = x + y;  gx = gz,  gy = gz."""

    def compute(self, x: Array, y: Array) -> Array:
        return x + y

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        return gz


class Sub(Binary):
    """z = x - y;  gx = gz,  gy = -gz."""

    def compute(self, x: Array, y: Array) -> Array:
        return x - y

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        return -gz


class Mul(Binary):
    """z = x y;  gx = gz y,  gy = gz x."""

    fresh = True
    saves = {0: 1, 1: 0}

    def compute(self, x: Array, y: Array) -> Array:
        return x * y

    def gx(self, gz: Tensor) -> Tensor:
        return gz * self.inputs[1]

    def gy(self, gz: Tensor) -> Tensor:
        return gz * self.inputs[0]


class Div(Binary):
    """z = x / y;  gx = gz / y,  gy = -gz x / y^2."""

    fresh = True
    saves = {0: 1, 1: None}

    def compute(self, x: Array, y: Array) -> Array:
        return x / y

    def gx(self, gz: Tensor) -> Tensor:
        return gz / self.inputs[1]

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return -gz * ((x / y) / y)


class Remainder(Binary):
    """z = x - y floor(x / y), with the sign of y;  gx = gz,  gy = -gz floor(x / y)."""

    widens = True
    saves = {0: 1, 1: 1}

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(y if isinstance(x, (int, float)) else x).remainder(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return -gz * div(x, y, rounding_mode="floor")


class Fmod(Binary):
    """z = x - y trunc(x / y), with the sign of x;  gx = gz,  gy = -gz trunc(x / y)."""

    widens = True
    saves = {0: 1, 1: 1}

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(x).xp.fmod(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return -gz * div(x, y, rounding_mode="trunc")


class Pow(Binary):
    """z = x^y;  gx = gz y x^(y-1), 0 where y = 0;  gy = gz z log x, 0 where x = 0 and y >= 0."""

    saves = {0: None, 1: None}
    saves_output = True

    def compute(self, x: Array, y: Array) -> Array:
        if isinstance(y, (int, float)) and y == 2:
            return x * x
        if isinstance(y, (int, float)) and y == 0.5 and x.dtype.kind == "f":
            return backends.of(x).xp.sqrt(x)
        return x**y

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        if not isinstance(y, Tensor):
            return zeros_like(gz) if y == 0 else gz * (y * x ** (y - 1))
        return (gz * (y * x ** (y - 1))).masked_fill(y == 0, 0.0)

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        if not isinstance(x, Tensor):
            if x == 0:
                return (gz * (self.output * -float("inf"))).masked_fill(y >= 0, 0.0)
            return gz * (self.output * float(np.log(x)) if x > 0 else self.output * float("nan"))
        return (gz * (self.output * x.log())).masked_fill((x == 0) & (y >= 0), 0.0)


class Hypot(Binary):
    """z = sqrt(x^2 + y^2), without overflow on the way;  gx = gz x / z,  gy = gz y / z."""

    widens = True
    saves = {0: 0, 1: 1}
    saves_output = True

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(x).xp.hypot(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        return gz * (self.inputs[0] / self.output)

    def gy(self, gz: Tensor) -> Tensor:
        return gz * (self.inputs[1] / self.output)


class Neg(Op):
    """z = -x;  gx = -gz."""

    elementwise = True

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, gz: Tensor) -> Tensor:
        return -gz


class Abs(Unary):
    """z = |x|;  gx = gz sign x, 0 at 0."""

    ufunc = "absolute"
    saves = {0: None}

    def backward(self, gz: Tensor) -> Tensor:
        return gz * self.inputs[0].sign()


class Sqrt(Unary):
    """z = sqrt x;  gx = gz / (2 z)."""

    ufunc = "sqrt"
    saves_output = True

    def backward(self, gz: Tensor) -> Tensor:
        return gz / (2 * self.output)


class Rsqrt(Op):
    """z = 1 / sqrt x;  gx = -gz z^3 / 2."""

    elementwise = True
    widens = True
    saves_output = True

    def forward(self, x: Array) -> Array:
        with quiet():
            return 1 / backends.of(x).xp.sqrt(x)

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (z * z * z) * -0.5


class Reciprocal(Op):
    """z = 1 / x;  gx = -gz z^2."""

    elementwise = True
    saves_output = True

    def forward(self, x: Array) -> Array:
        with quiet():
            return 1 / x

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * -(z * z)


class Lerp(Broadcasting):
    """z = x + w (y - x);  gx = gz (1 - w),  gy = gz w,  gw = gz (y - x). From w = 1/2 on counted from y: exact at w = 1."""

    widens = True
    saves = {0: 2, 1: 2, 2: None}

    def forward(self, x: Array, y: Array, w: Array) -> Array:
        xp = backends.of(x).xp
        with quiet():
            if isinstance(w, (int, float)):
                return x + w * (y - x) if -0.5 < w < 0.5 else y - (y - x) * (1 - w)
            return xp.where(xp.absolute(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w))

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, y, w = self.inputs
        needs_x, needs_y, needs_w = self.asked_for
        return (
            sum_to(gz * (1 - w), self.shapes[0]) if needs_x else None,
            sum_to(gz * w, self.shapes[1]) if needs_y else None,
            sum_to(gz * (y - x), self.shapes[2]) if needs_w else None,
        )


# -- the functions, as torch names them ------------------------------------------------------------------------------


def _is_bool(x: Any) -> bool:
    return isinstance(x, bool) or (isinstance(x, Tensor) and x.array.dtype.kind == "b")


def _scaled(x: Any, other: Any, alpha: float) -> Any:
    """alpha other, for add and sub: integers take no fraction of one another."""
    kind, alpha = dtypes.result_type(*operands(x, other)).kind, real(alpha, "alpha")
    if isinstance(alpha, bool) and kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and kind != "f":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return mul(other, bool(alpha) if kind == "b" else alpha)


@in_float32
def _with_scaled(op: type[Binary], x: Any, other: Any, alpha: float) -> Tensor:
    return op()(*operands(x, _scaled(x, other, alpha)))


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha other."""
    if alpha != 1 or alpha is True:
        return _with_scaled(Add, input, other, alpha)
    return Add()(*operands(input, other))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha other. NotImplementedError for bools."""
    if _is_bool(input) or _is_bool(other):
        raise NotImplementedError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. Use logical_xor or ~."
        )
    if alpha != 1 or alpha is True:
        return _with_scaled(Sub, input, other, alpha)
    return Sub()(*operands(input, other))


def mul(input: Any, other: Any) -> Tensor:
    """input other."""
    return Mul()(*operands(input, other))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    x, y = operands(input, other)
    dtype = dtypes.result_type(x, y)
    if rounding_mode is None:
        if dtype.kind != "f":
            x, y = cast(x, dtypes.float32), cast(y, dtypes.float32)
        return Div()(x, y)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}"
        )
    _check_divisor(dtype, y)
    must_broadcast(x, y)
    return _quotient(x, y, dtypes.float32 if dtype == HALF else dtype, rounding_mode)


@in_float32
def _quotient(x: Any, y: Any, dtype: np.dtype, rounding_mode: str) -> Tensor:
    """x / y rounded to a whole number, x and y of that type."""
    a, b = (v.array if isinstance(v, Tensor) else v for v in (x, y))
    backend = backends.of((x if isinstance(x, Tensor) else y).array)
    xp = backend.xp

    def rounded(a: Any, b: Any) -> Any:
        if rounding_mode == "trunc" and dtype.kind == "f":
            return xp.trunc(a / b)
        quotient = backend.floor_divide(a, b)
        return quotient if rounding_mode == "floor" else quotient + ((quotient < 0) & (quotient * b != a))

    with quiet():
        quotient = backends.keeping_layout(rounded, a, b)
    # The quotient is constant between its jumps: gradients are zero, but they are there.
    return with_zero_gradient(Tensor._wrap(xp.asarray(quotient, dtype=dtype)), x, y)


def true_divide(input: Any, other: Any) -> Tensor:
    """input / other, as floats."""
    return div(input, other)


def _check_divisor(dtype: np.dtype, y: Any) -> None:
    """Raises where bools are to be divided to a whole number, and where integers are divided by zero."""
    if dtype.kind == "b":
        raise NotImplementedError("remainders and division with rounding are not implemented for bools")
    if dtype.kind != "f" and bool((y.array == 0).any() if isinstance(y, Tensor) else y == 0):
        raise RuntimeError(f"ZeroDivisionError: integers are divided by zero in {describe(y)}")


def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other)."""
    return div(input, other, rounding_mode="floor")


def remainder(input: Any, other: Any) -> Tensor:
    """input - other floor(input / other): the sign is other's."""
    x, y = operands(input, other)
    _check_divisor(dtypes.result_type(x, y), y)
    return Remainder()(x, y)


def fmod(input: Tensor, other: Any) -> Tensor:
    """input - other trunc(input / other): the sign is input's."""
    tensors("fmod", input)
    x, y = operands(input, other)
    _check_divisor(dtypes.result_type(x, y), y)
    return Fmod()(x, y)


def pow(input: Any, exponent: Any) -> Tensor:
    """input to the power of exponent."""
    x, y = operands(input, exponent)
    if _is_bool(x) and isinstance(y, bool):
        return x.clone() if y else ones_like(x)
    if _is_bool(x) and _is_bool(y):
        raise NotImplementedError("pow is not implemented for bools")
    if isinstance(y, (int, float)) and x.dtype.kind in "iu" and y < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return Pow()(x, y)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power of exponent, in float64."""
    return pow(*(x.to(dtypes.float64) if isinstance(x, Tensor) else x for x in (input, exponent)))


def square(input: Tensor) -> Tensor:
    """input^2."""
    return pow(input, 2)


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """sqrt(input^2 + other^2), the length of a right triangle's longest side."""
    tensors("hypot", input, other)
    floats_only("hypot", input, other)
    return Hypot()(*operands(input, other))


def neg(input: Tensor) -> Tensor:
    """-input."""
    if _is_bool(input):
        raise NotImplementedError(
            "Negation, the `-` operator, on a bool tensor is not supported. Use the `~` operator or logical_not()."
        )
    return Neg()(input)


def positive(input: Tensor) -> Tensor:
    """input itself."""
    if _is_bool(input):
        raise NotImplementedError("The `+` operator, on a bool tensor is not supported.")
    return input


def abs(input: Tensor) -> Tensor:
    """|input|."""
    no_bools("abs", input)
    return Abs()(input)


def sqrt(input: Tensor) -> Tensor:
    """The square root."""
    return Sqrt()(floating(input))


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input)."""
    return Rsqrt()(floating(input))


def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
    return Reciprocal()(floating(input))


@in_float32
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value tensor1 tensor2."""
    tensors("addcmul", input, tensor1, tensor2)
    no_bools("addcmul", input, tensor1, tensor2)
    value = real(value, "value")
    if isinstance(value, float) and dtypes.result_type(input, tensor1, tensor2).kind != "f":
        raise RuntimeError("For integral input tensors, argument value must not be a floating point number.")
    product = tensor1 * tensor2
    return input + (product if value == 1 else product * value)


@in_float32
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value tensor1 / tensor2. RuntimeError where both are integers."""
    tensors("addcdiv", input, tensor1, tensor2)
    if dtypes.result_type(tensor1, tensor2).kind != "f":
        raise RuntimeError(
            f"Integer division with addcdiv is not supported: {describe(tensor1)} / {describe(tensor2)}. "
            "Convert one of them to floats, or use div with a rounding_mode."
        )
    quotient, value = tensor1 / tensor2, real(value, "value")
    return input + (quotient if value == 1 else quotient * value)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input). All of one type; weight is a number or a Tensor."""
    tensors("lerp", input, end)
    floats_only("lerp", input)
    weight = number(weight)
    for name, x in (("end", end), ("weight", weight)):
        if isinstance(x, Tensor) and x.dtype != input.dtype and (x.ndim or name == "end"):
            raise RuntimeError(f"expected dtype {input.dtype} for `{name}` but got dtype {x.dtype}")
    return Lerp()(input, end, cast(weight, input.dtype))


def subtract(input: Any, other: Any, alpha: float = 1) -> Tensor:
    """input - alpha other, as sub, with alpha third if it has no name."""
    return sub(input, other, alpha=alpha)


def rsub(input: Any, other: Any, alpha: float = 1) -> Tensor:
    """other - alpha input."""
    return sub(other, input, alpha=alpha)


offer(
    "minigrad Tensor Tensor_",
    abs, add, addcdiv, addcmul, div, float_power, floor_divide, fmod, hypot, lerp, mul, neg, pow, reciprocal, remainder,
    rsqrt, sqrt, square, sub, subtract, true_divide, absolute=abs, divide=div, multiply=mul, negative=neg,
)  # fmt: skip
offer("minigrad Tensor", positive)
offer("minigrad", rsub)
