"""What every family of ops shares: operands of one type, the adjoint of broadcasting, and arguments as plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.arguments import IntOrPair, Pair, alone, axes, axis, describe, integer, ints, number, pair, plain, real
from minigrad.quiet import quiet
from minigrad.tensor import Tensor

__all__ = [
    "IntOrPair", "Pair", "alone", "axes", "axis", "broadcast_shapes", "cast", "drawn", "floating", "integer", "ints",
    "must_broadcast", "number", "operands", "pair", "plain", "quiet", "real", "shape_of", "sum_to",
]  # fmt: skip


def drawn(make: Callable[[], np.ndarray], like: Tensor) -> Tensor:
    """What make() draws on the host, where `like` is: drawn anew each time a CUDA graph is launched in which it was captured."""
    return Tensor._wrap(backends.of(like.array).drawn(make, index=like.device.index or 0))


def operands(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands of an element-wise op, brought to one type by torch's rules. One of them may remain a number."""
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        if x.array.dtype is y.array.dtype:
            return x, y
    else:
        x, y = number(x), number(y)
        if not isinstance(x, (Tensor, bool, int, float)):
            x = _converted(x, y)
        if not isinstance(y, (Tensor, bool, int, float)):
            y = _converted(y, x)
        if not isinstance(x, Tensor) and not isinstance(y, Tensor):
            x = Tensor(np.asarray(x, dtypes.result_type(x)))
    dtype = dtypes.result_type(x, y)
    return cast(x, dtype), cast(y, dtype)


def _converted(x: Any, other: Any) -> Tensor:
    if isinstance(x, np.ndarray):
        return Tensor(x)
    raise TypeError(
        f"unsupported operand: {type(x).__name__} with {describe(other)}; operands are Tensors, arrays and numbers"
    )


def cast(x: Any, dtype: np.dtype) -> Any:
    """x in that type; Python numbers stay as they are."""
    return x.to(dtype) if isinstance(x, Tensor) and x.array.dtype != dtype else x


def floating(x: Any) -> Tensor:
    """A float tensor as it is; integers and bools as float32, as torch's exp, mean of ... take them."""
    if not isinstance(x, Tensor):
        raise TypeError(f"expected a Tensor, not {type(x).__name__}")
    return x if x.array.dtype.kind == "f" else x.to(dtypes.float32)


def sum_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The adjoint of broadcasting: sums a gradient over the axes along which an operand of `shape` was repeated."""
    if gradient.array.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    repeated = [*range(extra)] + [extra + i for i, n in enumerate(shape) if n == 1 and gradient.shape[extra + i] != 1]
    if repeated:
        gradient = gradient.sum(tuple(repeated), keepdim=True)
    return gradient.reshape(shape)


def shape_of(x: Any) -> tuple[int, ...]:
    """An array's shape; () for a number."""
    return getattr(x, "shape", ())


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to."""
    try:
        return tuple(np.broadcast_shapes(*[ints((s,)) for s in shapes]))
    except ValueError as error:
        raise RuntimeError(
            f"shapes {', '.join(str(list(ints((s,)))) for s in shapes)} cannot be broadcast together"
        ) from error


def must_broadcast(*values: Any) -> None:
    """Raises as torch does where the shapes of Tensors and arrays do not fit each other."""
    try:
        np.broadcast_shapes(*map(shape_of, values))
    except ValueError:
        shapes = " and ".join(describe(x) for x in values)
        raise RuntimeError(f"The sizes of tensors must match or be 1, but they are {shapes}") from None
