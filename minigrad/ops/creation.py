"""Functions that make new tensors: of data, zeros, ones, ranges and random numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import backends, dtypes
from minigrad.arguments import integer, real, sizes
from minigrad.arrays import built, from_lists
from minigrad.device import Device, get_device, to_device
from minigrad.dtypes import as_dtype
from minigrad.memory_format import laid_out, strided
from minigrad.ops.common import drawn
from minigrad.ops.public import offer
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, describe


def _xp(device: Device) -> Any:
    return backends.get(device.backend).xp


def _made(array: Any, device: Any, requires_grad: bool) -> Tensor:
    tensor = Tensor._wrap(to_device(array, get_device(device)))
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def placed(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that makes a tensor, taking torch's `layout` and `pin_memory` as well: strided and False are all there is."""

    @functools.wraps(make)
    def made(*args: Any, layout: Any = None, pin_memory: bool = False, **kwargs: Any) -> Tensor:
        if layout is not None and layout is not strided:
            raise NotImplementedError(f"{make.__name__}(): layout={layout!r} is not built: tensors are strided")
        if pin_memory:
            raise NotImplementedError(f"{make.__name__}(): pin_memory=True is not built: no memory is pinned")
        return make(*args, **kwargs)

    return made


def _formatted(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """As placed, taking torch's `memory_format` too: the order of the elements in memory."""

    @functools.wraps(make)
    def made(*args: Any, memory_format: Any = None, **kwargs: Any) -> Tensor:
        tensor = make(*args, **kwargs)
        if memory_format is not None:
            tensor.array = laid_out(tensor.array, memory_format)
        return tensor

    return placed(made)


def _type(dtype: Any, default: np.dtype = dtypes.float32) -> np.dtype:
    """The type asked for, or the default; complex numbers are refused."""
    found = default if dtype is None else as_dtype(dtype)
    if found.kind not in "biuf":
        raise NotImplementedError(f"tensors of {found} are not built: bool, integers and floats are")
    return found


@placed
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor from numbers, nested lists, arrays or Tensors (always a copy).

    dtype, unless given: that of an array; for Python numbers float32, int64 or bool.
    """
    if isinstance(data, Tensor):
        device = data.device if device is None else device
        data = data.array
    elif not isinstance(data, np.ndarray) and not hasattr(data, "__cuda_array_interface__"):
        data = from_lists(data, inferred=dtype is None)
    array = data.copy() if dtype is None else data.astype(_type(dtype))
    return _made(array, device, requires_grad)


class Typed(type):
    """torch's old types of tensors: FloatTensor(2, 3) and FloatTensor([2, 3]) make one, isinstance asks for the dtype."""

    kind: np.dtype

    def __call__(cls, *given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
        return _made(built(given, data, size, cls.kind).astype(cls.kind, copy=False), device, False)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype == cls.kind


def _typed(name: str, dtype: np.dtype) -> Typed:
    doc = f"As Tensor(2, 3) or Tensor([2, 3]), of {dtype}: torch's old constructor of that type."
    return Typed(name, (), {"kind": dtype, "__doc__": doc, "__module__": __name__})


FloatTensor, DoubleTensor = _typed("FloatTensor", dtypes.float32), _typed("DoubleTensor", dtypes.float64)
HalfTensor, BoolTensor = _typed("HalfTensor", dtypes.float16), _typed("BoolTensor", dtypes.bool_)
LongTensor, IntTensor = _typed("LongTensor", dtypes.int64), _typed("IntTensor", dtypes.int32)
ShortTensor, CharTensor = _typed("ShortTensor", dtypes.int16), _typed("CharTensor", dtypes.int8)
ByteTensor = _typed("ByteTensor", dtypes.uint8)


def as_tensor(data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
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


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor that shares the memory of any object with __dlpack__ (a torch tensor, say).

    device: where to take it; copy: True for memory of its own, False for an error where it cannot be shared.
    """
    kind, _ = ext_tensor.__dlpack_device__()
    xp = backends.get("cpu" if kind in (1, 3, 11) else "gpu").xp
    shared = Tensor(xp.from_dlpack(ext_tensor))
    made = shared if device is None else shared.to(device)
    if copy is False and made is not shared:
        raise ValueError(f"cannot move {describe(shared)} to {device} without copying")
    return made.clone() if copy and made is shared else made


def _maker(name: str) -> Callable[..., Tensor]:
    def make(
        *given: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        where = get_device(device)
        return _made(getattr(_xp(where), name)(sizes(*given, size=size), dtype=_type(dtype)), where, requires_grad)

    make.__name__ = name
    make.__doc__ = f"A tensor of this size, {'not filled' if name == 'empty' else 'filled with ' + name}."
    return _formatted(make) if name == "empty" else placed(make)


zeros, ones, empty = _maker("zeros"), _maker("ones"), _maker("empty")


@placed
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of this size, filled with one value."""
    where = get_device(device)
    fill_value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic, np.ndarray)) else fill_value
    if not isinstance(fill_value, (bool, int, float)):
        raise NotImplementedError(f"full() takes a bool, an integer or a float, not {fill_value!r}")
    return _made(
        _xp(where).full(sizes(size), fill_value, dtype=_type(dtype, dtypes.result_type(fill_value))),
        where,
        requires_grad,
    )


def _like(name: str) -> Callable[..., Tensor]:
    def make(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        array = getattr(backends.of(input.array).xp, name)(input.array, dtype=_type(dtype, input.dtype))
        return _made(array, input.device if device is None else device, requires_grad)

    make.__name__ = name
    make.__doc__ = f"As {name[:-5]}, with x's shape and, unless given, its dtype, device and layout."
    return _formatted(make)


zeros_like, ones_like, empty_like = _like("zeros_like"), _like("ones_like"), _like("empty_like")


@_formatted
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The input's shape, filled with one value."""
    fill_value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    array = backends.of(input.array).xp.full_like(input.array, fill_value, dtype=_type(dtype, input.dtype))
    return _made(array, input.device if device is None else device, requires_grad)


@placed
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to but not including end; arange(end) starts at 0."""
    start, end, step = (v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, end, step))
    if start is None or end is None:
        start, end = 0, start if end is None else end
    if end is None:
        raise TypeError("arange() needs an end")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    found = _type(dtype, dtypes.result_type(start, end, step))
    where = get_device(device)
    count = int(np.ceil((end - start) / step))
    steps = _xp(where).arange(count, dtype=np.float64 if found.kind == "f" else np.int64)
    return _made((start + steps * step).astype(found), where, requires_grad)


def _even(start: Any, end: Any, steps: int, dtype: np.dtype, device: Device) -> Any:
    """Evenly spaced numbers in float64, from both ends, with the step rounded to the type and the product not, as by torch."""
    start, end = (v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, end))
    steps = integer(steps, "steps")
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, not {steps}")
    i, step = _xp(device).arange(steps), (end - start) / max(steps - 1, 1)
    step = float(dtype.type(step)) if dtype.kind == "f" else step
    return _xp(device).where(i < max(steps // 2, steps == 1), start + i * step, end - (steps - 1 - i) * step)


@placed
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers, evenly from start to end, both included."""
    where, found = get_device(device), _type(dtype)
    return _made(_even(start, end, steps, found, where).astype(found), where, requires_grad)


@placed
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """base to the powers of linspace(start, end, steps)."""
    where, found = get_device(device), _type(dtype)
    powers = _even(start, end, steps, found, where)
    return _made((float(base) ** powers).astype(found), where, requires_grad)


@placed
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    where, n, m = get_device(device), integer(n, "n"), None if m is None else integer(m, "m")
    for name, size in (("n", n), ("m", n if m is None else m)):
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return _made(_xp(where).eye(n, m, dtype=_type(dtype)), where, requires_grad)


# -- random numbers, drawn on the host: the same on every device ----------------------------------------------------------


def _float_type(name: str, dtype: Any, default: np.dtype = dtypes.float32) -> np.dtype:
    found = _type(dtype, default)
    if found.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for {found}: its numbers are floats')
    return found


@placed
def rand(
    *given: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from [0, 1)."""
    shape, found = sizes(*given, size=size), _float_type("rand", dtype)
    return _made((generator or default_generator).uniform(0, 1, shape, found), device, requires_grad)


@placed
def randn(
    *given: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from the standard normal distribution."""
    shape, found = sizes(*given, size=size), _float_type("randn", dtype)
    return _made((generator or default_generator).normal(0, 1, shape, found), device, requires_grad)


@placed
def randint(
    low: Any = None, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers from low to high - 1; randint(high, size) starts at 0."""
    if size is None:  # as in randint(high, size)
        low, high, size = None, low, high
    if low is None or high is None:
        low, high = 0, low if high is None else high
    if high is None or size is None:
        raise TypeError("randint() needs an upper end and a size")
    low, high = integer(low, "low"), integer(high, "high")
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    drawn = (generator or default_generator).integers(low, high, sizes(size), _type(dtype, dtypes.int64))
    return _made(drawn, device, requires_grad)


@placed
def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """0 to n - 1 in random order."""
    n = integer(n, "n")
    if n < 0:
        raise RuntimeError(f"n must be non-negative, not {n}")
    drawn = (generator or default_generator).permutation(n)
    return _made(drawn.astype(_type(dtype, dtypes.int64)), device, requires_grad)


@_formatted
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """As rand, with the input's shape and, unless given, its dtype and device."""
    dtype, device = dtype or input.dtype, input.device if device is None else device
    return rand(input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


@_formatted
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """As randn, with the input's shape and, unless given, its dtype and device."""
    dtype, device = dtype or input.dtype, input.device if device is None else device
    return randn(input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


@_formatted
def randint_like(
    input: Tensor, low: Any = None, high: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """As randint, with the input's shape and, unless given, its dtype and device."""
    dtype, device = dtype or input.dtype, input.device if device is None else device
    return randint(
        low, high, size=input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad
    )


@placed
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """mean + std times numbers from the standard normal distribution. mean and std: Tensors that broadcast, or numbers
    with a size. No gradient goes to them."""
    lowest = std.detach().min().item() if isinstance(std, Tensor) and std.numel() else std
    if not isinstance(lowest, Tensor) and lowest < 0:
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but found {lowest}")
    tensors = [v.detach() for v in (mean, std) if isinstance(v, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError("normal() of two numbers needs a size")
        drawn = randn(sizes(size), generator=generator, dtype=dtype, device=device) * std + mean
    else:
        shape = np.broadcast_shapes(*[v.shape for v in tensors])
        mean, std = (v.detach() if isinstance(v, Tensor) else v for v in (mean, std))
        drawn = randn(shape, generator=generator, dtype=tensors[0].dtype, device=tensors[0].device) * std + mean
    return drawn.requires_grad_(requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element names (or p), else 0. Its gradient is 0."""
    if p is None and input.dtype.kind != "f":
        raise NotImplementedError(f"bernoulli() of probabilities is not implemented for {input.dtype}")
    chances = input.detach() if p is None else full_like(input, real(p, "p"), dtype=dtypes.float64)
    if chances.numel() and not (chances.min().item() >= 0 and chances.max().item() <= 1):
        raise RuntimeError(
            f"Expected p_in >= 0 && p_in <= 1 to be true, but not all probabilities are: {describe(input)}"
        )
    uniform = (generator or default_generator).uniform(0, 1, input.shape, np.float64)
    return (_made(uniform, input.device, False) < chances).to(input.dtype)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """num_samples indices (int64) a row, drawn with probabilities proportional to the row's weights.

    input (n,) or (rows, n), weights that need not sum to 1. Without replacement no index is drawn twice.
    """
    if input.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, not {input.ndim}")
    num_samples = integer(num_samples, "num_samples")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: {num_samples}")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} > {input.shape[-1]}"
        )
    weights = input.detach().numpy(force=True).astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    source, rows = generator or default_generator, np.atleast_2d(weights)
    if replacement:
        ends = np.cumsum(rows, -1)
        uniform = source.uniform(0, 1, (len(rows), num_samples), np.float64) * ends[:, -1:]
        found = np.stack([np.searchsorted(end, row, "right") for end, row in zip(ends, uniform, strict=True)])
    else:
        # The first to arrive, if arrivals are exponential with these rates: weight 0 comes last.
        waits = -np.log1p(-source.uniform(0, 1, rows.shape, np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            arrivals = np.where(rows > 0, waits / rows, np.inf)
        found = np.argsort(arrivals, -1, kind="stable")[:, :num_samples]
    return _made(found.astype(np.int64).reshape(*weights.shape[:-1], num_samples), input.device, False)


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """In training, zeros each element with probability p and scales the others by 1 / (1 - p)."""
    p = real(p, "p")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    random, scale = generator or default_generator, 0.0 if p == 1 else 1 / (1 - p)
    mask = drawn(lambda: ((random.uniform(0, 1, input.shape, np.float32) >= p) * scale).astype(input.dtype), input)
    return input._in_place(lambda x: x * mask) if inplace else input * mask


def random_dropout(input: Tensor, p: float = 0.5, train: bool = True, *, generator: Generator | None = None) -> Tensor:
    """As nn.functional.dropout, with `train` for its `training`."""
    return dropout(input, p, train, generator=generator)


offer("minigrad Tensor", bernoulli, multinomial)
offer(
    "minigrad",
    BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor, ShortTensor,
    arange, as_tensor, empty, empty_like, eye, from_dlpack, from_numpy, full, full_like, linspace, logspace, normal,
    ones, ones_like, rand, rand_like, randint, randint_like, randn, randn_like, randperm, tensor, zeros, zeros_like,
    dropout=random_dropout,
)  # fmt: skip
offer("nn.functional", dropout)
