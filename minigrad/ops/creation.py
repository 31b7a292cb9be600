"""New tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.device import Device, get_device, to_device
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor


def _xp(device: Device) -> Any:
    return backends.get(device.type).xp


def _made(array: Any, device: Any, requires_grad: bool) -> Tensor:
    tensor = Tensor._wrap(to_device(array, get_device(device)))
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor from numbers, nested lists, arrays or Tensors (always a copy).

    dtype, unless given: that of an array; for Python numbers float32, int64 or bool.
    """
    if isinstance(data, Tensor):
        device = data.device if device is None else device
        data = data.array
    elif not isinstance(data, np.ndarray) and not hasattr(data, "__cuda_array_interface__"):
        data = _from_lists(data)
    array = data.copy() if dtype is None else data.astype(np.dtype(dtype))
    return _made(array, device, requires_grad)


def _from_lists(data: Any) -> np.ndarray:
    if isinstance(data, np.generic):
        return np.asarray(data)
    try:
        array = np.array(_detached(data))
    except ValueError as error:
        raise ValueError(f"expected sequences of one length at every level: {error}") from error
    if array.size == 0 and array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"can't make a tensor of {type(data).__name__} holding {array.dtype}")
    if array.dtype == np.float64 and not _holds_float64(data):
        return array.astype(np.float32)
    return array


def _detached(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.detach().numpy(force=True)
    return [_detached(d) for d in data] if isinstance(data, (list, tuple)) else data


def _holds_float64(data: Any) -> bool:
    """Whether a NumPy or Tensor float64 is inside (Python's floats are float32 here, as in torch)."""
    if isinstance(data, (list, tuple)):
        return len(data) > 0 and _holds_float64(data[0])
    return getattr(data, "dtype", None) == np.float64


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """As `tensor`, but without copying where it need not."""
    if isinstance(data, Tensor):
        return data.to(*[v for v in (device, dtype) if v is not None])
    if isinstance(data, np.ndarray):
        return from_numpy(data).to(*[v for v in (device, dtype) if v is not None])
    return tensor(data, dtype=dtype, device=device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    return Tensor(array)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A Tensor that shares the memory of any object with __dlpack__ (a torch tensor, say)."""
    kind, _ = ext_tensor.__dlpack_device__()
    xp = backends.get("cpu" if kind in (1, 3, 11) else "gpu").xp
    return Tensor(xp.from_dlpack(ext_tensor))


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple([int(n) for n in size])


def _maker(name: str) -> Callable[..., Tensor]:
    def make(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        where = get_device(device)
        dtype = dtypes.float32 if dtype is None else np.dtype(dtype)
        return _made(getattr(_xp(where), name)(_sizes(size), dtype=dtype), where, requires_grad)

    make.__name__ = name
    make.__doc__ = f"A tensor of this size, {'not filled' if name == 'empty' else 'filled with ' + name}."
    return make


zeros, ones, empty = _maker("zeros"), _maker("ones"), _maker("empty")


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of this size, filled with one value."""
    where = get_device(device)
    dtype = dtypes.result_type(fill_value) if dtype is None else np.dtype(dtype)
    return _made(_xp(where).full(_sizes((size,)), fill_value, dtype=dtype), where, requires_grad)


def _like(name: str) -> Callable[..., Tensor]:
    def make(x: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        array = getattr(backends.of(x.array).xp, name)(x.array, dtype=None if dtype is None else np.dtype(dtype))
        return _made(array, x.device if device is None else device, requires_grad)

    make.__name__ = name
    make.__doc__ = f"As {name[:-5]}, with x's shape and, unless given, its dtype, device and layout."
    return make


zeros_like, ones_like, empty_like = _like("zeros_like"), _like("ones_like"), _like("empty_like")


def full_like(
    x: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """x's shape, filled with one value."""
    xp = backends.of(x.array).xp
    array = xp.full_like(x.array, fill_value, dtype=None if dtype is None else np.dtype(dtype))
    return _made(array, x.device if device is None else device, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... up to but not including end; arange(end) starts at 0."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    dtype = dtypes.result_type(start, end, step) if dtype is None else np.dtype(dtype)
    where = get_device(device)
    count = int(np.ceil((end - start) / step))
    steps = _xp(where).arange(count, dtype=np.float64 if dtype.kind == "f" else np.int64)
    return _made((start + steps * step).astype(dtype), where, requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers, evenly from start to end, both included."""
    where = get_device(device)
    dtype = dtypes.float32 if dtype is None else np.dtype(dtype)
    # From both ends, with the step rounded to the type and the product not: torch's own rounding.
    i, step = _xp(where).arange(steps), float(dtype.type((end - start) / max(steps - 1, 1)))
    numbers = _xp(where).where(i < max(steps // 2, steps == 1), start + i * step, end - (steps - 1 - i) * step)
    return _made(numbers.astype(dtype), where, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    where = get_device(device)
    return _made(_xp(where).eye(n, m, dtype=dtypes.float32 if dtype is None else np.dtype(dtype)), where, requires_grad)


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Numbers from [0, 1)."""
    drawn = (generator or default_generator).uniform(0, 1, _sizes(size), dtypes.float32 if dtype is None else dtype)
    return _made(drawn, device, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Numbers from the standard normal distribution."""
    drawn = (generator or default_generator).normal(0, 1, _sizes(size), dtypes.float32 if dtype is None else dtype)
    return _made(drawn, device, requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Integers from low to high - 1; randint(high, size) starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    drawn = (generator or default_generator).integers(
        low, high, _sizes((size,)), dtypes.int64 if dtype is None else dtype
    )
    return _made(drawn, device, False)


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """0 to n - 1 in random order."""
    drawn = (generator or default_generator).permutation(n)
    return _made(drawn.astype(dtypes.int64 if dtype is None else np.dtype(dtype)), device, False)


def rand_like(x: Tensor, *, generator: Generator | None = None) -> Tensor:
    """As rand, with x's shape, dtype and device."""
    return rand(*x.shape, generator=generator, dtype=x.dtype, device=x.device)


def randn_like(x: Tensor, *, generator: Generator | None = None) -> Tensor:
    """As randn, with x's shape, dtype and device."""
    return randn(*x.shape, generator=generator, dtype=x.dtype, device=x.device)


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:  # noqa: A002
    """In training, zeros each element with probability p and scales the others by 1 / (1 - p)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    drawn = (generator or default_generator).uniform(0, 1, input.shape, np.float32)
    scale = 0.0 if p == 1 else 1 / (1 - p)
    mask = _made(((drawn >= p) * scale).astype(input.dtype), input.device, False)
    return input._in_place(lambda x: x * mask) if inplace else input * mask
