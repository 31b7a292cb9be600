"""The group of all ranks: how it begins and ends, and which collectives belong to which device."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import numpy as np

from minigrad.cuda import set_device
from minigrad.distributed.launch import Launch, launched
from minigrad.distributed.mpi import MPI, start_mpi
from minigrad.distributed.nccl import NCCL
from minigrad.distributed.watch import Watch, end_process
from minigrad.errors import OptionError, RankError

LIMIT = 25.0  # seconds that a rank is waited for
BACKENDS = ("mpi", "nccl", "cpu:mpi,gpu:nccl", "cpu:mpi,cuda:nccl")


@dataclass
class ProcessGroup:
    """All ranks: rank of size, their watch, and the collectives of NumPy arrays and of a GPU's."""

    launch: Launch
    watch: Watch
    backend: str
    host: MPI | None = None
    gpu: NCCL | None = None

    def size(self) -> int:
        """The number of ranks."""
        return self.watch.size

    def rank(self) -> int:
        """This process's."""
        return self.watch.rank

    def of(self, array: Any) -> tuple[MPI | NCCL, bool]:
        """(the collectives for an array, whether it has to be brought to the host for them)."""
        on_host = isinstance(array, np.ndarray)
        if not on_host and "nccl" in self.backend and (self.size() > 1 or self.host is None):
            if self.gpu is None:
                self.gpu = NCCL(self.watch)
            return self.gpu, False
        if self.host is None:
            raise RankError(
                "arrays on the CPU are exchanged by MPI, and these ranks were started without it: start them with mpiexec"
            )
        return self.host, not on_host


class WORLD:
    """The group that minigrad.distributed's functions mean where none is given."""

    group: ProcessGroup | None = None


def current(group: Any = None) -> ProcessGroup:
    """The group, made sure to be there. ValueError before init_process_group, as in torch; there are no other groups."""
    if WORLD.group is None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    if group is not None and group is not WORLD.group and group is not WORLD:
        raise ValueError(f"the group of all ranks is the only one there is, not {group!r}")
    return WORLD.group


def is_available() -> bool:
    """True: what a group needs (mpi4py, or CuPy) is looked for by init_process_group."""
    return True


def is_initialized() -> bool:
    """Whether there is a group."""
    return WORLD.group is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Make the group of all processes that mpiexec, or torchrun, has started; one process by itself is rank 0 of 1.

    Args:
        backend: "mpi": MPI for all arrays, a GPU's through the host; "nccl": NCCL, of GPUs' arrays alone; None,
            "cpu:mpi,gpu:nccl": each for its own.
        init_method: None or "env://": rank and address are the launcher's.
        timeout: how long a rank is waited for before all stop; 25 seconds by default.
        world_size, rank: if given, what the launcher says has to be the same.
        store, group_name, pg_options: torch's own; ignored.
        device_id: this rank's GPU, which becomes the current one.

    Raises:
        RuntimeError: there is a group already.
        OptionError: an argument is not one of these; mpi4py is missing, or of another MPI than mpiexec.
        RankError: the ranks do not come together.
    """
    if WORLD.group is not None:
        raise RuntimeError("trying to initialize the default process group twice!")
    backend = BACKENDS[2] if backend is None else backend.lower()
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r}: there are {', '.join(BACKENDS)}")
    if init_method not in (None, "env://"):
        raise OptionError(f"init_method {init_method!r}: ranks find each other by their launcher alone (env://)")
    launch = launched()
    for name, given, found in (("world_size", world_size, launch.world_size), ("rank", rank, launch.rank)):
        if given not in (-1, found):
            raise OptionError(f"{name}={given}, and the launcher says {found}")
    limit = LIMIT if timeout is None else timeout.total_seconds()
    if device_id is not None:
        set_device(device_id)
    if launch.by == "mpiexec" or launch.world_size == 1:
        host, watch = start_mpi(launch, limit) if launch.world_size > 1 else (None, Watch(0, 1, limit))
        WORLD.group = ProcessGroup(launch, watch, backend, host or Alone())
    else:
        WORLD.group = ProcessGroup(launch, _meet(launch, limit), backend)
    if launch.world_size > 1:
        _end_well(WORLD.group)


def _meet(launch: Launch, limit: float) -> Watch:
    """The watch among torchrun's ranks: rank 0 listens one port above torchrun's own, or at MINIGRAD_PORT."""
    assert launch.address is not None
    host, port = launch.address[0], int(os.environ.get("MINIGRAD_PORT", launch.address[1] + 1))
    watch, token = Watch(launch.rank, launch.world_size, limit), os.environ.get("TORCHELASTIC_RUN_ID", "minigrad")
    if launch.rank:
        watch.join(host, port, token)
        return watch
    try:
        listening = Watch.listener("127.0.0.1" if launch.local_size == launch.world_size else "", port)
    except OSError as error:
        raise RankError(f"rank 0 cannot listen at port {port} ({error}): MINIGRAD_PORT names another") from error
    watch.gather_ranks(listening, token)
    return watch


class Alone(MPI):
    """The collectives of one rank: everything is as it should be already."""

    def __init__(self) -> None:
        super().__init__(None)

    def all_reduce(self, buffer: np.ndarray, op: str) -> Any:
        return _done

    def reduce(self, buffer: np.ndarray, op: str, root: int) -> Any:
        return _done

    def broadcast(self, buffer: np.ndarray, root: int) -> Any:
        return _done

    def barrier(self) -> Any:
        return _done

    def all_gather(self, out: np.ndarray, buffer: np.ndarray) -> Any:
        out.reshape(-1)[...] = buffer.reshape(-1)
        return _done

    def gather(self, out: np.ndarray | None, buffer: np.ndarray, root: int) -> Any:
        return _done if out is None else self.all_gather(out, buffer)

    def scatter(self, buffer: np.ndarray, parts: np.ndarray | None, root: int) -> Any:
        return _done if parts is None else self.all_gather(buffer, parts)

    def all_to_all(self, out: np.ndarray, buffer: np.ndarray) -> Any:
        return self.all_gather(out, buffer)


def _done() -> bool:
    return True


def _end_well(group: ProcessGroup) -> None:
    """At the end of the program say goodbye; after an error no one caught tell the others, and leave MPI's own end out."""
    previous = sys.excepthook

    def failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        previous(kind, error, trace)
        if WORLD.group is group:
            group.watch.fail(traceback.format_exception_only(kind, error)[-1].strip())

    def goodbye() -> None:
        if WORLD.group is group:
            destroy_process_group()

    sys.excepthook = failed
    atexit.register(goodbye)


def destroy_process_group(group: Any = None) -> None:
    """End the group: from here on a rank may end by itself. After a fault this ends the process, for MPI would wait."""
    world = current(group)
    if world.size() > 1 and (world.watch.failed or world.watch.fault is not None):
        end_process(1)
    world.watch.part()
    WORLD.group = None


def get_rank(group: Any = None) -> int:
    """This process's number, from 0."""
    return current(group).rank()


def get_world_size(group: Any = None) -> int:
    """How many processes there are."""
    return current(group).size()


def get_backend(group: Any = None) -> str:
    """What init_process_group was given: "mpi", "nccl", or both, each for its device."""
    return current(group).backend
