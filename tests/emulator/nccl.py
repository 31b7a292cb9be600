"""cupy.cuda.nccl's stand-in: a communicator between threads of one process, each of which is a rank.

A collective takes addresses, as CuPy's does, and reads and writes memory there; it is done when it returns, since the stand-in's
streams do everything at once. All ranks have to come with the same collective, count, type and operation, or it is an error, where
NCCL would hang.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

TYPES = {
    "INT8": np.int8, "CHAR": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT": np.int32, "UINT32": np.uint32,
    "INT64": np.int64, "UINT64": np.uint64, "FLOAT16": np.float16, "HALF": np.float16, "FLOAT32": np.float32,
    "FLOAT": np.float32, "FLOAT64": np.float64, "DOUBLE": np.float64,
}  # fmt: skip
NUMBERS = {
    np.int8: 0,
    np.uint8: 1,
    np.int32: 2,
    np.uint32: 3,
    np.int64: 4,
    np.uint64: 5,
    np.float16: 6,
    np.float32: 7,
    np.float64: 8,
}
OPERATIONS: dict[str, Callable[..., Any]] = {"SUM": np.add, "PROD": np.multiply, "MAX": np.maximum, "MIN": np.minimum}
PATIENCE = 20.0  # seconds for the ranks to come together


class NcclError(RuntimeError):
    """What CuPy raises."""


class Meeting:
    """Where the ranks of one communicator meet: each brings something, and all see what all brought."""

    def __init__(self, size: int) -> None:
        self.size, self.brought = size, [None] * size
        self.barrier = threading.Barrier(size)

    def exchange(self, rank: int, what: Any) -> list[Any]:
        self.brought[rank] = what
        self.wait()
        everything = list(self.brought)
        self.wait()
        return everything

    def wait(self) -> None:
        try:
            self.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            raise NcclError("NCCL_ERROR_REMOTE_ERROR: a rank did not come") from None


MEETINGS: dict[tuple[int, ...], Meeting] = {}
LOCK = threading.Lock()
IDENTIFIERS = itertools.count(1)


def get_unique_id() -> tuple[int, ...]:
    """A tuple of 128 small numbers."""
    number = next(IDENTIFIERS)
    return (*(number >> 7 * k & 127 for k in range(4)), *[0] * 124)


def memory(place: int, count: int, kind: int) -> np.ndarray:
    """The array at an address."""
    dtype = np.dtype(next(t for t, number in NUMBERS.items() if number == kind))
    buffer = (ctypes.c_char * (count * dtype.itemsize)).from_address(place)
    return np.frombuffer(buffer, dtype)


class NcclCommunicator:
    """One rank's end."""

    def __init__(self, ndev: int, commId: tuple[int, ...], rank: int) -> None:
        if not (isinstance(commId, tuple) and len(commId) == 128 and 0 <= rank < ndev):
            raise NcclError("NCCL_ERROR_INVALID_ARGUMENT")
        with LOCK:
            self._meeting = MEETINGS.setdefault(commId, Meeting(ndev))
        self._rank, self._size = rank, ndev
        self._meeting.exchange(rank, "init")

    def _together(self, what: tuple[Any, ...], own: np.ndarray) -> list[np.ndarray]:
        """Copies of what all ranks have sent."""
        brought = self._meeting.exchange(self._rank, (what, own.copy()))
        if any(other != what for other, _ in brought):
            raise NcclError(f"the ranks call different collectives: {[other for other, _ in brought]}")
        return [array for _, array in brought]

    def allReduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int) -> None:
        parts = self._together(("allReduce", count, datatype, op), memory(sendbuf, count, datatype))
        memory(recvbuf, count, datatype)[...] = list(OPERATIONS.values())[op].reduce(parts, axis=0)

    def reduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, root: int, stream: int) -> None:
        parts = self._together(("reduce", count, datatype, op, root), memory(sendbuf, count, datatype))
        if self._rank == root:
            memory(recvbuf, count, datatype)[...] = list(OPERATIONS.values())[op].reduce(parts, axis=0)

    def bcast(self, buff: int, count: int, datatype: int, root: int, stream: int) -> None:
        parts = self._together(("bcast", count, datatype, root), memory(buff, count, datatype))
        memory(buff, count, datatype)[...] = parts[root]

    def allGather(self, sendbuf: int, recvbuf: int, count: int, datatype: int, stream: int) -> None:
        parts = self._together(("allGather", count, datatype), memory(sendbuf, count, datatype))
        memory(recvbuf, count * self._size, datatype)[...] = np.concatenate(parts)

    def reduceScatter(self, sendbuf: int, recvbuf: int, recvcount: int, datatype: int, op: int, stream: int) -> None:
        parts = self._together(
            ("reduceScatter", recvcount, datatype, op), memory(sendbuf, recvcount * self._size, datatype)
        )
        whole = list(OPERATIONS.values())[op].reduce(parts, axis=0)
        memory(recvbuf, recvcount, datatype)[...] = whole[self._rank * recvcount : (self._rank + 1) * recvcount]

    def check_async_error(self) -> None:
        if self._meeting.barrier.broken:
            raise NcclError("NCCL_ERROR_REMOTE_ERROR")

    def abort(self) -> None:
        """The others find out at their next collective."""
        self._meeting.barrier.abort()

    destroy = abort


def make_module() -> types.ModuleType:
    """The module `cupy.cuda.nccl`."""
    module: Any = types.ModuleType("cupy.cuda.nccl")
    for name, kind in TYPES.items():
        setattr(module, f"NCCL_{name}", NUMBERS[kind])
    for number, name in enumerate(OPERATIONS):
        setattr(module, f"NCCL_{name}", number)
    module.NcclCommunicator, module.NcclError, module.get_unique_id = NcclCommunicator, NcclError, get_unique_id
    module.available = True
    return module
