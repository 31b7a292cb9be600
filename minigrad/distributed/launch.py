"""Who started this process, and as which of how many ranks: what mpiexec or torchrun has put into the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from minigrad.errors import OptionError

# Of MPICH's launchers (Intel MPI's and Slurm's PMI among them) and of Open MPI's: rank, ranks, rank and ranks on this machine.
MPI = (
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Launch:
    """This process's place: rank of world_size, local_rank of local_size on its machine; `by` whom it was started."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_size: int = 1
    by: Literal["mpiexec", "torchrun", "nobody"] = "nobody"
    address: tuple[str, int] | None = None  # torchrun's MASTER_ADDR and MASTER_PORT


def launched(environment: Mapping[str, str] | None = None) -> Launch:
    """What the launcher said in the environment; rank 0 of 1 where there was none. OptionError for half of what is needed."""
    environment = os.environ if environment is None else environment
    for names in MPI:
        if names[0] in environment and names[1] in environment:
            rank, size = _numbers(environment, names[:2], (0, 1))
            local = _numbers(environment, names[2:], (rank, size))
            return Launch(rank, size, local[0], local[1], by="mpiexec")
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return Launch()
    rank, size = _numbers(environment, TORCHRUN[:2], (0, 1))
    local = _numbers(environment, TORCHRUN[2:], (rank, size))
    if size == 1:
        return Launch(by="torchrun")
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in environment]:
        raise OptionError(f"RANK and WORLD_SIZE are set, and {missing[0]} is not: where is rank 0 to be found?")
    (port,) = _numbers(environment, ("MASTER_PORT",), (0,))
    return Launch(rank, size, local[0], local[1], by="torchrun", address=(environment["MASTER_ADDR"], port))


def _numbers(environment: Mapping[str, str], names: tuple[str, ...], defaults: tuple[int, ...]) -> list[int]:
    found = []
    for name, default in zip(names, defaults, strict=True):
        text = environment.get(name, str(default))
        if not text.isdecimal():
            raise OptionError(f"the environment variable {name} should be a whole number, and is {text!r}")
        found.append(int(text))
    return found
