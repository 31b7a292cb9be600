"""The stand-in's device memory: every array between guard bytes, counted as CuPy's pool counts, hooks called alike."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from .launches import Launches

GUARD_BYTES = 512
GUARD = 0xFF  # as floats: NaN, so that reading out of bounds shows
BLOCK_BYTES = 512  # what a pool's allocations are rounded up to


class OutOfMemoryError(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""

    __module__ = "cupy.cuda.memory"

    def __init__(self, size: int, total: int) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class Current(threading.local):
    """The device that this thread works on."""

    device = 0
    pool: Any = None  # the default one


CURRENT = Current()


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError."""

    __module__ = "cupy_backends.cuda.api.runtime"


class Faults:
    """What is wrong with the machine, for tests to set: GPUs by number with what each call there raises."""

    devices = 1
    busy: dict[int, Exception] = {}
    work_left: int | None = None  # after so many allocations and launches, the device is lost

    @classmethod
    def check(cls) -> None:
        """Raises what is to be raised on the current device."""
        if CURRENT.device in cls.busy:
            raise cls.busy[CURRENT.device]
        if cls.work_left is not None:
            cls.work_left -= 1
            if cls.work_left < 0:
                raise CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure")


class Pool:
    """Bytes in use, `total` that there are, and the hooks, each called for the allocations of the threads that registered it."""

    _hooks = threading.local()

    def __init__(self) -> None:
        self._used = 0
        self.total = 2**34

    @property
    def hooks(self) -> dict[str, Any]:
        """This thread's hooks, by name: they hear of every pool."""
        return Pool._hooks.__dict__.setdefault("by_name", {})

    def malloc(self, size: int) -> Any:
        """What `using_allocator` is given: memory of this pool."""
        raise NotImplementedError("the stand-in makes arrays, not memory")

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._used

    def free_all_blocks(self) -> None:
        """Nothing to do: the stand-in keeps no free blocks."""

    def _tell(self, event: str, allocation: Allocation, **more: int) -> None:
        for hook in self.hooks.values():
            getattr(hook, event)(
                device_id=allocation.device,
                mem_size=allocation.size,
                mem_ptr=allocation.pointer,
                pmem_id=id(allocation),
                **more,
            )

    def take(self, allocation: Allocation, requested: int) -> None:
        Faults.check()
        if self._used + allocation.size > self.total:
            raise OutOfMemoryError(allocation.size, self._used)
        self._used += allocation.size
        self._tell("malloc_postprocess", allocation, size=requested)

    def give_back(self, allocation: Allocation) -> None:
        self._used -= allocation.size
        self._tell("free_postprocess", allocation)


POOL = Pool()
"""CuPy's default pool."""


@contextlib.contextmanager
def using_allocator(malloc: Any) -> Iterator[None]:
    """cupy.cuda.using_allocator(pool.malloc): this thread's arrays come from that pool."""
    before, CURRENT.pool = CURRENT.pool, malloc.__self__
    try:
        yield
    finally:
        CURRENT.pool = before


class Allocation:
    """One block of device memory, `requested` bytes between two guards."""

    def __init__(self, requested: int) -> None:
        self.requested = requested
        self.device = CURRENT.device
        self.last = (0, 0)  # the stream and the tick of the last work on it
        self.size = -(-requested // BLOCK_BYTES) * BLOCK_BYTES
        if Launches.dry:  # memory that nobody touches is none
            self.buffer = np.zeros(requested + 2 * GUARD_BYTES, np.uint8)
            self.buffer[:GUARD_BYTES] = self.buffer[GUARD_BYTES + requested :] = GUARD
        else:
            self.buffer = np.full(requested + 2 * GUARD_BYTES, GUARD, np.uint8)
        self.pointer = self.buffer.ctypes.data + GUARD_BYTES
        self.pool = CURRENT.pool or POOL
        if Launches.graph is not None and self.pool is POOL:
            raise RuntimeError(
                "memory of the default pool in a capture: others would be given it while the graph is used"
            )
        self.pool.take(self, requested)
        self.taken = True

    def __del__(self) -> None:
        if hasattr(self, "taken"):
            self.pool.give_back(self)

    def array(self, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None) -> np.ndarray:
        """The block as a NumPy array."""
        return np.ndarray(shape, dtype, self.buffer, GUARD_BYTES, strides)

    def is_intact(self) -> bool:
        """False if something wrote over a guard."""
        before, after = self.buffer[:GUARD_BYTES], self.buffer[GUARD_BYTES + self.requested :]
        return bool((before == GUARD).all() and (after == GUARD).all())


class MemoryHook:
    """cupy.cuda.MemoryHook: subclasses say what they want to hear of; `with hook:` registers it."""

    name = "MemoryHook"

    def __enter__(self) -> MemoryHook:
        if self.name in POOL.hooks:
            raise KeyError(f"memory hook {self.name} already exists")
        POOL.hooks[self.name] = self
        return self

    def __exit__(self, *_: object) -> None:
        del POOL.hooks[self.name]

    def malloc_postprocess(self, **event: int) -> None:
        """Called after an allocation."""

    def free_postprocess(self, **event: int) -> None:
        """Called after a block has gone back to the pool."""
