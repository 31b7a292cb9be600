"""Choices: the larger, the one in bounds, the one where a condition holds.

Notation: z = f(x, y), gz = dL/dz comes in, gx = dL/dx and gy = dL/dy go out. Where two are equal, torch's gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.backends import Array
from minigrad.op import Op
from minigrad.ops.common import cast, number, operands, real, sum_to
from minigrad.ops.pointwise import Binary, Broadcasting, tensors
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Maximum(Binary):
    """z = max(x, y), NaN if either is;  the gradient goes to the larger, half to each where they are equal."""

    saves = {0: None, 1: None}

    def compute(self, x: Array, y: Array) -> Array:
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

    def compute(self, x: Array, y: Array) -> Array:
        return backends.of(x).xp.minimum(x, y)

    def _loses(self, a: Tensor, b: Tensor) -> Tensor:
        return a > b


class Relu(Op):
    """z = max(x, 0), NaN stays NaN;  gx = gz, but 0 where z <= 0 (so relu'(0) = 0)."""

    fresh = True
    saves_output = True

    def forward(self, x: Array) -> Array:
        return backends.of(x).relu(x)

    def backward(self, gz: Tensor) -> Tensor:
        z = self.output.detach()
        return ReluGradient()(gz, z)


class ReluGradient(Op):
    """y = g, but 0 where z <= 0: linear in g, and its own adjoint."""

    widens = True
    saves = {1: None}

    def forward(self, g: Array, z: Array) -> Array:
        return backends.of(g).relu_backward(g, z)

    def backward(self, gy: Tensor) -> tuple[Tensor, None]:
        return ReluGradient()(gy, self.inputs[1]), None


class Where(Broadcasting):
    """z = x where condition, else y;  gx = gz there, gy = gz elsewhere."""

    fresh = True
    saves = {0: None}

    def forward(self, condition: Array, x: Array, y: Array) -> Array:
        return backends.of(condition).xp.where(condition, x, y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        condition = self.inputs[0]
        _, needs_x, needs_y = self.asked_for
        return (
            None,
            sum_to(where(condition, gz, 0.0), self.shapes[1]) if needs_x else None,
            sum_to(where(condition, 0.0, gz), self.shapes[2]) if needs_y else None,
        )


class Clamp(Op):
    """z = min(max(x, low), high);  gx = gz where low < x < high, 0 at the bounds (as in torch since 2.12) and for NaN."""

    elementwise = True
    saves = {0: None}

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
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


class ClampBetween(Op):
    """z = min(max(x, low), high) of three tensors;  gz goes to the one that z is: to low where x < low <= high, to high where
    x > high >= low or low > high, else to x. At a bound that is below the other one, x and the bound get half of it each.
    """

    elementwise = True
    saves = {0: None, 1: None, 2: None}

    def forward(self, x: Array, low: Array, high: Array) -> Array:
        xp = backends.of(x).xp
        return xp.minimum(xp.maximum(x, low), high)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, low, high = self.inputs
        x, low, high = (v.detach() for v in (x, low, high))
        apart, ordered = low < high, low <= high
        at_low, at_high = 0.5 * (apart & (x == low)).to(gz.dtype), 0.5 * (apart & (x == high)).to(gz.dtype)
        inside = ((x < low) | (x > high)).logical_not().to(gz.dtype) - at_low - at_high
        shares = (
            inside,
            ((x < low) & ordered).to(gz.dtype) + at_low,
            ((x > high) & ordered | (low > high)).to(gz.dtype) + at_high,
        )
        return tuple([
            sum_to(gz * share, v.shape) if need else None
            for share, v, need in zip(shares, (x, low, high), self.asked_for, strict=True)
        ])  # fmt: skip


class Hardtanh(Clamp):
    """z = min(max(x, low), high);  gx = gz, but 0 where x <= low or x >= high: at the bounds, not for NaN, as in torch."""

    def backward(self, gz: Tensor) -> Tensor:
        x = self.inputs[0].detach()
        return gz.masked_fill((x <= self.low) | (x >= self.high), 0.0)


class NanToNum(Op):
    """z = x, with numbers in place of NaN and infinities;  gx = gz where x is finite, else 0."""

    elementwise = True
    saves = {0: None}

    def __init__(self, nan: float, posinf: float, neginf: float) -> None:
        self.numbers = nan, posinf, neginf

    def forward(self, x: Array) -> Array:
        xp, (nan, posinf, neginf) = backends.of(x).xp, self.numbers
        return xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)

    def backward(self, gz: Tensor) -> Tensor:
        return where(self.inputs[0].isfinite(), gz, 0.0)


# -- the functions, as torch names them ------------------------------------------------------------------------------


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, element by element; NaN if either is."""
    tensors("maximum", input, other)
    return Maximum()(*operands(input, other))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, element by element; NaN if either is."""
    tensors("minimum", input, other)
    return Minimum()(*operands(input, other))


def relu(input: Tensor) -> Tensor:
    """max(input, 0)."""
    if input.dtype == dtypes.bool_:
        raise NotImplementedError(f"Boolean inputs not supported for relu: {describe(input)}")
    return Relu()(input)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, other elsewhere; the condition alone: the indices where it holds, a tensor an axis."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype != dtypes.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = dtypes.result_type(number(input), number(other))
        xp = backends.of(condition.array).xp
        input = Tensor._wrap(xp.asarray(input, dtype=dtype))
    return Where()(condition, *operands(input, other))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, but at least min and at most max (max wins if they cross). Both bounds are numbers, or both Tensors."""
    min, max = number(min), number(max)
    bounds = [b for b in (min, max) if b is not None]
    if not bounds:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if len({isinstance(b, Tensor) for b in bounds}) > 1:
        if any([isinstance(b, Tensor) and (b.ndim or b._requires_grad) for b in bounds]):
            raise TypeError(f"clamp(): min and max must both be numbers or both Tensors, not {min!r} and {max!r}")
        min, max = bounds = [real(min, "min"), real(max, "max")]  # a 0-d tensor beside a number is one too
    if isinstance(bounds[0], Tensor):
        if len(bounds) == 1:
            return Maximum()(*operands(input, min)) if max is None else Minimum()(*operands(input, max))
        dtype = dtypes.result_type(input, *bounds)
        return ClampBetween()(*[v.to(dtype) for v in (input, min, max)])
    dtype = dtypes.result_type(input, *bounds)
    if dtype == dtypes.bool_:
        raise NotImplementedError(f"clamp is not implemented for bools: {describe(input)}")
    return Clamp(min, max)(cast(input, dtype))


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input, but at least min."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input, but at most max."""
    return clamp(input, max=max)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input, with value, converted to input's type, where the mask holds."""
    value = number(value)
    if mask.dtype != dtypes.bool_:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}")
    if not isinstance(value, Tensor):
        value = input.dtype.type(value)
    elif value.ndim:
        raise RuntimeError(f"masked_fill only supports a 0-dimensional value tensor, but got {describe(value)}")
    else:
        value = value.to(input.dtype)
    return Where()(mask, value, input)


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with nan (0) for NaN, posinf for inf and neginf for -inf (by default the type's largest and smallest)."""
    tensors("nan_to_num", input)
    if not input.is_floating_point():
        return input.clone()
    limits = np.finfo(input.dtype)
    return NanToNum(
        0.0 if nan is None else real(nan, "nan"),
        float(limits.max) if posinf is None else real(posinf, "posinf"),
        float(limits.min) if neginf is None else real(neginf, "neginf"),
    )(input)


offer("minigrad Tensor Tensor_", clamp, clamp_max, clamp_min, masked_fill, nan_to_num, relu, clip=clamp)
offer("minigrad Tensor", maximum, minimum)
offer("minigrad", where)
