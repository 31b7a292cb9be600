"""The same elements in another order or several times over: flip, roll, rotate, repeat, tile, grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.op import Op
from minigrad.ops.common import axis, integer, ints
from minigrad.ops.public import offer
from minigrad.ops.shape import expand, transpose
from minigrad.tensor import Tensor, describe


class Flip(Op):
    """The elements in reverse along axes;  gx = gy reversed."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.flip(x, self.dims).copy()

    def backward(self, gy: Tensor) -> Tensor:
        return Flip(self.dims)(gy)


class Roll(Op):
    """The elements moved along axes, what leaves at one end coming in at the other;  gx = gy moved back."""

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...]) -> None:
        self.shifts, self.dims = shifts, dims

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.roll(x, self.shifts, self.dims)

    def backward(self, gy: Tensor) -> Tensor:
        return Roll(tuple([-s for s in self.shifts]), self.dims)(gy)


def flip(input: Tensor, *along: Any, dims: Any = None) -> Tensor:
    """The elements in reverse along the given axes."""
    found = tuple([axis(d, input.ndim) for d in ints(along if dims is None else (dims,))])
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim appears multiple times in the list of dims: {list(found)}")
    return Flip(found)(input) if found and input.ndim else input.clone()


def fliplr(input: Tensor) -> Tensor:
    """The second axis in reverse."""
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d, not {describe(input)}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """The first axis in reverse."""
    if input.ndim < 1:
        raise RuntimeError(f"Input must be >= 1-d, not {describe(input)}")
    return flip(input, 0)


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] = ()) -> Tensor:
    """Element i moves to i + shift along each axis, round the end; without dims, along the flattened tensor."""
    moves, along = ints((shifts,)), ints((dims,))
    if not along and len(moves) == 1:
        return Roll(moves, (0,))(input.reshape(-1)).reshape(input.shape)
    if len(moves) != len(along) or not moves:
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(along)}")
    found = tuple([axis(d, input.ndim) for d in along])
    return Roll(moves, found)(input) if input.ndim else input.clone()


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarter turns in the plane of two axes, from the first towards the second."""
    if len(dims) != 2 or input.ndim < 2:
        raise RuntimeError(f"expected two rotation dims and at least two axes, got dims {dims} of {describe(input)}")
    a, b = (axis(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k = integer(k, "k") % 4
    if k == 0:
        return input.clone()
    if k == 2:
        return flip(input, a, b)
    return transpose(flip(input, b if k == 1 else a), a, b)


def repeat(input: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """The whole tensor so many times along each axis; more numbers than axes make new leading axes."""
    times = ints(sizes if repeats is None else (repeats,))
    extra = len(times) - input.ndim
    if extra < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
            f"{list(times)} for {describe(input)}"
        )
    if any(n < 0 for n in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(times)}")
    lengths = (1,) * extra + input.shape
    # Each axis as (1, n), the 1 repeated, then both as one.
    apart = [m for n in lengths for m in (1, n)]
    wide = [m for t, n in zip(times, lengths, strict=True) for m in (t, n)]
    return expand(input.reshape(apart), wide).clone().reshape([t * n for t, n in zip(times, lengths, strict=True)])


def tile(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """As repeat, but fewer numbers than axes leave the leading axes as they are."""
    times = ints(sizes if dims is None else (dims,))
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def repeat_interleave(
    input: Any = None, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along `dim`) several times in a row. repeats: one number, or one for each slice.

    repeat_interleave(counts) alone gives 0 counts[0] times, 1 counts[1] times and so on.
    """
    if input is None or repeats is None:
        counts: Any = repeats if input is None else input
        return _interleaved(counts, counts.numel(), counts)
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        repeats = int(repeats.item())
    if dim is None:
        input, dim = input.reshape(-1), 0
    d = axis(dim, input.ndim)
    n = input.shape[d] if input.ndim else 1
    if isinstance(repeats, Tensor):
        return input.index_select(d, _interleaved(repeats, n, input))
    repeats = integer(repeats, "repeats")
    if repeats < 0:
        raise RuntimeError(f"Repeats must be non-negative, not {repeats}")
    sizes = (*input.shape[: d + 1], repeats, *input.shape[d + 1 :])
    wide = expand(input.unsqueeze(d + 1), sizes).clone()
    return wide.reshape((*input.shape[:d], n * repeats, *input.shape[d + 1 :]))


def _interleaved(repeats: Tensor, n: int, like: Tensor) -> Tensor:
    """Index i repeats[i] times, for i from 0 to n - 1."""
    counts = repeats.detach().numpy(force=True)
    if counts.ndim != 1 or counts.dtype.kind != "i" or (counts < 0).any():
        raise RuntimeError(f"repeats must be a vector of non-negative integers, not {describe(repeats)}")
    if counts.size != n:
        raise RuntimeError(f"repeats must have the same size as input along dim, but got {counts.size} for {n}")
    xp = backends.of(like.array).xp
    return Tensor._wrap(xp.asarray(np.repeat(np.arange(n, dtype=dtypes.int64), counts)))


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors x, y, ... as coordinates of a grid: X[i, j, ...] = x[i], Y[i, j, ...] = y[j], ...

    indexing: "ij" (the default), or "xy": the first two axes of the results exchanged.
    """
    vectors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if not vectors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in vectors:
        if x.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {describe(x)}")
        if x.dtype != vectors[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    shape = [x.numel() for x in vectors]
    grids = [
        expand(x.reshape([-1 if i == k else 1 for k in range(len(vectors))]), shape) for i, x in enumerate(vectors)
    ]
    return tuple([transpose(g, 0, 1) if indexing == "xy" and len(vectors) > 1 else g for g in grids])


offer("minigrad Tensor", flip, fliplr, flipud, repeat_interleave, roll, rot90, tile)
offer("minigrad", meshgrid)
offer("Tensor", repeat)
