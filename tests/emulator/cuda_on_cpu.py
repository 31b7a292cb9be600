"""Compile CUDA C++ with g++ and run its kernels on NumPy arrays: the GPU kernels tested where there is no GPU.

The source is compiled as it is, after cuda_on_cpu.h, which defines CUDA's keywords and built-ins. The compiled library
is kept in a cache folder under a name made from everything that went into it, so that a second run compiles nothing.

A launch raises KernelError for what a device would leave undefined or hang on: a barrier that part of a block never
reaches, threads of a block at different barriers, an argument of another type than the kernel's parameter, a write
outside of an array (seen by the caller's guard bytes).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
ORDERS = ("forward", "reverse", "shuffled")  # in which order a block's threads, and a grid's blocks, are run

_ERRORS = {
    1: "divergent barrier: threads of one block wait at different __syncthreads()",
    2: "divergent barrier: __syncthreads() after other threads of the block have left the kernel",
    3: "divergent warp: a shuffle or __syncwarp() that not all threads of the warp reach",
}
_launching = threading.Lock()  # the emulator's state is global: one launch at a time
_order = 0


class KernelError(RuntimeError):
    """A kernel, or its launch, breaks a rule of CUDA."""


@contextlib.contextmanager
def thread_order(order: str) -> Iterator[None]:
    """Run the kernels launched inside with a block's threads (and the blocks) in this order, one of ORDERS."""
    global _order
    before, _order = _order, ORDERS.index(order)
    try:
        yield
    finally:
        _order = before


def compiler() -> str | None:
    """The path of the host compiler, or None: tests that need it skip then."""
    return shutil.which(os.environ.get("CXX", "g++"))


def _cache_folder() -> Path:
    default = Path(tempfile.gettempdir()) / f"minigrad-cuda-on-cpu-{os.getuid()}"
    folder = Path(os.environ.get("MINIGRAD_EMULATOR_CACHE", default))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _compile(source: str, flags: Sequence[str]) -> Path:
    path = compiler()
    if path is None:
        raise KernelError("CUDA kernels are emulated with g++, which is not installed")
    command = [path, "-std=c++17", "-O2", "-ftree-vectorize", "-ffp-contract=off", "-fPIC", "-shared", "-w", *flags]
    key = hashlib.sha256("\0".join([*command, HEADER.read_text(), source]).encode()).hexdigest()[:24]
    library = _cache_folder() / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            cpp, built = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
            cpp.write_text(source)
            result = subprocess.run(
                [*command, "-I", str(HEADER.parent), str(cpp), "-o", str(built)], capture_output=True
            )
            if result.returncode:
                raise KernelError(f"the kernel does not compile:\n{result.stderr.decode(errors='replace')[:4000]}")
            os.replace(built, library)  # whole or not at all: another process may be compiling the same
    return library


class Module:
    """The kernels of one CUDA source: `Module(source, ("-Dscalar_t=float",)).get_function(name)`."""

    def __init__(self, source: str, options: Sequence[str] = ()) -> None:
        kernels = r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\('
        self.names = re.findall(kernels, source)
        body = re.sub(r"extern\s+__shared__\s+(\w+)\s+(\w+)\[\];", r"CUDA_ON_CPU_DYNAMIC_SHARED(\1, \2);", source)
        body = body.replace("#pragma unroll", "#pragma GCC unroll 16")  # what g++ calls it
        emulated = "\n".join(f"CUDA_ON_CPU_KERNEL({name})" for name in self.names)
        text = f'#include "cuda_on_cpu.h"\n#line 1 "kernel.cu"\n{body}\n{emulated}\n'
        flags = [option for option in options if option.startswith("-D")]
        flags += ["-DCUDA_ON_CPU_FTZ"] if "-Dscalar_t=double" not in options else []  # -ftz=true is of single precision
        self._library = ctypes.CDLL(str(_compile(text, flags)))

    def get_function(self, name: str) -> Kernel:
        if name not in self.names:
            raise KernelError(f"the source has no kernel {name}; it has {', '.join(self.names)}")
        return Kernel(name, self._library)


class Kernel:
    """One kernel, launched with the call of CuPy's RawKernel, on NumPy arrays."""

    def __init__(self, name: str, library: ctypes.CDLL) -> None:
        self.name = name
        self._launch = getattr(library, f"launch_{name}")
        signature = ctypes.create_string_buffer(256)
        getattr(library, f"signature_{name}")(signature)
        self.parameters = re.findall(r"P?.", signature.value.decode())

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[object],
        shared_mem: int = 0,
        dry: bool = False,
    ) -> None:
        """Launch it; `dry`: look at what is given, and run nothing."""
        sizes = [(tuple(size) + (1, 1))[:3] for size in (grid, block)]
        if any(int(n) < 1 for size in sizes for n in size):
            raise KernelError(f"{self.name}: a grid {grid} or block {block} without threads cannot be launched")
        if int(np.prod(sizes[1])) > 1024:
            raise KernelError(f"{self.name}: a block of {block} has more than 1024 threads")
        if sizes[0][0] >= 2**31 or max(sizes[0][1:]) > 65535:
            raise KernelError(f"{self.name}: the grid {grid} is larger than a device takes")
        values = self._values(args)
        if dry:
            return
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        line = ctypes.c_int()
        extents = [(ctypes.c_uint * 3)(*size) for size in sizes]
        with _launching:
            error = self._launch(
                *extents, ctypes.c_size_t(shared_mem), ctypes.c_uint(_order), pointers, ctypes.byref(line)
            )
        if error:
            raise KernelError(f"{self.name}, line {abs(line.value)}: {_ERRORS[error]}")

    def _values(self, args: Sequence[object]) -> list[ctypes._SimpleCData]:
        """The arguments as C values, each of exactly its parameter's type: a device reads any bytes as that type."""
        if len(args) != len(self.parameters):
            raise KernelError(f"{self.name} takes {len(self.parameters)} arguments, {len(args)} were given")
        values: list[ctypes._SimpleCData] = []
        for place, (code, value) in enumerate(zip(self.parameters, args, strict=True)):
            wanted = np.dtype(code[-1])
            is_pointer = code[0] == "P"
            null = is_pointer and isinstance(value, np.uintp) and value == 0
            given = _dtype(value)
            if not null and (given != wanted or is_pointer != isinstance(value, np.ndarray)):
                shape = "an array" if isinstance(value, np.ndarray) else "a scalar"
                raise KernelError(
                    f"{self.name}: argument {place} is {shape} of {given}, "
                    f"the kernel takes {'an array' if is_pointer else 'a scalar'} of {wanted}"
                )
            if null:
                values.append(ctypes.c_void_p(None))
            elif isinstance(value, np.ndarray):
                values.append(ctypes.c_void_p(value.ctypes.data))
            else:
                values.append(np.ctypeslib.as_ctypes_type(wanted)(np.asarray(value).item()))
        return values


def _dtype(value: object) -> np.dtype:
    """The type that CuPy gives a kernel's argument: Python floats become doubles, ints long longs, bools bools."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype
    if isinstance(value, bool | int | float):
        return np.dtype({bool: np.bool_, int: np.longlong, float: np.float64}[type(value)])
    raise KernelError(f"a kernel takes arrays and numbers, not {type(value).__name__}")
