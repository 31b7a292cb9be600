"""Putting elements at given places: out of place, each a tensor of its own.

Where several elements go to one place, "add" ops add them up; of the others the last one stays, and each of them gets the
gradient of that place, as in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.ops.common import axis, broadcast_shapes, real
from minigrad.ops.indexing import PutAdd, SetItem, bounded, in_two, matching, open_index, plain
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


def _same_type(name: str, x: Tensor, src: Any) -> None:
    if isinstance(src, Tensor) and src.dtype != x.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype: {describe(x)}, {describe(src)}")


def _scatter(name: str, x: Tensor, dim: int, index: Tensor, src: Any, add: bool) -> Tensor:
    d = axis(dim, x.ndim)
    _same_type(name, x, src)
    if not index.numel():  # of any type and shape, as torch has it
        return x.clone()
    bounded(name, index, x.shape[d] if x.ndim else 1, d)
    matching(name, x, d, index, src if isinstance(src, Tensor) else None)
    if x.ndim == 0:
        flat = src.reshape(-1) if isinstance(src, Tensor) else src
        return _scatter(name, x.reshape(1), 0, index.reshape(-1), flat, add).reshape(())
    index = index.reshape(-1) if index.ndim == 0 else index
    if isinstance(src, Tensor):
        src = src.reshape(-1) if src.ndim == 0 else src
        if src.shape != index.shape:
            src = src[tuple([slice(0, n) for n in index.shape])]
    places = open_index(x, d, index)
    if not add:
        return SetItem(places)(x, src)
    if not isinstance(src, Tensor):
        src = index.new_full(index.shape, src, dtype=x.dtype)
    return x + PutAdd(x.shape, places)(src)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """The input, with src[i, j, ...] (or one value) put at [index[i, j, ...], j, ...] for dim = 0, and so on.

    reduce="add" adds to what is there; "multiply" is not built.
    """
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter() needs src or value")
    if reduce == "multiply":
        raise NotImplementedError('scatter(): reduce="multiply" is not built')
    if reduce not in (None, "add"):
        raise RuntimeError(f"reduce argument must be either add or multiply, not {reduce!r}")
    return _scatter("scatter", input, dim, index, src, reduce == "add")


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """The input, with src[i, j, ...] added at [index[i, j, ...], j, ...] for dim = 0, and so on."""
    return _scatter("scatter_add", input, dim, index, src, True)


def _slices(name: str, x: Tensor, dim: int, index: Tensor, source: Any) -> tuple[Tensor, Any]:
    """x with at least one axis, and the index of the slices along `dim` that are written."""
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {index.ndim})")
    d = axis(dim, x.ndim)
    _same_type(name, x, source)
    x = x.reshape(1) if x.ndim == 0 else x
    negative, error = name == "index_fill", RuntimeError if name == "index_add" else IndexError
    bounded(name, index, x.shape[d], d, error, negative)
    if isinstance(source, Tensor) and name != "index_fill":
        expected = (*x.shape[:d], index.numel(), *x.shape[d + 1 :])
        if max(source.ndim, 1) != x.ndim or (source.shape or (1,)) != expected:
            counted = source.ndim != x.ndim or source.shape[d] == index.numel()
            raise (RuntimeError if name == "index_add" or counted else IndexError)(
                f"{name}(): Number of indices ({index.numel()}) should be equal to source.size(dim), and source have the "
                f"slices' shape, {list(expected)}, but got {describe(source)}"
            )
    return x, (slice(None),) * d + (index.reshape(-1).array,)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """The input, with alpha times slice i of source added to slice index[i]."""
    x, places = _slices("index_add", input, dim, index, source)
    source = source.reshape(x.shape) if source.ndim < x.ndim else source
    source = source if alpha == 1 else source * real(alpha, "alpha")
    return (x + PutAdd(x.shape, places)(source)).reshape(input.shape)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """The input, with slice i of source in place of slice index[i]."""
    x, places = _slices("index_copy", input, dim, index, source)
    source = source.reshape(x.shape) if source.ndim < x.ndim else source
    return SetItem(places)(x, source).reshape(input.shape)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The input, with one value all over the slices that the index names; negative indices count from the end."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
            )
        value = value.to(input.dtype)
    x, (*before, named) = _slices("index_fill", input, dim, index, value)
    once = backends.of(named).xp.unique(named % x.shape[len(before)])  # a slice named twice is filled once
    return SetItem((*before, once))(x, value).reshape(input.shape)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """The input, with values in place of x[indices], or added there (accumulate=True: repeated places add up)."""
    index = plain(tuple(indices), input)
    _same_type("index_put", input, values)
    if not accumulate:
        return SetItem(index)(input, values)
    first, then = in_two(index)
    shape = input.array[then or first].shape
    return input + PutAdd(input.shape, index)(values.expand(shape))


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """The input, with source's elements at these indices of the flattened tensor, or added there."""
    _same_type("put", input, source)
    if index.numel() != source.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    bounded("put", index, input.numel(), 0, IndexError, negative=True)
    places, x, values = (index.reshape(-1).array,), input.reshape(-1), source.reshape(-1)
    made = x + PutAdd(x.shape, places)(values) if accumulate else SetItem(places)(x, values)
    return made.reshape(input.shape)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The input, with source's first elements, in order, where the mask holds."""
    if mask.dtype != dtypes.bool_:
        raise RuntimeError(f"masked_scatter: expected BoolTensor for mask, not {describe(mask)}")
    _same_type("masked_scatter", input, source)
    shape = broadcast_shapes(input.shape, mask.shape)
    mask, count = mask.expand(shape), int(np.count_nonzero(mask.expand(shape).numpy(force=True)))
    if count > source.numel():
        raise RuntimeError(f"Number of elements of source < number of ones in mask: {source.numel()}, {count}")
    return SetItem((mask.array,))(input.expand(shape), source.reshape(-1)[:count])


offer(
    "minigrad Tensor Tensor_",
    index_add, index_copy, index_fill, index_put, masked_scatter, put, scatter, scatter_add,
)  # fmt: skip
