"""Activations: the softmax family along an axis, and the rest element by element.

Notation: y = f(x), gy = dL/dy comes in, gx = dL/dx goes out; s(x) = 1 / (1 + e^-x). They take floating point only, as
torch's do. Each fused op's `definition` is its formula, with the gradients that torch has at the kinks.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.dtypes import as_dtype
from minigrad.fused import FusedOp
from minigrad.ops import choice
from minigrad.ops.choice import where
from minigrad.ops.common import axis, floating, quiet, real
from minigrad.ops.exponential import erf, erfc, exp, expm1, log1p, sigmoid
from minigrad.ops.pointwise import floats_only, tensors
from minigrad.ops.public import offer
from minigrad.ops.reduction import amax, logsumexp
from minigrad.ops.trigonometric import tanh
from minigrad.tensor import Tensor, describe


class Softmax(FusedOp):
    """y_i = e^(x_i) / sum_j e^(x_j) along an axis;  gx = y (gy - sum_j gy_j y_j)."""

    fresh = True
    widens = True
    saves_output = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        if not x.numel():  # of nothing there is no largest
            return x.exp()
        e = (x - amax(x.detach(), self.dim, keepdim=True)).exp()
        return e / e.sum(self.dim, keepdim=True)

    def forward(self, x: Array) -> Array:
        return backends.of(x).softmax(x, dim=self.dim)

    def backward_arrays(self, gy: Array) -> Array:
        return backends.of(gy).softmax_backward(gy, self.output_array, dim=self.dim)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the output, which is saved, rather than the input, which is not."""
        y, (gy,) = self.output, gradients
        return (y * (gy - (gy * y).sum(self.dim, keepdim=True)),)


class LogSoftmax(FusedOp):
    """y_i = x_i - log sum_j e^(x_j) along an axis;  gx = gy - e^y sum_j gy_j."""

    fresh = True
    widens = True
    saves_output = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        return x - logsumexp(x, self.dim, keepdim=True)

    def forward(self, x: Array) -> Array:
        return backends.of(x).log_softmax(x, dim=self.dim)

    def backward_arrays(self, gy: Array) -> Array:
        return backends.of(gy).log_softmax_backward(gy, self.output_array, dim=self.dim)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the output, which is saved, rather than the input, which is not."""
        y, (gy,) = self.output, gradients
        return (gy - y.exp() * gy.sum(self.dim, keepdim=True),)


class Gelu(FusedOp):
    """y = x P(x) with P(x) = (1 + erf(x / sqrt 2)) / 2, or (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2;
    gx = gy (P(x) + x P'(x)).

    Source: D. Hendrycks, K. Gimpel, Gaussian Error Linear Units (2016).
    """

    fresh = True
    widens = True
    saves = {0: None}
    keeps = ("kept",)

    def __init__(self, approximate: bool) -> None:
        self.approximate = approximate

    def definition(self, x: Tensor) -> Tensor:
        if self.approximate:
            return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))

    def forward(self, x: Array) -> Array:
        y, self.kept = backends.of(x).gelu(x, approximate=self.approximate, keep=self.needs[0])
        return y

    def backward_arrays(self, gy: Array) -> Array:
        return backends.of(gy).gelu_backward(gy, self.arrays[0], self.kept, approximate=self.approximate)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """By P(x) + x P'(x), which the definition's own gradient gives less exactly where P is nearly 0 or 1."""
        x, (gy,) = self.inputs[0], gradients
        if self.approximate:
            inner = (x + 0.044715 * x * x * x) * (2 * math.sqrt(2 / math.pi))
            p, slope = sigmoid(inner), (1 + 3 * 0.044715 * x * x) * (2 * math.sqrt(2 / math.pi))
            return (gy * (p + x * p * sigmoid(-inner) * slope),)
        density = exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return (gy * (0.5 * erfc(-x * math.sqrt(0.5)) + x * density),)


class Pointwise(FusedOp):
    """y = f(x) by `value`, gx = gy f'(x) by `gradient`: a few passes over plain arrays."""

    elementwise = True
    fresh = True
    widens = True
    saves = {0: None}

    def forward(self, x: Array) -> Array:
        with quiet():
            return self.value(x, backends.of(x).xp)

    def backward_arrays(self, gy: Array) -> Array:
        xp = backends.of(gy).xp
        with quiet():
            return backends.keeping_layout(lambda gy, x: self.gradient(gy, x, xp), gy, self.arrays[0])

    def value(self, x: Array, xp: Any) -> Array:
        """y."""
        raise NotImplementedError

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        """gx."""
        raise NotImplementedError


def _sigmoid(x: Array, xp: Any) -> Array:
    """s(x), where e^-x may overflow to inf: s is 0 there."""
    s = xp.exp(-x)
    s += 1
    return 1 / s


class Silu(Pointwise):
    """y = x s(x);  gx = gy s(x) (1 + x (1 - s(x)))."""

    def definition(self, x: Tensor) -> Tensor:
        return x * sigmoid(x)

    def value(self, x: Array, xp: Any) -> Array:
        return x * _sigmoid(x, xp)

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        s = _sigmoid(x, xp)
        slope = 1 - s
        slope *= x
        slope += 1
        slope *= s
        slope *= gy
        return slope


class Softplus(Pointwise):
    """y = ln(1 + e^(beta x)) / beta, or x where beta x > threshold;  gx = gy s(beta x), or gy there."""

    def __init__(self, beta: float, threshold: float) -> None:
        self.beta, self.threshold = beta, threshold

    def definition(self, x: Tensor) -> Tensor:
        b = x * self.beta
        linear = b > self.threshold
        return where(linear, x, log1p(exp(b.masked_fill(linear, 0.0))) / self.beta)

    def value(self, x: Array, xp: Any) -> Array:
        b = x * self.beta
        return xp.where(b > self.threshold, x, xp.log1p(xp.exp(b)) / self.beta)

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        b = x * self.beta
        return xp.where(b > self.threshold, gy, gy * _sigmoid(b, xp))


class LogSigmoid(Pointwise):
    """y = ln s(x) = min(x, 0) - ln(1 + e^-|x|);  gx = gy s(-x)."""

    known_as = "logsigmoid"

    def definition(self, x: Tensor) -> Tensor:
        return where(x < 0, x, 0.0) - log1p(exp(where(x < 0, x, -x)))

    def value(self, x: Array, xp: Any) -> Array:
        return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.absolute(x)))

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        return gy * _sigmoid(-x, xp)


class Mish(Pointwise):
    """y = x t with t = tanh(ln(1 + e^x));  gx = gy (t + x s(x) (1 - t^2)). Source: D. Misra, Mish (2019)."""

    def definition(self, x: Tensor) -> Tensor:
        return x * tanh(softplus(x))

    def value(self, x: Array, xp: Any) -> Array:
        return x * self._t(x, xp)

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        t = self._t(x, xp)
        return gy * (t + x * _sigmoid(x, xp) * (1 - t * t))

    def _t(self, x: Any, xp: Any) -> Any:
        return xp.tanh(xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.absolute(x))))


class Elu(Pointwise):
    """y = scale x where x > 0, else scale alpha (e^(k x) - 1);  gx = gy scale, gy scale alpha k e^(k x).

    elu: scale = k = 1; selu: k = 1, the other two chosen to keep mean and variance; celu: k = 1 / alpha.
    """

    def __init__(self, alpha: float, scale: float = 1.0, k: float = 1.0) -> None:
        self.alpha, self.scale, self.k = alpha, scale, k

    def definition(self, x: Tensor) -> Tensor:
        negative = x <= 0  # NaN counts as positive here, as in torch
        curve = expm1(x.masked_fill(negative.logical_not(), 0.0) * self.k) * (self.alpha * self.scale)
        return where(negative, curve, x * self.scale)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """By e^(k x), which the gradient of expm1 gives less exactly far to the left."""
        x, (gy,) = self.inputs[0], gradients
        negative = x <= 0
        curve = exp(x.masked_fill(negative.logical_not(), 0.0) * self.k) * (self.alpha * self.scale * self.k)
        return (gy * where(negative, curve, self.scale),)

    def value(self, x: Array, xp: Any) -> Array:
        return xp.where(x > 0, x * self.scale, xp.expm1(x * self.k) * (self.alpha * self.scale))

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        negative = xp.exp(x * self.k) * (self.alpha * self.scale * self.k)
        return gy * xp.where(x <= 0, negative, x.dtype.type(self.scale))


class LeakyRelu(Pointwise):
    """y = x where x > 0, else slope x;  gx = gy, slope gy."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def definition(self, x: Tensor) -> Tensor:
        return where(x > 0, x, x * self.slope)

    def value(self, x: Array, xp: Any) -> Array:
        return xp.where(x > 0, x, x * self.slope)

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        return xp.where(x > 0, gy, gy * self.slope)


class Hardsigmoid(Pointwise):
    """y = min(max(x + 3, 0), 6) / 6;  gx = gy / 6 where -3 < x < 3, else 0."""

    def definition(self, x: Tensor) -> Tensor:
        return where((x > -3) & (x < 3), (x + 3) / 6, ((x.detach() + 3) / 6).clamp(0, 1))

    def value(self, x: Array, xp: Any) -> Array:
        return xp.minimum(xp.maximum(x + 3, 0), 6) / 6

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        return xp.where((x > -3) & (x < 3), gy / 6, gy.dtype.type(0))


class Hardswish(Pointwise):
    """y = x min(max(x + 3, 0), 6) / 6;  gx = gy (x / 3 + 1/2) where -3 < x < 3, gy above, 0 below."""

    def definition(self, x: Tensor) -> Tensor:
        low, high = x <= -3, (x < 3).logical_not()  # NaN counts as high here, as in torch
        inside = x.masked_fill(low | high, 0.0)
        return where(low, x.detach() * 0, where(high, x, inside * (inside + 3) / 6))

    def value(self, x: Array, xp: Any) -> Array:
        return x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6

    def gradient(self, gy: Array, x: Array, xp: Any) -> Array:
        return xp.where(x <= -3, gy.dtype.type(0), xp.where(x < 3, gy * (x / 3 + 0.5), gy))


# -- the softmax family, as torch names it ----------------------------------------------------------------------------


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
    x = floating(input) if dtype is None else input.to(as_dtype(dtype))
    return _along(Softmax, x, dim)


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """e^-x / sum e^-x along `dim`."""
    return softmax(-input, dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """x - log sum e^x along `dim`."""
    x = floating(input) if dtype is None else input.to(as_dtype(dtype))
    return _along(LogSoftmax, x, dim)


def _along(op: type[Softmax] | type[LogSoftmax], x: Tensor, dim: int | None) -> Tensor:
    """The op along an axis; a number counts as a vector of one."""
    d = axis((0 if x.ndim in (0, 1, 3) else 1) if dim is None else dim, x.ndim)
    return op(d)(x) if x.ndim else op(d)(x.reshape(1)).reshape(())


# -- the others ---------------------------------------------------------------------------------------------------------


def _float(name: str, input: Any) -> Tensor:
    tensors(name, input)
    floats_only(name, input)
    return input


def _run(op: FusedOp, input: Any, inplace: bool) -> Tensor:
    x = _float(type(op).__name__.lower(), input)
    return x._in_place(op) if inplace else op(x)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """input Phi(input), Phi(x) the probability that a normal variable is below x; approximate="tanh": see Gelu."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return Gelu(approximate == "tanh")(_float("gelu", input))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input sigmoid(input), also called swish."""
    return _run(Silu(), input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input tanh(softplus(input))."""
    return _run(Mish(), input, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta input)) / beta, a smooth max(input, 0); input itself where beta input > threshold."""
    return Softplus(real(beta, "beta"), real(threshold, "threshold"))(_float("softplus", input))


def logsigmoid(input: Tensor) -> Tensor:
    """ln sigmoid(input), without overflow."""
    return LogSigmoid()(_float("logsigmoid", input))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha (e^input - 1)."""
    return _run(Elu(real(alpha, "alpha")), input, inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507... elu(input, 1.6733...): keeps mean 0 and variance 1. Source: G. Klambauer et al. (2017)."""
    return _run(Elu(1.6732632423543772848170429916717, 1.0507009873554804934193349852946), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where it is positive, else alpha (e^(input / alpha) - 1)."""
    alpha = real(alpha, "alpha")
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _run(Elu(alpha, 1.0, 1.0 / alpha), input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where it is positive, else negative_slope input."""
    return _run(LeakyRelu(real(negative_slope, "negative_slope")), input, inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight input. weight: one number, or one for each channel (axis 1)."""
    tensors("prelu", input, weight)
    if input.dtype != weight.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got {describe(weight)}")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and "
                f"channel size = {channels}."
            )
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    elif input.ndim == 0:
        weight = weight.reshape(())
    return where(input > 0, input, weight * input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    return input._in_place(choice.relu) if inplace else choice.relu(input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """input, but at least min_val and at most max_val, in input's type."""
    tensors("hardtanh", input)
    if input.dtype == dtypes.bool_:
        raise NotImplementedError(f"Bool inputs not supported for hardtanh: {describe(input)}")
    min_val, max_val = real(min_val, "min_val"), real(max_val, "max_val")
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    floats = input.is_floating_point()
    op = choice.Hardtanh(min_val, max_val) if floats else choice.Clamp(int(min_val), int(max_val))
    return input._in_place(op) if inplace else op(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6)."""
    return hardtanh(input, 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return _run(Hardsigmoid(), input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input hardsigmoid(input)."""
    return _run(Hardswish(), input, inplace)


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
    return input / (1 + input.abs())


def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
    return input - tanh(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input, but 0 where -lambd <= input <= lambd."""
    lambd = real(lambd, "lambd")
    return _float("hardshrink", input).masked_fill((input >= -lambd) & (input <= lambd), 0.0)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input drawn towards 0 by lambd: input - lambd above lambd, input + lambd below -lambd, 0 between."""
    x, lambd = _float("softshrink", input), real(lambd, "lambd")
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return (x - lambd * x.detach().sign()).masked_fill((x >= -lambd) & (x <= lambd), 0.0)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where it is above the threshold (or NaN), else value, in input's type."""
    tensors("threshold", input)
    below, value = input <= real(threshold, "threshold"), real(value, "value")
    return input.masked_fill_(below, value) if inplace else input.masked_fill(below, value)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), a and b the first and second half of input along dim. Source: Y. Dauphin et al. (2017)."""
    x = _float("glu", input)
    if x.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    d = axis(dim, x.ndim)
    if x.shape[d] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {x.shape[d]}")
    a, b = x.chunk(2, d)
    return a * sigmoid(b)


offer("minigrad Tensor nn.functional special", log_softmax, softmax)
offer("minigrad nn.functional nn.functional_", celu, selu, threshold)
offer("minigrad Tensor nn.functional", hardshrink, prelu)
offer("nn.functional nn.functional_", elu, hardtanh, leaky_relu, relu)
offer(
    "nn.functional",
    gelu, glu, hardsigmoid, hardswish, logsigmoid, mish, relu6, silu, softmin, softplus, softshrink, softsign,
    tanhshrink,
)  # fmt: skip
