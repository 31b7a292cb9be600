"""Questions about tensors and types, under torch's names; many have one answer here: no tensor is sparse, quantized or complex."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import dtypes, random
from minigrad.aliases import numpys_names
from minigrad.arrays import memory_of
from minigrad.memory_format import strided
from minigrad.ops.creation import tensor
from minigrad.size import Size
from minigrad.tensor import Tensor

pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
dtype = np.dtype


class finfo:
    """The limits of a float type: bits, eps, max, min, tiny (smallest_normal), resolution, dtype."""

    def __init__(self, type: Any = dtypes.float32) -> None:
        kind = dtypes.as_dtype(type)
        if kind.kind != "f":
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{kind}'")
        found = np.finfo(kind)
        self.bits, self.dtype = found.bits, kind.name
        self.eps, self.max, self.min = float(found.eps), float(found.max), float(found.min)
        self.tiny = self.smallest_normal = float(found.smallest_normal)
        self.resolution = float(f"1e-{found.precision}")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type: bits, max, min, dtype."""

    def __init__(self, type: Any) -> None:
        if dtypes.as_dtype(type).kind not in "iu":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        found = np.iinfo(dtypes.as_dtype(type))
        self.bits, self.max, self.min, self.dtype = found.bits, int(found.max), int(found.min), found.dtype.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(obj, Tensor)


@numpys_names
def is_floating_point(input: Tensor) -> bool:
    """Whether its type is a float."""
    return input.is_floating_point()


@numpys_names
def is_complex(input: Tensor) -> bool:
    """False: complex numbers are not built."""
    return False


@numpys_names
def is_signed(input: Tensor) -> bool:
    """Whether its type has negative numbers."""
    return input.dtype.kind in "fi"


def is_nonzero(input: Tensor) -> bool:
    """Whether its one element is not 0. RuntimeError for more or fewer elements."""
    if input.numel() != 1:
        word = "more than one value" if input.numel() else "no values"
        raise RuntimeError(f"Boolean value of Tensor with {word} is ambiguous")
    return bool(input)


@numpys_names
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return input.shape == other.shape


@numpys_names
def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.numel()


@numpys_names
def detach(input: Tensor) -> Tensor:
    """A tensor of the same memory outside of the graph."""
    return input.detach()


def get_default_dtype() -> np.dtype:
    """float32."""
    return dtypes.float32


def set_default_dtype(d: Any) -> None:
    """float32 is the only default: NotImplementedError for another."""
    if dtypes.as_dtype(d) != dtypes.float32:
        raise NotImplementedError(f"the default type is float32: {d} is not built as a default; give dtype= instead")


def get_default_device() -> Any:
    """The CPU."""
    return tensor(0).device


def initial_seed() -> int:
    """The seed of the default generator."""
    return random.default_generator.initial_seed()


def seed() -> int:
    """Seeds the default generator with a random number, which is returned."""
    fresh = random.Generator().initial_seed()
    random.default_generator.manual_seed(fresh)
    return fresh


def is_storage(obj: Any) -> bool:
    """False: tensors share arrays here, no storages."""
    return False


def storage_offset(self: Tensor) -> int:
    """Where its first element lies in the memory that it is a view of, counted in elements."""
    return (self.data_ptr() - Tensor._wrap(memory_of(self.array)).data_ptr()) // self.array.dtype.itemsize


def _is_view(self: Tensor) -> bool:
    """Whether it shares the memory of a tensor that it was made of."""
    return self._base is not None


def _new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """A tensor of this type: of the given sizes with unset elements, or of the given data."""
    kind = {"dtype": self.dtype, "device": self.device if device is None else device}
    if not args:
        return tensor([], **kind)
    if isinstance(args[0], (Tensor, np.ndarray, list)) or (type(args[0]) is tuple):
        return tensor(args[0], **kind)
    return self.new_empty(*args, **kind) if not isinstance(args[0], Size) else self.new_empty(args[0], **kind)


def _never(self: Tensor, device: Any = None) -> bool:
    """False."""
    return False


def _itself(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor itself."""
    return self


NEVER = (
    "is_sparse is_sparse_csr is_quantized is_meta is_mps is_xla is_mkldnn is_nested is_xpu is_ipu is_mtia is_vulkan"
).split()
"""Properties of torch's tensors that are False of all of minigrad's."""


def install() -> None:
    """Hangs the questions onto Tensor."""
    for name in NEVER:
        setattr(Tensor, name, False)
    for function in (is_complex, is_signed, is_nonzero, is_same_size, storage_offset, _is_view):
        setattr(Tensor, function.__name__, function)
    for name in ("is_conj", "is_neg", "is_pinned", "is_shared", "is_inference", "is_distributed"):
        setattr(Tensor, name, _never)
    for name in ("pin_memory", "share_memory_", "conj", "conj_physical", "resolve_conj", "resolve_neg"):
        setattr(Tensor, name, _itself)
    for name, value in {"layout": strided, "ndimension": Tensor.dim, "new": _new, "real": property(_itself)}.items():
        setattr(Tensor, name, value)


install()
__all__ = [
    "detach", "dtype", "e", "finfo", "get_default_device", "get_default_dtype", "iinfo", "inf", "initial_seed", "is_complex",
    "is_floating_point", "is_nonzero", "is_same_size", "is_signed", "is_storage", "is_tensor", "nan", "newaxis", "numel", "pi",
    "seed", "set_default_dtype",
]  # fmt: skip
