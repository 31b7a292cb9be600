"""Hangs the ops onto Tensor under torch's method names: operators, methods, and their in-place forms.

`x.exp()` is `ops.exp(x)`; `x.exp_()` writes the result into x's own memory, recorded as any op is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad import dtypes, inplace
from minigrad.aliases import numpys_names
from minigrad.device import Device, get_device
from minigrad.errors import DeviceError
from minigrad.grad_mode import state
from minigrad.memory_format import MemoryFormat, preserve_format
from minigrad.ops import (
    activation,
    comparison,
    creation,
    cumulative,
    diagonals,
    einsum,
    elementwise,
    filling,
    indexing,
    joining,
    matmul,
    norm,
    padding,
    reduction,
    repeating,
    scattering,
    shape,
    sorting,
)
from minigrad.printing import text
from minigrad.tensor import Tensor

METHODS: dict[Any, str] = {
    elementwise: "abs absolute acos acosh add addcdiv addcmul arccos arccosh arcsin arcsinh arctan arctan2 arctanh "
    "asin asinh atan atan2 atanh ceil clamp clamp_max clamp_min clip clone cos cosh div divide erf erfc "
    "exp exp2 expm1 fix float_power floor floor_divide fmod frac heaviside hypot lerp log log10 log1p "
    "log2 logaddexp logaddexp2 logit masked_fill maximum minimum mul multiply nan_to_num neg negative "
    "ones_like positive pow reciprocal relu remainder round rsqrt sgn sigmoid sign sin sinh sqrt square "
    "sub subtract tan tanh true_divide trunc xlogy zeros_like",
    comparison: "allclose bitwise_and bitwise_not bitwise_or bitwise_xor eq equal ge greater greater_equal gt "
    "isclose isfinite isinf isnan isneginf isposinf isreal le less less_equal logical_and logical_not "
    "logical_or logical_xor lt ne not_equal",
    reduction: "all amax amin aminmax any argmax argmin count_nonzero logsumexp max mean min nanmean nansum std sum var",
    cumulative: "cumprod cumsum prod",
    norm: "norm",
    sorting: "argsort bincount kthvalue median msort sort topk unique",
    shape: "broadcast_to chunk contiguous expand expand_as flatten movedim moveaxis narrow permute ravel reshape reshape_as "
    "select squeeze swapaxes swapdims t transpose unbind unflatten unsqueeze view view_as",
    joining: "dsplit hsplit tensor_split vsplit",
    repeating: "flip fliplr flipud repeat repeat_interleave roll rot90 tile",
    padding: "pad",
    diagonals: "diag diag_embed diagonal trace tril triu",
    indexing: "argwhere gather index_select masked_select nonzero take take_along_dim",
    scattering: "index_add index_copy index_fill index_put masked_scatter put scatter scatter_add",
    einsum: "inner kron",
    creation: "bernoulli multinomial",
    matmul: "addbmm addmm addmv addr baddbmm bmm dot matmul mm mv outer vdot",
    activation: "hardshrink log_softmax prelu softmax",
}
"""The methods, by the module that holds them."""

NAMED = {"dim", "keepdim", "other"}
"""Arguments of methods that NumPy calls otherwise."""

IN_PLACE = (
    "abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh arctan "
    "arctan2 arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp "
    "clamp_max clamp_min clip cos cosh cumprod cumsum div divide eq erf erfc exp exp2 expm1 fix float_power floor "
    "floor_divide fmod frac ge greater greater_equal gt heaviside hypot index_add index_copy index_fill index_put le "
    "lerp less less_equal log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt masked_fill "
    "masked_scatter mul multiply nan_to_num ne neg negative not_equal pow put reciprocal relu remainder round rsqrt "
    "scatter scatter_add sgn sigmoid sign sin sinh sqrt square sub subtract tan tanh tril triu true_divide trunc "
    "xlogy"
)
"""Methods that also have an in-place form, with a trailing underscore."""


def _in_place(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self._in_place(lambda x: op(x, *args, **kwargs))

    method.__name__ = op.__name__ + "_"
    functools.update_wrapper(method, op, assigned=(), updated=())  # it takes op's arguments
    method.__doc__ = f"As {op.__name__}, written into this tensor's own memory; returns the tensor."
    return method


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
    for module, names in METHODS.items():
        for name in names.split():
            op = getattr(module, name)
            # The methods of the input alone have no argument that could go by another name.
            setattr(Tensor, name, numpys_names(op) if NAMED & {*inspect.unwrap(op).__code__.co_varnames} else op)
    for name in IN_PLACE.split():
        setattr(Tensor, name + "_", _in_place(getattr(Tensor, name)))
    operators = {
        "add": elementwise.add, "sub": elementwise.sub, "mul": elementwise.mul, "truediv": elementwise.div,
        "floordiv": elementwise.floor_divide, "mod": elementwise.remainder, "pow": elementwise.pow,
        "and": comparison.bitwise_and, "or": comparison.bitwise_or, "xor": comparison.bitwise_xor,
    }  # fmt: skip
    for name, op in operators.items():
        setattr(Tensor, f"__{name}__", _operator(op))
        setattr(Tensor, f"__r{name}__", _operator(op, swapped=True))
        setattr(Tensor, f"__i{name}__", _in_place(op))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Tensor, f"__{name}__", _operator(getattr(comparison, name)))
    Tensor.__matmul__ = _matmul  # type: ignore[method-assign]
    Tensor.__rmatmul__ = _rmatmul  # type: ignore[attr-defined]
    Tensor.__neg__ = elementwise.neg  # type: ignore[method-assign]
    Tensor.__pos__ = lambda self: self  # type: ignore[method-assign]
    Tensor.__abs__ = elementwise.abs  # type: ignore[method-assign]
    Tensor.__invert__ = comparison.bitwise_not  # type: ignore[method-assign]
    Tensor.__getitem__ = indexing.getitem  # type: ignore[method-assign]
    Tensor.__setitem__ = indexing.setitem  # type: ignore[method-assign]
    for function in (to, cpu, gpu, type_as, fill_, zero_, copy_, where, split):
        setattr(Tensor, function.__name__, function)
    for name in filling.__all__:
        setattr(Tensor, name, getattr(filling, name))
    setattr(Tensor, "cuda", gpu)  # noqa: B010 - torch's name for gpu
    setattr(Tensor, "type", type_)  # noqa: B010 - a name of Python's
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
        return self if args[0] == self.array.dtype else elementwise.Cast(dtypes.as_dtype(args[0]))(self)
    device, dtype, copy, memory_format = target(*args, **kwargs)
    result = self
    if dtype is not None and dtype != self.array.dtype:
        result = elementwise.Cast(dtype)(result)
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
    if found.type != "gpu":
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
    return elementwise.where(condition, self, other)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Sets every element to value, in place; the gradient of what was there before is zero."""

    def filled(x: Tensor) -> Tensor:
        return elementwise.ZeroGradient(x.shape, creation.full_like(x, value))(x)

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
