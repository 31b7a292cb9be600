"""The GPU itself: is there one, copies to and from it, its memory."""

from __future__ import annotations

import collections
import functools
import threading
from typing import Any

import numpy as np

from minigrad.errors import DeviceError

from .layout import memory_order

PACKAGES = "pip install cupy-cuda12x for CUDA 12, cupy-cuda13x for CUDA 13"
OLDEST = 14
"""The first CuPy that is right: those before 13.4 write beyond the end of padded images, 13 lacks put_along_axis."""


def require() -> Any:
    """The cupy module. Raises DeviceError, one line, if it is not installed, too old, for another CUDA, or finds no GPU."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            raise DeviceError(f"the GPU needs CuPy, which is not installed: {PACKAGES}") from None
        raise DeviceError(f"CuPy is installed, but cannot be imported: {_reason(error)}") from None
    except ImportError as error:  # a CUDA library of another version than the one that CuPy was built for
        raise DeviceError(
            f"CuPy is installed, but cannot be imported: {_reason(error)}. Is it for another CUDA? {PACKAGES}"
        ) from None
    if int(cupy.__version__.split(".")[0]) < OLDEST:
        raise DeviceError(f"the GPU needs CuPy {OLDEST} or newer, and CuPy {cupy.__version__} is installed: {PACKAGES}")
    try:
        count = cupy.cuda.runtime.getDeviceCount()  # not is_available(), which says no more than False
    except Exception as error:  # a driver that is missing or too old
        raise DeviceError(f"no GPU can be used: {_reason(error)}{_versions(cupy)}") from None
    if not count:
        raise DeviceError("no GPU can be used: CuPy is installed, but finds no CUDA device")
    return cupy


def _reason(error: BaseException) -> str:
    """The line of CuPy's message that says most: the last one that is not drawn."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =")]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _versions(cupy: Any) -> str:
    """In brackets, the CUDA that the driver is good for and the one that CuPy runs, where both can be asked."""
    try:
        found = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
    except Exception:
        return ""
    driver, runtime = (f"{version // 1000}.{version % 1000 // 10}" for version in found)
    return f" (the driver is good for CUDA {driver}, CuPy runs CUDA {runtime})"


xp = require()


def device_count() -> int:
    """How many GPUs there are."""
    return int(xp.cuda.runtime.getDeviceCount())


@functools.cache
def check_device(index: int) -> None:
    """DeviceError, one line, unless GPU number `index` computes: it may be busy, full, or without a compiler for its kernels."""
    try:
        with xp.cuda.Device(index):
            works = float((xp.ones(1, np.float32) + 1).sum()) == 2
    except Exception as error:
        kind = "is full" if isinstance(error, MemoryError) else "cannot be used"
        others = [f"gpu:{i}" for i in range(device_count()) if i != index]
        instead = f"; there is also {', '.join(others)}" if others else ""
        raise DeviceError(f"gpu:{index} {kind}: {_reason(error)}{instead}") from error
    if not works:
        raise DeviceError(f"gpu:{index} computes 1 + 1 wrongly: CuPy and its driver do not fit each other")


_flags: dict[int, Any] = {}  # of each GPU: whether a check has failed, the index that did, and the check's number
_checks: dict[tuple[type[Exception], str], int] = {}
_unread: set[int] = set()  # the GPUs on which checks have run since their flag was looked at


def flag(error: type[Exception], message: str) -> tuple[Any, int]:
    """The current GPU's flag, for a kernel to raise where it finds a bad index, and the number of this error for it."""
    device = xp.cuda.Device().id
    if device not in _flags:
        _flags[device] = xp.zeros(3, xp.int64)
    _unread.add(device)
    return _flags[device], _checks.setdefault((error, message), len(_checks))


def flag_may_be_up() -> None:
    """A graph was launched that may have checks in it."""
    device = xp.cuda.Device().id
    if device in _flags:
        _unread.add(device)


def _raise_what_was_found() -> None:
    """Look at the flags of the GPUs on which checks have run: to be called where the host waits anyway."""
    while _unread:
        device = _unread.pop()
        with xp.cuda.Device(device):
            found, index, number = _flags[device].get().tolist()
            if found:
                _flags[device].fill(0)
                error, message = list(_checks)[number]
                raise error(message.replace("{}", str(index)))


def synchronize() -> None:
    """Wait until the current GPU has done all that it was given. Raises what check_indices has found."""
    xp.cuda.Device().synchronize()
    _raise_what_was_found()


def to_host(array: Any) -> np.ndarray:
    """A NumPy copy of a GPU array, lying in memory as it does. Waits for the GPU; raises what check_indices has found."""
    _raise_what_was_found()
    axes = memory_order(array)
    return array.transpose(axes).get().transpose(np.argsort(axes).tolist())


def from_host(array: np.ndarray, *, index: int = 0) -> Any:
    """A copy of a NumPy array on GPU number `index`, lying in memory as it does."""
    axes = memory_order(array)
    with xp.cuda.Device(index):
        device_array = xp.array(np.asarray(array.transpose(axes), order="C"), order="C")
    return device_array.transpose(np.argsort(axes).tolist())


_copies: collections.deque[tuple[Any, Any]] = (
    collections.deque()
)  # on their way: what tells their end, and their pinned memory
MOST_BYTES = 2**27  # on their way at once


def copy_in(array: Any, numbers: np.ndarray, stream: Any = None) -> None:
    """Put host numbers into a C-contiguous array of the current GPU, on that stream or the current one: the host does not wait.

    By pinned memory: a copy of more than 64 kB from any other waits for the stream before it begins. The memory is used again
    once its copy is done; with MOST_BYTES on their way the host waits for the oldest one, so far is it ahead.
    """
    import cupyx

    under_way = numbers.nbytes + sum(pinned.nbytes for _, pinned in _copies)
    while _copies and (under_way > MOST_BYTES or _copies[0][0].done):
        event, pinned = _copies.popleft()
        under_way -= pinned.nbytes
        if not event.done:
            event.synchronize()
    pinned = cupyx.empty_pinned(numbers.shape, numbers.dtype)
    pinned[...] = numbers
    array.set(pinned, stream)
    event = xp.cuda.Event(disable_timing=True)
    event.record(stream)
    _copies.append((event, pinned))


class PeakMemory(xp.cuda.MemoryHook):  # type: ignore[name-defined, misc]
    """The most bytes that CuPy's pool had in use on each GPU: the pool itself keeps no such figure.

    Counted in the pool's blocks, multiples of 512 bytes, as torch.cuda.max_memory_allocated counts them.
    CuPy calls a hook in the threads that registered it: this one does in the thread that imports the backend, and in each
    that resets it. What other threads allocate is seen at the next reset only.
    """

    name = "minigrad peak memory"

    def __init__(self) -> None:
        super().__init__()
        self._registered = threading.local()
        self.used: dict[int, int] = {}
        self.peak: dict[int, int] = {}

    def reset(self) -> None:
        """Start again from what is in use now."""
        if not getattr(self._registered, "here", False):
            self.__enter__()  # for as long as the thread lives
            self._registered.here = True
        device = xp.cuda.Device().id
        self.used[device] = self.peak[device] = memory_allocated()

    def malloc_postprocess(self, **event: Any) -> None:
        if event["mem_ptr"]:
            device = event["device_id"]
            self.used[device] = self.used.get(device, 0) + event["mem_size"]
            self.peak[device] = max(self.peak.get(device, 0), self.used[device])

    def free_postprocess(self, **event: Any) -> None:
        device = event["device_id"]
        self.used[device] = self.used.get(device, 0) - event["mem_size"]


pools: list[Any] = []
"""The pools of captured graphs, beside CuPy's own."""


def memory_allocated() -> int:
    """Bytes in use on the current GPU, in the pool's blocks of 512 bytes; those of captured graphs among them."""
    return int(sum(pool.used_bytes() for pool in (xp.get_default_memory_pool(), *pools)))


def max_memory_allocated() -> int:
    """The most that memory_allocated() has been since the start or the last reset_peak_memory_stats(), in bytes."""
    return max(_peak.peak.get(xp.cuda.Device().id, 0), memory_allocated())


def reset_peak_memory_stats() -> None:
    """Forget the peak: it is what is in use now."""
    _peak.reset()


_peak = PeakMemory()
_peak.reset()
