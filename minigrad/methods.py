"""Hangs the ops onto Tensor under torch's method names: operators, methods, and their in-place forms.

`x.exp()` is `ops.exp(x)`; `x.exp_()` writes the result into x's own memory, recorded as any op is.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad import arguments, dtypes, inplace
from minigrad.aliases import FACTORS, numpys_names
from minigrad.device import Device, get_device
from minigrad.errors import DeviceError
from minigrad.grad_mode import state
from minigrad.memory_format import MemoryFormat, preserve_format

from minigrad.ops import (  # noqa: F401 - for what they offer  # isort: skip
    activation, arithmetic, attention, choice, comparison, convolution, creation, cumulative, derived, diagonals, einsum,
    exponential, filling, grid, indexing, interpolation, joining, loss, matmul, norm, normalization, padding, pairs,
    pointwise, pooling, public, reduction, repeating, rounding, scattering, shape, sorting, trigonometric,
)  # fmt: skip
from minigrad.printing import text
from minigrad.tensor import Tensor

NAMED = {"dim", "keepdim", "other"}
"""Arguments of methods that NumPy calls otherwise."""


def _in_place(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self._in_place(lambda x: op(x, *args, **kwargs))

    method.__name__ = op.__name__ + "_"
    functools.update_wrapper(method, op, assigned=(), updated=())  # it takes op's arguments
    method.__doc__ = f"As {op.__name__}, written into this tensor's own memory; returns the tensor."
    return method


def _turned(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self._turn(op, *args, **kwargs)

    method.__name__ = op.__name__ + "_"
    functools.update_wrapper(method, op, assigned=(), updated=())
    method.__doc__ = f"As {op.__name__}, of this tensor itself: its elements stay in place; returns the tensor."
    return method


def resize_(self: Tensor, *sizes: Any, size: Any = None, memory_format: MemoryFormat | None = None) -> Tensor:
    """Gives this tensor another shape, of its first elements; of more than it has, the rest is unset.

    RuntimeError where a gradient is asked for.
    """
    if self._requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    wanted = arguments.sizes(*sizes, size=size)
    elements, count = self.detach().reshape(-1), math.prod(wanted)
    missing = count - elements.numel()
    kept = joining.cat([elements, self.new_empty(missing)]) if missing > 0 else elements[:count]
    self.data = kept.view(wanted)
    return self


def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """Gives this tensor the shape of another, as resize_ does."""
    return resize_(self, the_template.shape)


def _operator(op: Callable[[Any, Any], Tensor], swapped: bool = False) -> Callable[[Tensor, Any], Any]:
    """A binary operator; NotImplemented for what is no number, array or Tensor, as Python asks."""

    @functools.wraps(op)
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, (Tensor, bool, int, float, np.ndarray, np.generic)):
            return NotImplemented
        return op(other, self) if swapped else op(self, other)

    return method


def _matmul(self: Tensor, other: Any) -> Any:
    """self @ other. NotImplemented for what is no Tensor or array."""
    if isinstance(other, Tensor):
        return matmul.matmul(self, other)
    return matmul.matmul(self, Tensor(other)) if isinstance(other, np.ndarray) else NotImplemented


def _rmatmul(self: Tensor, other: Any) -> Any:
    """other @ self. NotImplemented for what is no array."""
    if isinstance(other, np.ndarray):
        other = Tensor(other)
    return matmul.matmul(other, self) if isinstance(other, Tensor) else NotImplemented


def _install() -> None:
    inplace.install()
    setattr(Tensor, "__repr__", text)  # noqa: B010 - mypy knows object's
    for name, op in public.PLACES["Tensor"].items():
        # The methods of the input alone have no argument that could go by another name.
        differs = op.__name__ in FACTORS or NAMED & {*inspect.unwrap(op).__code__.co_varnames}
        setattr(Tensor, name, numpys_names(op) if differs else op)
    for name in public.PLACES["Tensor_"]:
        setattr(Tensor, name + "_", _in_place(getattr(Tensor, name)))
    for name in ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze"):
        setattr(Tensor, name + "_", _turned(getattr(Tensor, name)))
    operators = {
        "add": arithmetic.add, "sub": arithmetic.sub, "mul": arithmetic.mul, "truediv": arithmetic.div,
        "floordiv": arithmetic.floor_divide, "mod": arithmetic.remainder, "pow": arithmetic.pow,
        "and": comparison.bitwise_and, "or": comparison.bitwise_or, "xor": comparison.bitwise_xor,
    }  # fmt: skip
    for name, op in operators.items():
        setattr(Tensor, f"__{name}__", _operator(op))
        setattr(Tensor, f"__r{name}__", _operator(op, swapped=True))
        setattr(Tensor, f"__i{name}__", _in_place(op))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Tensor, f"__{name}__", _operator(getattr(comparison, name)))
    named = {
        "__matmul__": _matmul, "__rmatmul__": _rmatmul, "__neg__": arithmetic.neg, "__pos__": lambda self: self,
        "__abs__": arithmetic.abs, "__invert__": comparison.bitwise_not, "__getitem__": indexing.getitem,
        "__setitem__": indexing.setitem, "cuda": gpu, "type": type_,
    }  # fmt: skip
    named |= {function.__name__: function for function in (to, cpu, gpu, type_as, fill_, zero_, copy_, where, split)}
    named |= {function.__name__: function for function in (resize_, resize_as_)}
    for name, function in named.items():
        setattr(Tensor, name, function)
    for name, dtype in (
        ("float", np.float32), ("double", np.float64), ("half", np.float16), ("int", np.int32), ("long", np.int64),
        ("short", np.int16), ("char", np.int8), ("byte", np.uint8), ("bool", np.bool_),
    ):  # fmt: skip
        setattr(Tensor, name, _to_dtype(name, np.dtype(dtype)))
    for name in ("bfloat16", "chalf", "cfloat", "cdouble"):
        setattr(Tensor, name, _to_dtype(name, name))
    for name in ("zeros", "ones", "full", "empty", "tensor"):
        setattr(Tensor, f"new_{name}", _new(getattr(creation, name)))


class Target(NamedTuple):
    """What a call of `to` asks for; None where it does not say."""

    device: Device | None
    dtype: np.dtype | None
    copy: bool
    memory_format: MemoryFormat | None


def target(
    *args: Any, device: Any = None, dtype: Any = None, tensor: Any = None, non_blocking: bool = False, copy: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Target:  # fmt: skip
    """The arguments of `to`: a device and a dtype in any order, or a Tensor that is as the result shall be; then two flags."""
    flags = []
    for arg in args if tensor is None else (tensor, *args):
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        elif isinstance(arg, bool):
            flags.append(arg)
        elif isinstance(arg, (str, int, Device)) and not _is_dtype_name(arg):
            device = arg
        elif arg is not None and dtype is None:
            dtype = arg
        elif arg is not None:
            raise TypeError(f"to() takes one dtype, not {dtype} and {arg}")
    if len(flags) > 2:
        raise TypeError(f"to() takes two flags, non_blocking and copy, not {len(flags)}")
    return Target(
        None if device is None else get_device(device), None if dtype is None else dtypes.as_dtype(dtype),
        copy or flags[1:] == [True], memory_format,
    )  # fmt: skip


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor in another type, on another device, or as another tensor is; itself if nothing changes.

    to(device), to(dtype), to(device, dtype), to(tensor), each followed by the flags non_blocking, which changes nothing, and
    copy, which makes it another tensor in any case; or all of them, and memory_format, by name.
    """
    if not kwargs and len(args) == 1 and isinstance(args[0], np.dtype):  # by far the most frequent
        return self if args[0] == self.array.dtype else pointwise.Cast(dtypes.as_dtype(args[0]))(self)
    device, dtype, copy, memory_format = target(*args, **kwargs)
    result = self
    if dtype is not None and dtype != self.array.dtype:
        result = pointwise.Cast(dtype)(result)
    if device is not None and device != result.device:
        result = shape.ToDevice(device)(result)
    if memory_format is not None and memory_format is not preserve_format:
        result = shape.contiguous(result, memory_format=memory_format)
    return result.clone() if copy and result is self else result


def _is_dtype_name(name: Any) -> bool:
    return isinstance(name, str) and (name.startswith(("float", "int", "uint", "bool")) or name in dtypes.NOT_BUILT)


def _to_dtype(name: str, dtype: Any) -> Callable[..., Tensor]:
    def method(self: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
        return to(self, dtype=dtype, memory_format=memory_format)

    method.__name__ = name
    method.__doc__ = f"This tensor as {dtype}." if dtype not in dtypes.NOT_BUILT else "Not built: NotImplementedError."
    return method


def _new(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
        return make(*args, dtype=dtype, device=device, **named)

    method.__doc__ = f"As minigrad.{make.__name__}, with this tensor's dtype and device."
    return method


def cpu(self: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """This tensor on the CPU."""
    return to(self, "cpu", memory_format=memory_format)


def gpu(
    self: Tensor, device: Any = None, non_blocking: bool = False, *, memory_format: MemoryFormat | None = None
) -> Tensor:
    """This tensor on a GPU: the first, or that of a number, a name or a Device."""
    return to(self, gpu_device(device), memory_format=memory_format)


def gpu_device(device: Any) -> Device:
    """The GPU that `cuda(device)` means; DeviceError for another device."""
    found = Device("gpu" if device is None else device)
    if found.type != "cuda":
        raise DeviceError(f"cuda() takes a GPU, not {found}: use .to({str(found)!r})")
    return found


TYPE_NAMES = {
    "float32": "FloatTensor", "float64": "DoubleTensor", "float16": "HalfTensor", "int64": "LongTensor", "int32": "IntTensor",
    "int16": "ShortTensor", "int8": "CharTensor", "uint8": "ByteTensor", "bool": "BoolTensor",
}  # fmt: skip
"""torch's old names of types."""


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """This tensor in another type: a dtype, or one of torch's old names as LongTensor; without one, that name of its own."""
    if dtype is None:
        return f"minigrad.{'cuda.' if self.is_cuda else ''}{TYPE_NAMES[str(self.dtype)]}"
    name = str(getattr(dtype, "__name__", dtype)).rpartition(".")[2]
    return to(self, dtype=next((known for known, old in TYPE_NAMES.items() if old == name), dtype))


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in other's type."""
    return to(self, other.dtype)


def where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where the condition holds, other elsewhere."""
    return choice.where(condition, self, other)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Sets every element to value, in place; the gradient of what was there before is zero."""

    def filled(x: Tensor) -> Tensor:
        return pointwise.ZeroGradient(x.shape, creation.full_like(x, value))(x)

    if state.grad and self._requires_grad:
        return self._in_place(filled)
    self._check_in_place()
    self.array[...] = value.item() if isinstance(value, Tensor) else value
    self._bump_version()
    return self


def zero_(self: Tensor) -> Tensor:
    """Sets every element to zero, in place."""
    return fill_(self, 0)


def copy_(self: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
    """Copies other, broadcast and converted, into this tensor's memory."""
    other = other.to(self.device).to(self.dtype)
    return self._in_place(lambda x: other.expand(x.shape))


def split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Stretches of one size along an axis (the last may be shorter), or of the sizes listed."""
    return shape.split(self, split_size, dim)


_install()
