"""minigrad: a tensor and autograd engine in Python on NumPy, and on CuPy for GPUs, under torch's names.

import minigrad as mg

x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = (x ** 2).sum()
y.backward()
x.grad  # tensor([2., 4., 6.])
"""

from __future__ import annotations

from typing import Any

from minigrad import aliases, autograd, backends, dtypes, methods
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
from minigrad.grad_mode import definitions, is_grad_enabled
from minigrad.memory_format import channels_last, contiguous_format, preserve_format, strided
from minigrad.op import FusedOp, Op
from minigrad.ops import attention as _attention  # nn's, but `definitions` knows these too
from minigrad.ops import loss as _loss
from minigrad.ops.activation import celu, hardshrink, log_softmax, prelu, selu, softmax, threshold
from minigrad.ops.comparison import (
    allclose,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    equal,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    le,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
    not_equal,
)
from minigrad.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from minigrad.ops.creation import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    arange,
    as_tensor,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    multinomial,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)  # fmt: skip
from minigrad.ops.creation import random_dropout as dropout  # torch's own, beside nn.functional's
from minigrad.ops.cumulative import cumprod, cumsum, prod
from minigrad.ops.diagonals import diag, diag_embed, diagonal, tril, tril_indices, triu, triu_indices
from minigrad.ops.einsum import einsum, inner, kron, tensordot
from minigrad.ops.elementwise import (
    abs,
    absolute,
    acos,
    acosh,
    add,
    addcdiv,
    addcmul,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    clamp,
    clamp_max,
    clamp_min,
    clip,
    clone,
    cos,
    cosh,
    div,
    divide,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    fix,
    float_power,
    floor,
    floor_divide,
    fmod,
    frac,
    heaviside,
    hypot,
    lerp,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    logit,
    masked_fill,
    maximum,
    minimum,
    mul,
    multiply,
    nan_to_num,
    neg,
    negative,
    positive,
    pow,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sgn,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    sub,
    subtract,
    tan,
    tanh,
    true_divide,
    trunc,
    where,
    xlogy,
)  # fmt: skip
from minigrad.ops.indexing import argwhere, gather, index_select, masked_select, nonzero, take, take_along_dim
from minigrad.ops.interpolation import channel_shuffle, pixel_shuffle, pixel_unshuffle
from minigrad.ops.joining import (
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    tensor_split,
    vsplit,
    vstack,
)  # fmt: skip
from minigrad.ops.matmul import addbmm, addmm, addmv, addr, baddbmm, bmm, dot, matmul, mm, mv, outer, vdot
from minigrad.ops.norm import norm
from minigrad.ops.normalization import group_norm, layer_norm, rms_norm
from minigrad.ops.pairs import bilinear, cosine_similarity, pairwise_distance
from minigrad.ops.pooling import adaptive_avg_pool1d, avg_pool1d, max_pool1d, max_pool2d
from minigrad.ops.pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d  # both, as torch's
from minigrad.ops.reduction import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)  # fmt: skip
from minigrad.ops.repeating import flip, fliplr, flipud, meshgrid, repeat_interleave, roll, rot90, tile
from minigrad.ops.scattering import (
    index_add,
    index_copy,
    index_fill,
    index_put,
    masked_scatter,
    put,
    scatter,
    scatter_add,
)  # fmt: skip
from minigrad.ops.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    cat,
    chunk,
    flatten,
    moveaxis,
    movedim,
    narrow,
    permute,
    ravel,
    reshape,
    select,
    split,
    squeeze,
    stack,
    swapaxes,
    swapdims,
    t,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)  # fmt: skip
from minigrad.ops.sorting import argsort, bincount, bucketize, kthvalue, median, msort, searchsorted, sort, topk, unique
from minigrad.printing import set_printoptions
from minigrad.random import Generator, default_generator, get_rng_state, manual_seed, set_rng_state
from minigrad.size import Size
from minigrad.tensor import Tensor
from minigrad.tracing import trace
from minigrad.weights import load_torch_state_dict, to_torch_state_dict

__version__ = "0.1.0"

device = Device  # torch's name; the module of that name is found by `from minigrad.device import ...` all the same

for _name, _function in [*globals().items()]:
    if getattr(_function, "__module__", "").startswith("minigrad.ops."):
        globals()[_name] = aliases.numpys_names(_function, "minigrad")

bool = dtypes.bool_  # noqa: A001 - torch's names for types
float = dtypes.float32  # noqa: A001
int = dtypes.int32  # noqa: A001


def set_num_threads(threads: Any) -> None:
    """How many CPU threads the kernels share their work among."""
    backends.cpu.set_num_threads(threads)


def get_num_threads() -> Any:
    """How many CPU threads the kernels share their work among."""
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
    return backends.get(get_device(device).type)


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


def __getattr__(name: str) -> Any:
    """What is named here is imported when first asked for."""
    if name in ("attacks", "attribution", "cuda", "linalg", "nn", "optim", "data", "special", "training", "utils"):
        import importlib

        return importlib.import_module(f"minigrad.{name}")
    if name in ("save", "load"):
        from minigrad.utils import serialization

        return getattr(serialization, name)
    if name in dtypes.NOT_BUILT:
        raise AttributeError(f"minigrad has no {name}: tensors of float16, float32 and float64 are built")
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")


__all__ = [
    name for name in globals() if not name.startswith("_") and name not in ("annotations", "aliases", "Any", "methods")
]
