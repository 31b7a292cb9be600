"""Joining and cutting, under torch's many names for it: each a line on cat, stack and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.ops.common import alone, axis, integer
from minigrad.ops.public import offer
from minigrad.ops.shape import atleast_1d, atleast_2d, atleast_3d, cat, narrow, split
from minigrad.tensor import Tensor, describe


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second axis (vectors along their only one)."""
    tensors = _some(tensors, "hstack")
    made = [atleast_1d(x) for x in tensors]
    return cat(made, 0 if made[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first axis; vectors are rows."""
    return cat([atleast_2d(x) for x in _some(tensors, "vstack")], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third axis."""
    return cat([atleast_3d(x) for x in _some(tensors, "dstack")], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second axis; vectors are columns."""
    return cat([x if x.ndim > 1 else x.reshape(x.numel(), 1) for x in _some(tensors, "column_stack")], 1)


def _some(tensors: Sequence[Tensor], name: str) -> list[Tensor]:
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


def tensor_split(
    input: Tensor, sections: Any = None, dim: int = 0, *, indices: Any = None, tensor_indices_or_sections: Any = None
) -> tuple[Tensor, ...]:
    """Cut along an axis into so many parts (the first ones longer by one where it does not come out even), or at indices."""
    where = _where("tensor_split", sections, indices, tensor_indices_or_sections)
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    d = axis(dim, input.ndim)
    n = input.shape[d]
    if isinstance(where, Tensor):
        where = where.tolist()
    if alone(where):
        where = integer(where, "sections")
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        size, longer = divmod(n, where)
        cuts = [i * size + min(i, longer) for i in range(where + 1)]
    else:
        cuts = [0, *[slice(integer(i, "an index")).indices(n)[1] for i in where], n]
    sizes = [b - a for a, b in zip(cuts, cuts[1:], strict=False)]
    if min(sizes) < 0:  # parts that overlap
        return tuple([narrow(input, d, a, max(size, 0)) for a, size in zip(cuts, sizes, strict=False)])
    return split(input, sizes, d)


def _where(name: str, *given: Any) -> Any:
    """The one of them that was given: a number of parts, or indices. The first stands for either."""
    found = [value for value in given if value is not None]
    if len(found) != 1:
        raise TypeError(f"{name}() takes either sections or indices, but {len(found) or 'none'} of them were given")
    return found[0]


def _cut(name: str, x: Tensor, where: Any, dim: int) -> tuple[Tensor, ...]:
    if alone(where) and where > 0 and x.shape[dim] % where:
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {x.shape[dim]} is not "
            f"divisible by the split_size {where}!"
        )
    return tensor_split(x, where, dim)


def hsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> tuple[Tensor, ...]:
    """Cut along the second axis (a vector along its only one)."""
    where = _where("hsplit", sections, indices)
    _at_least(input, 1, "hsplit")
    return _cut("hsplit", input, where, 0 if input.ndim == 1 else 1)


def vsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> tuple[Tensor, ...]:
    """Cut along the first axis."""
    where = _where("vsplit", sections, indices)
    _at_least(input, 2, "vsplit")
    return _cut("vsplit", input, where, 0)


def dsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> tuple[Tensor, ...]:
    """Cut along the third axis."""
    where = _where("dsplit", sections, indices)
    _at_least(input, 3, "dsplit")
    return _cut("dsplit", input, where, 2)


def _at_least(x: Tensor, ndim: int, name: str) -> None:
    if x.ndim < ndim:
        raise RuntimeError(f"torch.{name} requires a tensor with at least {ndim} dimension, but got {describe(x)}")


offer("minigrad Tensor", dsplit, hsplit, tensor_split, vsplit)
offer("minigrad", column_stack, dstack, hstack, vstack, concat=cat, concatenate=cat)
