"""Questions about elements: comparisons, logic, what is finite. The answers are bools and have no gradient."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.ops.common import operands
from minigrad.tensor import Tensor


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


def bitwise_and(x: Any, other: Any) -> Tensor:
    """x & other, for integers and bools."""
    return _compare("bitwise_and", x, other)


def bitwise_or(x: Any, other: Any) -> Tensor:
    """x | other, for integers and bools."""
    return _compare("bitwise_or", x, other)


def bitwise_xor(x: Any, other: Any) -> Tensor:
    """x ^ other, for integers and bools."""
    return _compare("bitwise_xor", x, other)


def bitwise_not(x: Tensor) -> Tensor:
    """~x, for integers and bools."""
    return Tensor._wrap(~x.array)


def logical_and(x: Tensor, other: Tensor) -> Tensor:
    """Both are not zero."""
    return _compare("logical_and", x, other)


def logical_or(x: Tensor, other: Tensor) -> Tensor:
    """Either is not zero."""
    return _compare("logical_or", x, other)


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


def equal(x: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and elements."""
    return x.shape == other.shape and bool((x == other).array.all())


def allclose(x: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether |x - other| <= atol + rtol |other| everywhere."""
    return bool(backends.of(x.array).xp.allclose(x.array, other.array, rtol=rtol, atol=atol, equal_nan=equal_nan))
