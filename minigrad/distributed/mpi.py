"""Collectives between processes by MPI (mpi4py): of NumPy arrays, nonblocking, so that a lost rank holds up nobody.

MPI moves data while it is called, so whoever waits asks again and again, and DistributedDataParallel asks during the backward
pass. float16, which MPI does not know, travels as bytes and is added up in float32.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.distributed.guard import time_limit
from minigrad.distributed.launch import Launch
from minigrad.distributed.watch import ARRIVAL, Watch
from minigrad.errors import OptionError

Test = Callable[[], bool]
SMALL = 1 << 16  # bytes of an address


class MPI:
    """The collectives over MPI.COMM_WORLD; each begins one and returns the function that tests whether it is done.

    Buffers are NumPy arrays without gaps. Reductions are by the same op on every rank: "sum", "product", "min", "max", "band",
    "bor", "bxor".
    """

    def __init__(self, communicator: Any) -> None:
        self.comm = communicator

    def all_reduce(self, buffer: np.ndarray, op: str) -> Test:
        """buffer <- the reduction over the ranks' buffers."""
        return self._reduce(buffer, op, lambda values, mpi_op: self.comm.Iallreduce(_in_place(), values, mpi_op))

    def reduce(self, buffer: np.ndarray, op: str, root: int) -> Test:
        """On `root` as all_reduce; elsewhere buffer stays."""
        if self.comm.Get_rank() != root:
            values = buffer.astype(np.float32) if buffer.dtype == np.float16 else buffer
            return self.comm.Ireduce(values, None, _operation(op, values.dtype), root).Test
        return self._reduce(buffer, op, lambda values, mpi_op: self.comm.Ireduce(_in_place(), values, mpi_op, root))

    def _reduce(self, buffer: np.ndarray, op: str, begin: Callable[[np.ndarray, Any], Any]) -> Test:
        if buffer.dtype != np.float16:
            return begin(buffer, _operation(op, buffer.dtype)).Test
        wide = buffer.astype(np.float32)
        request = begin(wide, _operation(op, wide.dtype))

        def test() -> bool:
            if not request.Test():
                return False
            buffer[...] = wide
            return True

        return test

    def broadcast(self, buffer: np.ndarray, root: int) -> Test:
        """buffer <- root's."""
        return self.comm.Ibcast(_bytes(buffer), root).Test

    def all_gather(self, out: np.ndarray, buffer: np.ndarray) -> Test:
        """out (ranks, *buffer.shape) <- the buffers of all."""
        return self.comm.Iallgather(_bytes(buffer), _bytes(out)).Test

    def gather(self, out: np.ndarray | None, buffer: np.ndarray, root: int) -> Test:
        """On `root` as all_gather."""
        return self.comm.Igather(_bytes(buffer), None if out is None else _bytes(out), root).Test

    def scatter(self, buffer: np.ndarray, parts: np.ndarray | None, root: int) -> Test:
        """buffer <- this rank's row of root's parts (ranks, *buffer.shape)."""
        return self.comm.Iscatter(None if parts is None else _bytes(parts), _bytes(buffer), root).Test

    def all_to_all(self, out: np.ndarray, buffer: np.ndarray) -> Test:
        """Row r of out <- this rank's row of rank r's buffer; both (ranks, ...)."""
        return self.comm.Ialltoall(_bytes(buffer), _bytes(out)).Test

    def send(self, buffer: np.ndarray, to: int, tag: int) -> Test:
        """To one rank, whose receive has the same tag."""
        return self.comm.Isend(_bytes(buffer), to, tag).Test

    def receive(self, buffer: np.ndarray, source: int, tag: int) -> Test:
        """buffer <- what rank `source` sends with that tag."""
        return self.comm.Irecv(_bytes(buffer), source, tag).Test

    def barrier(self) -> Test:
        """Done when all ranks have come."""
        return self.comm.Ibarrier().Test


def start_mpi(launch: Launch, limit: float) -> tuple[MPI, Watch]:
    """MPI's collectives and a watch among the ranks that mpiexec has started.

    OptionError without mpi4py, or where mpiexec and mpi4py are of two MPIs; RankError if some ranks do not come.
    """
    message = f"the {launch.world_size} ranks did not come together within {ARRIVAL:.0f} s of the start: some hang, or were lost"
    with time_limit(ARRIVAL, message, later=1.0 if launch.rank else 0.0):
        return _start(launch, limit)


def _start(launch: Launch, limit: float) -> tuple[MPI, Watch]:
    try:
        from mpi4py import MPI as mpi
    except (ImportError, RuntimeError) as error:  # RuntimeError: no library of MPI is to be found
        raise OptionError(
            f'mpiexec has started {launch.world_size} ranks, and mpi4py cannot be used ({error}): pip install -e ".[mpi]"'
        ) from error
    comm = mpi.COMM_WORLD
    if comm.Get_size() != launch.world_size:
        library = mpi.Get_library_version().split("\n")[0].strip("\0 ")
        raise OptionError(
            f"mpiexec has started {launch.world_size} ranks, and MPI sees {comm.Get_size()}: mpiexec is another MPI's than "
            f"mpi4py's, which is {library}"
        )
    watch = Watch(comm.Get_rank(), comm.Get_size(), limit)
    local = launch.local_size == launch.world_size
    if watch.rank == 0:
        listening = Watch.listener("127.0.0.1" if local else "")
        host = "127.0.0.1" if local else socket.gethostname()
        found = [host, str(listening.getsockname()[1]), secrets.token_hex(16)]
        _bcast(comm, " ".join(found))
        watch.gather_ranks(listening, found[2])
    else:
        host, port, token = _bcast(comm, "").split(" ")
        watch.join(host, int(port), token)
    return MPI(comm), watch


def _bcast(comm: Any, text: str) -> str:
    """Rank 0's text, on all ranks."""
    buffer = np.zeros(SMALL, np.uint8)
    buffer[: len(text)] = np.frombuffer(text.encode(), np.uint8)
    Watch(0, 1, ARRIVAL).wait_for(comm.Ibcast(buffer, 0).Test)
    return buffer.tobytes().rstrip(b"\0").decode()


def _in_place() -> Any:
    from mpi4py import MPI as mpi

    return mpi.IN_PLACE


def _operation(op: str, dtype: np.dtype) -> Any:
    """MPI's operation; of truth values sum and max are "or", product and min "and"."""
    from mpi4py import MPI as mpi

    if dtype == np.bool_:
        return {"sum": mpi.LOR, "max": mpi.LOR, "bor": mpi.LOR, "bxor": mpi.LXOR}.get(op, mpi.LAND)
    names = {"sum": "SUM", "product": "PROD", "min": "MIN", "max": "MAX", "band": "BAND", "bor": "BOR", "bxor": "BXOR"}
    return getattr(mpi, names[op])


def _bytes(array: np.ndarray) -> np.ndarray:
    """The memory of an array without gaps, as bytes: what is only moved may be of any type."""
    return array.reshape(-1).view(np.uint8)
