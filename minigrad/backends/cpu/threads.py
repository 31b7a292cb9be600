"""A few threads that share the work of one kernel, and the scratch memory that each of them reuses.

NumPy lets go of the interpreter's lock inside copies, ufuncs and matrix products, so splitting a batch over threads
makes everything in a kernel parallel, element-wise work included. From the first kernel on, NumPy's BLAS runs one
thread for each caller: its own threads, once they have worked, spin for some 25 ms in wait of more and take the cores
from everybody else. Large products are split here instead (products.py).
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.device import reuse_memory

__all__ = ["blas_core", "get_num_threads", "parallel_for", "scratch", "set_num_threads"]

Result = TypeVar("Result")

KEEP = 32 << 20  # bytes: a larger scratch buffer is not kept
SHARES = 4  # of a kernel's work for each thread
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


@functools.cache
def _settle() -> None:
    """Once, when the first kernel runs (a program that only imports minigrad keeps its settings): one BLAS thread for
    each caller, and memory that stays with the process.
    """
    _set_blas_threads(1)
    reuse_memory()


def blas_core() -> str:
    """The processor that NumPy's OpenBLAS has chosen its kernels for ("SkylakeX"), or "unknown"."""
    function = _openblas("get_corename")
    if function is None:
        return "unknown"
    function.restype = ctypes.c_char_p
    return function().decode()


# ----------------------------------------------------------------------------------------------------- the threads


class _Team:
    """The process's worker threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.reset()

    def reset(self) -> None:
        """Start afresh: at first, and in a forked child, where the parent's threads do not exist."""
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None

    def workers(self) -> ThreadPoolExecutor:
        with self.lock:
            if self.pool is None:
                _settle()
                self.pool = ThreadPoolExecutor(max_workers=max(1, self.size - 1), thread_name_prefix="minigrad")
            return self.pool

    def resize(self, size: int) -> None:
        with self.lock:
            self.pool, self.size = None, size  # who still uses the old pool keeps it; its threads end with it
            _set_blas_threads(1)


_team = _Team(_default_threads())
_this_thread = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.reset)


def get_num_threads() -> int:
    """How many threads a kernel uses: the cores this process may use, MINIGRAD_NUM_THREADS, or what was set."""
    return _team.size


def set_num_threads(n: int) -> None:
    """Let kernels use n threads (and NumPy's BLAS one for each caller). ValueError unless n >= 1."""
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    if n != _team.size:
        _team.resize(n)


def parallel_for(n: int, body: Callable[[int, int], Result], grain: int = 1, each: int = SHARES) -> list[Result]:
    """Cut range(n) into shares, call body(start, stop) on each over the threads, return the results in order.

    There are `each` shares a thread, which take them as they become free: a thread that other programs slow down does
    fewer. No share is smaller than `grain` unless n is: small work stays on the calling thread. The shares depend on n,
    grain and the number of threads alone, so that sums over the results are the same in every run. Called from inside
    a share, the loop runs in that thread. NumPy warns of no infinity and no NaN, as torch does not.
    """
    shares = min(_team.size * each, max(1, n // max(1, grain)))
    if shares <= 1 or _team.size == 1 or getattr(_this_thread, "inside", False):
        with np.errstate(all="ignore"):
            return [body(0, n)]
    results: list[Any] = [None] * shares
    turns = iter(range(shares))  # next() on it is atomic

    def work() -> None:
        _this_thread.inside = True
        try:
            with np.errstate(all="ignore"):  # a setting of each thread
                for i in turns:
                    results[i] = body(n * i // shares, n * (i + 1) // shares)
        finally:
            _this_thread.inside = False

    others = [_team.workers().submit(work) for _ in range(min(_team.size, shares) - 1)]
    try:
        work()
    finally:
        wait(others)  # nobody may still be writing when an error leaves this kernel
    for other in others:
        other.result()
    return results


# ----------------------------------------------------------------------------------------------------------- scratch


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An uninitialised array of this thread's own, whose memory the next call with the same name hands out again."""
    buffers = _this_thread.__dict__.get("buffers")
    if buffers is None:
        _settle()
        buffers = _this_thread.buffers = {}
    memory, last = buffers.get(name, (None, None))
    if last is not None and last.shape == shape and last.dtype == dtype:
        return last
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if memory is None or memory.size < size:
        fresh = np.empty(size + ALIGNMENT, np.uint8)
        start = -fresh.ctypes.data % ALIGNMENT
        memory = fresh[start : start + size]
    array = memory[:size].view(dtype).reshape(shape)
    if size <= KEEP:
        buffers[name] = memory, array
    return array
