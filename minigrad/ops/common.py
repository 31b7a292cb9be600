"""What every family of ops shares: operands of one type, axes, and the adjoint of broadcasting."""

from __future__ import annotations

import operator
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


def real(x: Any, name: str = "value") -> Any:
    """A setting (a slope, an epsilon, a factor) as a Python number, from NumPy's and from a 0-d tensor without gradient too.

    Those are strong in promotion: they would make float64 of float32. TypeError for what is no single number.
    """
    if type(x) is float or type(x) is int:
        return x
    if isinstance(x, Tensor) and x._requires_grad:
        raise TypeError(f"{name} must be a number, not a Tensor that requires grad")
    if getattr(x, "ndim", None) == 0 and x.dtype.kind in "biuf":
        return x.item()
    if not isinstance(x, (int, float)):
        raise TypeError(f"{name} must be a number, not {describe(x) if isinstance(x, Tensor) else type(x).__name__}")
    return x


def plain(value: Any) -> Any:
    """NumPy's scalars, in lists, tuples and dictionaries too, as Python numbers; anything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)([plain(v) for v in value])
    return {k: plain(v) for k, v in value.items()} if type(value) is dict else value


def integer(n: Any, name: str = "value") -> int:
    """A size, a count or an axis as a Python integer, from whatever Python takes for an index. TypeError for bools and floats."""
    if type(n) is int:
        return n
    kind = n.dtype.kind if hasattr(n, "dtype") else "b" if isinstance(n, bool) else "i"
    if kind in "iu" and hasattr(n, "__index__"):
        return operator.index(n)
    raise TypeError(f"{name} must be an int, not {type(n).__name__}")


def alone(value: Any) -> bool:
    """Whether this is one number, not a sequence of them."""
    return isinstance(value, (int, float)) or (value is not None and getattr(value, "ndim", 1) == 0)


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
    if type(dim) is not int:
        dim = integer(dim, "dim")
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return dim % limit


def axes(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Several axes counted from the front, sorted; None and () mean all of them."""
    dims: Any = [dim] if alone(dim) else dim
    if dim is None or len(dims) == 0:
        return tuple(range(ndim))
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


def pair(value: Any, name: str = "value") -> Pair:
    """One number for both axes, or (height, width)."""
    if type(value) is int:
        return value, value
    values = tuple([integer(v, name) for v in ((value,) if alone(value) else value)])
    if len(values) == 1:
        return values[0], values[0]
    if len(values) != 2:
        raise RuntimeError(f"{name} should be one integer or two, got {value}")
    return values  # type: ignore[return-value]
