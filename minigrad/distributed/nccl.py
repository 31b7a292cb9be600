"""Collectives between GPUs by NCCL (cupy.cuda.nccl), one process a GPU: of CuPy arrays, on a stream of their own.

A collective begins when what the current stream has queued is done, and goes on beside what is queued later. Who waits for it
lets the host wait, which asks the watch meanwhile: a lost rank holds up nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.distributed.watch import Watch

Test = Callable[[], bool]
OPS = {"sum": "NCCL_SUM", "product": "NCCL_PROD", "min": "NCCL_MIN", "max": "NCCL_MAX"}
TYPES = {
    "float16": "NCCL_FLOAT16", "float32": "NCCL_FLOAT32", "float64": "NCCL_FLOAT64", "int8": "NCCL_INT8",
    "uint8": "NCCL_UINT8", "int32": "NCCL_INT32", "int64": "NCCL_INT64", "bool": "NCCL_UINT8",
}  # fmt: skip


class NCCL:
    """The collectives of one process's current GPU with those of the others; `mpi.MPI` says what each does.

    What the functions return tests whether the GPU's event behind the collective has happened.
    """

    def __init__(self, watch: Watch) -> None:
        import cupy
        from cupy.cuda import nccl

        self.cupy, self.nccl = cupy, nccl
        self.size = watch.size
        number = list(nccl.get_unique_id()) if watch.rank == 0 else None
        identifier = tuple(watch.gather(number)[0])
        self.communicator = nccl.NcclCommunicator(watch.size, identifier, watch.rank)
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def _begin(self, call: Callable[[int], None], *buffers: Any) -> Test:
        """Queue a collective behind what the current stream has queued. The buffers are kept until it is done."""
        self.stream.wait_event(self.cupy.cuda.get_current_stream().record())
        call(self.stream.ptr)
        done, held = self.stream.record(), list(buffers)

        def test() -> bool:
            self.communicator.check_async_error()  # raises where a rank is gone, or the network
            if done.done:
                held.clear()
            return not held

        return test

    def _type(self, buffer: Any) -> int:
        name = TYPES.get(np.dtype(buffer.dtype).name)
        if name is None:
            raise TypeError(f"NCCL does not know {buffer.dtype}")
        return getattr(self.nccl, name)

    def _operation(self, op: str) -> int:
        if op not in OPS:
            raise RuntimeError(f"NCCL has no reduction {op!r}: it has {', '.join(OPS)}")
        return getattr(self.nccl, OPS[op])

    def all_reduce(self, buffer: Any, op: str) -> Test:
        place, count, kind, how = buffer.data.ptr, buffer.size, self._type(buffer), self._operation(op)
        return self._begin(lambda s: self.communicator.allReduce(place, place, count, kind, how, s), buffer)

    def reduce(self, buffer: Any, op: str, root: int) -> Test:
        place, count, kind, how = buffer.data.ptr, buffer.size, self._type(buffer), self._operation(op)
        return self._begin(lambda s: self.communicator.reduce(place, place, count, kind, how, root, s), buffer)

    def broadcast(self, buffer: Any, root: int) -> Test:
        place, count = buffer.data.ptr, buffer.nbytes
        return self._begin(lambda s: self.communicator.bcast(place, count, self.nccl.NCCL_UINT8, root, s), buffer)

    def all_gather(self, out: Any, buffer: Any) -> Test:
        source, to, count = buffer.data.ptr, out.data.ptr, buffer.nbytes
        kind = self.nccl.NCCL_UINT8
        return self._begin(lambda s: self.communicator.allGather(source, to, count, kind, s), out, buffer)

    def reduce_scatter(self, out: Any, parts: Any, op: str) -> Test:
        """out <- this rank's row of the reduction over the ranks' parts (ranks, *out.shape)."""
        source, to, count, kind, how = parts.data.ptr, out.data.ptr, out.size, self._type(out), self._operation(op)
        return self._begin(lambda s: self.communicator.reduceScatter(source, to, count, kind, how, s), out, parts)

    def send(self, buffer: Any, to: int, tag: int) -> Test:
        place, count, kind = buffer.data.ptr, buffer.nbytes, self.nccl.NCCL_UINT8
        return self._begin(lambda s: self.communicator.send(place, count, kind, to, s), buffer)

    def receive(self, buffer: Any, source: int, tag: int) -> Test:
        place, count, kind = buffer.data.ptr, buffer.nbytes, self.nccl.NCCL_UINT8
        return self._begin(lambda s: self.communicator.recv(place, count, kind, source, s), buffer)

    def barrier(self) -> Test:
        return self.all_reduce(self.cupy.zeros(1, np.float32), "sum")
