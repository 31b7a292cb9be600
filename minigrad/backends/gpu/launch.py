"""Compile the .cu sources beside this file, once for each dtype, and launch their kernels."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .device import copy_in, from_host, xp

SOURCES = Path(__file__).with_name("cuda")
C_TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
UINT8 = np.dtype(np.uint8)
BLOCK = 256  # threads of a block where the kernel does not care
BLOCKS_PER_PROCESSOR = 16  # enough to fill it; a grid of this size then walks over the rest
NULL = np.uintp(0)  # the pointer to nothing, for arrays that may be None


def source(name: str) -> str:
    """The CUDA source `name`.cu as it is compiled: common.cuh before it, what it includes in its place."""
    text = (SOURCES / "common.cuh").read_text() + (SOURCES / f"{name}.cu").read_text()
    return re.sub(r'#include "(\w+\.cuh)"\n', lambda found: (SOURCES / found[1]).read_text(), text)


@functools.cache
def _module(name: str, scalar: str, tap: str, tf32: int) -> Any:
    options = ("--std=c++17", f"-Dscalar_t={scalar}", f"-Dtap_t={tap}", f"-DTF32={tf32}")
    return xp.RawModule(code=source(name), options=options, backend="nvrtc")


@functools.cache
def _processors(device: int) -> int:
    return int(xp.cuda.Device(device).attributes["MultiProcessorCount"])


def max_blocks() -> int:
    """The largest grid that is worth launching on the current GPU."""
    return _processors(xp.cuda.Device().id) * BLOCKS_PER_PROCESSOR


@functools.cache
def _counters(device: int, count: int) -> Any:
    return xp.zeros(count, np.uint32)


def counters(count: int) -> Any:
    """That many counters of the current GPU, at 0: kernels that use them (is_last_block of common.cuh) put them back to 0."""
    return _counters(xp.cuda.Device().id, 1 << (count - 1).bit_length())


Listed: TypeAlias = "list[tuple[Any, np.ndarray | Callable[[], np.ndarray]]]"
"""Arrays on the device, and the numbers that have to be there when a graph is launched, or what draws them anew."""


class _Numbers(threading.local):
    """What becomes of numbers for kernels, in this thread: outside of captures both are None."""

    listed: Listed | None = None  # while a graph is captured: where they go
    renewed: Iterator[Any] | None = None  # while a graph's numbers are made anew: the arrays, in their order


_numbers = _Numbers()


@contextlib.contextmanager
def numbers_listed() -> Iterator[Listed]:
    """Within it, while a graph is captured, on_device copies nothing: what it was given is listed with the arrays where it has
    to be when the graph is launched."""
    before, _numbers.listed = _numbers.listed, []
    try:
        yield _numbers.listed
    finally:
        _numbers.listed = before


@contextlib.contextmanager
def numbers_renewed(listed: Listed) -> Iterator[None]:
    """Within it on_device puts numbers into the listed arrays, in their order, and kernels are not launched: what was captured is
    done again on the host, and only there. RuntimeError if it does not ask for as many as before."""
    _numbers.renewed = iter([array for array, _ in listed])
    try:
        yield
        if next(_numbers.renewed, None) is not None:
            raise RuntimeError("a captured step asks for other numbers than when it was captured: it has changed since")
    finally:
        _numbers.renewed = None


def on_device(numbers: np.ndarray) -> Any:
    """A copy of host numbers on the current GPU, for a kernel to read: it is not waited for."""
    if _numbers.renewed is not None:
        array = next(_numbers.renewed, None)
        if array is None or array.shape != numbers.shape:
            raise RuntimeError("a captured step asks for other numbers than when it was captured: it has changed since")
        copy_in(array, numbers)
        return array
    if _numbers.listed is None:
        return xp.asarray(numbers)
    array = xp.empty(numbers.shape, numbers.dtype)
    _numbers.listed.append((array, numbers))
    return array


def drawn(make: Callable[[], np.ndarray], *, index: int = 0) -> Any:
    """What make() draws on the host, on that GPU: drawn anew each time a graph is launched in which it was captured."""
    if _numbers.listed is None:
        return from_host(make(), index=index)
    numbers = make()
    array = xp.empty(numbers.shape, numbers.dtype)
    first = iter([numbers])
    _numbers.listed.append((array, lambda: _once(first, make)))
    return array


def _once(first: Iterator[np.ndarray], make: Callable[[], np.ndarray]) -> np.ndarray:
    """What has been drawn already, the first time."""
    for numbers in first:
        return numbers
    return make()


def is_capturing() -> bool:
    """Whether a graph is being captured in this thread, by backends.gpu.capture."""
    return _numbers.listed is not None


def is_renewing() -> bool:
    """Whether a captured step's numbers are being made anew: nothing is to be launched."""
    return _numbers.renewed is not None


@functools.cache
def _has_tensor_cores(device: int) -> bool:
    return int(xp.cuda.Device(device).compute_capability) >= 80


def tensor_cores(dtype: np.dtype, allowed: bool) -> int:
    """How products of a type are made on the current GPU (cuda/convolution.cu): 0, by multiply-adds; 1, by tensor cores in TF32,
    if it is allowed; 3, by tensor cores on both halves of each number."""
    if dtype != np.float32 or not _has_tensor_cores(xp.cuda.Device().id):
        return 0
    return 1 if allowed else 3


class Kernel:
    """The kernel `name` of `file`.cu, for one dtype.

    Arguments are CuPy arrays or None, Python ints (C int), Python floats (the kernel's dtype), or NumPy scalars where
    the kernel takes another type, such as np.int64 for a count.
    """

    def __init__(self, file: str, name: str, dtype: np.dtype, tap_dtype: np.dtype = UINT8, tf32: int = 0) -> None:
        if np.dtype(dtype) not in C_TYPES:
            raise NotImplementedError(f"{name} works on float32 and float64 on a GPU, not {dtype}")
        self.dtype = np.dtype(dtype)
        tap = "unsigned char" if tap_dtype == UINT8 else "int"
        self._function = _module(file, C_TYPES[self.dtype], tap, tf32).get_function(name)

    def _argument(self, value: Any) -> Any:
        if value is None:
            return NULL
        if isinstance(value, bool | int):
            return np.int32(value)
        if type(value) is float:  # not np.float64, which is one too
            return self.dtype.type(value)
        return value

    def launch(self, grid: tuple[int, ...], block: tuple[int, ...], *args: Any) -> None:
        """Run on a grid of blocks of threads."""
        if _numbers.renewed is not None:
            return
        self._function(grid, block, tuple(self._argument(value) for value in args))

    def over(self, count: int, *args: Any) -> None:
        """Run on `count` elements, for a kernel that walks over them by FOR_EACH."""
        if count:
            self.launch((min(-(-count // BLOCK), max_blocks()),), (BLOCK,), *args)


@functools.cache
def kernel(file: str, name: str, dtype: np.dtype, tap_dtype: np.dtype = UINT8, tf32: int = 0) -> Kernel:
    """The kernel `name` of `file`.cu for `dtype`, compiled at the first call."""
    return Kernel(file, name, dtype, tap_dtype, tf32)
