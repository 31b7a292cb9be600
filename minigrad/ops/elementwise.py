"""Element by element: arithmetic, powers, exponentials, choices, comparisons.

Notation: z = f(x, y), gz = dL/dz comes in, gx = dL/dx and gy = dL/dy go out. Operands broadcast; `sum_to` undoes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.function import Function
from minigrad.ops.common import cast, floating, number, operands, shape_of, sum_to
from minigrad.tensor import Tensor


class Binary(Function):
    """Two operands that broadcast: remembers their shapes, so that gradients can be summed back to them."""

    def forward(self, x: Any, y: Any) -> Any:
        self.shapes = shape_of(x), shape_of(y)
        return self.compute(x, y)

    def compute(self, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        needs_x, needs_y = self.needs
        return (
            sum_to(self.gx(gz), self.shapes[0]) if needs_x else None,
            sum_to(self.gy(gz), self.shapes[1]) if needs_y else None,
        )

    def gx(self, gz: Tensor) -> Tensor:
        raise NotImplementedError

    def gy(self, gz: Tensor) -> Tensor:
        raise NotImplementedError


class Add(Binary):
    """z = x + y;  gx = gz,  gy = gz."""

    def compute(self, x: Any, y: Any) -> Any:
        return x + y

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        return gz


class Sub(Binary):
    """z = x - y;  gx = gz,  gy = -gz."""

    def compute(self, x: Any, y: Any) -> Any:
        return x - y

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        return -gz


class Mul(Binary):
    """z = x y;  gx = gz y,  gy = gz x."""

    saves = {0: 1, 1: 0}

    def compute(self, x: Any, y: Any) -> Any:
        return x * y

    def gx(self, gz: Tensor) -> Tensor:
        return gz * self.inputs[1]

    def gy(self, gz: Tensor) -> Tensor:
        return gz * self.inputs[0]


class Div(Binary):
    """z = x / y;  gx = gz / y,  gy = -gz x / y^2."""

    saves = {0: 1, 1: None}

    def compute(self, x: Any, y: Any) -> Any:
        return x / y

    def gx(self, gz: Tensor) -> Tensor:
        return gz / self.inputs[1]

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return -gz * ((x / y) / y)


class Remainder(Binary):
    """z = x - y floor(x / y), with the sign of y;  gx = gz,  gy = -gz floor(x / y)."""

    saves = {0: 1, 1: 1}

    def compute(self, x: Any, y: Any) -> Any:
        return x % y

    def gx(self, gz: Tensor) -> Tensor:
        return gz

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return -gz * div(x, y, rounding_mode="floor")


class Pow(Binary):
    """z = x^y;  gx = gz y x^(y-1), 0 where y = 0;  gy = gz z log x, 0 where x = 0 and y >= 0."""

    saves = {0: None, 1: None}
    saves_output = True

    def compute(self, x: Any, y: Any) -> Any:
        if isinstance(y, (int, float)) and y == 2:
            return x * x
        if isinstance(y, (int, float)) and y == 0.5 and x.dtype.kind == "f":
            return backends.of(x).xp.sqrt(x)
        return x**y

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        if not isinstance(y, Tensor):
            return zeros_like(gz) if y == 0 else gz * (y * x ** (y - 1))
        return where(y == 0, 0.0, gz * (y * x ** (y - 1)))

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        if not isinstance(x, Tensor):
            if x == 0:
                return where(y >= 0, 0.0, gz * (self.output * -float("inf")))
            return gz * (self.output * float(np.log(x)) if x > 0 else self.output * float("nan"))
        return where((x == 0) & (y >= 0), 0.0, gz * (self.output * log(x)))


class Maximum(Binary):
    """z = max(x, y), NaN if either is;  the gradient goes to the larger, half to each where they are equal."""

    saves = {0: None, 1: None}

    def compute(self, x: Any, y: Any) -> Any:
        return backends.of(x).xp.maximum(x, y)

    def gx(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return where(x == y, gz / 2, gz).masked_fill(self._loses(x, y), 0.0)

    def gy(self, gz: Tensor) -> Tensor:
        x, y = self.inputs
        return where(x == y, gz / 2, gz).masked_fill(self._loses(y, x), 0.0)

    def _loses(self, a: Tensor, b: Tensor) -> Tensor:
        return a < b


class Minimum(Maximum):
    """z = min(x, y), NaN if either is;  the gradient goes to the smaller, half to each where they are equal."""

    def compute(self, x: Any, y: Any) -> Any:
        return backends.of(x).xp.minimum(x, y)

    def _loses(self, a: Tensor, b: Tensor) -> Tensor:
        return a > b


class Neg(Function):
    """z = -x;  gx = -gz."""

    def forward(self, x: Any) -> Any:
        return -x

    def backward(self, gz: Tensor) -> Tensor:
        return -gz


class Exp(Function):
    """z = e^x;  gx = gz z."""

    saves_output = True

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.exp(x)

    def backward(self, gz: Tensor) -> Tensor:
        return gz * self.output


class Log(Function):
    """z = ln x;  gx = gz / x."""

    saves = {0: None}

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.log(x)

    def backward(self, gz: Tensor) -> Tensor:
        return gz / self.inputs[0]


class Sqrt(Function):
    """z = sqrt x;  gx = gz / (2 z)."""

    saves_output = True

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.sqrt(x)

    def backward(self, gz: Tensor) -> Tensor:
        return gz / (2 * self.output)


class Abs(Function):
    """z = |x|;  gx = gz sign x, 0 at 0."""

    saves = {0: None}

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.absolute(x)

    def backward(self, gz: Tensor) -> Tensor:
        return gz * sign(self.inputs[0])


class Tanh(Function):
    """z = tanh x;  gx = gz (1 - z^2)."""

    saves_output = True

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.tanh(x)

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (1 - z * z)


class Sigmoid(Function):
    """z = 1 / (1 + e^-x);  gx = gz z (1 - z)."""

    saves_output = True

    def forward(self, x: Any) -> Any:
        xp = backends.of(x).xp
        e = xp.exp(-xp.absolute(x))  # at most 1: never overflows
        return xp.where(x >= 0, xp.ones_like(e), e) / (1 + e)

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output
        return gz * (z * (1 - z))


class Relu(Function):
    """z = max(x, 0), NaN stays NaN;  gx = gz, but 0 where z <= 0 (so relu'(0) = 0)."""

    saves_output = True

    def forward(self, x: Any) -> Any:
        return backends.of(x).relu(x)

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output.detach()
        return ReluGradient()(gz, z)


class ReluGradient(Function):
    """y = g, but 0 where z <= 0: linear in g, and its own adjoint."""

    saves = {1: None}

    def forward(self, g: Any, z: Any) -> Any:
        return backends.of(g).relu_backward(g, z)

    def backward(self, gy: Tensor) -> tuple[Tensor, None]:
        return ReluGradient()(gy, self.inputs[1]), None


class Where(Function):
    """z = x where condition, else y;  gx = gz there, gy = gz elsewhere."""

    saves = {0: None}

    def forward(self, condition: Any, x: Any, y: Any) -> Any:
        self.shapes = shape_of(x), shape_of(y)
        return backends.of(condition).xp.where(condition, x, y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        condition = self.inputs[0]
        _, needs_x, needs_y = self.needs
        return (
            None,
            sum_to(where(condition, gz, 0.0), self.shapes[0]) if needs_x else None,
            sum_to(where(condition, 0.0, gz), self.shapes[1]) if needs_y else None,
        )


class Clamp(Function):
    """z = min(max(x, low), high);  gx = gz where low < x < high, 0 at the bounds (as in torch since 2.12) and for NaN."""

    saves = {0: None}

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def forward(self, x: Any) -> Any:
        xp = backends.of(x).xp
        z = x if self.low is None else xp.maximum(x, self.low)
        return z if self.high is None else xp.minimum(z, self.high)

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0].detach()
        inside = x == x  # not NaN
        if self.low is not None:
            inside = inside & (x > self.low)
        if self.high is not None:
            inside = inside & (x < self.high)
        return where(inside, gz, 0.0)


class Cast(Function):
    """The same numbers in another type; the gradient in the type that they had."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        self.before = x.dtype
        return x.astype(self.dtype)

    def _record(self, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if self.dtype.kind == "f":  # integers and bools have no gradient
            super()._record(inputs, outputs)

    def backward(self, gz: Tensor) -> Tensor:
        return gz.to(self.before)


class Clone(Function):
    """z = a copy of x, laid out as x is;  gx = gz."""

    def forward(self, x: Any) -> Any:
        return x.copy(order="K")

    def backward(self, gz: Tensor) -> Tensor:
        return gz


# -- the functions, as torch names them ------------------------------------------------------------------------------


def _arithmetic(x: Any, y: Any, bools: str = "") -> tuple[Any, Any]:
    x, y = operands(x, y)
    if bools and all(isinstance(a, bool) or getattr(a, "dtype", None) == dtypes.bool_ for a in (x, y)):
        raise RuntimeError(bools)
    return x, y


def add(x: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """x + alpha other."""
    if alpha != 1:
        other = mul(other, alpha)
    return Add()(*operands(x, other))


def sub(x: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """x - alpha other."""
    if alpha != 1:
        other = mul(other, alpha)
    x, other = operands(x, other)
    if any(isinstance(a, bool) or getattr(a, "dtype", None) == dtypes.bool_ for a in (x, other)):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. Use logical_xor or ~.")
    return Sub()(x, other)


def mul(x: Any, other: Any) -> Tensor:
    """x other."""
    return Mul()(*operands(x, other))


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """x / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    x, other = operands(x, other)
    dtype = dtypes.result_type(x, other)
    if rounding_mode is None:
        if dtype.kind != "f":
            x, other = cast(x, dtypes.float32), cast(other, dtypes.float32)
        return Div()(x, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}"
        )
    a, b = (v.array if isinstance(v, Tensor) else v for v in (x, other))
    xp = backends.of((x if isinstance(x, Tensor) else other).array).xp
    if dtype.kind != "f" and bool((xp.asarray(b) == 0).any()):
        raise RuntimeError("ZeroDivisionError")
    quotient = xp.floor_divide(a, b) if rounding_mode == "floor" or dtype.kind == "f" else a // b
    if rounding_mode == "trunc":
        quotient = xp.trunc(a / b) if dtype.kind == "f" else quotient + ((quotient < 0) & (quotient * b != a))
    # The quotient is constant between its jumps: gradients are zero, but they are there.
    return _with_zero_gradient(Tensor._wrap(xp.asarray(quotient, dtype=dtype)), x, other)


def _with_zero_gradient(z: Tensor, *inputs: Any) -> Tensor:
    for x in inputs:
        if isinstance(x, Tensor) and x._requires_grad and z.is_floating_point():
            z = ZeroGradient(x.shape, z)(x)
    return z


class ZeroGradient(Function):
    """z, a piecewise constant function of x;  gx = 0."""

    def __init__(self, shape: tuple[int, ...], z: Tensor) -> None:
        self.shape, self.z = shape, z.array

    def forward(self, x: Any) -> Any:
        z, self.z = self.z, None
        return z

    def backward(self, gz: Tensor) -> Tensor:
        return sum_to(zeros_like(gz), self.shape)


def floor_divide(x: Any, other: Any) -> Tensor:
    """floor(x / other)."""
    return div(x, other, rounding_mode="floor")


def remainder(x: Any, other: Any) -> Tensor:
    """x - other floor(x / other): the sign is other's."""
    return Remainder()(*operands(x, other))


def pow(x: Any, exponent: Any) -> Tensor:
    """x to the power of exponent."""
    x, exponent = operands(x, exponent)
    if isinstance(exponent, (int, float)) and x.dtype.kind in "iu" and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return Pow()(x, exponent)


def maximum(x: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, element by element; NaN if either is."""
    return Maximum()(*operands(x, other))


def minimum(x: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, element by element; NaN if either is."""
    return Minimum()(*operands(x, other))


def neg(x: Tensor) -> Tensor:
    """-x."""
    if x.dtype == dtypes.bool_:
        raise RuntimeError("Negation, the `-` operator, on a bool tensor is not supported. Use the `~` operator.")
    return Neg()(x)


def exp(x: Tensor) -> Tensor:
    """e^x."""
    return Exp()(floating(x))


def log(x: Tensor) -> Tensor:
    """The natural logarithm."""
    return Log()(floating(x))


def sqrt(x: Tensor) -> Tensor:
    """The square root."""
    return Sqrt()(floating(x))


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return 1 / sqrt(x)


def square(x: Tensor) -> Tensor:
    """x^2."""
    return pow(x, 2)


def abs(x: Tensor) -> Tensor:  # noqa: A001 - torch's name
    """|x|."""
    return Abs()(x)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh()(floating(x))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return Sigmoid()(floating(x))


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return Relu()(x)


def where(condition: Tensor, x: Any = None, other: Any = None) -> Any:
    """x where the condition holds, other elsewhere. With the condition alone: the indices where it holds, a tensor an axis."""
    if x is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype != dtypes.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    if not isinstance(x, Tensor) and not isinstance(other, Tensor):
        dtype = dtypes.result_type(number(x), number(other))
        xp = backends.of(condition.array).xp
        x = Tensor._wrap(xp.asarray(x, dtype=dtype))
    return Where()(condition, *operands(x, other))


def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002 - torch's names
    """x, but at least min and at most max (max wins if they cross). Bounds are numbers or Tensors."""
    min, max = number(min), number(max)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = x if min is None else Maximum()(*operands(x, min))
        return x if max is None else Minimum()(*operands(x, max))
    bounds = [b for b in (min, max) if b is not None]
    x = cast(x, dtypes.result_type(x, *bounds))
    return Clamp(min, max)(x)


def clamp_min(x: Tensor, min: Any) -> Tensor:  # noqa: A002
    """x, but at least min."""
    return clamp(x, min=min)


def clamp_max(x: Tensor, max: Any) -> Tensor:  # noqa: A002
    """x, but at most max."""
    return clamp(x, max=max)


def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """x, with value where the mask holds."""
    value = number(value)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"masked_fill only supports a 0-dimensional value tensor, but got {value.ndim} dimensions"
            )
        value = value.to(x.dtype)
    return Where()(mask, value, x)


def clone(x: Tensor) -> Tensor:
    """A copy that is part of the graph."""
    return Clone()(x)


# -- piecewise constant: no gradient, or zero ---------------------------------------------------------------------------


def _constant(name: str, x: Tensor) -> Tensor:
    return _with_zero_gradient(Tensor._wrap(getattr(backends.of(x.array).xp, name)(x.array)), x)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 (NaN gives 0, as in torch)."""
    a = x.array
    return _with_zero_gradient(Tensor._wrap(((a > 0).astype(a.dtype) - (a < 0).astype(a.dtype)).astype(a.dtype)), x)


def floor(x: Tensor) -> Tensor:
    """The largest integer that is not above x."""
    return x.clone() if x.dtype.kind != "f" else _constant("floor", x)


def ceil(x: Tensor) -> Tensor:
    """The smallest integer that is not below x."""
    return x.clone() if x.dtype.kind != "f" else _constant("ceil", x)


def round(x: Tensor) -> Tensor:  # noqa: A001
    """The nearest integer, halves to even."""
    return x.clone() if x.dtype.kind != "f" else _constant("rint", x)


def trunc(x: Tensor) -> Tensor:
    """x without its fraction."""
    return x.clone() if x.dtype.kind != "f" else _constant("trunc", x)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, type, device and layout."""
    return Tensor._wrap(backends.of(x.array).xp.zeros_like(x.array))


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, type, device and layout."""
    return Tensor._wrap(backends.of(x.array).xp.ones_like(x.array))
