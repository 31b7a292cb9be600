"""Tensor: an array, its gradient, and the op that made it.

The mathematics lives in `minigrad.ops`; `minigrad.methods` hangs it onto the class under torch's method names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from minigrad.arguments import axis
from minigrad.arguments import describe as describe
from minigrad.arrays import built
from minigrad.device import Device, device_of, to_device, to_host
from minigrad.hooks import RemovableHandle
from minigrad.memory_format import MemoryFormat, channels_last, contiguous_format
from minigrad.size import Size, _size

if TYPE_CHECKING:
    from minigrad._methods import Methods  # those that minigrad.methods adds
    from minigrad.op import Op
else:
    Methods = object


FOREIGN = 1 << 30
"""So many holders has an array that came from outside: it stays where it is."""


class Memory:
    """What tensors of one memory share: all that is known of it."""

    changes: int = 0
    """How often it was changed in place."""
    holders: int = 0
    """How many hold it beside the first tensor: views, detached tensors, NumPy; FOREIGN and more where it came from outside."""
    copied: bool = False
    """Whether view() has copied it into another order, so that a change would not be seen on both sides."""


class Tensor(Methods):
    """An n-dimensional array that can be differentiated.

    Tensor(2, 3): of that size, filled with zeros. Tensor(data): from an array or a Tensor, without copying (its dtype kept);
    from a sequence of numbers, as float32 as in torch (`minigrad.tensor(data)` infers the type and always copies, and takes
    a number). TypeError for anything else, a number as data among it.

    t.array is the NumPy or CuPy array itself. Writing into it from outside goes unseen: call `t._bump_version()` then.
    """

    __slots__ = (
        "__weakref__",
        "_base",  # for a view: the tensor whose memory it shares; else None
        "_dependents",  # views taken before this tensor required a gradient
        "_grad",
        "_hooks",  # a leaf's gradient hooks
        "_index",  # which of the node's outputs this is
        "_memory",  # one for all tensors that share the memory; None as long as there is nothing to say of it
        "_name",  # what traces call it; unset unless somebody gave it a name
        "_node",  # the op that made it, or None for a leaf
        "_requires_grad",
        "_viewed_at",  # for a view: the number of changes at which its node was made
        "_views",  # for a view: the ops that lead to it from its base; None if they cannot be run anew
        "array",
    )

    __array_priority__ = 1000  # ndarray * Tensor is Tensor.__rmul__
    __array_ufunc__ = None

    array: Any
    _grad: Tensor | None
    _base: Tensor | None
    _dependents: list[ref[Tensor]] | None
    _hooks: dict[int, Callable[[Tensor], Tensor | None]] | None
    _index: int
    _memory: Memory | None
    _name: str | None
    _node: Op | None
    _requires_grad: bool
    _viewed_at: int
    _views: tuple[Op, ...] | None

    def __init__(
        self, *given: Any, data: Any = None, size: Any = None, device: Any = None, requires_grad: bool = False
    ) -> None:
        array = built(given, data, size, np.dtype(np.float32))
        self._reset(array if device is None else to_device(array, Device(device)))
        if requires_grad:
            self.requires_grad = True

    def _reset(self, array: Any) -> None:
        self.array = array
        self._grad = self._node = self._base = self._hooks = self._dependents = self._memory = None
        self._requires_grad = False
        self._index = 0
        self.memory.holders = FOREIGN

    @classmethod
    def _wrap(cls, array: Any) -> Tensor:
        """An op's result; NumPy's scalars become 0-d arrays."""
        tensor = Tensor.__new__(Tensor)
        tensor.array = array if not isinstance(array, np.generic) else np.asarray(array)
        tensor._grad = tensor._node = tensor._base = tensor._hooks = tensor._dependents = tensor._memory = None
        tensor._requires_grad = False
        tensor._index = 0
        return tensor

    # -- the graph ----------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None and not value:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. Use .detach() for a tensor without a graph."
            )
        if value and self.array.dtype.kind != "f":
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, not {describe(self)}")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets requires_grad; returns the tensor itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward passes have added up here, of this tensor's shape, type and device; or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is None:
            self._grad = None
            return
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        for what, given, own in (
            ("dtype", value.dtype, self.dtype), ("device", value.device, self.device), ("size", value.shape, self.shape),
        ):  # fmt: skip
            if given != own:
                raise RuntimeError(
                    f"attempting to assign a gradient with {what} '{given}' to a tensor with {what} '{own}': they have to be "
                    "the same"
                )
        self._grad = value

    @property
    def grad_fn(self) -> Op | None:
        """The op that made this tensor, or None for a leaf."""
        self._refresh()
        return self._node

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor."""
        return self.grad_fn is None

    def _edge(self) -> tuple[Op, int] | Tensor:
        """Where this tensor's gradient goes: (node, which output), or, for a leaf, the tensor itself."""
        if self._base is not None:
            self._refresh()
        node = self._node
        return self if node is None else (node, self._index)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls hook(gradient) when this tensor's gradient is complete; what it returns, if anything, replaces it."""
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is None:
            if self._hooks is None:
                self._hooks = {}
            hooks = self._hooks
        else:
            assert self._node is not None
            self._node.hooks = by_output = self._node.hooks or {}
            hooks = by_output.setdefault(self._index, {})
        return RemovableHandle(hooks, hook)

    def retain_grad(self) -> None:
        """Keeps the gradient of a tensor that is no leaf in its .grad."""
        if self.grad_fn is None:
            return
        me = ref(self)

        def keep(gradient: Tensor) -> None:
            tensor = me()
            if tensor is not None:
                tensor._grad = gradient.clone() if tensor._grad is None else tensor._grad + gradient

        self.register_hook(keep)

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        tensor = Tensor._wrap(self.array.view())
        tensor._memory = self.memory
        self.memory.holders += 1
        return tensor

    def detach_(self) -> Tensor:
        """Makes this tensor a leaf that requires no gradient."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node, self._index, self._requires_grad = None, 0, False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph, and its changes not counted. Assigning replaces the array."""
        self.memory.holders += 1
        return Tensor._wrap(self.array.view())

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"expected a Tensor to be assigned to .data, not {type(value).__name__}")
        self.array = value.array
        for tensor in (self, value):
            tensor.memory.holders += 1
        self._bump_version()

    @property
    def name(self) -> str | None:
        """What a trace (`minigrad.trace`) calls this tensor; None unless a name was given: x.name = "images"."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    # -- in-place changes (the rest is in inplace.py) -----------------------------------------------------------------

    @property
    def version(self) -> int:
        """How often this tensor, or what it shares memory with, was changed in place."""
        memory = self._memory
        return 0 if memory is None else memory.changes

    _version = version  # torch's name

    def _bump_version(self) -> None:
        self.memory.changes += 1

    @property
    def memory(self) -> Memory:
        """What is known of the memory, in common with all tensors that share it."""
        memory = self._memory
        if memory is None:
            memory = self._memory = Memory()
        return memory

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The lengths of the axes."""
        return _size(Size, self.array.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        if dim is None:
            return self.shape
        return self.array.shape[axis(dim, self.array.ndim)] if self.array.ndim else self.array.shape[dim]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers: one of NumPy's."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether the array lives on a GPU."""
        return self.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        """Whether the array lives on the CPU."""
        return self.device.type == "cpu"

    def get_device(self) -> int:
        """The number of the GPU that holds the array; -1 for the CPU."""
        index = self.device.index
        return -1 if index is None else index

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self.array.nbytes)

    def numel(self) -> int:
        """The number of elements."""
        return int(self.array.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.array.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """The strides, counted in elements."""
        size = self.array.dtype.itemsize
        strides = tuple([s // size for s in self.array.strides])
        return strides if dim is None else strides[dim]

    def is_contiguous(self, *, memory_format: MemoryFormat = contiguous_format) -> bool:
        """Whether the elements lie in memory in the order of their indices, or in the other one asked for."""
        array = self.array
        if memory_format is channels_last:
            return array.ndim == 4 and bool(array.transpose(0, 2, 3, 1).flags.c_contiguous)
        return bool(array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the numbers are floats."""
        return self.array.dtype.kind == "f"

    def data_ptr(self) -> int:
        """The address of the first element."""
        array = self.array
        return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.permute(*range(self.ndim - 1, -1, -1))

    @property
    def H(self) -> Tensor:
        """A matrix transposed: tensors are real."""
        if self.ndim not in (0, 2):
            raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors), not {describe(self)}")
        return self.T

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return self.transpose(-2, -1)

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    # -- to other worlds ----------------------------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The NumPy array itself, sharing memory. force=True: whatever it takes (detached, copied from a GPU)."""
        if not force:
            if self._requires_grad:
                raise RuntimeError(
                    "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
                )
            if self.is_cuda:
                raise TypeError(
                    f"can't convert {self.device} tensor to numpy. Use tensor.cpu() to copy the tensor to host memory first."
                )
        self.memory.holders += 1
        return to_host(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"a copy is needed to convert {array.dtype} to {dtype}")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self._requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        self.memory.holders += 1
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return to_host(self.array).item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return to_host(self.array).tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous: use .any() or .all()")
        return bool(to_host(self.array).item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "biu" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(to_host(self.array).item())

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Any:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise RuntimeError("only leaf tensors (made by the user) can be pickled or deep-copied: use .detach()")
        return _rebuild, (type(self), self.numpy(force=True), str(self.device), self._requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaf tensors (made by the user) support the deepcopy protocol: use .clone()")
        other = _rebuild(type(self), self.array.copy(order="K"), None, self._requires_grad)
        memo[id(self)] = other
        if self.grad is not None:
            other.grad = Tensor._wrap(self.grad.array.copy(order="K"))
        return other

    def __format__(self, spec: str) -> str:
        """A tensor without axes is formatted as its number: f"{loss:.4f}"."""
        if self.array.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        return object.__format__(self, spec)


def _rebuild(cls: type[Tensor], array: Any, device: str | None, requires_grad: bool) -> Tensor:
    tensor = cls.__new__(cls)
    tensor._reset(array if device is None else to_device(array, Device(device)))
    tensor._requires_grad = requires_grad
    return tensor
