"""A strict stand-in for the module `cupy`, on NumPy: what the engine uses of it, and CuPy's refusals.

A function is here only if CuPy has it. NumPy does the work behind the wall (array.py); promotion is NumPy 2's, as
CuPy's is.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import cuda
from .arithmetic import compute
from .array import Pinned, asarray, host_access, keep, naive_floor_divide, naive_remainder, ndarray, unwrap, wrap
from .launches import Launches, launch, refuse_in_capture
from .memory import POOL

CONSTANTS = "pi e inf nan newaxis euler_gamma".split()
TYPES = (
    "bool_ int8 int16 int32 int64 intp uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 "
    "dtype generic number integer floating inexact signedinteger unsignedinteger complexfloating"
).split()
HOST_FUNCTIONS = "broadcast_shapes can_cast finfo iinfo isscalar issubdtype promote_types result_type".split()

UFUNCS = (
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_not bitwise_or "
    "bitwise_xor cbrt ceil conj conjugate copysign cos cosh deg2rad divide equal exp exp2 expm1 fabs floor "
    "floor_divide fmax fmin fmod greater greater_equal heaviside hypot invert isfinite isinf isnan ldexp left_shift "
    "less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor maximum minimum "
    "mod multiply negative nextafter not_equal positive power rad2deg reciprocal remainder right_shift rint sign "
    "signbit sin sinh sqrt square subtract tan tanh true_divide trunc"
).split()

# Functions whose result may be a view of their first argument, and those that give fresh memory.
VIEWS = (
    "atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to diagonal expand_dims flip moveaxis permute_dims "
    "ravel reshape rollaxis squeeze swapaxes transpose split array_split imag real"
).split()
FRESH = (
    "all allclose amax amin any argmax argmin argpartition argsort around array_equal average bincount clip "
    "count_nonzero cross cumprod cumsum diag diff dot einsum isclose isin kron max mean median min nan_to_num "
    "nanmax nanmin nansum outer pad partition prod repeat roll rot90 round searchsorted sort std sum "
    "take_along_axis tensordot tile trace tril triu unwrap var where"
).split()
CREATION = "arange empty eye full identity indices linspace ones tri zeros".split()
LIKE = "empty_like full_like ones_like zeros_like".split()
ELEMENTWISE = "around clip isclose nan_to_num round unwrap where".split()
SORT = "argpartition argsort median partition searchsorted sort".split()
PRODUCT = "cross dot einsum kron outer tensordot".split()
COPY = "diag diff pad repeat roll rot90 take_along_axis tile tril triu".split()
JOIN = "concatenate stack hstack vstack dstack column_stack".split()
SYNC = "argwhere flatnonzero nonzero unique array_equal allclose".split()

RANDOM = "rand randn randint normal uniform standard_normal random_sample permutation".split()

NAIVE = {"floor_divide": naive_floor_divide, "remainder": naive_remainder, "mod": naive_remainder}

REFUSED_ARGUMENTS = {"where", "initial", "like", "subok", "signature", "mean", "correction"}


class ufunc:
    """An element-wise function with CuPy's arguments: arrays and scalars, out, dtype."""

    def __init__(self, function: np.ufunc) -> None:
        self._function = NAIVE.get(function.__name__, function)
        self.__name__, self.nin, self.nout = function.__name__, function.nin, function.nout
        self._launch = launch("elementwise", self.__name__, self._compute)

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None) -> Any:
        inputs, outputs = args[: self.nin], args[self.nin :]
        if outputs:
            (out,) = outputs
        if isinstance(out, tuple):
            (out,) = out
        return self._launch(*inputs, out=out, dtype=dtype)

    def _compute(self, *inputs: Any, out: Any = None, dtype: Any = None) -> Any:
        values = [unwrap(value) for value in inputs]
        with np.errstate(all="ignore"):  # a GPU gives inf and NaN without a warning
            result = compute(self.__name__, self._function, values, **({} if dtype is None else {"dtype": dtype}))
            if out is None:
                return wrap(result)
            np.copyto(unwrap(out), result, casting="same_kind")
        return out


def _check(name: str, kwargs: dict[str, Any]) -> None:
    refused = REFUSED_ARGUMENTS & kwargs.keys()
    if refused:
        raise TypeError(f"cupy.{name} takes no argument {', '.join(sorted(refused))}")


def _plain(value: Any) -> Any:
    """As unwrap, but lists of plain numbers (shapes, axes, widths) pass."""
    if isinstance(value, list | tuple) and not any(isinstance(item, ndarray | np.ndarray) for item in value):
        return value
    return unwrap(value)


def _function(name: str, may_view: bool) -> Callable:
    function = getattr(np, name)

    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        _check(name, kwargs)
        if name in ("sort", "argsort"):
            kwargs["kind"] = "stable"  # as all of thrust's that CuPy calls
        if args and isinstance(args[0], list):
            raise TypeError(f"cupy.{name}: Unsupported type <class 'list'>")
        if not any(isinstance(value, ndarray) for value in (*args, *kwargs.values())) and name != "where":
            raise TypeError(f"cupy.{name} takes device arrays")
        if name in SYNC:
            host_access(name)
        source = next((value for value in args if isinstance(value, ndarray)), None) if may_view else None
        result = function(*(_plain(v) for v in args), **{key: _plain(v) for key, v in kwargs.items()})
        if out is None:
            return wrap(result, source)
        out._array[...] = result
        return out

    call.__name__ = name
    kinds = {"elementwise": ELEMENTWISE, "sort": SORT, "product": PRODUCT, "copy": (*COPY, *VIEWS)}
    return launch(next((kind for kind, names in kinds.items() if name in names), "reduction"), name, call)


def _creation(name: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> ndarray:
        _check(name, kwargs)
        return wrap(getattr(np, name)(*(_plain(v) for v in args), **kwargs))

    call.__name__ = name
    return call if name == "empty" else launch("fill", name, call)


def _like(name: str) -> Callable:
    def call(a: ndarray, *args: Any, **kwargs: Any) -> ndarray:
        if not isinstance(a, ndarray):
            raise TypeError(f"cupy.{name} takes a device array, not {type(a)}")
        _check(name, kwargs)
        return keep(getattr(np, name)(unwrap(a), *(_plain(v) for v in args), **kwargs))

    call.__name__ = name
    return launch("fill", name, call)


def _join(name: str) -> Callable:
    def call(arrays: Any, *args: Any, **kwargs: Any) -> ndarray:
        if not all(isinstance(item, ndarray) for item in arrays):
            raise TypeError(f"cupy.{name} takes a list of device arrays")
        return wrap(getattr(np, name)([item._array for item in arrays], *args, **kwargs))

    call.__name__ = name
    return launch("copy", name, call)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Fresh device memory: as floats, NaN."""
    return ndarray(shape, dtype, order=order)


def empty_like(a: ndarray, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None) -> ndarray:
    """Fresh device memory, lying as `a` does."""
    model = np.empty_like(unwrap(a), dtype, order=order, shape=shape)  # type: ignore[call-overload]
    return ndarray(model.shape, model.dtype, strides=model.strides)


def array(value: Any, dtype: Any = None, copy: bool = True, order: str = "K", ndmin: int = 0) -> ndarray:
    """A device array, a copy unless copy=False."""
    result = asarray(value, dtype, order, copy=copy)
    return result if result.ndim >= ndmin else result.reshape((1,) * (ndmin - result.ndim) + result.shape)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None) -> np.ndarray:
    """A NumPy copy: a host read."""
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """`a` itself if it is contiguous and of that dtype, else a copy; of one dimension at least."""
    a = asarray(a, dtype)
    a = a if a.ndim else a.reshape(1)
    return a if a.flags.c_contiguous else _contiguous(a)


_contiguous = launch("copy", "ascontiguousarray", lambda a: wrap(np.ascontiguousarray(a._array)))


def copy(a: ndarray, order: str = "K") -> ndarray:
    return a.copy(order)


def _copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    np.copyto(unwrap(dst), unwrap(src), casting, where=True if where is None else unwrap(where))  # type: ignore[arg-type]


copyto = launch("copy", "copyto", _copyto, writes=True)


def matmul(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    """Both operands are device arrays; `out` has the result's shape.

    As CuPy's, it copies where nobody asked for it (cupy/_core/_routines_linalg.pyx, 671-677 and 903-904): operands of more than
    two axes that are not C-contiguous, matrices of which neither axis is, and the result, if `out` is not C-contiguous, is of
    another type, or overlaps an operand. Its cuBLAS cannot be captured (cupy_backends/cuda/libs/cublas.pyx, setStream).
    """
    if not (isinstance(a, ndarray) and isinstance(b, ndarray)):
        raise TypeError("cupy.matmul takes device arrays")
    if Launches.graph is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    a, b = (x if _goes_as_it_is(x) else x.copy() for x in (a, b))
    if out is None:
        return _product(a, b)
    shape, dtype = _product_shape(a, b), np.result_type(a.dtype, b.dtype)
    if out.shape != shape:
        raise ValueError(f"matmul: out has the shape {out.shape}, the product {shape}")
    overlaps = any(np.may_share_memory(out._array, x._array) for x in (a, b))
    if overlaps or not out.flags.c_contiguous or out.dtype != dtype:
        out[...] = _product(a, b)
        return out
    return _product(a, b, out=out)


def _goes_as_it_is(x: ndarray) -> bool:
    """Whether cuBLAS takes an operand where it lies: two axes of which one is contiguous, or all of it C-contiguous."""
    return x.flags.c_contiguous or (x.ndim == 2 and x.T.flags.c_contiguous)


def _product_shape(a: ndarray, b: ndarray) -> tuple[int, ...]:
    left, right = a.shape if a.ndim > 1 else (1, *a.shape), b.shape if b.ndim > 1 else (*b.shape, 1)
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    shape = shape if b.ndim > 1 else shape[:-1]
    return shape if a.ndim > 1 else (*shape[: -1 - (b.ndim > 1)], *shape[len(shape) - (b.ndim > 1) :])


def _multiply(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    if Launches.dry:
        return out if out is not None else ndarray(_product_shape(a, b), np.result_type(a.dtype, b.dtype))
    if out is None:
        return wrap(np.matmul(a._array, b._array))
    np.matmul(a._array, b._array, out=out._array)
    return out


_product = launch("product", "matmul", _multiply)
ndarray.__matmul__ = lambda a, b: matmul(a, b) if isinstance(b, ndarray) else NotImplemented  # type: ignore[attr-defined]


def take(a: ndarray, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
    """Indices out of bounds wrap around, as on a GPU."""
    return a.take(indices, axis, out)


def put_along_axis(a: ndarray, indices: ndarray, values: Any, axis: int) -> None:
    """As CuPy's, an assignment: no order of repeated places."""
    places = np.take_along_axis(np.arange(a.size).reshape(a.shape), unwrap(indices), axis)
    a.reshape(-1)[wrap(places)] = values if isinstance(values, ndarray) else unwrap(values)


def shares_memory(a: Any, b: Any) -> bool:
    return isinstance(a, ndarray) and isinstance(b, ndarray) and bool(np.shares_memory(a._array, b._array))


def may_share_memory(a: Any, b: Any) -> bool:
    return isinstance(a, ndarray) and isinstance(b, ndarray) and bool(np.may_share_memory(a._array, b._array))


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    return wrap(np.lib.stride_tricks.as_strided(x._array, shape, strides), x)


def _scatter_add(a: ndarray, index: Any, value: Any) -> None:
    np.add.at(a._array, unwrap(index), unwrap(value))


def from_dlpack(x: Any) -> ndarray:
    return wrap(np.from_dlpack(x))


def _random_module() -> types.ModuleType:
    """cupy.random: the same methods, other numbers."""
    module: Any = types.ModuleType("cupy.random")

    class RandomState:
        def __init__(self, seed: int | None = None) -> None:
            self._state = np.random.RandomState(seed)

        def __getattr__(self, name: str) -> Callable:
            if name not in RANDOM:
                raise AttributeError(f"the stand-in's RandomState has no {name}")
            method = getattr(self._state, name)

            def call(*args: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
                refuse_in_capture("drawing CuPy's random numbers")
                values = np.asarray(method(*args, **kwargs))
                return wrap(values if dtype is None else values.astype(dtype))

            return call

    module.RandomState = RandomState
    module.seed = lambda seed=None: None
    return module


def _svd(a: ndarray, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    found = np.linalg.svd(a._array, full_matrices, compute_uv)
    return tuple([wrap(part) for part in found]) if compute_uv else wrap(found)


def make_modules() -> dict[str, types.ModuleType]:
    """cupy and cupyx and their submodules, by name."""
    cupy: Any = types.ModuleType("cupy")
    cupyx: Any = types.ModuleType("cupyx")
    lib: Any = types.ModuleType("cupy.lib")
    lib.stride_tricks = types.ModuleType("cupy.lib.stride_tricks")
    lib.stride_tricks.as_strided = as_strided
    linalg: Any = types.ModuleType("cupy.linalg")
    linalg.norm = lambda x, ord=None, axis=None, keepdims=False: wrap(np.linalg.norm(x._array, ord, axis, keepdims))
    linalg.svd = _svd
    for name in (*CONSTANTS, *TYPES, *HOST_FUNCTIONS):
        setattr(cupy, name, getattr(np, name))
    for name in UFUNCS:
        setattr(cupy, name, ufunc(getattr(np, name)))
    for names, make in ((CREATION, _creation), (LIKE, _like), (JOIN, _join)):
        for name in names:
            setattr(cupy, name, make(name))
    for name in {*VIEWS, *FRESH, *SYNC}:
        if name != "permute_dims":
            setattr(cupy, name, _function(name, name in VIEWS))
    for own in (
        array, asarray, ascontiguousarray, asnumpy, copy, copyto, empty, empty_like, from_dlpack, matmul,
        may_share_memory, ndarray, put_along_axis, shares_memory, take, ufunc,
    ):  # fmt: skip
        setattr(cupy, own.__name__, own)
    cupy.asanyarray = asarray
    cupy.RawModule = cuda.RawModule
    cupy.get_array_module = lambda *args: cupy if any(isinstance(a, ndarray) for a in args) else np
    cupy.get_default_memory_pool = lambda: POOL
    cupy.cuda, cupy.random, cupy.lib, cupy.linalg = cuda.make_module(), _random_module(), lib, linalg
    cupy.__version__ = "14.2.0"
    cupy.show_config = lambda: print("tests/emulator, in the place of CuPy 14.2")
    cupyx.scatter_add = _scatter_add
    cupyx.empty_pinned = lambda shape, dtype=float, order="C": np.empty(shape, dtype, order).view(Pinned)
    return {
        "cupy": cupy,
        "cupy.cuda": cupy.cuda,
        "cupy.cuda.nccl": cupy.cuda.nccl,
        "cupy.cuda.runtime": cupy.cuda.runtime,
        "cupy.lib": lib,
        "cupy.lib.stride_tricks": lib.stride_tricks,
        "cupy.linalg": linalg,
        "cupy.random": cupy.random,
        "cupyx": cupyx,
    }
