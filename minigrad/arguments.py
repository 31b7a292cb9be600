"""What people pass to ops, layers and optimizers, as plain Python numbers: NumPy's scalars and one-number tensors among it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np


def is_tensor(x: Any) -> bool:
    """Whether x is a Tensor, for files that Tensor is made of."""
    return hasattr(x, "_requires_grad")


def describe(x: Any) -> str:
    """A tensor in an error message: type, shape, device."""
    return f"{x.dtype}{list(x.shape)} on {x.device}" if is_tensor(x) else repr(x)


def number(x: Any) -> Any:
    """NumPy's scalars as Python numbers, which are weak in promotion; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x


def real(x: Any, name: str = "value") -> Any:
    """A setting (a slope, an epsilon, a factor) as a Python number, from NumPy's and from a 0-d tensor without gradient too.

    Those are strong in promotion: they would make float64 of float32. TypeError for what is no single number.
    """
    if type(x) is float or type(x) is int:
        return x
    if getattr(x, "_requires_grad", False):
        raise TypeError(f"{name} must be a number, not a Tensor that requires grad")
    if getattr(x, "ndim", None) == 0 and x.dtype.kind in "biuf":
        return x.item()
    if not isinstance(x, (int, float)):
        raise TypeError(f"{name} must be a number, not {describe(x) if is_tensor(x) else type(x).__name__}")
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


def ints(values: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = tuple(values[0])
    return tuple([v if type(v) is int else integer(v, "a size or an axis") for v in values])


def alone(value: Any) -> bool:
    """Whether this is one number, not a sequence of them."""
    return isinstance(value, (int, float)) or (value is not None and getattr(value, "ndim", 1) == 0)


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


def sizes(*given: Any, size: Any = None) -> tuple[int, ...]:
    """Sizes given one by one, as one sequence, or by name."""
    if size is not None:
        given = (size,)
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = tuple(given[0])
    found = tuple([integer(n, "a size") for n in given])
    if any([n < 0 for n in found]):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(found)}")
    return found


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
