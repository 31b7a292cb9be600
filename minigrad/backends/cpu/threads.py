"""A few threads that share the work of one kernel, and the scratch memory that each of them reuses.

NumPy lets go of the interpreter's lock inside copies, ufuncs and matrix products, so splitting a batch over threads
makes everything in a kernel parallel, element-wise work included. BLAS meanwhile runs one thread for each caller: two
layers of threads on the same cores would wait for one another.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.memory import reuse_memory

__all__ = ["blas_core", "get_num_threads", "parallel_for", "scratch", "set_num_threads"]

Result = TypeVar("Result")

KEEP = 32 << 20  # bytes: a larger scratch buffer is not kept
ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def _default_threads() -> int:
    for name in ("MINIGRAD_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---------------------------------------------------------------------------------------------------------- BLAS


@functools.cache
def _openblas(name: str) -> Any:
    """The function `name` of the OpenBLAS inside NumPy's wheel, or None: another BLAS is left as it is."""
    package = Path(np.__file__).parent
    for folder in (package.with_name("numpy.libs"), package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for pattern in ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}"):
                if hasattr(library, pattern.format(name)):
                    return getattr(library, pattern.format(name))
    return None


def _set_blas_threads(n: int) -> None:
    function = _openblas("set_num_threads")
    if function is not None:
        function(n)


def blas_core() -> str:
    """The processor that NumPy's OpenBLAS has chosen its kernels for ("SkylakeX"), or "unknown"."""
    function = _openblas("get_corename")
    if function is None:
        return "unknown"
    function.restype = ctypes.c_char_p
    return function().decode()


# ----------------------------------------------------------------------------------------------------- the threads


class _Team:
    """The process's worker threads, and how many kernels are using them now."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.reset()

    def reset(self) -> None:
        """Start afresh: at first, and in a forked child, where the parent's threads do not exist."""
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None
        self.busy = 0

    def workers(self) -> ThreadPoolExecutor:
        with self.lock:
            if self.pool is None:
                self.pool = ThreadPoolExecutor(max_workers=max(1, self.size - 1), thread_name_prefix="minigrad")
            return self.pool

    def resize(self, size: int) -> None:
        with self.lock:
            self.pool, self.size = None, size  # who still uses the old pool keeps it; its threads end with it
            if not self.busy:
                _set_blas_threads(size)

    @contextmanager
    def single_threaded_blas(self) -> Iterator[None]:
        with self.lock:
            self.busy += 1
            if self.busy == 1:
                _set_blas_threads(1)
        try:
            yield
        finally:
            with self.lock:
                self.busy -= 1
                if self.busy == 0:
                    _set_blas_threads(self.size)


def _after_fork_in_child() -> None:
    _team.reset()
    _set_blas_threads(_team.size)


_team = _Team(_default_threads())
_this_thread = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def get_num_threads() -> int:
    """How many threads a kernel uses: the cores this process may use, MINIGRAD_NUM_THREADS, or what was set."""
    return _team.size


def set_num_threads(n: int) -> None:
    """Let kernels, and NumPy's BLAS, use n threads. Raises ValueError unless n >= 1."""
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    if n != _team.size:
        _team.resize(n)


def parallel_for(n: int, body: Callable[[int, int], Result], grain: int = 1) -> list[Result]:
    """Split range(n) into one contiguous share a thread, call body(start, stop) on each, return the results in order.

    No share is smaller than `grain` unless n is: small work stays on the calling thread. The shares depend on n,
    grain and the number of threads alone, so that sums over the results are the same in every run. Called from inside
    a share, the loop runs in that thread.
    """
    shares = min(_team.size, max(1, n // max(1, grain)))
    if shares <= 1 or getattr(_this_thread, "inside", False):
        return [body(0, n)]
    bounds = [n * i // shares for i in range(shares + 1)]

    def share(i: int) -> Result:
        _this_thread.inside = True
        try:
            return body(bounds[i], bounds[i + 1])
        finally:
            _this_thread.inside = False

    with _team.single_threaded_blas():
        pool = _team.workers()
        others = [pool.submit(share, i) for i in range(1, shares)]
        try:
            first = share(0)
        finally:
            wait(others)  # nobody may still be writing when an error leaves this kernel
        return [first, *(other.result() for other in others)]


# ----------------------------------------------------------------------------------------------------------- scratch


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An uninitialised array of this thread's own, whose memory the next call with the same name hands out again."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    buffers = _this_thread.__dict__.get("buffers")
    if buffers is None:
        reuse_memory()  # now that kernels run here; a program that only imports minigrad keeps its settings
        buffers = _this_thread.buffers = {}
    buffer = buffers.get(name)
    if buffer is None or buffer.size < size:
        memory = np.empty(size + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        buffer = memory[start : start + size]
        if size <= KEEP:
            buffers[name] = buffer
    return buffer[:size].view(dtype).reshape(shape)
