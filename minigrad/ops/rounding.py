"""Rounding and signs: piecewise constant functions, whose gradients are zero, but there.

Integers are rounded already; bools are refused, as by torch.
"""

from __future__ import annotations

from minigrad import backends
from minigrad.backends import Array, keeping_layout
from minigrad.op import Op, in_float32
from minigrad.ops.common import floating, integer, operands, quiet
from minigrad.ops.pointwise import floats_only, no_bools, tensors, with_zero_gradient
from minigrad.ops.public import offer
from minigrad.tensor import Tensor


class Frac(Op):
    """z = x - trunc x;  gx = gz."""

    elementwise = True

    def forward(self, x: Array) -> Array:
        with quiet():
            return x - backends.of(x).xp.trunc(x)

    def backward(self, gz: Tensor) -> Tensor:
        return gz


def _rounded(name: str, ufunc: str, input: Tensor) -> Tensor:
    tensors(name, input)
    no_bools(name, input)
    if not input.is_floating_point():
        return input.clone()
    with quiet():
        rounded = keeping_layout(getattr(backends.of(input.array).xp, ufunc), input.array)
    return with_zero_gradient(Tensor._wrap(rounded), input)


def floor(input: Tensor) -> Tensor:
    """The largest integer that is not above input."""
    return _rounded("floor", "floor", input)


def ceil(input: Tensor) -> Tensor:
    """The smallest integer that is not below input."""
    return _rounded("ceil", "ceil", input)


def trunc(input: Tensor) -> Tensor:
    """input without its fraction."""
    return _rounded("trunc", "trunc", input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """input to that many decimals (negative: to tens, hundreds ...), halves to even. Integers only with decimals = 0."""
    decimals = integer(decimals, "decimals")
    if decimals == 0:
        return _rounded("round", "rint", input)
    floats_only("round with decimals", input)
    return _to_decimals(input, decimals)


@in_float32
def _to_decimals(input: Tensor, decimals: int) -> Tensor:
    with quiet():
        scale, rint = 10.0 ** (decimals if decimals > 0 else -decimals), backends.of(input.array).xp.rint
        rounded = keeping_layout(
            (lambda a: rint(a * scale) / scale) if decimals > 0 else (lambda a: rint(a / scale) * scale), input.array
        )
    return with_zero_gradient(Tensor._wrap(rounded), input)


def frac(input: Tensor) -> Tensor:
    """What trunc cuts off, with input's sign."""
    floats_only("frac", input)
    return Frac()(floating(input))


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 (NaN gives 0, as in torch)."""
    a = input.array
    if a.dtype.kind == "b":
        return input.clone()
    signs = keeping_layout(lambda a: ((a > 0).astype(a.dtype) - (a < 0)).astype(a.dtype), a)
    return with_zero_gradient(Tensor._wrap(signs), input)


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input < 0 (or NaN), values where it is 0, 1 where it is > 0. Has no gradient, as in torch."""
    tensors("heaviside", input, values)
    if input.dtype != values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    if input._requires_grad or values._requires_grad:
        raise NotImplementedError("derivative for heaviside is not implemented, as in torch: detach() the inputs")
    x, y = operands(input, values)
    xp = backends.of(x.array).xp
    return Tensor._wrap(keeping_layout(lambda a, b: xp.where(a == 0, b, (a > 0).astype(a.dtype)), x.array, y.array))


offer("minigrad Tensor Tensor_ special", round)
offer("minigrad Tensor Tensor_", ceil, floor, frac, heaviside, sign, trunc, fix=trunc, sgn=sign)
