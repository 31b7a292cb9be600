"""The stand-in's device memory: every array between guard bytes, counted as CuPy's pool counts, hooks called alike."""

from __future__ import annotations

from typing import Any

import numpy as np

GUARD_BYTES = 512
GUARD = 0xFF  # as floats: NaN, so that reading out of bounds shows
BLOCK_BYTES = 512  # what a pool's allocations are rounded up to


class Pool:
    """Bytes in use, and the hooks that are called at each allocation."""

    def __init__(self) -> None:
        self._used = 0
        self.hooks: dict[str, Any] = {}

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._used

    def free_all_blocks(self) -> None:
        """Nothing to do: the stand-in keeps no free blocks."""

    def _tell(self, event: str, allocation: Allocation, **more: int) -> None:
        for hook in self.hooks.values():
            getattr(hook, event)(
                device_id=0, mem_size=allocation.size, mem_ptr=allocation.pointer, pmem_id=id(allocation), **more
            )

    def take(self, allocation: Allocation, requested: int) -> None:
        self._used += allocation.size
        self._tell("malloc_postprocess", allocation, size=requested)

    def give_back(self, allocation: Allocation) -> None:
        self._used -= allocation.size
        self._tell("free_postprocess", allocation)


POOL = Pool()


class Allocation:
    """One block of device memory, `requested` bytes between two guards."""

    def __init__(self, requested: int) -> None:
        self.requested = requested
        self.size = -(-requested // BLOCK_BYTES) * BLOCK_BYTES
        self.buffer = np.full(requested + 2 * GUARD_BYTES, GUARD, np.uint8)
        self.pointer = self.buffer.ctypes.data + GUARD_BYTES
        POOL.take(self, requested)

    def __del__(self) -> None:
        POOL.give_back(self)

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
