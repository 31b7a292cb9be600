"""Questions about elements: comparisons, logic, what is finite. The answers are bools and have no gradient."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.ops.common import must_broadcast, operands, quiet
from minigrad.tensor import Tensor, describe


def _xp(*operands: Any) -> Any:
    return next(backends.of(x.array).xp for x in operands if isinstance(x, Tensor))


def _compare(name: str, x: Any, y: Any) -> Tensor:
    x, y = operands(x, y)
    try:
        return Tensor._wrap(getattr(_xp(x, y), name)(*[v.array if isinstance(v, Tensor) else v for v in (x, y)]))
    except ValueError as error:
        raise RuntimeError(f"{name}: {error} (given {x!r} and {y!r})") from error


def eq(x: Any, other: Any) -> Tensor:
    """x == other."""
    return _compare("equal", x, other)


def ne(x: Any, other: Any) -> Tensor:
    """x != other."""
    return _compare("not_equal", x, other)


def lt(x: Any, other: Any) -> Tensor:
    """x < other."""
    return _compare("less", x, other)


def le(x: Any, other: Any) -> Tensor:
    """x <= other."""
    return _compare("less_equal", x, other)


def gt(x: Any, other: Any) -> Tensor:
    """x > other."""
    return _compare("greater", x, other)


def ge(x: Any, other: Any) -> Tensor:
    """x >= other."""
    return _compare("greater_equal", x, other)


def _bitwise(name: str, x: Any, other: Any) -> Tensor:
    for operand in (x, other):
        if isinstance(operand, float) or (isinstance(operand, Tensor) and operand.is_floating_point()):
            raise NotImplementedError(f"{name} is for integers and bools, not for {describe(operand)}")
    return _compare(name, x, other)


def bitwise_and(x: Any, other: Any) -> Tensor:
    """x & other, for integers and bools."""
    return _bitwise("bitwise_and", x, other)


def bitwise_or(x: Any, other: Any) -> Tensor:
    """x | other, for integers and bools."""
    return _bitwise("bitwise_or", x, other)


def bitwise_xor(x: Any, other: Any) -> Tensor:
    """x ^ other, for integers and bools."""
    return _bitwise("bitwise_xor", x, other)


def bitwise_not(x: Tensor) -> Tensor:
    """~x, for integers and bools."""
    if x.is_floating_point():
        raise NotImplementedError(f"bitwise_not is for integers and bools, not for {describe(x)}")
    return Tensor._wrap(~x.array)


def _tensors(name: str, *operands: Any) -> tuple[Any, ...]:
    for x in operands:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): operands must be Tensors, not {type(x).__name__}")
    return operands


def logical_and(x: Tensor, other: Tensor) -> Tensor:
    """Both are not zero."""
    return _compare("logical_and", *_tensors("logical_and", x, other))


def logical_or(x: Tensor, other: Tensor) -> Tensor:
    """Either is not zero."""
    return _compare("logical_or", *_tensors("logical_or", x, other))


def logical_xor(x: Tensor, other: Tensor) -> Tensor:
    """One is zero and the other is not."""
    return _compare("logical_xor", *_tensors("logical_xor", x, other))


def logical_not(x: Tensor) -> Tensor:
    """x is zero."""
    return Tensor._wrap(x.array == 0)


def isnan(x: Tensor) -> Tensor:
    """Which elements are NaN."""
    return Tensor._wrap(x.array != x.array)


def isinf(x: Tensor) -> Tensor:
    """Which elements are infinite."""
    return Tensor._wrap(backends.of(x.array).xp.isinf(x.array))


def isfinite(x: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite."""
    return Tensor._wrap(backends.of(x.array).xp.isfinite(x.array))


def isposinf(x: Tensor) -> Tensor:
    """Which elements are inf."""
    return Tensor._wrap(x.array == float("inf"))


def isneginf(x: Tensor) -> Tensor:
    """Which elements are -inf."""
    return Tensor._wrap(x.array == -float("inf"))


def isreal(x: Tensor) -> Tensor:
    """Which elements are real numbers: all of them, here."""
    return Tensor._wrap(backends.of(x.array).xp.ones_like(x.array, dtype=bool))


def isclose(x: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where |x - other| <= atol + rtol |other|; infinities are close to themselves, NaN to NaN if equal_nan."""
    if x.dtype != other.dtype:
        raise RuntimeError(
            f"{x.dtype} did not match {other.dtype}: isclose was given {describe(x)} and {describe(other)}"
        )
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance}")
    must_broadcast(x, other)
    a, b = x.array, other.array
    if not x.is_floating_point():
        a, b = a.astype(float), b.astype(float)
    with quiet():
        gap = abs(a - b)
        close = (a == b) | ((gap <= atol + abs(rtol * b)) & (gap < float("inf")))
    if equal_nan:
        close = close | ((a != a) & (b != b))
    return Tensor._wrap(close)


def equal(x: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements."""
    return x.shape == other.shape and bool((x == other).array.all())


def allclose(x: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |x - other| <= atol + rtol |other| everywhere."""
    return bool(isclose(x, other, rtol, atol, equal_nan).array.all())


# torch's second names
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
