"""The same numbers in another arrangement: reshaping, permuting, expanding, joining, cutting.

What can share memory with its input does (reshape where possible, permute, expand, slices), as in torch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.arguments import ints
from minigrad.memory_format import MemoryFormat, contiguous_format, preserve_format
from minigrad.op import Op
from minigrad.ops.common import alone, axis, broadcast_shapes, integer, sum_to
from minigrad.ops.indexing import GetItem
from minigrad.ops.pointwise import LayOut
from minigrad.ops.public import offer
from minigrad.tensor import FOREIGN, Tensor, describe


class Reshape(Op):
    """The elements in order, in another shape;  gx = gy in x's shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.before = x.shape
        y = x.reshape(self.shape)
        self.is_view = y.base is x or (y.base is not None and y.base is x.base)
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return gy.reshape(self.before)


class Permute(Op):
    """Axis i of y is axis order[i] of x;  gx is gy permuted back."""

    is_view = True

    def __init__(self, order: tuple[int, ...]) -> None:
        self.axes = order

    def forward(self, x: Any) -> Any:
        return x.transpose(self.axes)

    def backward(self, gy: Tensor) -> Tensor:
        back = [0] * len(self.axes)
        for i, a in enumerate(self.axes):
            back[a] = i
        return Permute(tuple(back))(gy)


class Expand(Op):
    """x repeated along axes of length 1, without copying;  gx = the sum of gy over the repeats."""

    is_view = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.before = x.shape
        y = backends.of(x).xp.broadcast_to(x, self.shape)
        if isinstance(x, np.ndarray):  # NumPy hands it out for reading only; what repeats, Tensor refuses to write into
            y.flags.writeable = x.flags.writeable
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return sum_to(gy, self.before)


class Cat(Op):
    """Arrays joined along an axis;  each gets its own stretch of gy."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *xs: Any) -> Any:
        self.sizes = [x.shape[self.dim] for x in xs]
        return backends.of(xs[0]).xp.concatenate(xs, axis=self.dim)

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        gradients, start = [], 0
        for size, need in zip(self.sizes, self.asked_for, strict=True):
            gradients.append(gy.narrow(self.dim, start, size) if need else None)
            start += size
        return tuple(gradients)


Parts = Sequence[slice] | Sequence[int]


class Cut(Op):
    """x cut along an axis into stretches (slices) or into its single places, in x's memory;  gx = their gradients joined.

    One node for all of them, so that the gradient of n parts is put together in one pass, not in n.
    """

    fresh = True

    def __init__(self, dim: int, parts: Parts) -> None:
        self.dim, self.parts = dim, parts

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        cut = super().__call__(x)
        for y, part in zip(cut, self.parts, strict=True):
            view = GetItem((slice(None),) * self.dim + (part,))
            view.shape = x.array.shape  # as if it had been called
            y._share(x, view)
        return cut

    def forward(self, x: Any) -> tuple[Any, ...]:
        self.before = x.shape
        before = (slice(None),) * self.dim
        return tuple([x[(*before, part, Ellipsis)] for part in self.parts])

    def zero_gradient(self, i: int) -> Tensor:
        return None  # type: ignore[return-value]  # Join leaves zeros there

    def backward(self, *gradients: Tensor | None) -> Tensor:
        return Join(self.dim, self.parts, self.before)(*gradients)


class Join(Op):
    """The parts of x put into their places along an axis, zeros where one is None;  each gets its part of gx."""

    def __init__(self, dim: int, parts: Parts, shape: tuple[int, ...]) -> None:
        self.dim, self.parts, self.before = dim, parts, shape

    def forward(self, *ys: Any) -> Any:
        some = next(y for y in ys if y is not None)
        xp = backends.of(some).xp
        all_there = not any([y is None for y in ys])
        x = (xp.empty if all_there else xp.zeros)(self.before, some.dtype)
        front = x if self.dim == 0 else xp.moveaxis(x, self.dim, 0)
        for part, y in zip(self.parts, ys, strict=True):
            if y is not None:
                front[part] = y if self.dim == 0 or type(part) is int else xp.moveaxis(y, self.dim, 0)
        return x

    def backward(self, gx: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(
            [part if need else None for part, need in zip(Cut(self.dim, self.parts)(gx), self.asked_for, strict=True)]
        )


class ToDevice(Op):
    """The same numbers on another device;  the gradient goes back to where they came from."""

    def __init__(self, device: Any) -> None:
        self.device = device

    def forward(self, x: Any) -> Any:
        from minigrad.device import device_of, to_device

        self.before = device_of(x)
        return to_device(x, self.device)

    def backward(self, gy: Tensor) -> Tensor:
        return gy.to(self.before)


# -- the functions, as torch names them ---------------------------------------------------------------------------------


def _resolve(x: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its -1, if any, worked out."""
    size, known, unknown = x.numel(), 1, None
    for i, n in enumerate(shape):
        if n == -1:
            if unknown is not None:
                raise RuntimeError("only one dimension can be inferred")
            unknown = i
        elif n < 0:
            raise RuntimeError(f"invalid shape dimension {n}")
        else:
            known *= n
    if unknown is not None:
        if known == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can "
                "be any value and is ambiguous"
            )
        shape = (*shape[:unknown], size // known, *shape[unknown + 1 :])
        known *= shape[unknown]
    if known != size:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size} ({describe(x)})")
    return shape


def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The elements, in order, in another shape; -1 stands for what is left. Shares memory where it can."""
    return Reshape(_resolve(input, ints(sizes if shape is None else (shape,))))(input)


def view(input: Tensor, *sizes: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """As reshape, but in x's own memory; raises where torch's order of memory would not allow it. view(dtype) reinterprets
    the bytes.

    Images lie channels-last here, where torch has them in the order of their indices. A result of ours that others do not
    hold yet is laid out anew, and the view is one of that. Where a view or a detached tensor of it is held already, what is
    returned is a copy, and from then on an in-place change of either is refused.
    """
    if len(sizes) == 1 and isinstance(sizes[0], (np.dtype, type, str)):
        dtype = sizes[0]
    if dtype is not None:
        return Tensor._wrap(input.array.view(dtype))
    op = Reshape(_resolve(input, ints(sizes if size is None else (size,))))
    y = op(input)
    if op.is_view or input.numel() <= 1:
        return y
    if not _torch_could_view(input, op.shape):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces). Use .reshape(...) instead. ({describe(input)}, strides {input.stride()})"
        )
    if input.memory.holders == 0:
        input.array = y.array.reshape(input.array.shape)
        op.is_view = True
        y._share(input, op)
    else:
        input.memory.copied = True
        y._memory = input.memory
    return y


def _torch_could_view(x: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether x could be seen in that shape if what it is a view of lay in memory in the order of the indices."""
    base, views = x._root(), () if x._base is None else x._views
    if base.memory.holders >= FOREIGN or views is None:
        return False
    laid = backends.of(base.array).xp.empty(base.array.shape, np.bool_)
    for op in views:
        laid = copy.copy(op).forward(laid)
    seen = laid.reshape(shape)
    return seen.base is not None and (seen.base is laid or seen.base is laid.base)


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """Axis i of the result is axis dims[i] of x."""
    order = tuple([axis(d, input.ndim) for d in ints(order if dims is None else (dims,))])
    if len(order) != input.ndim:
        raise RuntimeError(f"permute(dims): {len(order)} dims were given for {describe(input)}")
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return Permute(order)(input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    if input.ndim == 0:
        axis(dim0, 0), axis(dim1, 0)
        return permute(input, ())
    order = list(range(input.ndim))
    a, b = axis(dim0, input.ndim), axis(dim1, input.ndim)
    order[a], order[b] = order[b], order[a]
    return Permute(tuple(order))(input)


def t(input: Tensor) -> Tensor:
    """A matrix transposed."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else transpose(input, 0, 1)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
    sources = [axis(d, input.ndim) for d in ints((source,))]
    places = [axis(d, input.ndim) for d in ints((destination,))]
    if len(sources) != len(places):
        raise RuntimeError(f"movedim: Invalid source or destination dims: {source} and {destination}")
    for name, given in (("source", sources), ("destination", places)):
        if len(set(given)) != len(given):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({given})")
    rest = iter([d for d in range(input.ndim) if d not in sources])
    order = [sources[places.index(i)] if i in places else next(rest) for i in range(input.ndim)]
    return permute(input, order)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged."""
    return transpose(input, axis0, axis1)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from start_dim to end_dim as one."""
    a, b = axis(start_dim, input.ndim), axis(end_dim, input.ndim)
    if input.ndim == 0:
        return reshape(input, 1)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if a == b:
        return input
    size = int(np.prod(input.shape[a : b + 1]))
    return reshape(input, (*input.shape[:a], size, *input.shape[b + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """The elements, in order, as a vector."""
    return reshape(input, -1 if input.numel() else 0)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several; -1 stands for what is left."""
    d, sizes = axis(dim, input.ndim), ints((sizes,))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if input.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    known = int(np.prod([n for n in sizes if n != -1]))
    if sizes.count(-1) == 1 and known and input.shape[d] % known == 0:
        sizes = tuple([input.shape[d] // known if n == -1 else n for n in sizes])
    if -1 in sizes or int(np.prod(sizes)) != input.shape[d]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({input.shape[d]})"
        )
    return reshape(input, (*input.shape[:d], *sizes, *input.shape[d + 1 :]))


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without axes of length 1: all of them, or those named."""
    dims = range(input.ndim) if dim is None else [axis(d, input.ndim) for d in ints((dim,))]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"dim appears multiple times in the list of dims: {dim}")
    return reshape(input, tuple([n for i, n in enumerate(input.shape) if not (n == 1 and i in dims)]))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new axis of length 1 at dim."""
    d = axis(dim, input.ndim + 1)
    return reshape(input, (*input.shape[:d], 1, *input.shape[d:]))


def expand(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """x repeated along axes of length 1 (and new leading axes) to the given sizes, without copying; -1 keeps a length."""
    wanted = ints(sizes if size is None else (size,))
    extra = len(wanted) - input.ndim
    if extra < 0:
        raise RuntimeError(
            f"expand({describe(input)}, size={list(wanted)}): the number of sizes provided ({len(wanted)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({input.ndim})"
        )
    shape = []
    for i, n in enumerate(wanted):
        have = input.array.shape[i - extra] if i >= extra else None
        if n == -1 and have is None:
            raise RuntimeError(
                "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension"
            )
        if have is not None and n != -1 and have not in (1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton dimension {i}. "
                f"Target sizes: {list(wanted)}. Tensor sizes: {list(input.shape)}"
            )
        shape.append(have if n == -1 else n)
    return Expand(tuple(shape))(input)  # type: ignore[arg-type]


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to other's shape."""
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expanded to that shape."""
    return expand(input, *size)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All of them expanded to the shape that they broadcast to."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shapes(*[x.shape for x in given])
    return tuple([expand(x, shape) for x in given])


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """In other's shape."""
    return reshape(input, other.shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view in other's shape."""
    return view(input, other.shape)


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    """change(x) for one tensor; for several, or a sequence of them, a tuple."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return change(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple([change(x) for x in given])


def atleast_1d(*tensors: Any) -> Any:
    """With at least one axis."""
    return _each(tensors, lambda x: reshape(x, 1) if x.ndim == 0 else x)


def atleast_2d(*tensors: Any) -> Any:
    """With at least two axes: vectors are rows."""
    return _each(tensors, lambda x: reshape(x, 1, x.numel()) if x.ndim < 2 else x)


def atleast_3d(*tensors: Any) -> Any:
    """With at least three axes: vectors are (1, n, 1), matrices (n, m, 1)."""

    def change(x: Tensor) -> Tensor:
        return reshape(x, 1, x.numel(), 1) if x.ndim < 2 else unsqueeze(x, 2) if x.ndim == 2 else x

    return _each(tensors, change)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing axis."""
    tensors = list(tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dtype = dtypes.result_type(*tensors)
    kept = [x for x in tensors if x.array.shape != (0,)] or tensors[:1]  # torch skips empty 1-D tensors
    tensors = [x.to(dtype) for x in kept]
    if any(x.ndim == 0 for x in tensors):
        raise RuntimeError("zero-dimensional tensor cannot be concatenated")
    d = axis(dim, tensors[0].ndim)
    for x in tensors[1:]:
        if x.ndim != tensors[0].ndim or any(
            a != b for i, (a, b) in enumerate(zip(x.array.shape, tensors[0].array.shape, strict=True)) if i != d
        ):
            raise RuntimeError(
                "Sizes of tensors must match except in dimension "
                f"{dim}: given {', '.join(describe(x) for x in tensors)}"
            )
    return Cat(d)(*tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for x in tensors[1:]:
        if x.shape != tensors[0].shape:
            raise RuntimeError(
                "stack expects each tensor to be equal size, but got "
                f"{list(tensors[0].shape)} at entry 0 and {list(x.shape)} at another"
            )
    d = axis(dim, tensors[0].ndim + 1)
    return cat([unsqueeze(x, d) for x in tensors], d)


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements along an axis, from `start` on."""
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d, start, length = axis(dim, input.ndim), integer(start, "start"), integer(length, "length")
    n = input.array.shape[d]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if length < 0 or start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return input[(slice(None),) * d + (slice(start, start + length),)]


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of an axis."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, index = axis(dim, input.ndim), integer(index, "index")
    if not -input.shape[d] <= index < input.shape[d]:
        raise IndexError(f"select(): index {index} out of range for {describe(input)} at dimension {dim}")
    return input[(slice(None),) * d + (index,)]


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Stretches of one size along an axis (the last may be shorter), or of the sizes listed."""
    if tensor.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d, size = axis(dim, tensor.ndim), split_size_or_sections
    n = tensor.shape[d]
    if alone(size):
        size = integer(size, "split_size")
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        sizes = [size] * (n // size) + ([n % size] if n % size else []) if n else [0]
    else:
        sizes = [integer(s, "split_sizes") for s in size]  # type: ignore[union-attr]
        if int(np.sum(sizes)) != n or any([s < 0 for s in sizes]):
            raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {sizes}")
    ends = [0, *np.cumsum(sizes).tolist()]
    return Cut(d, [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)])(tensor) if sizes else ()


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` stretches of equal length along an axis (the last may be shorter)."""
    if input.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = integer(chunks, "chunks")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.shape[axis(dim, input.ndim)]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis."""
    d = axis(dim, input.ndim)
    if input.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return Cut(d, range(input.shape[d]))(input) if input.shape[d] else ()


def contiguous(input: Tensor, *, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """x, copied if its elements do not lie in memory in the order of their indices (or the other one asked for)."""
    if memory_format is preserve_format:
        if not input.is_contiguous():
            raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
        return input
    if input.is_contiguous(memory_format=memory_format):
        return input
    return Contiguous()(input) if memory_format is contiguous_format else LayOut(memory_format)(input)


class Contiguous(Op):
    """A copy in the order of the indices;  gx = gy."""

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.ascontiguousarray(x)

    def backward(self, gy: Tensor) -> Tensor:
        return gy


offer(
    "minigrad Tensor",
    broadcast_to, chunk, flatten, movedim, narrow, permute, ravel, reshape, select, squeeze, swapaxes, t, transpose,
    unbind, unflatten, unsqueeze, moveaxis=movedim, swapdims=transpose,
)  # fmt: skip
offer("minigrad", atleast_1d, atleast_2d, atleast_3d, broadcast_shapes, broadcast_tensors, cat, split, stack)
offer("Tensor", contiguous, expand, expand_as, reshape_as, view, view_as)
