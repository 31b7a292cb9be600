"""Joining and cutting, under torch's many names for it: each a line on cat, stack and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.ops.common import alone, axis, integer
from minigrad.ops.shape import atleast_1d, atleast_2d, atleast_3d, cat, narrow
from minigrad.tensor import Tensor, describe

concat = concatenate = cat


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


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along an axis into so many parts (the first ones longer by one where it does not come out even), or at indices."""
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    d = axis(dim, input.ndim)
    n = input.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if alone(indices_or_sections):
        indices_or_sections = integer(indices_or_sections, "sections")
        if indices_or_sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {indices_or_sections}")
        size, longer = divmod(n, indices_or_sections)
        cuts = [i * size + min(i, longer) for i in range(indices_or_sections + 1)]
    else:
        cuts = [0, *[slice(integer(i, "an index")).indices(n)[1] for i in indices_or_sections], n]
    return tuple([narrow(input, d, a, max(b - a, 0)) for a, b in zip(cuts, cuts[1:], strict=False)])


def _cut(name: str, x: Tensor, indices_or_sections: Any, dim: int) -> tuple[Tensor, ...]:
    if alone(indices_or_sections) and indices_or_sections > 0 and x.shape[dim] % indices_or_sections:
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {x.shape[dim]} is not "
            f"divisible by the split_size {indices_or_sections}!"
        )
    return tensor_split(x, indices_or_sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the second axis (a vector along its only one)."""
    _at_least(input, 1, "hsplit")
    return _cut("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the first axis."""
    _at_least(input, 2, "vsplit")
    return _cut("vsplit", input, indices_or_sections, 0)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the third axis."""
    _at_least(input, 3, "dsplit")
    return _cut("dsplit", input, indices_or_sections, 2)


def _at_least(x: Tensor, ndim: int, name: str) -> None:
    if x.ndim < ndim:
        raise RuntimeError(f"torch.{name} requires a tensor with at least {ndim} dimension, but got {describe(x)}")


__all__ = [
    "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "tensor_split", "vsplit", "vstack",
]  # fmt: skip
