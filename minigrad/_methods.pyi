# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

from collections.abc import Callable
from collections.abc import Sequence
from minigrad.hooks import RemovableHandle
from minigrad.memory_format import MemoryFormat
from minigrad.op import Op
from minigrad.ops.reduction import Dim
from minigrad.random import Generator
from minigrad.tensor import Tensor

class Methods:
    def __abs__(self) -> Tensor:
        """|input|."""
    def __add__(self, other: Any) -> Tensor:
        """input + alpha other."""
    def __and__(self, other: Any) -> Tensor:
        """input & other, for integers and bools."""
    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        """input == other."""
    def __floordiv__(self, other: Any) -> Tensor:
        """floor(input / other)."""
    def __ge__(self, other: Any) -> Tensor:
        """input >= other."""
    def __getitem__(self, other: Any) -> Tensor:
        """x[index]: numbers, slices, None, ..., lists, integer and bool Tensors, as torch takes them."""
    def __gt__(self, other: Any) -> Tensor:
        """input > other."""
    def __iadd__(self, other: Any) -> Tensor:
        """As add, written into this tensor's own memory; returns the tensor."""
    def __iand__(self, other: Any) -> Tensor:
        """As bitwise_and, written into this tensor's own memory; returns the tensor."""
    def __ifloordiv__(self, other: Any) -> Tensor:
        """As floor_divide, written into this tensor's own memory; returns the tensor."""
    def __imod__(self, other: Any) -> Tensor:
        """As remainder, written into this tensor's own memory; returns the tensor."""
    def __imul__(self, other: Any) -> Tensor:
        """As mul, written into this tensor's own memory; returns the tensor."""
    def __invert__(self) -> Tensor:
        """~input, for integers and bools."""
    def __ior__(self, other: Any) -> Tensor:
        """As bitwise_or, written into this tensor's own memory; returns the tensor."""
    def __ipow__(self, other: Any) -> Tensor:
        """As pow, written into this tensor's own memory; returns the tensor."""
    def __isub__(self, other: Any) -> Tensor:
        """As sub, written into this tensor's own memory; returns the tensor."""
    def __itruediv__(self, other: Any) -> Tensor:
        """As div, written into this tensor's own memory; returns the tensor."""
    def __ixor__(self, other: Any) -> Tensor:
        """As bitwise_xor, written into this tensor's own memory; returns the tensor."""
    def __le__(self, other: Any) -> Tensor:
        """input <= other."""
    def __lt__(self, other: Any) -> Tensor:
        """input < other."""
    def __matmul__(self, other: Any) -> Tensor:
        """self @ other. NotImplemented for what is no Tensor or array."""
    def __mod__(self, other: Any) -> Tensor:
        """input - other floor(input / other): the sign is other's."""
    def __mul__(self, other: Any) -> Tensor:
        """input other."""
    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        """input != other."""
    def __neg__(self) -> Tensor:
        """-input."""
    def __or__(self, other: Any) -> Tensor:
        """input | other, for integers and bools."""
    def __pos__(self) -> Tensor:
        ...
    def __pow__(self, other: Any) -> Tensor:
        """input to the power of exponent."""
    def __radd__(self, other: Any) -> Tensor:
        """input + alpha other."""
    def __rand__(self, other: Any) -> Tensor:
        """input & other, for integers and bools."""
    def __repr__(self) -> builtins.str:
        """A tensor's repr: its numbers, and whatever of size, type, device and graph goes without saying no longer."""
    def __rfloordiv__(self, other: Any) -> Tensor:
        """floor(input / other)."""
    def __rmatmul__(self, other: Any) -> Tensor:
        """other @ self. NotImplemented for what is no array."""
    def __rmod__(self, other: Any) -> Tensor:
        """input - other floor(input / other): the sign is other's."""
    def __rmul__(self, other: Any) -> Tensor:
        """input other."""
    def __ror__(self, other: Any) -> Tensor:
        """input | other, for integers and bools."""
    def __rpow__(self, other: Any) -> Tensor:
        """input to the power of exponent."""
    def __rsub__(self, other: Any) -> Tensor:
        """input - alpha other. NotImplementedError for bools."""
    def __rtruediv__(self, other: Any) -> Tensor:
        """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    def __rxor__(self, other: Any) -> Tensor:
        """input ^ other, for integers and bools."""
    def __setitem__(self, index: Any, value: Any) -> None:
        """x[index] = value, in place; gradients reach both x's other elements and value."""
    def __sub__(self, other: Any) -> Tensor:
        """input - alpha other. NotImplementedError for bools."""
    def __truediv__(self, other: Any) -> Tensor:
        """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    def __xor__(self, other: Any) -> Tensor:
        """input ^ other, for integers and bools."""
    def _alias(self) -> Tensor:
        """This tensor as it is now: what is done in place to self afterwards leaves the alias's place in the graph."""
    def _check_in_place(self) -> None:
        """Raises where an in-place change would go to several elements at once, or could not be differentiated."""
    def _in_place(self, op: Callable[..., Tensor], *others: Any) -> Tensor:
        """self = op(self, *others), written into self's own memory; recorded as any op is."""
    def _is_view(self) -> builtins.bool:
        """Whether it shares the memory of a tensor that it was made of."""
    def _refresh(self) -> None:
        """Takes a view again, if what it shares memory with was changed in place since: its gradient goes through that."""
    def _root(self) -> Tensor:
        """The base of a view, which moves up where it is turned in place; of a tensor that is no view itself."""
    def _share(self, base: Tensor, op: Op | None = None) -> None:
        """Notes that this tensor is a view of `base`, made by `op`."""
    def _turn(self, op: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """self = op(self), which is a view of it: the elements stay where they are, under other axes."""
    def abs(self) -> Tensor:
        """|input|."""
    def abs_(self) -> Tensor:
        """As abs, written into this tensor's own memory; returns the tensor."""
    def absolute(self) -> Tensor:
        """|input|."""
    def absolute_(self) -> Tensor:
        """As abs, written into this tensor's own memory; returns the tensor."""
    def acos(self) -> Tensor:
        """The angle in [0, pi] of that cosine."""
    def acos_(self) -> Tensor:
        """As acos, written into this tensor's own memory; returns the tensor."""
    def acosh(self) -> Tensor:
        """The number >= 0 of that hyperbolic cosine."""
    def acosh_(self) -> Tensor:
        """As acosh, written into this tensor's own memory; returns the tensor."""
    def add(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """input + alpha other."""
    def add_(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """As add, written into this tensor's own memory; returns the tensor."""
    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """beta input + alpha (the sum over the batch of batch1 @ batch2): one product of (n, b m) and (b m, p)."""
    def addbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """As addbmm, written into this tensor's own memory; returns the tensor."""
    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """input + value tensor1 / tensor2. RuntimeError where both are integers."""
    def addcdiv_(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """As addcdiv, written into this tensor's own memory; returns the tensor."""
    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """input + value tensor1 tensor2."""
    def addcmul_(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """As addcmul, written into this tensor's own memory; returns the tensor."""
    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """beta input + alpha (mat1 @ mat2). With beta = 0 the input counts for nothing, even where it is NaN."""
    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """As addmm, written into this tensor's own memory; returns the tensor."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """beta input + alpha (mat @ vec)."""
    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """As addmv, written into this tensor's own memory; returns the tensor."""
    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """beta input + alpha (the outer product of vec1 and vec2)."""
    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """As addr, written into this tensor's own memory; returns the tensor."""
    def all(self, dim: Dim = None, keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """Whether every element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
    def allclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> builtins.bool:
        """Whether |input - other| <= atol + rtol |other| everywhere."""
    def amax(self, dim: Dim = ..., keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The largest over `dim`; the gradient is shared evenly among equals."""
    def amin(self, dim: Dim = ..., keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The smallest over `dim`; the gradient is shared evenly among equals."""
    def aminmax(self, *, dim: builtins.int | None = None, keepdim: builtins.bool = False, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Any:
        """(min, max) over an axis or over all; gradients are shared evenly among equals."""
    def any(self, dim: Dim = None, keepdim: builtins.bool = False, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """Whether any element (along `dim`) is not zero. uint8 gives uint8, all else bool."""
    def arccos(self) -> Tensor:
        """The angle in [0, pi] of that cosine."""
    def arccos_(self) -> Tensor:
        """As acos, written into this tensor's own memory; returns the tensor."""
    def arccosh(self) -> Tensor:
        """The number >= 0 of that hyperbolic cosine."""
    def arccosh_(self) -> Tensor:
        """As acosh, written into this tensor's own memory; returns the tensor."""
    def arcsin(self) -> Tensor:
        """The angle in [-pi/2, pi/2] of that sine."""
    def arcsin_(self) -> Tensor:
        """As asin, written into this tensor's own memory; returns the tensor."""
    def arcsinh(self) -> Tensor:
        """The number of that hyperbolic sine."""
    def arcsinh_(self) -> Tensor:
        """As asinh, written into this tensor's own memory; returns the tensor."""
    def arctan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of that tangent."""
    def arctan2(self, other: Tensor) -> Tensor:
        """The angle in [-pi, pi] between the first axis and the point (other, input)."""
    def arctan2_(self, other: Tensor) -> Tensor:
        """As atan2, written into this tensor's own memory; returns the tensor."""
    def arctan_(self) -> Tensor:
        """As atan, written into this tensor's own memory; returns the tensor."""
    def arctanh(self) -> Tensor:
        """The number of that hyperbolic tangent."""
    def arctanh_(self) -> Tensor:
        """As atanh, written into this tensor's own memory; returns the tensor."""
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The index (int64) of the largest element, the first among equals; over the flattened tensor if dim is None."""
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The index (int64) of the smallest element, the first among equals; over the flattened tensor if dim is None."""
    def argsort(self, dim: builtins.int = -1, descending: builtins.bool = False, *, stable: builtins.bool = False, axis: builtins.int = ...) -> Tensor:
        """The indices (int64) that sort along an axis; equal elements stay in order. NaN counts as the largest."""
    def argwhere(self) -> Tensor:
        """As nonzero: (count, ndim)."""
    def asin(self) -> Tensor:
        """The angle in [-pi/2, pi/2] of that sine."""
    def asin_(self) -> Tensor:
        """As asin, written into this tensor's own memory; returns the tensor."""
    def asinh(self) -> Tensor:
        """The number of that hyperbolic sine."""
    def asinh_(self) -> Tensor:
        """As asinh, written into this tensor's own memory; returns the tensor."""
    def atan(self) -> Tensor:
        """The angle in (-pi/2, pi/2) of that tangent."""
    def atan2(self, other: Tensor) -> Tensor:
        """The angle in [-pi, pi] between the first axis and the point (other, input)."""
    def atan2_(self, other: Tensor) -> Tensor:
        """As atan2, written into this tensor's own memory; returns the tensor."""
    def atan_(self) -> Tensor:
        """As atan, written into this tensor's own memory; returns the tensor."""
    def atanh(self) -> Tensor:
        """The number of that hyperbolic tangent."""
    def atanh_(self) -> Tensor:
        """As atanh, written into this tensor's own memory; returns the tensor."""
    def backward(self, gradient: Tensor | None = None, retain_graph: builtins.bool | None = None, create_graph: builtins.bool = False, inputs: Any = None) -> None:
        """Adds d(self . gradient)/d(leaf) to the .grad of every leaf that self was computed from."""
    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """beta input + alpha (batch1 @ batch2), for batches of matrices."""
    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """As baddbmm, written into this tensor's own memory; returns the tensor."""
    def bernoulli(self, p: builtins.float | None = None, *, generator: Generator | None = None) -> Tensor:
        """1 with the probability that each element names (or p), else 0. Its gradient is 0."""
    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
        """Fills x with 1 with probability p, else 0. p: a number, or a Tensor of one a place that broadcasts to x."""
    def bfloat16(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """Not built: NotImplementedError."""
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """How often each of 0, 1, 2, ... occurs in a vector of integers, or the sum of its weights. No gradient."""
    def bitwise_and(self, other: Any) -> Tensor:
        """input & other, for integers and bools."""
    def bitwise_and_(self, other: Any) -> Tensor:
        """As bitwise_and, written into this tensor's own memory; returns the tensor."""
    def bitwise_not(self) -> Tensor:
        """~input, for integers and bools."""
    def bitwise_not_(self) -> Tensor:
        """As bitwise_not, written into this tensor's own memory; returns the tensor."""
    def bitwise_or(self, other: Any) -> Tensor:
        """input | other, for integers and bools."""
    def bitwise_or_(self, other: Any) -> Tensor:
        """As bitwise_or, written into this tensor's own memory; returns the tensor."""
    def bitwise_xor(self, other: Any) -> Tensor:
        """input ^ other, for integers and bools."""
    def bitwise_xor_(self, other: Any) -> Tensor:
        """As bitwise_xor, written into this tensor's own memory; returns the tensor."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """The products of two batches of matrices."""
    def bool(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as bool."""
    def broadcast_to(self, size: Sequence[builtins.int]) -> Tensor:
        """Expanded to that shape."""
    def byte(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as uint8."""
    def cauchy_(self, median: builtins.float = 0.0, sigma: builtins.float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills x with median + sigma tan(pi (u - 1/2)), u uniform: the Cauchy distribution."""
    def cdouble(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """Not built: NotImplementedError."""
    def ceil(self) -> Tensor:
        """The smallest integer that is not below input."""
    def ceil_(self) -> Tensor:
        """As ceil, written into this tensor's own memory; returns the tensor."""
    def cfloat(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """Not built: NotImplementedError."""
    def chalf(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """Not built: NotImplementedError."""
    def char(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as int8."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0, *, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
        """At most `chunks` stretches of equal length along an axis (the last may be shorter)."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """input, but at least min and at most max (max wins if they cross). Both bounds are numbers, or both Tensors."""
    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """As clamp, written into this tensor's own memory; returns the tensor."""
    def clamp_max(self, max: Any) -> Tensor:
        """input, but at most max."""
    def clamp_max_(self, max: Any) -> Tensor:
        """As clamp_max, written into this tensor's own memory; returns the tensor."""
    def clamp_min(self, min: Any) -> Tensor:
        """input, but at least min."""
    def clamp_min_(self, min: Any) -> Tensor:
        """As clamp_min, written into this tensor's own memory; returns the tensor."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """input, but at least min and at most max (max wins if they cross). Both bounds are numbers, or both Tensors."""
    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """As clamp, written into this tensor's own memory; returns the tensor."""
    def clone(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """A copy that is part of the graph, its elements in memory in the input's order unless memory_format is given."""
    def conj(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def conj_physical(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def contiguous(self, *, memory_format: MemoryFormat = ...) -> Tensor:
        """x, copied if its elements do not lie in memory in the order of their indices (or the other one asked for)."""
    def copy_(self, other: Tensor, non_blocking: builtins.bool = False) -> Tensor:
        """Copies other, broadcast and converted, into this tensor's memory."""
    def copysign(self, other: Any) -> Tensor:
        """|x| with the sign of other."""
    def cos(self) -> Tensor:
        """The cosine."""
    def cos_(self) -> Tensor:
        """As cos, written into this tensor's own memory; returns the tensor."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self) -> Tensor:
        """As cosh, written into this tensor's own memory; returns the tensor."""
    def count_nonzero(self, dim: Dim = None, *, axis: Dim = ...) -> Tensor:
        """How many elements (along `dim`) are not zero."""
    def cpu(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor on the CPU."""
    def cuda(self, device: Any = None, non_blocking: builtins.bool = False, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor on a GPU: the first, or that of a number, a name or a Device."""
    @overload
    def cumprod(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """The running product along an axis. Integers and bools are multiplied as int64."""
    @overload
    def cumprod(self, *, axis: builtins.int, dtype: Any = None) -> Tensor:
        """The running product along an axis. Integers and bools are multiplied as int64."""
    @overload
    def cumprod_(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """As cumprod, written into this tensor's own memory; returns the tensor."""
    @overload
    def cumprod_(self, *, axis: builtins.int, dtype: Any = None) -> Tensor:
        """As cumprod, written into this tensor's own memory; returns the tensor."""
    @overload
    def cumsum(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """The running sum along an axis. Integers and bools are summed as int64."""
    @overload
    def cumsum(self, *, axis: builtins.int, dtype: Any = None) -> Tensor:
        """The running sum along an axis. Integers and bools are summed as int64."""
    @overload
    def cumsum_(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """As cumsum, written into this tensor's own memory; returns the tensor."""
    @overload
    def cumsum_(self, *, axis: builtins.int, dtype: Any = None) -> Tensor:
        """As cumsum, written into this tensor's own memory; returns the tensor."""
    def deg2rad(self) -> Tensor:
        """x pi / 180."""
    def deg2rad_(self) -> Tensor:
        """As deg2rad, written into this tensor's own memory; returns the tensor."""
    def diag(self, diagonal: builtins.int = 0) -> Tensor:
        """A vector as a matrix with that diagonal; a matrix's diagonal as a vector."""
    def diag_embed(self, offset: builtins.int = 0, dim1: builtins.int = -2, dim2: builtins.int = -1) -> Tensor:
        """Matrices, in the axes dim1 and dim2, with the last axis on a diagonal and zeros elsewhere."""
    def diagonal(self, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
        """The elements at (i, i + offset) of two axes, as the last axis. Shares memory."""
    def diff(self, n: builtins.int = 1, dim: builtins.int = -1, prepend: Tensor | None = None, append: Tensor | None = None, *, axis: builtins.int = ...) -> Tensor:
        """x[i + 1] - x[i] along an axis, n times over; prepend and append are joined to the input first."""
    def dist(self, other: Tensor, p: builtins.float = 2.0) -> Tensor:
        """The p-norm of the difference."""
    def div(self, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
        """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    def div_(self, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
        """As div, written into this tensor's own memory; returns the tensor."""
    def divide(self, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
        """input / other, as floats; rounding_mode "floor" or "trunc" rounds the quotient, in the operands' own type."""
    def divide_(self, other: Any, *, rounding_mode: builtins.str | None = None) -> Tensor:
        """As div, written into this tensor's own memory; returns the tensor."""
    def dot(self, tensor: Tensor) -> Tensor:
        """The inner product of two vectors."""
    def double(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as float64."""
    def dsplit(self, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
        """Cut along the third axis."""
    def eq(self, other: Any) -> Tensor:
        """input == other."""
    def eq_(self, other: Any) -> Tensor:
        """As eq, written into this tensor's own memory; returns the tensor."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether both have the same shape and elements."""
    def erf(self) -> Tensor:
        """The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to input."""
    def erf_(self) -> Tensor:
        """As erf, written into this tensor's own memory; returns the tensor."""
    def erfc(self) -> Tensor:
        """1 - erf(input), exact where erf(input) is nearly 1."""
    def erfc_(self) -> Tensor:
        """As erfc, written into this tensor's own memory; returns the tensor."""
    def erfinv(self) -> Tensor:
        """The inverse of erf: y with erf(y) = x, for -1 <= x <= 1; inf at the ends, NaN outside."""
    def erfinv_(self) -> Tensor:
        """As erfinv, written into this tensor's own memory; returns the tensor."""
    def exp(self) -> Tensor:
        """e^input."""
    def exp2(self) -> Tensor:
        """2^input."""
    def exp2_(self) -> Tensor:
        """As exp2, written into this tensor's own memory; returns the tensor."""
    def exp_(self) -> Tensor:
        """As exp, written into this tensor's own memory; returns the tensor."""
    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """x repeated along axes of length 1 (and new leading axes) to the given sizes, without copying; -1 keeps a length."""
    def expand_as(self, other: Tensor) -> Tensor:
        """Expanded to other's shape."""
    def expm1(self) -> Tensor:
        """e^input - 1, exact near 0."""
    def expm1_(self) -> Tensor:
        """As expm1, written into this tensor's own memory; returns the tensor."""
    def exponential_(self, lambd: builtins.float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills x with -log(1 - u) / lambd, u uniform: the exponential distribution."""
    def fill_(self, value: Any) -> Tensor:
        """Sets every element to value, in place; the gradient of what was there before is zero."""
    def fix(self) -> Tensor:
        """input without its fraction."""
    def fix_(self) -> Tensor:
        """As trunc, written into this tensor's own memory; returns the tensor."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """The axes from start_dim to end_dim as one."""
    def flip(self, *along: Any, dims: Any = None) -> Tensor:
        """The elements in reverse along the given axes."""
    def fliplr(self) -> Tensor:
        """The second axis in reverse."""
    def flipud(self) -> Tensor:
        """The first axis in reverse."""
    def float(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as float32."""
    def float_power(self, exponent: Any) -> Tensor:
        """input to the power of exponent, in float64."""
    def float_power_(self, exponent: Any) -> Tensor:
        """As float_power, written into this tensor's own memory; returns the tensor."""
    def floor(self) -> Tensor:
        """The largest integer that is not above input."""
    def floor_(self) -> Tensor:
        """As floor, written into this tensor's own memory; returns the tensor."""
    def floor_divide(self, other: Any) -> Tensor:
        """floor(input / other)."""
    def floor_divide_(self, other: Any) -> Tensor:
        """As floor_divide, written into this tensor's own memory; returns the tensor."""
    def fmax(self, other: Tensor) -> Tensor:
        """The larger of the two; of NaN and a number the number."""
    def fmin(self, other: Tensor) -> Tensor:
        """The smaller of the two; of NaN and a number the number."""
    def fmod(self, other: Any) -> Tensor:
        """input - other trunc(input / other): the sign is input's."""
    def fmod_(self, other: Any) -> Tensor:
        """As fmod, written into this tensor's own memory; returns the tensor."""
    def frac(self) -> Tensor:
        """What trunc cuts off, with input's sign."""
    def frac_(self) -> Tensor:
        """As frac, written into this tensor's own memory; returns the tensor."""
    @overload
    def gather(self, dim: builtins.int, index: Tensor, *, sparse_grad: builtins.bool = False) -> Tensor:
        """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and so on. index: integers, of x's number of axes."""
    @overload
    def gather(self, *, axis: builtins.int, index: Tensor, sparse_grad: builtins.bool = False) -> Tensor:
        """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and so on. index: integers, of x's number of axes."""
    def ge(self, other: Any) -> Tensor:
        """input >= other."""
    def ge_(self, other: Any) -> Tensor:
        """As ge, written into this tensor's own memory; returns the tensor."""
    def geometric_(self, p: builtins.float, *, generator: Generator | None = None) -> Tensor:
        """Fills x with the number of trials up to the first success: k = 1, 2, ... with probability (1 - p)^(k - 1) p."""
    def gpu(self, device: Any = None, non_blocking: builtins.bool = False, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor on a GPU: the first, or that of a number, a name or a Device."""
    def greater(self, other: Any) -> Tensor:
        """input > other."""
    def greater_(self, other: Any) -> Tensor:
        """As gt, written into this tensor's own memory; returns the tensor."""
    def greater_equal(self, other: Any) -> Tensor:
        """input >= other."""
    def greater_equal_(self, other: Any) -> Tensor:
        """As ge, written into this tensor's own memory; returns the tensor."""
    def gt(self, other: Any) -> Tensor:
        """input > other."""
    def gt_(self, other: Any) -> Tensor:
        """As gt, written into this tensor's own memory; returns the tensor."""
    def half(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as float16."""
    def hardshrink(self, lambd: builtins.float = 0.5) -> Tensor:
        """input, but 0 where -lambd <= input <= lambd."""
    def heaviside(self, values: Tensor) -> Tensor:
        """0 where input < 0 (or NaN), values where it is 0, 1 where it is > 0. Has no gradient, as in torch."""
    def heaviside_(self, values: Tensor) -> Tensor:
        """As heaviside, written into this tensor's own memory; returns the tensor."""
    def hsplit(self, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
        """Cut along the second axis (a vector along its only one)."""
    def hypot(self, other: Tensor) -> Tensor:
        """sqrt(input^2 + other^2), the length of a right triangle's longest side."""
    def hypot_(self, other: Tensor) -> Tensor:
        """As hypot, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_add(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """The input, with alpha times slice i of source added to slice index[i]."""
    @overload
    def index_add(self, *, axis: builtins.int, index: Tensor, source: Tensor, alpha: builtins.float = 1) -> Tensor:
        """The input, with alpha times slice i of source added to slice index[i]."""
    @overload
    def index_add_(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """As index_add, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_add_(self, *, axis: builtins.int, index: Tensor, source: Tensor, alpha: builtins.float = 1) -> Tensor:
        """As index_add, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_copy(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """The input, with slice i of source in place of slice index[i]."""
    @overload
    def index_copy(self, *, axis: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """The input, with slice i of source in place of slice index[i]."""
    @overload
    def index_copy_(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """As index_copy, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_copy_(self, *, axis: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """As index_copy, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """The input, with one value all over the slices that the index names; negative indices count from the end."""
    @overload
    def index_fill(self, *, axis: builtins.int, index: Tensor, value: Any) -> Tensor:
        """The input, with one value all over the slices that the index names; negative indices count from the end."""
    @overload
    def index_fill_(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """As index_fill, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_fill_(self, *, axis: builtins.int, index: Tensor, value: Any) -> Tensor:
        """As index_fill, written into this tensor's own memory; returns the tensor."""
    def index_put(self, indices: Sequence[Tensor], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """The input, with values in place of x[indices], or added there (accumulate=True: repeated places add up)."""
    def index_put_(self, indices: Sequence[Tensor], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """As index_put, written into this tensor's own memory; returns the tensor."""
    @overload
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices of x along an axis that a 1-D index names."""
    @overload
    def index_select(self, *, axis: builtins.int, index: Tensor) -> Tensor:
        """The slices of x along an axis that a 1-D index names."""
    def inner(self, other: Tensor) -> Tensor:
        """Products summed over the last axis of both; with a 0-d tensor, the plain product."""
    def int(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as int32."""
    def is_complex(self) -> builtins.bool:
        """False: complex numbers are not built."""
    def is_conj(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_distributed(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_inference(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_neg(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_nonzero(self) -> builtins.bool:
        """Whether its one element is not 0. RuntimeError for more or fewer elements."""
    def is_pinned(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_same_size(self, other: Tensor) -> builtins.bool:
        """Whether both have the same shape."""
    def is_shared(self, device: Any = None) -> builtins.bool:
        """False."""
    def is_signed(self) -> builtins.bool:
        """Whether its type has negative numbers."""
    def isclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
        """Where |input - other| <= atol + rtol |other|; infinities are close to themselves, NaN to NaN if equal_nan."""
    def isfinite(self) -> Tensor:
        """Which elements are neither NaN nor infinite."""
    def isinf(self) -> Tensor:
        """Which elements are infinite."""
    def isnan(self) -> Tensor:
        """Which elements are NaN."""
    def isneginf(self) -> Tensor:
        """Which elements are -inf."""
    def isposinf(self) -> Tensor:
        """Which elements are inf."""
    def isreal(self) -> Tensor:
        """Which elements are real numbers: all of them, here."""
    def kron(self, other: Tensor) -> Tensor:
        """Kronecker's product: every element of the input times the whole of other, side by side."""
    def kthvalue(self, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False, *, axis: builtins.int = ..., keepdims: builtins.bool = ...) -> Any:
        """(values, indices) of the k-th smallest element along an axis, k counted from 1; the first among equals."""
    def le(self, other: Any) -> Tensor:
        """input <= other."""
    def le_(self, other: Any) -> Tensor:
        """As le, written into this tensor's own memory; returns the tensor."""
    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """input + weight (end - input). All of one type; weight is a number or a Tensor."""
    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        """As lerp, written into this tensor's own memory; returns the tensor."""
    def less(self, other: Any) -> Tensor:
        """input < other."""
    def less_(self, other: Any) -> Tensor:
        """As lt, written into this tensor's own memory; returns the tensor."""
    def less_equal(self, other: Any) -> Tensor:
        """input <= other."""
    def less_equal_(self, other: Any) -> Tensor:
        """As le, written into this tensor's own memory; returns the tensor."""
    def log(self) -> Tensor:
        """The natural logarithm."""
    def log10(self) -> Tensor:
        """The logarithm to base 10."""
    def log10_(self) -> Tensor:
        """As log10, written into this tensor's own memory; returns the tensor."""
    def log1p(self) -> Tensor:
        """ln(1 + input), exact near 0."""
    def log1p_(self) -> Tensor:
        """As log1p, written into this tensor's own memory; returns the tensor."""
    def log2(self) -> Tensor:
        """The logarithm to base 2."""
    def log2_(self) -> Tensor:
        """As log2, written into this tensor's own memory; returns the tensor."""
    def log_(self) -> Tensor:
        """As log, written into this tensor's own memory; returns the tensor."""
    def log_normal_(self, mean: builtins.float = 1.0, std: builtins.float = 2.0, *, generator: Generator | None = None) -> Tensor:
        """Fills x with e to the power of numbers from the normal distribution of that mean and std."""
    def log_softmax(self, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
        """x - log sum e^x along `dim`."""
    def logaddexp(self, other: Tensor) -> Tensor:
        """ln(e^input + e^other), without overflow."""
    def logaddexp2(self, other: Tensor) -> Tensor:
        """log2(2^input + 2^other), without overflow."""
    def logical_and(self, other: Tensor) -> Tensor:
        """Both are not zero."""
    def logical_and_(self, other: Tensor) -> Tensor:
        """As logical_and, written into this tensor's own memory; returns the tensor."""
    def logical_not(self) -> Tensor:
        """input is zero."""
    def logical_not_(self) -> Tensor:
        """As logical_not, written into this tensor's own memory; returns the tensor."""
    def logical_or(self, other: Tensor) -> Tensor:
        """Either is not zero."""
    def logical_or_(self, other: Tensor) -> Tensor:
        """As logical_or, written into this tensor's own memory; returns the tensor."""
    def logical_xor(self, other: Tensor) -> Tensor:
        """One is zero and the other is not."""
    def logical_xor_(self, other: Tensor) -> Tensor:
        """As logical_xor, written into this tensor's own memory; returns the tensor."""
    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """ln(p / (1 - p)) of p = input, clamped to [eps, 1 - eps] if eps is given: the inverse of sigmoid."""
    def logit_(self, eps: builtins.float | None = None) -> Tensor:
        """As logit, written into this tensor's own memory; returns the tensor."""
    @overload
    def logsumexp(self, dim: Dim, keepdim: builtins.bool = False, *, keepdims: builtins.bool = ...) -> Tensor:
        """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
    @overload
    def logsumexp(self, *, axis: Dim, keepdim: builtins.bool = False, keepdims: builtins.bool = ...) -> Tensor:
        """log sum e^x over `dim`, without overflow. The sum of nothing is 0, its logarithm -inf."""
    def long(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as int64."""
    def lt(self, other: Any) -> Tensor:
        """input < other."""
    def lt_(self, other: Any) -> Tensor:
        """As lt, written into this tensor's own memory; returns the tensor."""
    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """input, with value, converted to input's type, where the mask holds."""
    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """As masked_fill, written into this tensor's own memory; returns the tensor."""
    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """The input, with source's first elements, in order, where the mask holds."""
    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        """As masked_scatter, written into this tensor's own memory; returns the tensor."""
    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where the mask holds, as a 1-D tensor."""
    def matmul(self, other: Tensor) -> Tensor:
        """The matrix product. Vectors count as a row on the left and a column on the right; leading axes broadcast."""
    def max(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Tensor | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Any:
        """max(x): the largest element. max(x, dim): (values, indices) along an axis. max(x, other): as maximum."""
    def maximum(self, other: Tensor) -> Tensor:
        """The larger of the two, element by element; NaN if either is."""
    def mean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The mean over `dim`: sum / count. Integers need a floating-point `dtype`."""
    def median(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Any:
        """median(x): the lower of the two middle values of all. median(x, dim): (values, indices) along an axis."""
    def min(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Tensor | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Any:
        """min(x): the smallest element. min(x, dim): (values, indices) along an axis. min(x, other): as minimum."""
    def minimum(self, other: Tensor) -> Tensor:
        """The smaller of the two, element by element; NaN if either is."""
    def mm(self, mat2: Tensor) -> Tensor:
        """The product of two matrices."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Axes moved to other places, the rest kept in order."""
    def movedim(self, source: Any, destination: Any) -> Tensor:
        """Axes moved to other places, the rest kept in order."""
    def msort(self) -> Tensor:
        """The values sorted along the first axis."""
    def mul(self, other: Any) -> Tensor:
        """input other."""
    def mul_(self, other: Any) -> Tensor:
        """As mul, written into this tensor's own memory; returns the tensor."""
    def multinomial(self, num_samples: builtins.int, replacement: builtins.bool = False, *, generator: Generator | None = None) -> Tensor:
        """num_samples indices (int64) a row, drawn with probabilities proportional to the row's weights."""
    def multiply(self, other: Any) -> Tensor:
        """input other."""
    def multiply_(self, other: Any) -> Tensor:
        """As mul, written into this tensor's own memory; returns the tensor."""
    def mv(self, vec: Tensor) -> Tensor:
        """A matrix times a vector."""
    def nan_to_num(self, nan: builtins.float | None = None, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """input with nan (0) for NaN, posinf for inf and neginf for -inf (by default the type's largest and smallest)."""
    def nan_to_num_(self, nan: builtins.float | None = None, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """As nan_to_num, written into this tensor's own memory; returns the tensor."""
    def nanmean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The mean over `dim` of what is not NaN; NaN where all are."""
    def nansum(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """As sum, with NaN counted as 0."""
    @overload
    def narrow(self, dim: builtins.int, start: Any, length: builtins.int) -> Tensor:
        """`length` elements along an axis, from `start` on."""
    @overload
    def narrow(self, *, axis: builtins.int, start: Any, length: builtins.int) -> Tensor:
        """`length` elements along an axis, from `start` on."""
    def ndimension(self) -> builtins.int:
        """The number of axes."""
    def ne(self, other: Any) -> Tensor:
        """input != other."""
    def ne_(self, other: Any) -> Tensor:
        """As ne, written into this tensor's own memory; returns the tensor."""
    def neg(self) -> Tensor:
        """-input."""
    def neg_(self) -> Tensor:
        """As neg, written into this tensor's own memory; returns the tensor."""
    def negative(self) -> Tensor:
        """-input."""
    def negative_(self) -> Tensor:
        """As neg, written into this tensor's own memory; returns the tensor."""
    def new(self, *args: Any, device: Any = None) -> Tensor:
        """A tensor of this type: of the given sizes with unset elements, or of the given data."""
    def new_empty(self, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        """As minigrad.empty, with this tensor's dtype and device."""
    def new_full(self, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        """As minigrad.full, with this tensor's dtype and device."""
    def new_ones(self, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        """As minigrad.ones, with this tensor's dtype and device."""
    def new_tensor(self, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        """As minigrad.tensor, with this tensor's dtype and device."""
    def new_zeros(self, *args: Any, dtype: Any = None, device: Any = None, **named: Any) -> Tensor:
        """As minigrad.zeros, with this tensor's dtype and device."""
    def nonzero(self, *, as_tuple: builtins.bool = False) -> Any:
        """The indices of the elements that are not zero: (count, ndim), or one tensor an axis."""
    def norm(self, p: Any = 'fro', dim: Dim = None, keepdim: builtins.bool = False, dtype: Any = None, *, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The p-norm over `dim`, as of one vector; 'fro' and None are p = 2; 'nuc': the sum of a matrix's singular values."""
    def normal_(self, mean: builtins.float = 0.0, std: builtins.float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills x with numbers from the normal distribution."""
    def not_equal(self, other: Any) -> Tensor:
        """input != other."""
    def not_equal_(self, other: Any) -> Tensor:
        """As ne, written into this tensor's own memory; returns the tensor."""
    def ones_like(self) -> Tensor:
        """Ones of x's shape, type, device and layout."""
    def outer(self, vec2: Tensor) -> Tensor:
        """Z[i, j] = x[i] y[j] of two vectors."""
    def pad(self, pad: Sequence[builtins.int], mode: builtins.str = 'constant', value: builtins.float | None = None) -> Tensor:
        """A border around the last axes: pad = (left, right, top, bottom, ...), the last axis first; negative widths crop."""
    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        """Axis i of the result is axis dims[i] of x."""
    def pin_memory(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def positive(self) -> Tensor:
        """input itself."""
    def pow(self, exponent: Any) -> Tensor:
        """input to the power of exponent."""
    def pow_(self, exponent: Any) -> Tensor:
        """As pow, written into this tensor's own memory; returns the tensor."""
    def prelu(self, weight: Tensor) -> Tensor:
        """input where it is positive, else weight input. weight: one number, or one for each channel (axis 1)."""
    def prod(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: builtins.int | None = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The product along an axis, or of all elements. Integers and bools are multiplied as int64."""
    def put(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """The input, with source's elements at these indices of the flattened tensor, or added there."""
    def put_(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """As put, written into this tensor's own memory; returns the tensor."""
    def rad2deg(self) -> Tensor:
        """x 180 / pi."""
    def rad2deg_(self) -> Tensor:
        """As rad2deg, written into this tensor's own memory; returns the tensor."""
    def random_(self, *bounds: builtins.int, generator: Generator | None = None, **named: builtins.int) -> Tensor:
        """Fills x with integers: random_(to) from [0, to), random_(from, to) from [from, to)."""
    def ravel(self) -> Tensor:
        """The elements, in order, as a vector."""
    def reciprocal(self) -> Tensor:
        """1 / input."""
    def reciprocal_(self) -> Tensor:
        """As reciprocal, written into this tensor's own memory; returns the tensor."""
    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls hook(tensor) whenever a backward pass has added to this leaf's .grad; it may use it and set it to None."""
    def relu(self) -> Tensor:
        """max(input, 0)."""
    def relu_(self) -> Tensor:
        """As relu, written into this tensor's own memory; returns the tensor."""
    def remainder(self, other: Any) -> Tensor:
        """input - other floor(input / other): the sign is other's."""
    def remainder_(self, other: Any) -> Tensor:
        """As remainder, written into this tensor's own memory; returns the tensor."""
    @overload
    def renorm(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """The input with each slice along an axis whose p-norm is above maxnorm scaled down to maxnorm."""
    @overload
    def renorm(self, p: builtins.float, *, axis: builtins.int, maxnorm: builtins.float) -> Tensor:
        """The input with each slice along an axis whose p-norm is above maxnorm scaled down to maxnorm."""
    @overload
    def renorm_(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """As renorm, written into this tensor's own memory; returns the tensor."""
    @overload
    def renorm_(self, p: builtins.float, *, axis: builtins.int, maxnorm: builtins.float) -> Tensor:
        """As renorm, written into this tensor's own memory; returns the tensor."""
    def repeat(self, *sizes: Any, repeats: Any = None) -> Tensor:
        """The whole tensor so many times along each axis; more numbers than axes make new leading axes."""
    def repeat_interleave(self, repeats: builtins.int | Tensor | None = None, dim: builtins.int | None = None, *, output_size: builtins.int | None = None, axis: builtins.int | None = ...) -> Tensor:
        """Each element (or slice along `dim`) several times in a row. repeats: one number, or one for each slice."""
    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        """The elements, in order, in another shape; -1 stands for what is left. Shares memory where it can."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """In other's shape."""
    def resize_(self, *sizes: Any, size: Any = None, memory_format: MemoryFormat | None = None) -> Tensor:
        """Gives this tensor another shape, of its first elements; of more than it has, the rest is unset."""
    def resize_as_(self, the_template: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """Gives this tensor the shape of another, as resize_ does."""
    def resolve_conj(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def resolve_neg(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def roll(self, shifts: builtins.int | Sequence[builtins.int], dims: builtins.int | Sequence[builtins.int] = ...) -> Tensor:
        """Element i moves to i + shift along each axis, round the end; without dims, along the flattened tensor."""
    def rot90(self, k: builtins.int = 1, dims: Sequence[builtins.int] = ...) -> Tensor:
        """Turned by k quarter turns in the plane of two axes, from the first towards the second."""
    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """input to that many decimals (negative: to tens, hundreds ...), halves to even. Integers only with decimals = 0."""
    def round_(self, *, decimals: builtins.int = 0) -> Tensor:
        """As round, written into this tensor's own memory; returns the tensor."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(input)."""
    def rsqrt_(self) -> Tensor:
        """As rsqrt, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter(self, dim: builtins.int, index: Tensor, src: Any = None, value: Any = None, *, reduce: builtins.str | None = None) -> Tensor:
        """The input, with src[i, j, ...] (or one value) put at [index[i, j, ...], j, ...] for dim = 0, and so on."""
    @overload
    def scatter(self, *, axis: builtins.int, index: Tensor, src: Any = None, value: Any = None, reduce: builtins.str | None = None) -> Tensor:
        """The input, with src[i, j, ...] (or one value) put at [index[i, j, ...], j, ...] for dim = 0, and so on."""
    @overload
    def scatter_(self, dim: builtins.int, index: Tensor, src: Any = None, value: Any = None, *, reduce: builtins.str | None = None) -> Tensor:
        """As scatter, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter_(self, *, axis: builtins.int, index: Tensor, src: Any = None, value: Any = None, reduce: builtins.str | None = None) -> Tensor:
        """As scatter, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """The input, with src[i, j, ...] added at [index[i, j, ...], j, ...] for dim = 0, and so on."""
    @overload
    def scatter_add(self, *, axis: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """The input, with src[i, j, ...] added at [index[i, j, ...], j, ...] for dim = 0, and so on."""
    @overload
    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """As scatter_add, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter_add_(self, *, axis: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """As scatter_add, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter_reduce(self, dim: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, *, include_self: builtins.bool = True) -> Tensor:
        """scatter with "sum", "mean", "prod", "amax" or "amin" of what meets at a place, with what was there if include_self."""
    @overload
    def scatter_reduce(self, *, axis: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, include_self: builtins.bool = True) -> Tensor:
        """scatter with "sum", "mean", "prod", "amax" or "amin" of what meets at a place, with what was there if include_self."""
    @overload
    def scatter_reduce_(self, dim: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, *, include_self: builtins.bool = True) -> Tensor:
        """As scatter_reduce, written into this tensor's own memory; returns the tensor."""
    @overload
    def scatter_reduce_(self, *, axis: builtins.int, index: Tensor, src: Tensor, reduce: builtins.str, include_self: builtins.bool = True) -> Tensor:
        """As scatter_reduce, written into this tensor's own memory; returns the tensor."""
    @overload
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at one index of an axis."""
    @overload
    def select(self, *, axis: builtins.int, index: builtins.int) -> Tensor:
        """The slice at one index of an axis."""
    def sgn(self) -> Tensor:
        """-1, 0 or 1 (NaN gives 0, as in torch)."""
    def sgn_(self) -> Tensor:
        """As sign, written into this tensor's own memory; returns the tensor."""
    def share_memory_(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself."""
    def short(self, *, memory_format: MemoryFormat | None = None) -> Tensor:
        """This tensor as int16."""
    def sigmoid(self) -> Tensor:
        """1 / (1 + e^-input)."""
    def sigmoid_(self) -> Tensor:
        """As sigmoid, written into this tensor's own memory; returns the tensor."""
    def sign(self) -> Tensor:
        """-1, 0 or 1 (NaN gives 0, as in torch)."""
    def sign_(self) -> Tensor:
        """As sign, written into this tensor's own memory; returns the tensor."""
    def sin(self) -> Tensor:
        """The sine."""
    def sin_(self) -> Tensor:
        """As sin, written into this tensor's own memory; returns the tensor."""
    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), 1 at 0."""
    def sinc_(self) -> Tensor:
        """As sinc, written into this tensor's own memory; returns the tensor."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self) -> Tensor:
        """As sinh, written into this tensor's own memory; returns the tensor."""
    def softmax(self, dim: builtins.int | None = None, dtype: Any = None, *, axis: builtins.int | None = ...) -> Tensor:
        """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
    def sort(self, dim: builtins.int = -1, descending: builtins.bool = False, *, stable: builtins.bool = False, axis: builtins.int = ...) -> Any:
        """(values, indices) sorted along an axis; equal elements stay in order. NaN counts as the largest."""
    def split(self, split_size: Any, dim: builtins.int = 0) -> builtins.tuple[Tensor, ...]:
        """Stretches of one size along an axis (the last may be shorter), or of the sizes listed."""
    def sqrt(self) -> Tensor:
        """The square root."""
    def sqrt_(self) -> Tensor:
        """As sqrt, written into this tensor's own memory; returns the tensor."""
    def square(self) -> Tensor:
        """input^2."""
    def square_(self) -> Tensor:
        """As square, written into this tensor's own memory; returns the tensor."""
    def squeeze(self, dim: Any = None, *, axis: Any = ...) -> Tensor:
        """Without axes of length 1: all of them, or those named."""
    def squeeze_(self, dim: Any = None, *, axis: Any = ...) -> Tensor:
        """As squeeze, of this tensor itself: its elements stay in place; returns the tensor."""
    def std(self, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The square root of var; its gradient is 0 where all values are equal."""
    def storage_offset(self) -> builtins.int:
        """Where its first element lies in the memory that it is a view of, counted in elements."""
    def sub(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """input - alpha other. NotImplementedError for bools."""
    def sub_(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """As sub, written into this tensor's own memory; returns the tensor."""
    def subtract(self, other: Any, alpha: builtins.float = 1) -> Tensor:
        """input - alpha other, as sub, with alpha third if it has no name."""
    def subtract_(self, other: Any, alpha: builtins.float = 1) -> Tensor:
        """As subtract, written into this tensor's own memory; returns the tensor."""
    def sum(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None, axis: Dim = ..., keepdims: builtins.bool = ...) -> Tensor:
        """The sum over `dim` (an axis, several, or None for all). Integers and bools are summed as int64."""
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two axes exchanged."""
    def swapaxes_(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """As swapaxes, of this tensor itself: its elements stay in place; returns the tensor."""
    def swapdims(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two axes exchanged."""
    def swapdims_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """As transpose, of this tensor itself: its elements stay in place; returns the tensor."""
    def t(self) -> Tensor:
        """A matrix transposed."""
    def t_(self) -> Tensor:
        """As t, of this tensor itself: its elements stay in place; returns the tensor."""
    def take(self, index: Tensor) -> Tensor:
        """The elements at these indices of the flattened tensor, in the index's shape; negative ones count from the end."""
    def take_along_dim(self, indices: Tensor, dim: builtins.int | None = None, *, axis: builtins.int | None = ...) -> Tensor:
        """As gather, with both broadcast along the other axes; indices go round the end. No dim: of all elements."""
    def tan(self) -> Tensor:
        """The tangent."""
    def tan_(self) -> Tensor:
        """As tan, written into this tensor's own memory; returns the tensor."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def tanh_(self) -> Tensor:
        """As tanh, written into this tensor's own memory; returns the tensor."""
    def tensor_split(self, sections: Any = None, dim: builtins.int = 0, *, indices: Any = None, tensor_indices_or_sections: Any = None, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
        """Cut along an axis into so many parts (the first ones longer by one where it does not come out even), or at indices."""
    def tile(self, *sizes: Any, dims: Any = None) -> Tensor:
        """As repeat, but fewer numbers than axes leave the leading axes as they are."""
    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """This tensor in another type, on another device, or as another tensor is; itself if nothing changes."""
    def topk(self, k: builtins.int, dim: builtins.int = -1, largest: builtins.bool = True, sorted: builtins.bool = True, *, axis: builtins.int = ...) -> Any:
        """(values, indices) of the k largest (or smallest) elements along an axis, in order."""
    def trace(self) -> Tensor:
        """The sum of a matrix's diagonal."""
    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two axes exchanged."""
    def transpose_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """As transpose, of this tensor itself: its elements stay in place; returns the tensor."""
    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The lower triangle of the last two axes, zeros above it."""
    def tril_(self, diagonal: builtins.int = 0) -> Tensor:
        """As tril, written into this tensor's own memory; returns the tensor."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle of the last two axes, zeros below it."""
    def triu_(self, diagonal: builtins.int = 0) -> Tensor:
        """As triu, written into this tensor's own memory; returns the tensor."""
    def true_divide(self, other: Any) -> Tensor:
        """input / other, as floats."""
    def true_divide_(self, other: Any) -> Tensor:
        """As true_divide, written into this tensor's own memory; returns the tensor."""
    def trunc(self) -> Tensor:
        """input without its fraction."""
    def trunc_(self) -> Tensor:
        """As trunc, written into this tensor's own memory; returns the tensor."""
    def type(self, dtype: Any = None, non_blocking: builtins.bool = False) -> Any:
        """This tensor in another type: a dtype, or one of torch's old names as LongTensor; without one, that name of its own."""
    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in other's type."""
    def unbind(self, dim: builtins.int = 0, *, axis: builtins.int = ...) -> builtins.tuple[Tensor, ...]:
        """The slices along an axis."""
    @overload
    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """One axis as several; -1 stands for what is left."""
    @overload
    def unflatten(self, *, axis: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """One axis as several; -1 stands for what is left."""
    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """Slices of `size` along an axis, every `step`: a new last axis holds each slice. A copy, where torch gives a view."""
    def uniform_(self, *bounds: builtins.float, generator: Generator | None = None, **named: builtins.float) -> Tensor:
        """Fills x with numbers from [from, to), by default [0, 1)."""
    def unique(self, sorted: builtins.bool = True, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, dim: builtins.int | None = None, *, axis: builtins.int | None = ...) -> Any:
        """The distinct values in order (or the distinct slices along `dim`); each NaN is distinct from the others."""
    @overload
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """With a new axis of length 1 at dim."""
    @overload
    def unsqueeze(self, *, axis: builtins.int) -> Tensor:
        """With a new axis of length 1 at dim."""
    @overload
    def unsqueeze_(self, dim: builtins.int) -> Tensor:
        """As unsqueeze, of this tensor itself: its elements stay in place; returns the tensor."""
    @overload
    def unsqueeze_(self, *, axis: builtins.int) -> Tensor:
        """As unsqueeze, of this tensor itself: its elements stay in place; returns the tensor."""
    def var(self, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = ..., keepdims: builtins.bool = ...) -> Tensor:
        """sum (x - mean)^2 / max(0, count - correction) over `dim`; correction is 1 (unbiased) by default."""
    def vdot(self, other: Tensor) -> Tensor:
        """The inner product of two vectors, as dot: numbers are real."""
    def view(self, *sizes: Any, size: Any = None, dtype: Any = None) -> Tensor:
        """As reshape, but in x's own memory; raises where torch's order of memory would not allow it. view(dtype) reinterprets the bytes."""
    def view_as(self, other: Tensor) -> Tensor:
        """A view in other's shape."""
    def vsplit(self, sections: Any = None, *, indices: Any = None) -> builtins.tuple[Tensor, ...]:
        """Cut along the first axis."""
    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor where the condition holds, other elsewhere."""
    def xlogy(self, other: Any) -> Tensor:
        """input ln(other), 0 where input is 0 (but NaN where other is)."""
    def xlogy_(self, other: Any) -> Tensor:
        """As xlogy, written into this tensor's own memory; returns the tensor."""
    def zero_(self) -> Tensor:
        """Sets every element to zero, in place."""
    def zeros_like(self) -> Tensor:
        """Zeros of x's shape, type, device and layout."""
