"""The same numbers in another arrangement: reshaping, permuting, repeating, joining, padding.

What can share memory with its input does (reshape where possible, permute, expand, slices), as in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.function import Function
from minigrad.ops.common import axis, sum_to
from minigrad.tensor import Tensor, describe


def _ints(values: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = tuple(values[0])
    return tuple([v if type(v) is int else int(v) for v in values])


class Reshape(Function):
    """The elements in order, in another shape;  gx = gy in x's shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.before = x.shape
        y = x.reshape(self.shape)
        self.is_view = y.base is x or (y.base is not None and y.base is x.base)  # type: ignore[misc]
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return gy.reshape(self.before)


class Permute(Function):
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


class Expand(Function):
    """x repeated along axes of length 1, without copying;  gx = the sum of gy over the repeats."""

    is_view = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        self.before = x.shape
        return backends.of(x).xp.broadcast_to(x, self.shape)

    def backward(self, gy: Tensor) -> Tensor:
        return sum_to(gy, self.before)


class Cat(Function):
    """Arrays joined along an axis;  each gets its own stretch of gy."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *xs: Any) -> Any:
        self.sizes = [x.shape[self.dim] for x in xs]
        return backends.of(xs[0]).xp.concatenate(xs, axis=self.dim)

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        gradients, start = [], 0
        for size, need in zip(self.sizes, self.needs, strict=True):
            gradients.append(gy.narrow(self.dim, start, size) if need else None)
            start += size
        return tuple(gradients)


class Pad(Function):
    """A border of a constant around x (negative widths crop);  gx = gy without the border."""

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float) -> None:
        self.widths, self.value = widths, value

    def forward(self, x: Any) -> Any:
        xp = backends.of(x).xp
        x = x[tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, self.widths, strict=True)])]
        widths = [(max(a, 0), max(b, 0)) for a, b in self.widths]
        y = xp.empty_like(x, shape=tuple([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]))
        y.fill(self.value)
        y[tuple([slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True)])] = x
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return Pad(tuple([(-a, -b) for a, b in self.widths]), 0)(gy)


class Flip(Function):
    """The elements in reverse along axes;  gx = gy reversed."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.flip(x, self.dims).copy()

    def backward(self, gy: Tensor) -> Tensor:
        return Flip(self.dims)(gy)


class ToDevice(Function):
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


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The elements, in order, in another shape; -1 stands for what is left. Shares memory where it can."""
    return Reshape(_resolve(x, _ints(shape)))(x)


def view(x: Tensor, *shape: Any) -> Tensor:
    """As reshape, but never copies: raises where the memory's order does not allow it. view(dtype) reinterprets the bytes."""
    if len(shape) == 1 and not isinstance(shape[0], (int, tuple, list, np.integer)):
        return Tensor._wrap(x.array.view(shape[0]))
    op = Reshape(_resolve(x, _ints(shape)))
    y = op(x)
    if not op.is_view and x.numel() > 1:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces). Use .reshape(...) instead. ({describe(x)}, strides {x.stride()})"
        )
    return y


def permute(x: Tensor, *dims: Any) -> Tensor:
    """Axis i of the result is axis dims[i] of x."""
    order = tuple([axis(d, x.ndim) for d in _ints(dims)])
    if len(order) != x.ndim:
        raise RuntimeError(f"permute(dims): {len(order)} dims were given for {describe(x)}")
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return Permute(order)(x)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    if x.ndim == 0:
        axis(dim0, 0), axis(dim1, 0)
        return permute(x, ())
    order = list(range(x.ndim))
    a, b = axis(dim0, x.ndim), axis(dim1, x.ndim)
    order[a], order[b] = order[b], order[a]
    return Permute(tuple(order))(x)


def t(x: Tensor) -> Tensor:
    """A matrix transposed."""
    if x.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {x.ndim}D")
    return x if x.ndim < 2 else transpose(x, 0, 1)


def movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
    sources = [axis(d, x.ndim) for d in _ints((source,))]
    places = [axis(d, x.ndim) for d in _ints((destination,))]
    rest = iter([d for d in range(x.ndim) if d not in sources])
    order = [sources[places.index(i)] if i in places else next(rest) for i in range(x.ndim)]
    return permute(x, order)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from start_dim to end_dim as one."""
    if x.ndim == 0:
        return reshape(x, 1)
    a, b = axis(start_dim, x.ndim), axis(end_dim, x.ndim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if a == b:
        return x
    size = int(np.prod(x.shape[a : b + 1]))
    return reshape(x, (*x.shape[:a], size, *x.shape[b + 1 :]))


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several."""
    d = axis(dim, x.ndim)
    sizes = list(sizes)
    if -1 in sizes:
        known = int(np.prod([n for n in sizes if n != -1]))
        sizes[sizes.index(-1)] = x.shape[d] // known
    if int(np.prod(sizes)) != x.shape[d]:
        raise RuntimeError(
            f"unflatten: Provided sizes {sizes} don't multiply up to the size of dim {dim} ({x.shape[d]})"
        )
    return reshape(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def squeeze(x: Tensor, dim: Any = None) -> Tensor:
    """Without axes of length 1: all of them, or those named."""
    dims = range(x.ndim) if dim is None else [axis(d, x.ndim) for d in _ints((dim,))]
    return reshape(x, tuple([n for i, n in enumerate(x.shape) if not (n == 1 and i in dims)]))


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """With a new axis of length 1 at dim."""
    d = axis(dim, x.ndim + 1)
    return reshape(x, (*x.shape[:d], 1, *x.shape[d:]))


def expand(x: Tensor, *sizes: Any) -> Tensor:
    """x repeated along axes of length 1 (and new leading axes) to the given sizes, without copying; -1 keeps a length."""
    wanted = _ints(sizes)
    extra = len(wanted) - x.ndim
    if extra < 0:
        raise RuntimeError(
            f"expand({describe(x)}, size={list(wanted)}): the number of sizes provided ({len(wanted)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({x.ndim})"
        )
    shape = []
    for i, n in enumerate(wanted):
        have = x.shape[i - extra] if i >= extra else None
        if n == -1 and have is None:
            raise RuntimeError(
                "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension"
            )
        if have is not None and n != -1 and have not in (1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton dimension {i}. "
                f"Target sizes: {list(wanted)}. Tensor sizes: {list(x.shape)}"
            )
        shape.append(have if n == -1 else n)
    return Expand(tuple(shape))(x)  # type: ignore[arg-type]


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """x expanded to other's shape."""
    return expand(x, other.shape)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x expanded to that shape."""
    return expand(x, *shape)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing axis."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    dtype = dtypes.result_type(*tensors)
    tensors = [x.to(dtype) for x in tensors if x.shape != (0,)] or [
        tensors[0].to(dtype)
    ]  # torch skips empty 1-D tensors
    if any(x.ndim == 0 for x in tensors):
        raise RuntimeError("zero-dimensional tensor cannot be concatenated")
    d = axis(dim, tensors[0].ndim)
    for x in tensors[1:]:
        if x.ndim != tensors[0].ndim or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, tensors[0].shape, strict=True)) if i != d
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


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements along an axis, from `start` on."""
    d = axis(dim, x.ndim)
    start = start + x.shape[d] if start < 0 else start
    if length < 0 or start + length > x.shape[d]:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({x.shape[d]}).")
    return x[(slice(None),) * d + (slice(start, start + length),)]


def split(x: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Stretches of `split_size` along an axis (the last may be shorter), or of the sizes listed."""
    d = axis(dim, x.ndim)
    n = x.shape[d]
    if isinstance(split_size, int):
        if split_size <= 0 and n:
            raise RuntimeError(f"split expects split_size be positive, but got split_size={split_size}")
        sizes = [split_size] * (n // split_size) + ([n % split_size] if n % split_size else []) if n else [0]
    else:
        sizes = list(split_size)
        if int(np.sum(sizes)) != n:
            raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {sizes}")
    starts = np.cumsum([0, *sizes])
    return tuple([narrow(x, d, int(a), size) for a, size in zip(starts, sizes, strict=False)])


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` stretches of equal length along an axis (the last may be shorter)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = -(-x.shape[axis(dim, x.ndim)] // chunks)
    return split(x, max(size, 1), dim)


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis."""
    d = axis(dim, x.ndim)
    return tuple([x[(slice(None),) * d + (i,)] for i in range(x.shape[d])])


def flip(x: Tensor, *dims: Any) -> Tensor:
    """The elements in reverse along the given axes."""
    return Flip(tuple([axis(d, x.ndim) for d in _ints(dims)]))(x)


def contiguous(x: Tensor) -> Tensor:
    """x, copied if its elements do not lie in memory in the order of their indices."""
    return x if x.is_contiguous() else Contiguous()(x)


class Contiguous(Function):
    """A copy in the order of the indices;  gx = gy."""

    def forward(self, x: Any) -> Any:
        return backends.of(x).xp.ascontiguousarray(x)

    def backward(self, gy: Tensor) -> Tensor:
        return gy


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """A border around the last axes: pad = (left, right, top, bottom, ...), the last axis first.

    mode: "constant" (value, 0 by default; negative widths crop), "reflect", "replicate" or "circular".
    """
    pad = _ints((tuple(pad),))
    if len(pad) % 2 or len(pad) // 2 > x.ndim:
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the number of dimensions, got {pad}"
        )
    widths = [(0, 0)] * x.ndim
    for i in range(len(pad) // 2):
        widths[x.ndim - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    for n, (a, b) in zip(x.shape, widths, strict=True):
        if n + a + b < 0:
            raise RuntimeError(f"padding {pad} resulted in a negative output size for {describe(x)}")
    if mode == "constant":
        return Pad(tuple(widths), 0.0 if value is None else value)(x)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for d, (a, b) in enumerate(widths):
        if a or b:
            x = x[(slice(None),) * d + (_border(x.shape[d], a, b, mode),)]
    return x


def _border(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """Where each element of a padded axis comes from."""
    i = np.arange(-before, n + after)
    if mode == "replicate":
        return np.clip(i, 0, n - 1)
    if mode == "circular":
        if before > n or after > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return i % n
    if before >= n or after >= n:
        raise RuntimeError(
            f"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at an axis of {n}"
        )
    return np.abs((i + n - 1) % max(2 * (n - 1), 1) - (n - 1)) if n > 1 else np.zeros_like(i)
