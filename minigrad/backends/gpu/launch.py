"""Compile the .cu sources beside this file, once for each dtype, and launch their kernels."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from .device import xp

SOURCES = Path(__file__).with_name("cuda")
C_TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
UINT8 = np.dtype(np.uint8)
BLOCK = 256  # threads of a block where the kernel does not care
BLOCKS_PER_PROCESSOR = 16  # enough to fill it; a grid of this size then walks over the rest
NULL = np.uintp(0)  # the pointer to nothing, for arrays that may be None


def source(name: str) -> str:
    """The CUDA source `name`.cu as it is compiled: common.cuh before it."""
    return (SOURCES / "common.cuh").read_text() + (SOURCES / f"{name}.cu").read_text()


@functools.cache
def _module(name: str, scalar: str, tap: str) -> Any:
    options = ("--std=c++17", f"-Dscalar_t={scalar}", f"-Dtap_t={tap}")
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


def on_device(numbers: np.ndarray) -> Any:
    """A copy of host numbers on the current GPU, for a kernel to read: it is not waited for."""
    return xp.asarray(numbers)


class Kernel:
    """The kernel `name` of `file`.cu, for one dtype.

    Arguments are CuPy arrays or None, Python ints (C int), Python floats (the kernel's dtype), or NumPy scalars where
    the kernel takes another type, such as np.int64 for a count.
    """

    def __init__(self, file: str, name: str, dtype: np.dtype, tap_dtype: np.dtype = UINT8) -> None:
        if np.dtype(dtype) not in C_TYPES:
            raise NotImplementedError(f"{name} works on float32 and float64 on a GPU, not {dtype}")
        self.dtype = np.dtype(dtype)
        tap = "unsigned char" if tap_dtype == UINT8 else "int"
        self._function = _module(file, C_TYPES[self.dtype], tap).get_function(name)

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
        self._function(grid, block, tuple(self._argument(value) for value in args))

    def over(self, count: int, *args: Any) -> None:
        """Run on `count` elements, for a kernel that walks over them by FOR_EACH."""
        if count:
            self.launch((min(-(-count // BLOCK), max_blocks()),), (BLOCK,), *args)


@functools.cache
def kernel(file: str, name: str, dtype: np.dtype, tap_dtype: np.dtype = UINT8) -> Kernel:
    """The kernel `name` of `file`.cu for `dtype`, compiled at the first call."""
    return Kernel(file, name, dtype, tap_dtype)
