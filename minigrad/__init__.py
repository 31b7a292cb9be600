"""minigrad: a tensor and autograd engine in Python on NumPy, and on CuPy for GPUs, under torch's names.

import minigrad as mg

x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = (x ** 2).sum()
y.backward()
x.grad  # tensor([2., 4., 6.])
"""

from __future__ import annotations

from typing import Any

from minigrad import program as _program  # isort: skip  (first: Ctrl-C while a program imports leaves no traceback)
from minigrad import autograd, backends, dtypes, interop, methods, tracing
from minigrad.autograd import detect_anomaly, enable_grad, inference_mode, no_grad, set_grad_enabled
from minigrad.device import Device, get_device, is_gpu_available
from minigrad.dtypes import (
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    short,
    uint8,
)  # fmt: skip
from minigrad.errors import CheckpointError, DataError, DeviceError, MinigradError, OptionError, WriteError
from minigrad.errors import no_attribute as _no_attribute
from minigrad.fused import FusedOp
from minigrad.grad_mode import definitions, is_grad_enabled
from minigrad.memory_format import channels_last, contiguous_format, preserve_format, strided
from minigrad.op import Op
from minigrad.ops.public import functions as _functions
from minigrad.printing import set_printoptions
from minigrad.queries import (
    detach,
    dtype,
    e,
    finfo,
    get_default_device,
    get_default_dtype,
    iinfo,
    inf,
    initial_seed,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_same_size,
    is_signed,
    is_storage,
    is_tensor,
    nan,
    newaxis,
    numel,
    pi,
    seed,
    set_default_dtype,
)  # fmt: skip
from minigrad.random import Generator, default_generator, get_rng_state, manual_seed, set_rng_state
from minigrad.size import Size
from minigrad.tensor import Tensor

__version__ = "0.1.0"

device = Device  # torch's name; the module of that name is found by `from minigrad.device import ...` all the same

globals().update(_functions("minigrad"))

bool = dtypes.bool_
float = dtypes.float32
int = dtypes.int32


def set_num_threads(threads: Any) -> None:
    """Let the CPU kernels share their work among so many threads. ValueError unless it is at least 1."""
    backends.cpu.set_num_threads(threads)


def get_num_threads() -> Any:
    """The number of threads among which the CPU kernels share their work: the cores of the process unless it was set."""
    return backends.cpu.get_num_threads()


def result_type(*operands: Any, **named: Any) -> Any:
    """The type of an element-wise op's result on two Tensors or numbers. By name they are torch's (tensor, other), (scalar,
    tensor) or (scalar1, scalar2), in whatever order."""
    unknown = set(named) - {"tensor", "other", "scalar", "scalar1", "scalar2"}
    if unknown or len(operands) + len(named) != 2:
        raise TypeError(f"result_type() takes two operands, but got {len(operands)} and {sorted(named)}")
    return dtypes.result_type(*operands, *named.values())


Function, FusedFunction = Op, FusedOp  # their former names


def _backend(device: Any) -> Any:
    return backends.get(get_device(device).backend)


def memory_allocated(device: Any = None) -> Any:
    """Bytes in use: the process's resident memory for the CPU, the pool's bytes for a GPU."""
    return _backend(device).memory_allocated()


def max_memory_allocated(device: Any = None) -> Any:
    """The most bytes in use since the start, or since reset_peak_memory_stats."""
    return _backend(device).max_memory_allocated()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Starts max_memory_allocated anew."""
    _backend(device).reset_peak_memory_stats()


def synchronize(device: Any = None) -> None:
    """Waits until the device has done what it was given."""
    _backend(device).synchronize()


_MODULES_WHEN_ASKED_FOR = (
    "as_torch attacks attribution cuda data files linalg nn optim special training utils weights".split()
)
_WHEN_ASKED_FOR = {
    "save": "utils.serialization", "load": "utils.serialization",
    "load_torch_state_dict": "weights", "to_torch_state_dict": "weights",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is named here is imported when first asked for."""
    import importlib

    if name in _MODULES_WHEN_ASKED_FOR:
        return importlib.import_module(f"minigrad.{name}")
    if name in _WHEN_ASKED_FOR:
        return getattr(importlib.import_module(f"minigrad.{_WHEN_ASKED_FOR[name]}"), name)
    if name in dtypes.NOT_BUILT:
        return dtypes.NOT_BUILT[name]
    raise _no_attribute("minigrad", name)


interop.watch_for_einops()

_MODULES = (autograd, backends, dtypes, tracing)  # the others are found by their whole names
__all__ = [
    name
    for name, value in globals().items()
    if name[0] != "_" and name not in ("Any", "annotations") and (type(value) is not type(dtypes) or value in _MODULES)
] + [*_WHEN_ASKED_FOR]
