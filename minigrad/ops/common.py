"""What every family of ops shares: operands of one type, axes, and the adjoint of broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context, ContextVar, Token, copy_context
from functools import partial
from typing import Any

import numpy as np

from minigrad import dtypes
from minigrad.tensor import Tensor, describe


def _ignored_errors() -> tuple[ContextVar[Any], Any] | None:
    """NumPy's treatment of floating-point errors: the variable that holds it, and its value where all are ignored.

    None before NumPy 2.0, where it is no context variable.
    """
    with np.errstate(all="ignore"):
        return next(iter(copy_context().items()), None)


_IGNORED = Context().run(_ignored_errors)  # in an empty context, so that NumPy's variable is the only one


class _Quiet:
    """np.errstate(all="ignore") at a quarter of its cost, which the smallest ops would feel."""

    __slots__ = ("before",)
    before: Token[Any]

    def __enter__(self) -> None:
        self.before = _IGNORED[0].set(_IGNORED[1])  # type: ignore[index]

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _IGNORED[0].reset(self.before)  # type: ignore[index]


quiet: Any = partial(np.errstate, all="ignore") if _IGNORED is None else _Quiet
"""`with quiet():` NumPy does not warn of log 0, 0 / 0 or overflow: -inf, NaN and inf say it, as in torch.

Afterwards the caller's own np.errstate holds again.
"""


def number(x: Any) -> Any:
    """NumPy's scalars as Python numbers, which are weak in promotion; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x


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


def axis(dim: int, ndim: int) -> int:
    """An axis counted from the front. A 0-d tensor takes 0 and -1, as in torch."""
    if not isinstance(dim, (int, np.integer)):
        raise TypeError(f"dim must be an int, not {type(dim).__name__}")
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return int(dim) % limit


def axes(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Several axes counted from the front, sorted; None and () mean all of them."""
    if dim is None or (not isinstance(dim, (int, np.integer)) and len(dim) == 0):
        return tuple(range(ndim))
    dims = [dim] if isinstance(dim, (int, np.integer)) else dim
    found = sorted(axis(d, ndim) for d in dims)
    for first, second in zip(found, found[1:], strict=False):
        if first == second:
            raise RuntimeError(f"dim {first} appears multiple times in the list of dims")
    return tuple(found) if ndim else ()


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


def must_broadcast(*values: Any) -> None:
    """Raises as torch does where the shapes of Tensors and arrays do not fit each other."""
    try:
        np.broadcast_shapes(*map(shape_of, values))
    except ValueError:
        shapes = " and ".join(describe(x) for x in values)
        raise RuntimeError(f"The sizes of tensors must match or be 1, but they are {shapes}") from None


Pair = tuple[int, int]
IntOrPair = int | Sequence[int]


def pair(value: IntOrPair, name: str = "value") -> Pair:
    """One number for both axes, or (height, width)."""
    if isinstance(value, int):
        return value, value
    values = tuple([int(v) for v in value])
    if len(values) == 1:
        return values[0], values[0]
    if len(values) != 2:
        raise RuntimeError(f"{name} should be one integer or two, got {value}")
    return values  # type: ignore[return-value]
