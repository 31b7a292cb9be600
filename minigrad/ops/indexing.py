"""Taking elements out and putting them back: x[...], gather, scatter, and assignment.

Reading at an index and adding at an index are each other's adjoint: the gradient of one is the other. An element that is
read twice gets both gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.grad_mode import state
from minigrad.op import Op
from minigrad.ops.common import axis, broadcast_shapes, integer, sum_to
from minigrad.ops.creation import full_like
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe

Index = tuple[Any, ...]


def plain(index: Any, x: Tensor) -> Index:
    """An index as NumPy and CuPy take it: Tensors as arrays on x's device, lists as arrays, bounds checked."""
    parts = index if isinstance(index, tuple) else (index,)
    taken = tuple(
        [
            part if part is None or part is Ellipsis or type(part) is int or type(part) is bool
            else _plain_slice(part) if type(part) is slice
            else _plain_array(part, x)
            for part in parts
        ]
    )  # fmt: skip
    if not _is_basic(taken):
        _check_bounds(taken, x)
    return taken


def _plain_array(part: Any, x: Tensor) -> Any:
    """A Tensor, an array or a list as an array; a single integer as a number. Bytes are masks, as in torch."""
    xp = backends.of(x.array).xp
    if isinstance(part, Tensor):
        if part.ndim == 0 and part.dtype.kind == "i":
            return int(part.item())
        array = part.to(x.device).array
    elif isinstance(part, (list, range, np.ndarray)) or type(part) is xp.ndarray:
        array = xp.asarray(part)
        array = array.astype(np.int64) if array.size == 0 and array.dtype.kind == "f" else array
    elif hasattr(part, "__index__"):
        return part.__index__()
    elif isinstance(part, np.bool_):
        return bool(part)
    else:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(part).__name__})"
        )
    if array.dtype.kind == "f":
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, not {array.dtype}")
    return array.astype(bool) if array.dtype == np.uint8 else array


def _plain_slice(part: slice) -> slice:
    ends = [
        v if v is None or type(v) is int else integer(v, "a slice's end") for v in (part.start, part.stop, part.step)
    ]
    if ends[2] is not None and ends[2] <= 0:
        raise ValueError("step must be greater than zero")
    return slice(*ends)


def _check_bounds(index: Index, x: Tensor) -> None:
    """CuPy wraps an index that is out of range; NumPy's own check is enough on the CPU, but for empty masks."""
    if isinstance(x.array, np.ndarray) and not any([getattr(part, "size", 1) == 0 for part in index]):
        return
    used = len([p for p in index if p is not None and p is not Ellipsis])
    used += sum([p.ndim - 1 for p in index if hasattr(p, "dtype") and p.dtype == np.bool_])
    d = 0
    for part in index:
        if part is None or isinstance(part, bool):
            continue
        if part is Ellipsis:
            d += x.ndim - used
            continue
        if hasattr(part, "dtype"):
            if part.dtype == np.bool_:
                if part.shape != x.shape[d : d + part.ndim]:
                    raise IndexError(
                        f"The shape of the mask {list(part.shape)} does not match that of {describe(x)} from dimension {d} on"
                    )
                d += part.ndim
                continue
            n = x.shape[d]
            message = f"index {{}} is out of range for dimension {d} with size {n} of {describe(x)}"
            backends.of(part).check_indices(part, low=-n, high=n, error=IndexError, message=message)
        d += 1


def _is_basic(index: Index) -> bool:
    """Whether the index is made of slices and numbers only, so that the result shares memory."""
    return all([part is None or part is Ellipsis or type(part) in (int, slice) for part in index])


class GetItem(Op):
    """y = x[index];  gx = gy added at the index in zeros."""

    fresh = True

    def __init__(self, index: Index) -> None:
        self.is_view = _is_basic(index)
        # The ellipsis makes NumPy give a view, not a number, where one element is left.
        self.index = (*index, Ellipsis) if self.is_view and all([part is not Ellipsis for part in index]) else index

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return x[self.index]

    def backward(self, gy: Tensor) -> Tensor:
        return PutAdd(self.shape, self.index)(gy)


class PutAdd(Op):
    """x = zeros with y added at the index;  gy = gx[index]."""

    widens = True

    def __init__(self, shape: tuple[int, ...], index: Index) -> None:
        self.shape, self.index = shape, index

    def forward(self, y: Any) -> Any:
        if not _is_basic(self.index):
            return backends.of(y).scatter_add(self.index, y, shape=self.shape)
        x = backends.of(y).xp.zeros(self.shape, y.dtype)
        x[self.index] = y
        return x

    def backward(self, gx: Tensor) -> Tensor:
        return GetItem(self.index)(gx)


class SetItem(Op):
    """y = x with x[index] = v;  gx = gy, 0 at the index;  gv = gy[index]."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def forward(self, x: Any, v: Any) -> Any:
        y = x.copy(order="K")
        backends.of(y).assign(y, self.index, v)
        self.shape = getattr(v, "shape", ())
        return y

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        needs_x, needs_v = self.asked_for
        return (
            SetItem(self.index)(gy, 0.0) if needs_x else None,
            _sum_to_value(GetItem(self.index)(gy), self.shape) if needs_v else None,
        )


def _sum_to_value(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """As sum_to; a value may also have leading axes of length 1 that the place it was put in does not have."""
    extra = len(shape) - gradient.ndim
    if extra > 0:
        return sum_to(gradient, shape[extra:]).reshape(shape)
    return sum_to(gradient, shape)


def in_two(index: Index) -> tuple[Index, Index]:
    """What is taken first (numbers, slices, new axes), and then the arrays, for an index that has both.

    NumPy counts a number among the arrays, which decides where their axes go; torch takes it first.
    """
    if _is_basic(index):
        return index, ()
    if all([type(part) is not int for part in index]):
        return (), index
    first: list[Any] = []
    then: list[Any] = []
    for part in index:
        if isinstance(part, bool):
            then.append(part)
        elif hasattr(part, "dtype"):
            first.extend([slice(None)] * (part.ndim if part.dtype == np.bool_ else 1))
            then.append(part)
        else:
            first.append(part)
            if type(part) is not int:
                then.append(Ellipsis if part is Ellipsis else slice(None))
    return tuple(first), tuple(then)


def getitem(input: Tensor, index: Any) -> Tensor:
    """x[index]: numbers, slices, None, ..., lists, integer and bool Tensors, as torch takes them."""
    if input.ndim == 0 and isinstance(index, int) and not isinstance(index, bool):
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a Python number")
    first, then = in_two(plain(index, input))
    if not then:
        return GetItem(first)(input)
    return GetItem(then)(GetItem(first)(input) if first else input)


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place; gradients reach both x's other elements and value."""
    first, then = in_two(plain(index, input))
    place = GetItem(first)(input) if first or not then else input
    if isinstance(value, Tensor):
        value = value.to(place.device).to(place.dtype)
    elif isinstance(value, (np.ndarray, list, tuple)):
        value = Tensor(backends.of(place.array).xp.asarray(value)).to(place.dtype)
    elif not isinstance(value, (bool, int, float, np.generic)):
        raise TypeError(f"can't assign a {type(value).__name__} to a {describe(input)}")
    if state.grad and (place._requires_grad or (isinstance(value, Tensor) and value._requires_grad)):
        if then:
            place._in_place(SetItem(then), value)
        else:
            place._in_place(lambda x: _spread_over(value, x))
        return
    place._check_in_place()
    try:
        backends.of(place.array).assign(
            place.array, then or Ellipsis, value.array if isinstance(value, Tensor) else value
        )
    except ValueError as error:
        raise RuntimeError(f"{error}: {describe(value)} assigned to x[{index}] of {describe(input)}") from error
    place._bump_version()


def _spread_over(value: Any, x: Tensor) -> Tensor:
    """A value, expanded to x's shape; leading axes of length 1 that x does not have are dropped."""
    if not isinstance(value, Tensor):
        return full_like(x, value)
    while value.ndim > x.ndim and value.shape[0] == 1:
        value = value.squeeze(0)
    return value.expand(x.shape)


def open_index(x: Tensor, dim: int, index: Tensor) -> Index:
    """The index arrays that pick, for each place of `index`, the element of x at the same place but for axis dim."""
    xp = backends.of(x.array).xp
    parts = []
    for d in range(x.ndim):
        shape = [1] * x.ndim
        shape[d] = index.shape[d]
        parts.append(index.array if d == dim else xp.arange(index.shape[d]).reshape(shape))
    return tuple(parts)


def bounded(
    name: str, index: Tensor, size: int, dim: int, error: type[Exception] = RuntimeError, negative: bool = False
) -> Tensor:
    """The index, if it holds integers from 0 (or, counted from the end, -size) to size - 1."""
    if not isinstance(index, Tensor) or index.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, not {describe(index)}")
    message = f"{name}(): index {{}} is out of bounds for dimension {dim} with size {size}"
    kernels = backends.of(index.array)
    kernels.check_indices(index.array, low=-size if negative else 0, high=size, error=error, message=message)
    return index


def matching(name: str, x: Tensor, dim: int, index: Tensor, src: Tensor | None = None) -> None:
    """Raises unless index has x's number of axes and is nowhere longer than x (but along dim) or than src."""
    if max(index.ndim, 1) != max(x.ndim, 1) or (src is not None and max(src.ndim, 1) != max(index.ndim, 1)):
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as self tensor and src, but got "
            f"{describe(index)} for {describe(x)}" + ("" if src is None else f" and {describe(src)}")
        )
    for i in range(min(x.ndim, index.ndim)):
        if (i != dim and index.shape[i] > x.shape[i]) or (
            src is not None and src.ndim and index.shape[i] > src.shape[i]
        ):
            raise RuntimeError(
                f"{name}(): Expected index {list(index.shape)} to be no larger than self {list(x.shape)} apart from "
                f"dimension {dim}" + ("" if src is None else f", and no larger than src {list(src.shape)}")
            )


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and so on. index: integers, of x's number of axes.

    sparse_grad is taken and makes no difference: gradients are dense.
    """
    d = axis(dim, input.ndim)
    if not index.numel():  # of any type and shape, as torch has it
        return input.reshape(-1)[:0].reshape(index.shape)
    bounded("gather", index, input.shape[d] if input.ndim else 1, d)
    matching("gather", input, d, index)
    if input.ndim == 0 or index.ndim == 0:
        return input.reshape(-1)[index.reshape(-1)].reshape(index.shape)
    return GetItem(open_index(input, d, index))(input)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As gather, with both broadcast along the other axes; indices go round the end. No dim: of all elements."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{describe(input)} and {describe(indices)}"
        )
    d = axis(dim, input.ndim)
    if indices.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {describe(indices)}")
    n = input.shape[d]
    if n == 0 and indices.numel():
        raise RuntimeError(f"take_along_dim(): no index is in bounds of {describe(input)} at dimension {d}")
    indices = Tensor._wrap(indices.array % n if n else indices.array)
    shapes = [(*x.shape[:d], 1, *x.shape[d + 1 :]) for x in (input, indices)]
    shape = broadcast_shapes(*shapes)
    index = indices.expand((*shape[:d], indices.shape[d], *shape[d + 1 :]))
    x = input.expand((*shape[:d], input.shape[d], *shape[d + 1 :]))
    return GetItem(open_index(x, d, index))(x)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these indices of the flattened tensor, in the index's shape; negative ones count from the end."""
    bounded("take", index, input.numel(), 0, IndexError, negative=True)
    return input.reshape(-1)[index.reshape(-1)].reshape(index.shape)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of x along an axis that a 1-D index names."""
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, not {describe(index)}")
    d = axis(dim, input.ndim)
    if input.ndim == 0 and index.numel() != 1:
        raise RuntimeError(f"index_select(): of a number, one element can be selected, not {describe(index)}")
    bounded("index_select", index, input.shape[d] if input.ndim else 1, d, IndexError)
    if input.ndim == 0:
        return input.clone()
    return GetItem((slice(None),) * d + (index.reshape(-1).array,))(input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a 1-D tensor."""
    if mask.dtype != dtypes.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, not {describe(mask)}")
    shape = broadcast_shapes(input.shape, mask.shape)
    return input.expand(shape)[mask.expand(shape)]


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero: (count, ndim), or one tensor an axis."""
    xp = backends.of(input.array).xp
    found = xp.nonzero(input.array if input.ndim else input.array.reshape(1))
    if as_tuple:
        return tuple([Tensor._wrap(i.astype(np.int64)) for i in found])
    if input.ndim == 0:
        return Tensor._wrap(xp.zeros((found[0].size, 0), np.int64))
    return Tensor._wrap(xp.stack(found, axis=1).astype(np.int64))


def argwhere(input: Tensor) -> Tensor:
    """As nonzero: (count, ndim)."""
    return nonzero(input)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros (..., num_classes) with a 1 at each index."""
    if input.dtype.kind != "i":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if input.numel() == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    num_classes = integer(num_classes, "num_classes")
    highest = int(input.array.max()) if input.numel() else -1
    if input.numel() and int(input.array.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    count = highest + 1 if num_classes == -1 else num_classes
    if highest >= count:
        raise RuntimeError("Class values must be smaller than num_classes.")
    xp = backends.of(input.array).xp
    return Tensor._wrap((input.array[..., None] == xp.arange(count)).astype(dtypes.int64))


offer("minigrad Tensor", argwhere, gather, index_select, masked_select, nonzero, take, take_along_dim)
offer("nn.functional", one_hot)
