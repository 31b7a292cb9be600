"""The CPU as a device: the memory of the process, which the C library is asked to keep, and copies that are none."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = [
    "check_device",
    "device_count",
    "drawn",
    "from_host",
    "max_memory_allocated",
    "memory_allocated",
    "reset_peak_memory_stats",
    "reuse_memory",
    "synchronize",
    "to_host",
]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def reuse_memory() -> bool:
    """Have glibc keep freed memory for the next array; returns whether it does.

    By default every large array is fresh pages from the kernel, zeroed one fault at a time, and goes back when freed:
    in a training step that costs up to a third of the time. The first kernel of a thread that needs scratch memory
    calls this. A no-op with any other C library.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def _status(field: str) -> int | None:
    """A field of /proc/self/status in bytes, None where there is no such file."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _max_resident() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_allocated() -> int:
    """The process's resident memory in bytes (its high-water mark where the system tells no more)."""
    resident = _status("VmRSS")
    return _max_resident() if resident is None else resident


def max_memory_allocated() -> int:
    """The most resident memory in bytes, since the last `reset_peak_memory_stats` where the system can reset it."""
    peak = _status("VmHWM")
    return _max_resident() if peak is None else peak


def reset_peak_memory_stats() -> None:
    """Let `max_memory_allocated` count from now (Linux; elsewhere it counts from the process's start)."""
    try:
        fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(fd, b"5")
    except OSError:
        pass
    finally:
        os.close(fd)


def check_device(index: int) -> None:
    """Nothing: the CPU computes."""


def device_count() -> int:
    """There is one CPU."""
    return 1


def synchronize() -> None:
    """Nothing to wait for: CPU kernels are done when they return."""


def to_host(array: np.ndarray) -> np.ndarray:
    """The array itself: it is on the host."""
    return array


def drawn(make: Callable[[], np.ndarray], *, index: int = 0) -> np.ndarray:
    """What make() draws."""
    return make()


def from_host(array: np.ndarray, *, index: int = 0) -> np.ndarray:
    """The array itself: there is one CPU, whatever its index."""
    return array
