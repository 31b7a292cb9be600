# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

from collections.abc import Sequence
from minigrad import as_torch as as_torch
from minigrad import attacks as attacks
from minigrad import attribution as attribution
from minigrad import autograd as autograd
from minigrad import backends as backends
from minigrad import cuda as cuda
from minigrad import data as data
from minigrad import dtypes as dtypes
from minigrad import files as files
from minigrad import interop as interop
from minigrad import linalg as linalg
from minigrad import methods as methods
from minigrad import nn as nn
from minigrad import optim as optim
from minigrad import special as special
from minigrad import tracing as tracing
from minigrad import training as training
from minigrad import utils as utils
from minigrad import weights as weights
from minigrad.autograd import detect_anomaly as detect_anomaly
from minigrad.autograd import enable_grad as enable_grad
from minigrad.autograd import inference_mode as inference_mode
from minigrad.autograd import no_grad as no_grad
from minigrad.autograd import set_grad_enabled as set_grad_enabled
from minigrad.device import Device as Device
from minigrad.device import Device as device
from minigrad.device import get_device as get_device
from minigrad.device import is_gpu_available as is_gpu_available
from minigrad.dtypes import double as double
from minigrad.dtypes import float16 as float16
from minigrad.dtypes import float32 as float32
from minigrad.dtypes import float64 as float64
from minigrad.dtypes import half as half
from minigrad.dtypes import int16 as int16
from minigrad.dtypes import int32 as int32
from minigrad.dtypes import int64 as int64
from minigrad.dtypes import int8 as int8
from minigrad.dtypes import long as long
from minigrad.dtypes import promote_types as promote_types
from minigrad.dtypes import short as short
from minigrad.dtypes import uint8 as uint8
from minigrad.errors import CheckpointError as CheckpointError
from minigrad.errors import DataError as DataError
from minigrad.errors import DeviceError as DeviceError
from minigrad.errors import MinigradError as MinigradError
from minigrad.errors import OptionError as OptionError
from minigrad.errors import WriteError as WriteError
from minigrad.fused import FusedOp as FusedFunction
from minigrad.fused import FusedOp as FusedOp
from minigrad.grad_mode import definitions as definitions
from minigrad.grad_mode import is_grad_enabled as is_grad_enabled
from minigrad.memory_format import MemoryFormat
from minigrad.memory_format import channels_last as channels_last
from minigrad.memory_format import contiguous_format as contiguous_format
from minigrad.memory_format import preserve_format as preserve_format
from minigrad.memory_format import strided as strided
from minigrad.op import Op as Function
from minigrad.op import Op as Op
from minigrad.ops.pooling import IntOrPair
from minigrad.ops.reduction import Dim
from minigrad.printing import set_printoptions as set_printoptions
from minigrad.queries import detach as detach
from minigrad.queries import dtype as dtype
from minigrad.queries import e as e
from minigrad.queries import finfo as finfo
from minigrad.queries import get_default_device as get_default_device
from minigrad.queries import get_default_dtype as get_default_dtype
from minigrad.queries import iinfo as iinfo
from minigrad.queries import inf as inf
from minigrad.queries import initial_seed as initial_seed
from minigrad.queries import is_complex as is_complex
from minigrad.queries import is_floating_point as is_floating_point
from minigrad.queries import is_nonzero as is_nonzero
from minigrad.queries import is_same_size as is_same_size
from minigrad.queries import is_signed as is_signed
from minigrad.queries import is_storage as is_storage
from minigrad.queries import is_tensor as is_tensor
from minigrad.queries import nan as nan
from minigrad.queries import newaxis as newaxis
from minigrad.queries import numel as numel
from minigrad.queries import pi as pi
from minigrad.queries import seed as seed
from minigrad.queries import set_default_dtype as set_default_dtype
from minigrad.random import Generator as Generator
from minigrad.random import default_generator as default_generator
from minigrad.random import get_rng_state as get_rng_state
from minigrad.random import manual_seed as manual_seed
from minigrad.random import set_rng_state as set_rng_state
from minigrad.size import Size as Size
from minigrad.tensor import Tensor as Tensor
from minigrad.tracing import Path
from minigrad.tracing import Watch
from minigrad.utils.serialization import load as load
from minigrad.utils.serialization import save as save
from minigrad.weights import load_torch_state_dict as load_torch_state_dict
from minigrad.weights import to_torch_state_dict as to_torch_state_dict
import numpy as np

def BoolTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of bool: torch's old constructor of that type."""
def ByteTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of uint8: torch's old constructor of that type."""
def CharTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of int8: torch's old constructor of that type."""
def DoubleTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of float64: torch's old constructor of that type."""
def FloatTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of float32: torch's old constructor of that type."""
def HalfTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of float16: torch's old constructor of that type."""
def IntTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of int32: torch's old constructor of that type."""
def LongTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of int64: torch's old constructor of that type."""
def ShortTensor(*given: Any, data: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """As Tensor(2, 3) or Tensor([2, 3]), of int16: torch's old constructor of that type."""
def abs(input: Tensor) -> Tensor:
    """|input|."""
def absolute(input: Tensor) -> Tensor:
    """|input|."""
def acos(input: Tensor) -> Tensor:
    """The angle in [0, pi] of that cosine."""
def acosh(input: Tensor) -> Tensor:
    """The number >= 0 of that hyperbolic cosine."""
def adaptive_avg_pool1d(input: Tensor, output_size: builtins.int | Sequence[builtins.int]) -> Tensor:
    """The mean of each of OL bins of input (N, C, L) or (C, L)."""
def adaptive_max_pool1d(input: Tensor, output_size: builtins.int | Sequence[builtins.int]) -> Any:
    """adaptive_max_pool1d and where the largest are: what torch calls torch.adaptive_max_pool1d."""
def add(input: Any, other: Any, *, alpha: builtins.float = 1) -> Tensor:
    """input + alpha other."""
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
    """beta input + alpha (the sum over the batch of batch1 @ batch2): one product of (n, b m) and (b m, p)."""
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
    """input + value tensor1 / tensor2. RuntimeError where both are integers."""
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
    """input + value tensor1 tensor2."""
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
    """beta input + alpha (mat1 @ mat2). With beta = 0 the input counts for nothing, even where it is NaN."""
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
    """beta input + alpha (mat @ vec)."""
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
    """beta input + alpha (the outer product of vec1 and vec2)."""
def all(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """Whether every element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
def allclose(input: Tensor, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> builtins.bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
def amax(input: Tensor, dim: Dim = ..., keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The largest over `dim`; the gradient is shared evenly among equals."""
def amin(input: Tensor, dim: Dim = ..., keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The smallest over `dim`; the gradient is shared evenly among equals."""
def aminmax(input: Tensor, *, dim: builtins.int | None = None, keepdim: builtins.bool = False, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Any:
    """(min, max) over an axis or over all; gradients are shared evenly among equals."""
def any(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """Whether any element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
def arange(start: Any = None, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """start, start + step, ... up to but not including end; arange(end) starts at 0."""
def arccos(input: Tensor) -> Tensor:
    """The angle in [0, pi] of that cosine."""
def arccosh(input: Tensor) -> Tensor:
    """The number >= 0 of that hyperbolic cosine."""
def arcsin(input: Tensor) -> Tensor:
    """The angle in [-pi/2, pi/2] of that sine."""
def arcsinh(input: Tensor) -> Tensor:
    """The number of that hyperbolic sine."""
def arctan(input: Tensor) -> Tensor:
    """The angle in (-pi/2, pi/2) of that tangent."""
def arctan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in [-pi, pi] between the first axis and the point (other, input)."""
def arctanh(input: Tensor) -> Tensor:
    """The number of that hyperbolic tangent."""
def argmax(input: Tensor, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The index (int64) of the largest element, the first among equals; over the flattened tensor if dim is None."""
def argmin(input: Tensor, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The index (int64) of the smallest element, the first among equals; over the flattened tensor if dim is None."""
def argsort(input: Tensor, dim: builtins.int = -1, descending: builtins.bool = False, *, stable: builtins.bool = False, axis: builtins.int = ...) -> Tensor:
    """The indices (int64) that sort along an axis; equal elements stay in order. NaN counts as the largest."""
def argwhere(input: Tensor) -> Tensor:
    """As nonzero: (count, ndim)."""
def as_tensor(data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """As `tensor`, but without copying where it need not."""
def asin(input: Tensor) -> Tensor:
    """The angle in [-pi/2, pi/2] of that sine."""
def asinh(input: Tensor) -> Tensor:
    """The number of that hyperbolic sine."""
def atan(input: Tensor) -> Tensor:
    """The angle in (-pi/2, pi/2) of that tangent."""
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in [-pi, pi] between the first axis and the point (other, input)."""
def atanh(input: Tensor) -> Tensor:
    """The number of that hyperbolic tangent."""
def atleast_1d(*tensors: Any) -> Any:
    """With at least one axis."""
def atleast_2d(*tensors: Any) -> Any:
    """With at least two axes: vectors are rows."""
def atleast_3d(*tensors: Any) -> Any:
    """With at least three axes: vectors are (1, n, 1), matrices (n, m, 1)."""
def avg_pool1d(input: Tensor, kernel_size: builtins.int | Sequence[builtins.int], stride: builtins.int | Sequence[builtins.int] | None = None, padding: builtins.int | Sequence[builtins.int] = 0, ceil_mode: builtins.bool = False, count_include_pad: builtins.bool = True) -> Tensor:
    """The mean of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given."""
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
    """beta input + alpha (batch1 @ batch2), for batches of matrices."""
def bernoulli(input: Tensor, p: builtins.float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element names (or p), else 0. Its gradient is 0."""
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T W_k x2 + b_k: input1 (..., I), input2 (..., J), weight (K, I, J), bias (K), result (..., K)."""
def bincount(input: Tensor, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of integers, or the sum of its weights. No gradient."""
def bitwise_and(input: Any, other: Any) -> Tensor:
    """input & other, for integers and bools."""
def bitwise_not(input: Tensor) -> Tensor:
    """~input, for integers and bools."""
def bitwise_or(input: Any, other: Any) -> Tensor:
    """input | other, for integers and bools."""
def bitwise_xor(input: Any, other: Any) -> Tensor:
    """input ^ other, for integers and bools."""
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
def broadcast_shapes(*shapes: Any) -> builtins.tuple[builtins.int, ...]:
    """The shape that arrays of these shapes broadcast to."""
def broadcast_tensors(*tensors: Any) -> builtins.tuple[Tensor, ...]:
    """All of them expanded to the shape that they broadcast to."""
def broadcast_to(input: Tensor, size: Sequence[builtins.int]) -> Tensor:
    """Expanded to that shape."""
def bucketize(input: Any, boundaries: Tensor, *, out_int32: builtins.bool = False, right: builtins.bool = False) -> Tensor:
    """The bucket that each value falls in: i where boundaries[i-1] < x <= boundaries[i] (right: <= x <)."""
def cat(tensors: Sequence[Tensor], dim: builtins.int = 0, *, axis: builtins.int = ...) -> Tensor:
    """Tensors joined along an existing axis."""
def cdist(x1: Tensor, x2: Tensor, p: builtins.float = 2.0, compute_mode: builtins.str = 'use_mm_for_euclid_dist_if_necessary') -> Tensor:
    """The p-norm of x1[..., i, :] - x2[..., j, :]: x1 (..., P, M), x2 (..., R, M), result (..., P, R)."""
def ceil(input: Tensor) -> Tensor:
    """The smallest integer that is not below input."""
def celu(input: Tensor, alpha: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """input where it is positive, else alpha (e^(input / alpha) - 1)."""
def channel_shuffle(input: Tensor, groups: builtins.int) -> Tensor:
    """(N, C, ...) with channels dealt out: y[:, i groups + g] = x[:, g C / groups + i]."""
def chunk(input: Tensor, chunks: builtins.int, dim: builtins.int = 0, *, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
    """At most `chunks` stretches of equal length along an axis (the last may be shorter)."""
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, but at least min and at most max (max wins if they cross). Both bounds are numbers, or both Tensors."""
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input, but at most max."""
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input, but at least min."""
def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, but at least min and at most max (max wins if they cross). Both bounds are numbers, or both Tensors."""
def clone(input: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """A copy that is part of the graph, its elements in memory in the input's order unless memory_format is given."""
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second axis; vectors are columns."""
def concat(tensors: Sequence[Tensor], dim: builtins.int = 0, *, axis: builtins.int = ...) -> Tensor:
    """Tensors joined along an existing axis."""
def concatenate(tensors: Sequence[Tensor], dim: builtins.int = 0, *, axis: builtins.int = ...) -> Tensor:
    """Tensors joined along an existing axis."""
def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: builtins.int | Sequence[builtins.int] = 1, padding: builtins.int | Sequence[builtins.int] | builtins.str = 0, dilation: builtins.int | Sequence[builtins.int] = 1, groups: builtins.int = 1) -> Tensor:
    """The cross-correlation of input (N, C, L), or (C, L), with weight (O, C/groups, K), plus bias (O)."""
def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair | builtins.str = 0, dilation: IntOrPair = 1, groups: builtins.int = 1) -> Tensor:
    """The cross-correlation of input (N, C, H, W), or (C, H, W), with weight (O, C/groups, KH, KW), plus bias (O)."""
def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: builtins.int | Sequence[builtins.int] = 1, padding: builtins.int | Sequence[builtins.int] = 0, output_padding: builtins.int | Sequence[builtins.int] = 0, groups: builtins.int = 1, dilation: builtins.int | Sequence[builtins.int] = 1) -> Tensor:
    """The adjoint of conv1d: input (N, C, L) or (C, L), weight (C, O/groups, K); conv_transpose2d with one row."""
def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair = 0, output_padding: IntOrPair = 0, groups: builtins.int = 1, dilation: IntOrPair = 1) -> Tensor:
    """The adjoint of conv2d: input (N, C, H, W) or (C, H, W), weight (C, O/groups, KH, KW), bias (O)."""
def copysign(input: Tensor, other: Any) -> Tensor:
    """|x| with the sign of other."""
def cos(input: Tensor) -> Tensor:
    """The cosine."""
def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
def cosine_similarity(x1: Tensor, x2: Tensor, dim: builtins.int = 1, eps: builtins.float = 1e-08, *, axis: builtins.int = ...) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along an axis: the cosine of the angle. The two broadcast."""
def count_nonzero(input: Tensor, dim: Dim = None, *, axis: Dim = ...) -> Tensor:
    """How many elements (along `dim`) are not zero."""
@overload
def cumprod(input: Tensor, dim: builtins.int, *, dtype: Any = None) -> Tensor:
    """The running product along an axis. Integers and bools are multiplied as int64."""
@overload
def cumprod(input: Tensor, *, axis: builtins.int, dtype: Any = None) -> Tensor:
    """The running product along an axis. Integers and bools are multiplied as int64."""
@overload
def cumsum(input: Tensor, dim: builtins.int, *, dtype: Any = None) -> Tensor:
    """The running sum along an axis. Integers and bools are summed as int64."""
@overload
def cumsum(input: Tensor, *, axis: builtins.int, dtype: Any = None) -> Tensor:
    """The running sum along an axis. Integers and bools are summed as int64."""
def deg2rad(input: Tensor) -> Tensor:
    """x pi / 180."""
def diag(input: Tensor, diagonal: builtins.int = 0) -> Tensor:
    """A vector as a matrix with that diagonal; a matrix's diagonal as a vector."""
def diag_embed(input: Tensor, offset: builtins.int = 0, dim1: builtins.int = -2, dim2: builtins.int = -1) -> Tensor:
    """Matrices, in the axes dim1 and dim2, with the last axis on a diagonal and zeros elsewhere."""
def diagonal(input: Tensor, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
    """The elements at (i, i + offset) of two axes, as the last axis. Shares memory."""
def diff(input: Tensor, n: builtins.int = 1, dim: builtins.int = -1, prepend: Tensor | None = None, append: Tensor | None = None, *, axis: builtins.int = ...) -> Tensor:
    """x[i + 1] - x[i] along an axis, n times over; prepend and append are joined to the input first."""
def dist(input: Tensor, other: Tensor, p: builtins.float = 2.0) -> Tensor:
    """The p-norm of the difference."""
def div(input: Any, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
    """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
def divide(input: Any, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
    """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
def dropout(input: Tensor, p: builtins.float = 0.5, train: builtins.bool = True, *, generator: Generator | None = None) -> Tensor:
    """As nn.functional.dropout, with `train` for its `training`."""
def dsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
    """Cut along the third axis."""
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the third axis."""
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Products of the operands' elements, summed over every letter that the output does not name."""
def empty(*given: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """A tensor of this size, not filled."""
def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As empty, with x's shape and, unless given, its dtype, device and layout."""
def eq(input: Any, other: Any) -> Tensor:
    """input == other."""
def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether both have the same shape and elements."""
def erf(input: Tensor) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to input."""
def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact where erf(input) is nearly 1."""
def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf: y with erf(y) = x, for -1 <= x <= 1; inf at the ends, NaN outside."""
def exp(input: Tensor) -> Tensor:
    """e^input."""
def exp2(input: Tensor) -> Tensor:
    """2^input."""
def expm1(input: Tensor) -> Tensor:
    """e^input - 1, exact near 0."""
def eye(n: builtins.int, m: builtins.int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
def fix(input: Tensor) -> Tensor:
    """input without its fraction."""
def flatten(input: Tensor, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
    """The axes from start_dim to end_dim as one."""
def flip(input: Tensor, *along: Any, dims: Any = None) -> Tensor:
    """The elements in reverse along the given axes."""
def fliplr(input: Tensor) -> Tensor:
    """The second axis in reverse."""
def flipud(input: Tensor) -> Tensor:
    """The first axis in reverse."""
def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power of exponent, in float64."""
def floor(input: Tensor) -> Tensor:
    """The largest integer that is not above input."""
def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other)."""
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two; of NaN and a number the number."""
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two; of NaN and a number the number."""
def fmod(input: Tensor, other: Any) -> Tensor:
    """input - other trunc(input / other): the sign is input's."""
def frac(input: Tensor) -> Tensor:
    """What trunc cuts off, with input's sign."""
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: builtins.bool | None = None) -> Tensor:
    """A Tensor that shares the memory of any object with __dlpack__ (a torch tensor, say)."""
def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory."""
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """A tensor of this size, filled with one value."""
def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """The input's shape, filled with one value."""
@overload
def gather(input: Tensor, dim: builtins.int, index: Tensor, *, sparse_grad: builtins.bool = False) -> Tensor:
    """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and so on. index: integers, of x's number of axes."""
@overload
def gather(input: Tensor, *, axis: builtins.int, index: Tensor, sparse_grad: builtins.bool = False) -> Tensor:
    """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and so on. index: integers, of x's number of axes."""
def ge(input: Any, other: Any) -> Tensor:
    """input >= other."""
def greater(input: Any, other: Any) -> Tensor:
    """input > other."""
def greater_equal(input: Any, other: Any) -> Tensor:
    """input >= other."""
def group_norm(input: Tensor, num_groups: builtins.int, weight: Tensor | None = None, bias: Tensor | None = None, eps: builtins.float = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance of each group of channels of each sample."""
def gt(input: Any, other: Any) -> Tensor:
    """input > other."""
def hardshrink(input: Tensor, lambd: builtins.float = 0.5) -> Tensor:
    """input, but 0 where -lambd <= input <= lambd."""
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input < 0 (or NaN), values where it is 0, 1 where it is > 0. Has no gradient, as in torch."""
def hsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
    """Cut along the second axis (a vector along its only one)."""
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second axis (vectors along their only one)."""
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """sqrt(input^2 + other^2), the length of a right triangle's longest side."""
@overload
def index_add(input: Tensor, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
    """The input, with alpha times slice i of source added to slice index[i]."""
@overload
def index_add(input: Tensor, *, axis: builtins.int, index: Tensor, source: Tensor, alpha: builtins.float = 1) -> Tensor:
    """The input, with alpha times slice i of source added to slice index[i]."""
@overload
def index_copy(input: Tensor, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
    """The input, with slice i of source in place of slice index[i]."""
@overload
def index_copy(input: Tensor, *, axis: builtins.int, index: Tensor, source: Tensor) -> Tensor:
    """The input, with slice i of source in place of slice index[i]."""
@overload
def index_fill(input: Tensor, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
    """The input, with one value all over the slices that the index names; negative indices count from the end."""
@overload
def index_fill(input: Tensor, *, axis: builtins.int, index: Tensor, value: Any) -> Tensor:
    """The input, with one value all over the slices that the index names; negative indices count from the end."""
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
    """The input, with values in place of x[indices], or added there (accumulate=True: repeated places add up)."""
@overload
def index_select(input: Tensor, dim: builtins.int, index: Tensor) -> Tensor:
    """The slices of x along an axis that a 1-D index names."""
@overload
def index_select(input: Tensor, *, axis: builtins.int, index: Tensor) -> Tensor:
    """The slices of x along an axis that a 1-D index names."""
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products summed over the last axis of both; with a 0-d tensor, the plain product."""
def isclose(input: Tensor, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol |other|; infinities are close to themselves, NaN to NaN if equal_nan."""
def isfinite(input: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite."""
def isinf(input: Tensor) -> Tensor:
    """Which elements are infinite."""
def isnan(input: Tensor) -> Tensor:
    """Which elements are NaN."""
def isneginf(input: Tensor) -> Tensor:
    """Which elements are -inf."""
def isposinf(input: Tensor) -> Tensor:
    """Which elements are inf."""
def isreal(input: Tensor) -> Tensor:
    """Which elements are real numbers: all of them, here."""
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: every element of the input times the whole of other, side by side."""
def kthvalue(input: Tensor, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False, *, axis: builtins.int = ..., keepdims: builtins.bool = ...) -> Any:
    """(values, indices) of the k-th smallest element along an axis, k counted from 1; the first among equals."""
def layer_norm(input: Tensor, normalized_shape: Sequence[builtins.int], weight: Tensor | None = None, bias: Tensor | None = None, eps: builtins.float = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias with mean and biased variance over the last axes of input."""
def le(input: Any, other: Any) -> Tensor:
    """input <= other."""
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input). All of one type; weight is a number or a Tensor."""
def less(input: Any, other: Any) -> Tensor:
    """input < other."""
def less_equal(input: Any, other: Any) -> Tensor:
    """input <= other."""
def linspace(start: Any, end: Any, steps: builtins.int, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """`steps` numbers, evenly from start to end, both included."""
def log(input: Tensor) -> Tensor:
    """The natural logarithm."""
def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), exact near 0."""
def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
def log_softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
    """x - log sum e^x along `dim`."""
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(e^input + e^other), without overflow."""
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), without overflow."""
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Both are not zero."""
def logical_not(input: Tensor) -> Tensor:
    """input is zero."""
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Either is not zero."""
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """One is zero and the other is not."""
def logit(input: Tensor, eps: builtins.float | None = None) -> Tensor:
    """ln(p / (1 - p)) of p = input, clamped to [eps, 1 - eps] if eps is given: the inverse of sigmoid."""
def logspace(start: Any, end: Any, steps: builtins.int, base: builtins.float = 10.0, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """base to the powers of linspace(start, end, steps)."""
@overload
def logsumexp(input: Tensor, dim: Dim, keepdim: builtins.bool = False, *, keepdims: builtins.bool = ...) -> Tensor:
    """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
@overload
def logsumexp(input: Tensor, *, axis: Dim, keepdim: builtins.bool = False, keepdims: builtins.bool = ...) -> Tensor:
    """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
def lt(input: Any, other: Any) -> Tensor:
    """input < other."""
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input, with value, converted to input's type, where the mask holds."""
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The input, with source's first elements, in order, where the mask holds."""
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a 1-D tensor."""
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product. Vectors count as a row on the left and a column on the right; leading axes broadcast."""
def max(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, other: Tensor | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Any:
    """max(x): the largest element. max(x, dim): (values, indices) along an axis. max(x, other): as maximum."""
def max_pool1d(input: Tensor, kernel_size: builtins.int | Sequence[builtins.int], stride: builtins.int | Sequence[builtins.int] | None = None, padding: builtins.int | Sequence[builtins.int] = 0, dilation: builtins.int | Sequence[builtins.int] = 1, ceil_mode: builtins.bool = False, return_indices: builtins.bool = False) -> Any:
    """The largest of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given."""
def max_pool2d(input: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0, dilation: IntOrPair = 1, ceil_mode: builtins.bool = False, return_indices: builtins.bool = False) -> Any:
    """The largest of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given."""
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, element by element; NaN if either is."""
def mean(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The mean over `dim`: sum / count. Integers need a floating-point `dtype`."""
def median(input: Tensor, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Any:
    """median(x): the lower of the two middle values of all. median(x, dim): (values, indices) along an axis."""
def meshgrid(*tensors: Any, indexing: builtins.str | None = None) -> builtins.tuple[Tensor, ...]:
    """Vectors x, y, ... as coordinates of a grid: X[i, j, ...] = x[i], Y[i, j, ...] = y[j], ..."""
def min(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, other: Tensor | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Any:
    """min(x): the smallest element. min(x, dim): (values, indices) along an axis. min(x, other): as minimum."""
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, element by element; NaN if either is."""
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
def msort(input: Tensor) -> Tensor:
    """The values sorted along the first axis."""
def mul(input: Any, other: Any) -> Tensor:
    """input other."""
def multinomial(input: Tensor, num_samples: builtins.int, replacement: builtins.bool = False, *, generator: Generator | None = None) -> Tensor:
    """num_samples indices (int64) a row, drawn with probabilities proportional to the row's weights."""
def multiply(input: Any, other: Any) -> Tensor:
    """input other."""
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
def nan_to_num(input: Tensor, nan: builtins.float | None = None, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
    """input with nan (0) for NaN, posinf for inf and neginf for -inf (by default the type's largest and smallest)."""
def nanmean(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The mean over `dim` of what is not NaN; NaN where all are."""
def nansum(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """As sum, with NaN counted as 0."""
@overload
def narrow(input: Tensor, dim: builtins.int, start: Any, length: builtins.int) -> Tensor:
    """`length` elements along an axis, from `start` on."""
@overload
def narrow(input: Tensor, *, axis: builtins.int, start: Any, length: builtins.int) -> Tensor:
    """`length` elements along an axis, from `start` on."""
def ne(input: Any, other: Any) -> Tensor:
    """input != other."""
def neg(input: Tensor) -> Tensor:
    """-input."""
def negative(input: Tensor) -> Tensor:
    """-input."""
def nonzero(input: Tensor, *, as_tuple: builtins.bool = False) -> Any:
    """The indices of the elements that are not zero: (count, ndim), or one tensor an axis."""
def norm(input: Tensor, p: Any = 'fro', dim: Dim = None, keepdim: builtins.bool = False, dtype: Any = None, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The p-norm over `dim`, as of one vector; 'fro' and None are p = 2; 'nuc': the sum of a matrix's singular values."""
def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """mean + std times numbers from the standard normal distribution. mean and std: Tensors that broadcast, or numbers with a size. No gradient goes to them."""
def not_equal(input: Any, other: Any) -> Tensor:
    """input != other."""
def ones(*given: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """A tensor of this size, filled with ones."""
def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As ones, with x's shape and, unless given, its dtype, device and layout."""
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Z[i, j] = x[i] y[j] of two vectors."""
def pairwise_distance(x1: Tensor, x2: Tensor, p: builtins.float = 2.0, eps: builtins.float = 1e-06, keepdim: builtins.bool = False, *, keepdims: builtins.bool = ...) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis; x1 (N, D) or (D), x2 of a shape that broadcasts with it."""
def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """Axis i of the result is axis dims[i] of x."""
def pixel_shuffle(input: Tensor, upscale_factor: builtins.int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]."""
def pixel_unshuffle(input: Tensor, downscale_factor: builtins.int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): what pixel_shuffle takes apart, put back."""
def positive(input: Tensor) -> Tensor:
    """input itself."""
def pow(input: Any, exponent: Any) -> Tensor:
    """input to the power of exponent."""
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight input. weight: one number, or one for each channel (axis 1)."""
def prod(input: Tensor, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The product along an axis, or of all elements. Integers and bools are multiplied as int64."""
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
    """The input, with source's elements at these indices of the flattened tensor, or added there."""
def rad2deg(input: Tensor) -> Tensor:
    """x 180 / pi."""
def rand(*given: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """Numbers from [0, 1)."""
def rand_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As rand, with the input's shape and, unless given, its dtype and device."""
def randint(low: Any = None, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """Integers from low to high - 1; randint(high, size) starts at 0."""
def randint_like(input: Tensor, low: Any = None, high: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As randint, with the input's shape and, unless given, its dtype and device."""
def randn(*given: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """Numbers from the standard normal distribution."""
def randn_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As randn, with the input's shape and, unless given, its dtype and device."""
def randperm(n: builtins.int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """0 to n - 1 in random order."""
def ravel(input: Tensor) -> Tensor:
    """The elements, in order, as a vector."""
def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
def relu(input: Tensor) -> Tensor:
    """max(input, 0)."""
def remainder(input: Any, other: Any) -> Tensor:
    """input - other floor(input / other): the sign is other's."""
@overload
def renorm(input: Tensor, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
    """The input with each slice along an axis whose p-norm is above maxnorm scaled down to maxnorm."""
@overload
def renorm(input: Tensor, p: builtins.float, *, axis: builtins.int, maxnorm: builtins.float) -> Tensor:
    """The input with each slice along an axis whose p-norm is above maxnorm scaled down to maxnorm."""
def repeat_interleave(input: Any = None, repeats: builtins.int | Tensor | None = None, dim: builtins.int | None = None, *, output_size: builtins.int | None = None, axis: builtins.int | None = ...) -> Tensor:
    """Each element (or slice along `dim`) several times in a row. repeats: one number, or one for each slice."""
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The elements, in order, in another shape; -1 stands for what is left. Shares memory where it can."""
def rms_norm(input: Tensor, normalized_shape: Sequence[builtins.int], weight: Tensor | None = None, eps: builtins.float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight with the mean over the last axes of input (..., *normalized_shape)."""
def roll(input: Tensor, shifts: builtins.int | Sequence[builtins.int], dims: builtins.int | Sequence[builtins.int] = ...) -> Tensor:
    """Element i moves to i + shift along each axis, round the end; without dims, along the flattened tensor."""
def rot90(input: Tensor, k: builtins.int = 1, dims: Sequence[builtins.int] = ...) -> Tensor:
    """Turned by k quarter turns in the plane of two axes, from the first towards the second."""
def round(input: Tensor, *, decimals: builtins.int = 0) -> Tensor:
    """input to that many decimals (negative: to tens, hundreds ...), halves to even. Integers only with decimals = 0."""
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input)."""
def rsub(input: Any, other: Any, alpha: builtins.float = 1) -> Tensor:
    """other - alpha input."""
@overload
def scatter(input: Tensor, dim: builtins.int, index: Tensor, src: Any = None, value: Any = None, *, reduce: builtins.str | None = None) -> Tensor:
    """The input, with src[i, j, ...] (or one value) put at [index[i, j, ...], j, ...] for dim = 0, and so on."""
@overload
def scatter(input: Tensor, *, axis: builtins.int, index: Tensor, src: Any = None, value: Any = None, reduce: builtins.str | None = None) -> Tensor:
    """The input, with src[i, j, ...] (or one value) put at [index[i, j, ...], j, ...] for dim = 0, and so on."""
@overload
def scatter_add(input: Tensor, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
    """The input, with src[i, j, ...] added at [index[i, j, ...], j, ...] for dim = 0, and so on."""
@overload
def scatter_add(input: Tensor, *, axis: builtins.int, index: Tensor, src: Tensor) -> Tensor:
    """The input, with src[i, j, ...] added at [index[i, j, ...], j, ...] for dim = 0, and so on."""
@overload
def scatter_reduce(input: Tensor, dim: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, *, include_self: builtins.bool = True) -> Tensor:
    """scatter with "sum", "mean", "prod", "amax" or "amin" of what meets at a place, with what was there if include_self."""
@overload
def scatter_reduce(input: Tensor, *, axis: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, include_self: builtins.bool = True) -> Tensor:
    """scatter with "sum", "mean", "prod", "amax" or "amin" of what meets at a place, with what was there if include_self."""
def searchsorted(sorted_sequence: Tensor, input: Any, *, out_int32: builtins.bool = False, right: builtins.bool = False, side: builtins.str | None = None, sorter: Tensor | None = None) -> Tensor:
    """Where each value would be inserted to keep the (innermost) sequence in order: before its equals, or after (right)."""
@overload
def select(input: Tensor, dim: builtins.int, index: builtins.int) -> Tensor:
    """The slice at one index of an axis."""
@overload
def select(input: Tensor, *, axis: builtins.int, index: builtins.int) -> Tensor:
    """The slice at one index of an axis."""
def selu(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """1.0507... elu(input, 1.6733...): keeps mean 0 and variance 1. Source: G. Klambauer et al. (2017)."""
def sgn(input: Tensor) -> Tensor:
    """-1, 0 or 1 (NaN gives 0, as in torch)."""
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-input)."""
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 (NaN gives 0, as in torch)."""
def sin(input: Tensor) -> Tensor:
    """The sine."""
def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
def softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
    """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
def sort(input: Tensor, dim: builtins.int = -1, descending: builtins.bool = False, *, stable: builtins.bool = False, axis: builtins.int = ...) -> Any:
    """(values, indices) sorted along an axis; equal elements stay in order. NaN counts as the largest."""
def split(tensor: Tensor, split_size_or_sections: builtins.int | Sequence[builtins.int], dim: builtins.int = 0, *, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
    """Stretches of one size along an axis (the last may be shorter), or of the sizes listed."""
def sqrt(input: Tensor) -> Tensor:
    """The square root."""
def square(input: Tensor) -> Tensor:
    """input^2."""
def squeeze(input: Tensor, dim: Any = None, *, axis: Any = ...) -> Tensor:
    """Without axes of length 1: all of them, or those named."""
def stack(tensors: Sequence[Tensor], dim: builtins.int = 0, *, axis: builtins.int = ...) -> Tensor:
    """Tensors of one shape joined along a new axis."""
def std(input: Tensor, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The square root of var; its gradient is 0 where all values are equal."""
def std_mean(input: Tensor, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> builtins.tuple[Tensor, Tensor]:
    """(std, mean) over `dim`."""
def sub(input: Any, other: Any, *, alpha: builtins.float = 1) -> Tensor:
    """input - alpha other. NotImplementedError for bools."""
def subtract(input: Any, other: Any, alpha: builtins.float = 1) -> Tensor:
    """input - alpha other, as sub, with alpha third if it has no name."""
def sum(input: Tensor, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
    """The sum over `dim` (an axis, several, or None for all). Integers and bools are summed as int64."""
def swapaxes(input: Tensor, axis0: builtins.int, axis1: builtins.int) -> Tensor:
    """Two axes exchanged."""
def swapdims(input: Tensor, dim0: builtins.int, dim1: builtins.int) -> Tensor:
    """Two axes exchanged."""
def t(input: Tensor) -> Tensor:
    """A matrix transposed."""
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these indices of the flattened tensor, in the index's shape; negative ones count from the end."""
def take_along_dim(input: Tensor, indices: Tensor, dim: builtins.int | None = None, *, axis: builtins.int | None = ...) -> Tensor:
    """As gather, with both broadcast along the other axes; indices go round the end. No dim: of all elements."""
def tan(input: Tensor) -> Tensor:
    """The tangent."""
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """A new tensor from numbers, nested lists, arrays or Tensors (always a copy)."""
def tensor_split(input: Tensor, sections: Any = None, dim: builtins.int = 0, *, indices: Any = None, tensor_indices_or_sections: Any = None, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
    """Cut along an axis into so many parts (the first ones longer by one where it does not come out even), or at indices."""
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Products summed over pairs of axes: the last `dims` of a with the first of b, or dims = (axes of a, axes of b)."""
def threshold(input: Tensor, threshold: builtins.float, value: builtins.float, inplace: builtins.bool = False) -> Tensor:
    """input where it is above the threshold (or NaN), else value, in input's type."""
def tile(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """As repeat, but fewer numbers than axes leave the leading axes as they are."""
def topk(input: Tensor, k: builtins.int, dim: builtins.int = -1, largest: builtins.bool = True, sorted: builtins.bool = True, *, axis: builtins.int = ...) -> Any:
    """(values, indices) of the k largest (or smallest) elements along an axis, in order."""
def trace(input: Tensor | None = None, *, keep: builtins.int = 1073741824) -> Any:
    """Without a matrix: a context that records every op within it, forward and backward (`tracing.record.Trace`)."""
def transpose(input: Tensor, dim0: builtins.int, dim1: builtins.int) -> Tensor:
    """Two axes exchanged."""
def tril(input: Tensor, diagonal: builtins.int = 0) -> Tensor:
    """The lower triangle of the last two axes, zeros above it."""
def tril_indices(row: builtins.int, col: builtins.int, offset: builtins.int = 0, *, dtype: Any = None, device: Any = None, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """(2, count): rows and columns of the elements of a (row, col) matrix on and below a diagonal, row by row."""
def triu(input: Tensor, diagonal: builtins.int = 0) -> Tensor:
    """The upper triangle of the last two axes, zeros below it."""
def triu_indices(row: builtins.int, col: builtins.int, offset: builtins.int = 0, *, dtype: Any = None, device: Any = None, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """(2, count): rows and columns of the elements of a (row, col) matrix on and above a diagonal, row by row."""
def true_divide(input: Any, other: Any) -> Tensor:
    """input / other, as floats."""
def trunc(input: Tensor) -> Tensor:
    """input without its fraction."""
def unbind(input: Tensor, dim: builtins.int = 0, *, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
    """The slices along an axis."""
@overload
def unflatten(input: Tensor, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
    """One axis as several; -1 stands for what is left."""
@overload
def unflatten(input: Tensor, *, axis: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
    """One axis as several; -1 stands for what is left."""
def unique(input: Tensor, sorted: builtins.bool = True, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, dim: builtins.int | None = None, *, axis: builtins.int | None = ...) -> Any:
    """The distinct values in order (or the distinct slices along `dim`); each NaN is distinct from the others."""
@overload
def unsqueeze(input: Tensor, dim: builtins.int) -> Tensor:
    """With a new axis of length 1 at dim."""
@overload
def unsqueeze(input: Tensor, *, axis: builtins.int) -> Tensor:
    """With a new axis of length 1 at dim."""
def var(input: Tensor, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
    """sum (x - mean)^2 / max(0, count - correction) over `dim`; correction is 1 (unbiased) by default."""
def var_mean(input: Tensor, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> builtins.tuple[Tensor, Tensor]:
    """(var, mean) over `dim`."""
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, as dot: numbers are real."""
def vsplit(input: Tensor, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
    """Cut along the first axis."""
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first axis; vectors are rows."""
def watch(model: Any, optimizer: Any = None, *, every: builtins.int = 1, folder: builtins.str | Path | None = None, first: builtins.int = 0) -> Watch:
    """A context that notes the norms of gradients and updates and the share of dead units, over the steps of a training."""
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, other elsewhere; the condition alone: the indices where it holds, a tensor an axis."""
def xlogy(input: Any, other: Any) -> Tensor:
    """input ln(other), 0 where input is 0 (but NaN where other is)."""
def zeros(*given: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ...) -> Tensor:
    """A tensor of this size, filled with zeros."""
def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False, layout: Any = ..., pin_memory: Any = ..., memory_format: Any = ...) -> Tensor:
    """As zeros, with x's shape and, unless given, its dtype, device and layout."""
bool: np.dtype
float: np.dtype
int: np.dtype
def set_num_threads(threads: Any) -> None:
    """Let the CPU kernels share their work among so many threads. ValueError unless it is at least 1."""
def get_num_threads() -> Any:
    """The number of threads among which the CPU kernels share their work: the cores of the process unless it was set."""
def result_type(*operands: Any, **named: Any) -> Any:
    """The type of an element-wise op's result on two Tensors or numbers. By name they are torch's (tensor, other), (scalar, tensor) or (scalar1, scalar2), in whatever order."""
def memory_allocated(device: Any = None) -> Any:
    """Bytes in use: the process's resident memory for the CPU, the pool's bytes for a GPU."""
def max_memory_allocated(device: Any = None) -> Any:
    """The most bytes in use since the start, or since reset_peak_memory_stats."""
def reset_peak_memory_stats(device: Any = None) -> None:
    """Starts max_memory_allocated anew."""
def synchronize(device: Any = None) -> None:
    """Waits until the device has done what it was given."""
__version__: builtins.str
