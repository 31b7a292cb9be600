"""cupy.ndarray's stand-in: a NumPy array behind a wall.

What CuPy refuses is refused: implicit conversion to NumPy, NumPy arrays in arithmetic, NumPy functions. Reductions
and indexing give 0-d device arrays. A host read (.item(), float(), bool(), .get(), printing) is counted and is an error
while a stream is being captured. Integer arrays that point out of bounds wrap around without an error, as on a GPU.

What CuPy computes otherwise than NumPy is computed so: results are C-contiguous, whatever lay underneath
(`_ndarray_init(subtype, out_shape, ...)` in cupy/_core/_kernel.pyx).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .arithmetic import compute, flushed
from .launches import Launches, Order, launch, note, refuse_in_capture
from .memory import Allocation

Scalar = bool | int | float | complex | np.generic


class HostReads:
    """Host reads so far."""

    count = 0


def host_access(what: str) -> None:
    """Note that the host waits for the device here."""
    refuse_in_capture(what)
    HostReads.count += 1
    note("wait" if what.endswith("synchronize") else "to host", what)
    Order.waited(None if what.startswith("Device") else Order.current)


class Flags:
    def __init__(self, flags: Any) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata

    def __getitem__(self, name: str) -> bool:
        return bool(getattr(self, name.lower()))


class Pointer:
    """array.data: the address is what there is to see."""

    def __init__(self, pointer: int) -> None:
        self.ptr = pointer


AT_ONCE = 2**16
"""Bytes that the driver takes over with the call; a longer copy from memory that is not pinned waits for the stream before it
(CUDA Runtime API, API synchronization behavior)."""


class Pinned(np.ndarray):
    """What cupyx.empty_pinned gives: host memory from which the device copies by itself."""


class ndarray:
    """See the module's docstring. `_array` is the NumPy array, `_allocation` the block of memory that it lies in."""

    __slots__ = ("__weakref__", "_allocation", "_array", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: None = None, strides: Any = None, order: str = "C"
    ) -> None:
        if memptr is not None:
            raise NotImplementedError("the stand-in makes arrays of fresh memory only")
        model = np.empty(shape, dtype, order=order)  # type: ignore[call-overload]
        self._allocation = Allocation(model.nbytes)
        self._array = self._allocation.array(model.shape, model.dtype, strides or model.strides)
        self.base: ndarray | None = None

    # ---- the wall ----
    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        scalar_times_array = len(inputs) == 2 and any(isinstance(x, np.generic) for x in inputs)
        if method == "__call__" and not kwargs and scalar_times_array:  # np.float32(2) * x is an array in CuPy as well
            return wrap(ufunc(*(unwrap(x) for x in inputs)))
        raise TypeError(f"numpy.{ufunc.__name__} on a device array: call the array library's own function")

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} on a device array: call the array library's own function")

    # ---- what it is ----
    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    strides = property(lambda self: self._array.strides)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    T = property(lambda self: self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))

    @property
    def real(self) -> ndarray:
        return wrap(self._array.real, self)

    @property
    def imag(self) -> ndarray:
        return wrap(self._array.imag, self)

    @property
    def flags(self) -> Flags:
        return Flags(self._array.flags)

    @property
    def data(self) -> Pointer:
        return Pointer(self._array.ctypes.data)

    @property
    def device(self) -> Any:
        from .cuda import Device

        return Device(self._allocation.device)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # ---- host reads ----
    def get(self, stream: Any = None, order: str = "C", out: np.ndarray | None = None) -> np.ndarray:
        host_access(".get()")
        Order.touch(".get()", [self])
        if out is None:
            return np.array(self._array, order=order)  # type: ignore[call-overload]
        out[...] = self._array
        return out

    def set(self, array: np.ndarray, stream: Any = None) -> None:
        refuse_in_capture("a copy from the host")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        if array.dtype != self.dtype or array.shape != self.shape:
            raise ValueError(f"a copy of {array.dtype} {array.shape} into {self.dtype} {self.shape}")
        if array.nbytes > AT_ONCE and not isinstance(array, Pinned):
            host_access("a copy from memory that is not pinned: synchronize")
        note("to device", "set", array.nbytes)
        Order.touch("set", [self], None if stream is None else stream.number)
        self._array[...] = array

    def item(self) -> Any:
        host_access(".item()")
        return self._array.item()

    def tolist(self) -> Any:
        host_access(".tolist()")
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __bool__(self) -> bool:
        host_access("bool()")
        return bool(self._array)

    def __repr__(self) -> str:
        host_access("printing")
        return repr(self._array)

    def __str__(self) -> str:
        host_access("printing")
        return str(self._array)

    def __format__(self, specification: str) -> str:
        host_access("printing")
        return format(self._array, specification)

    def __reduce__(self) -> Any:
        return asarray, (self.get(),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    # ---- indexing ----
    def __getitem__(self, index: Any) -> ndarray:
        index = _index(self.shape, index)
        result = self._array[index]
        if isinstance(result, np.generic):  # CuPy gives a 0-d array, a view where the index is integers alone
            result = self._array[(*index, Ellipsis)]
        return wrap(result, self)

    def __setitem__(self, index: Any, value: Any) -> None:
        index, value = _index(self.shape, index), unwrap(value)
        if Launches.dry and self.nbytes > SMALL:
            return
        _check_repeats(self.shape, index, value)
        self._array[index] = value

    # ---- copies and views ----
    def astype(
        self, dtype: Any, order: str = "K", casting: None = None, subok: None = None, copy: bool = True
    ) -> ndarray:
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return keep(self._array.astype(dtype, order=order))  # type: ignore[call-overload]

    def copy(self, order: str = "C") -> ndarray:
        return keep(self._array.copy(order=order))  # type: ignore[arg-type]

    def view(self, dtype: Any = None) -> ndarray:
        return wrap(self._array.view() if dtype is None else self._array.view(dtype), self)

    def fill(self, value: Any) -> None:
        self._array.fill(unwrap(value))

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        return wrap(self._array.reshape(*shape, order=order), self)  # type: ignore[call-overload]

    def transpose(self, *axes: Any) -> ndarray:
        return wrap(self._array.transpose(*axes), self)

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return wrap(self._array.swapaxes(axis1, axis2), self)

    def squeeze(self, axis: Any = None) -> ndarray:
        return wrap(self._array.squeeze(axis), self)

    def ravel(self, order: str = "C") -> ndarray:
        return wrap(self._array.ravel(order), self)  # type: ignore[arg-type]

    def flatten(self, order: str = "C") -> ndarray:
        return wrap(self._array.flatten(order))  # type: ignore[arg-type]

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        view = self._array.diagonal(offset, axis1, axis2)
        view.flags.writeable = True  # NumPy's is for reading only, CuPy's is not
        return wrap(view, self)

    # ---- what takes CuPy's arguments and no more ----
    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.sum(axis, dtype, keepdims=keepdims))

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.prod(axis, dtype, keepdims=keepdims))

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.mean(axis, dtype, keepdims=keepdims))

    def var(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> ndarray:
        return _into(out, self._array.var(axis, dtype, ddof=ddof, keepdims=keepdims))

    def std(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> ndarray:
        return _into(out, self._array.std(axis, dtype, ddof=ddof, keepdims=keepdims))

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.max(axis, keepdims=keepdims))

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.min(axis, keepdims=keepdims))

    def argmax(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.argmax(axis, keepdims=keepdims))

    def argmin(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.argmin(axis, keepdims=keepdims))

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.all(axis, keepdims=keepdims))

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _into(out, self._array.any(axis, keepdims=keepdims))

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return _into(out, self._array.cumsum(axis, dtype))

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return _into(out, self._array.cumprod(axis, dtype))

    def clip(self, min: Any = None, max: Any = None, out: Any = None) -> ndarray:
        return _into(out, self._array.clip(unwrap(min), unwrap(max)))

    def round(self, decimals: int = 0, out: Any = None) -> ndarray:
        return _into(out, self._array.round(decimals))

    def take(self, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
        return _into(out, np.take(self._array, unwrap(indices), axis, mode="wrap"))

    def repeat(self, repeats: Any, axis: int | None = None) -> ndarray:
        return wrap(self._array.repeat(repeats, axis))

    def nonzero(self) -> tuple[ndarray, ...]:
        host_access("nonzero")
        return tuple(wrap(places) for places in self._array.nonzero())

    def sort(self, axis: int = -1, kind: None = None) -> None:
        self._array.sort(axis, kind="stable")

    def argsort(self, axis: int = -1, kind: None = None) -> ndarray:
        return wrap(self._array.argsort(axis, kind="stable"))

    def partition(self, kth: int, axis: int = -1) -> None:
        self._array.partition(kth, axis)

    def argpartition(self, kth: int, axis: int = -1) -> ndarray:
        return wrap(self._array.argpartition(kth, axis))

    def dot(self, b: ndarray, out: Any = None) -> ndarray:
        return _into(out, self._array.dot(unwrap(b)))

    def conj(self) -> ndarray:
        return wrap(self._array.conj())

    def __neg__(self) -> ndarray:
        return wrap(-self._array)

    def __pos__(self) -> ndarray:
        return wrap(+self._array)

    def __abs__(self) -> ndarray:
        return wrap(abs(self._array))

    def __invert__(self) -> ndarray:
        return wrap(~self._array)


def naive_floor_divide(x: Any, y: Any) -> Any:
    """CuPy's: of floats floor(x / y), without fmod (`_floor_divide` in cupy/_core/include/cupy/carray.cuh)."""
    return np.floor(np.divide(x, y)) if np.result_type(x, y).kind == "f" else np.floor_divide(x, y)


def naive_remainder(x: Any, y: Any) -> Any:
    """CuPy's: of floats x - floor(x / y) y (`_remainder` in cupy/_core/_routines_math.pyx)."""
    if np.result_type(x, y).kind != "f":
        return np.remainder(x, y)
    return np.subtract(x, np.multiply(naive_floor_divide(x, y), y))


def _binary(name: str, function: Callable, swapped: bool = False) -> Callable:
    def method(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray | Scalar | np.ndarray):
            return NotImplemented
        a, b = self._array, unwrap(other)
        with np.errstate(all="ignore"):  # a GPU gives inf and NaN without a warning
            return wrap(compute(name, function, [b, a] if swapped else [a, b]))

    return launch("elementwise", name, method)


def _in_place(function: Callable) -> Callable:
    def method(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray | Scalar | np.ndarray):
            return NotImplemented
        if Launches.dry and self.nbytes > SMALL:
            return self
        with np.errstate(all="ignore"):
            function(self._array, flushed(unwrap(other)))
            if flushed(self._array) is not self._array:
                self._array[...] = flushed(self._array)
        return self

    return launch("elementwise", function.__name__, method, writes=True)


_naive = {"floordiv": naive_floor_divide, "mod": naive_remainder}
for _name in "add sub mul truediv floordiv mod pow lshift rshift and or xor".split():
    _function = _naive.get(_name) or getattr(operator, f"__{_name}__")
    setattr(ndarray, f"__{_name}__", _binary(_name, _function))
    setattr(ndarray, f"__r{_name}__", _binary(_name, _function, swapped=True))
    if _name not in _naive:  # the backend has no use for //= and %=
        setattr(ndarray, f"__i{_name}__", _in_place(getattr(operator, f"__i{_name}__")))
for _name in "eq ne lt le gt ge".split():
    setattr(ndarray, f"__{_name}__", _binary(_name, getattr(operator, f"__{_name}__")))

_LAUNCHED = {
    "elementwise": "clip round conj __neg__ __pos__ __abs__ __invert__",
    "reduction": "sum prod mean var std max min argmax argmin all any cumsum cumprod",
    "copy": "astype copy reshape ravel flatten take repeat __getitem__ __setitem__",
    "sort": "sort argsort partition argpartition",
    "product": "dot",
    "fill": "fill",
}
for _kind, _names in _LAUNCHED.items():
    for _name in _names.split():
        _writes = _name in ("__setitem__", "fill", "sort", "partition")
        setattr(ndarray, _name, launch(_kind, _name.strip("_"), getattr(ndarray, _name), _writes))


# ---- from one side of the wall to the other ----
def unwrap(value: Any) -> Any:
    """What NumPy is to compute on: the array behind the wall. NumPy's own arrays and lists are refused, as by CuPy."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray | list):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple):
        return tuple(unwrap(item) for item in value)
    return value


def wrap(value: Any, source: ndarray | None = None) -> Any:
    """NumPy's result as a device array: a view into `source` if it is one, else in device memory of its own."""
    if isinstance(value, tuple | list):
        return type(value)(wrap(item, source) for item in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    if source is not None and isinstance(value, np.ndarray) and value.base is source._allocation.buffer:
        result = ndarray.__new__(ndarray)
        result._array, result._allocation = value, source._allocation
        result.base = source if source.base is None else source.base
        return result
    return _to_device(np.asarray(value))


def _to_device(value: np.ndarray, order: str = "C") -> ndarray:
    """The values in fresh device memory: C-contiguous, or with the order of axes that `value` has (order "K")."""
    model = np.empty_like(value, subok=False, order=order)  # type: ignore[call-overload]
    result = ndarray(value.shape, value.dtype, strides=model.strides)
    if not (Launches.dry and value.nbytes > SMALL):
        result._array[...] = value
    return result


def keep(value: np.ndarray) -> ndarray:
    """NumPy's result in fresh device memory, lying as it does: for what CuPy lays out by the argument `order`."""
    return _to_device(value, "K")


def asarray(value: Any, dtype: Any = None, order: Any = None, copy: bool | None = None) -> ndarray:
    """cupy.asarray, and cupy.array with copy=True: from the host (counted) or from the device."""
    if isinstance(value, ndarray):
        array = np.asarray(value._array, dtype, order=order)
        return keep(array) if copy or array is not value._array else value
    if isinstance(value, list | tuple) and any(isinstance(item, ndarray) for item in value):
        return wrap(np.asarray([unwrap(item) for item in value], dtype, order=order))
    refuse_in_capture("a copy from the host")
    array = np.asarray(value, dtype, order=order)
    note("to device", "asarray", array.nbytes)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {array.dtype}")
    result = _to_device(array, "F" if order in (None, "K", "A") and array.flags.fnc else "C")
    Order.touch("asarray", [result])
    return result


SMALL = 2**20
"""Bytes of an array that is filled in a dry run, too."""


def _into(out: ndarray | None, result: Any) -> ndarray:
    if out is None:
        return wrap(result)
    out._array[...] = result
    return out


def _index(shape: tuple[int, ...], index: Any) -> tuple[Any, ...]:
    """The index for NumPy, its integer arrays wrapped around (CuPy checks no bounds there)."""
    items = index if isinstance(index, tuple) else (index,)
    items = tuple(np.asarray(i) if isinstance(i, list) else i._array if isinstance(i, ndarray) else i for i in items)
    if any(isinstance(item, np.ndarray) and item.dtype.kind == "b" and item.ndim for item in items):
        host_access("a boolean index")  # how many are True decides the shape
    axes_of = [_axes_of(item) for item in items]
    hidden = len(shape) - sum(axes_of)
    result, axis = [], 0
    for item, axes in zip(items, axes_of, strict=True):
        if isinstance(item, np.ndarray) and item.dtype.kind in "iu" and axis < len(shape):
            item = item % shape[axis] if shape[axis] else item
        elif isinstance(item, np.ndarray) and item.size == 0 and item.dtype.kind == "f":
            item = item.astype(np.int32)  # an empty list
        result.append(item)
        axis += hidden if item is Ellipsis else axes
    return tuple(result)


def _check_repeats(shape: tuple[int, ...], index: tuple[Any, ...], value: Any) -> None:
    """RuntimeError where one place is assigned two values: CuPy gives no order (user_guide/difference.rst), so either may stay."""
    if np.ndim(value) and any(isinstance(item, np.ndarray) and item.dtype.kind in "iu" for item in index):
        places = np.arange(math.prod(shape)).reshape(shape)[index]
        value = np.asarray(value).reshape(
            np.shape(value)[-places.ndim :] if np.ndim(value) > places.ndim else np.shape(value)
        )
        left = np.empty(math.prod(shape), np.asarray(value).dtype)
        left[places] = value
        if not np.array_equal(left[places], np.broadcast_to(value, places.shape), equal_nan=left.dtype.kind in "fc"):
            raise RuntimeError(
                "an index names a place twice and assigns two values: which one stays is undefined on a GPU"
            )


def _axes_of(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool | np.bool_):
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1
