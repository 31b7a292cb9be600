"""Questions about elements: comparisons, logic, what is finite. The answers are bools and have no gradient."""

from __future__ import annotations

import operator
from typing import Any

from minigrad import backends
from minigrad.backends import keeping_layout
from minigrad.ops.common import must_broadcast, operands, quiet, real
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


def _xp(*operands: Any) -> Any:
    return next(backends.of(x.array).xp for x in operands if isinstance(x, Tensor))


def _compare(name: str, x: Any, y: Any) -> Tensor:
    x, y = operands(x, y)
    try:
        arrays = [v.array if isinstance(v, Tensor) else v for v in (x, y)]
        return Tensor._wrap(keeping_layout(getattr(_xp(x, y), name), *arrays))
    except ValueError as error:
        raise RuntimeError(f"{name}: {error} (given {x!r} and {y!r})") from error


def eq(input: Any, other: Any) -> Tensor:
    """input == other."""
    return _compare("equal", input, other)


def ne(input: Any, other: Any) -> Tensor:
    """input != other."""
    return _compare("not_equal", input, other)


def lt(input: Any, other: Any) -> Tensor:
    """input < other."""
    return _compare("less", input, other)


def le(input: Any, other: Any) -> Tensor:
    """input <= other."""
    return _compare("less_equal", input, other)


def gt(input: Any, other: Any) -> Tensor:
    """input > other."""
    return _compare("greater", input, other)


def ge(input: Any, other: Any) -> Tensor:
    """input >= other."""
    return _compare("greater_equal", input, other)


def _bitwise(name: str, x: Any, other: Any) -> Tensor:
    for operand in (x, other):
        if isinstance(operand, float) or (isinstance(operand, Tensor) and operand.is_floating_point()):
            raise NotImplementedError(f"{name} is for integers and bools, not for {describe(operand)}")
    return _compare(name, x, other)


def bitwise_and(input: Any, other: Any) -> Tensor:
    """input & other, for integers and bools."""
    return _bitwise("bitwise_and", input, other)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """input | other, for integers and bools."""
    return _bitwise("bitwise_or", input, other)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """input ^ other, for integers and bools."""
    return _bitwise("bitwise_xor", input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """~input, for integers and bools."""
    if input.is_floating_point():
        raise NotImplementedError(f"bitwise_not is for integers and bools, not for {describe(input)}")
    return Tensor._wrap(keeping_layout(operator.invert, input.array))


def _tensors(name: str, *operands: Any) -> tuple[Any, ...]:
    for x in operands:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): operands must be Tensors, not {type(x).__name__}")
    return operands


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Both are not zero."""
    return _compare("logical_and", *_tensors("logical_and", input, other))


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Either is not zero."""
    return _compare("logical_or", *_tensors("logical_or", input, other))


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """One is zero and the other is not."""
    return _compare("logical_xor", *_tensors("logical_xor", input, other))


def logical_not(input: Tensor) -> Tensor:
    """input is zero."""
    return Tensor._wrap(keeping_layout(operator.eq, input.array, 0))


def isnan(input: Tensor) -> Tensor:
    """Which elements are NaN."""
    return Tensor._wrap(keeping_layout(operator.ne, input.array, input.array))


def isinf(input: Tensor) -> Tensor:
    """Which elements are infinite."""
    return Tensor._wrap(keeping_layout(backends.of(input.array).xp.isinf, input.array))


def isfinite(input: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite."""
    return Tensor._wrap(keeping_layout(backends.of(input.array).xp.isfinite, input.array))


def isposinf(input: Tensor) -> Tensor:
    """Which elements are inf."""
    return Tensor._wrap(keeping_layout(operator.eq, input.array, float("inf")))


def isneginf(input: Tensor) -> Tensor:
    """Which elements are -inf."""
    return Tensor._wrap(keeping_layout(operator.eq, input.array, -float("inf")))


def isreal(input: Tensor) -> Tensor:
    """Which elements are real numbers: all of them, here."""
    return Tensor._wrap(backends.of(input.array).xp.ones_like(input.array, dtype=bool))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol |other|; infinities are close to themselves, NaN to NaN if equal_nan."""
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"{input.dtype} did not match {other.dtype}: isclose was given {describe(input)} and {describe(other)}"
        )
    rtol, atol = real(rtol, "rtol"), real(atol, "atol")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")
    must_broadcast(input, other)
    a, b = input.array, other.array
    if not input.is_floating_point():
        a, b = a.astype(float), b.astype(float)
    with quiet():
        gap = abs(a - b)
        close = (a == b) | ((gap <= atol + abs(rtol * b)) & (gap < float("inf")))
    if equal_nan:
        close = close | ((a != a) & (b != b))
    return Tensor._wrap(close)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements."""
    return input.shape == other.shape and bool((input == other).array.all())


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


offer(
    "minigrad Tensor Tensor_",
    bitwise_and, bitwise_not, bitwise_or, bitwise_xor, eq, ge, gt, le, logical_and, logical_not, logical_or,
    logical_xor, lt, ne, greater=gt, greater_equal=ge, less=lt, less_equal=le, not_equal=ne,
)  # fmt: skip
offer("minigrad Tensor", allclose, equal, isclose, isfinite, isinf, isnan, isneginf, isposinf, isreal)
