"""Sums and collections of raw arrays over the ranks, wherever the arrays live: what the ops and the reducer are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.distributed.group import ProcessGroup
from minigrad.distributed.work import Work


def start_sum(group: ProcessGroup, array: Any) -> Work:
    """Begin array <- the sum of the ranks' arrays, which have no gaps."""
    transport, through_host = group.of(array)
    group.watch.check()
    if not through_host:
        return Work(group.watch, transport.all_reduce(array, "sum"))
    memory = backends.get("gpu").to_host(array)

    def finish() -> None:
        array[...] = backends.get("gpu").from_host(memory, index=array.device.id)

    return Work(group.watch, transport.all_reduce(memory, "sum"), finish)


def summed(group: ProcessGroup, array: Any) -> Any:
    """The sum of the ranks' arrays, in place."""
    start_sum(group, array).wait()
    return array


def gathered(group: ProcessGroup, array: Any) -> Any:
    """(ranks, *shape): each rank's array, which has no gaps."""
    transport, through_host = group.of(array)
    memory = backends.get("gpu").to_host(array) if through_host else array
    rows = backends.of(memory).xp.empty((group.size(), *array.shape), array.dtype)
    Work(group.watch, transport.all_gather(rows, memory)).wait()
    return backends.get("gpu").from_host(rows, index=array.device.id) if through_host else rows


def on_host(group: ProcessGroup, numbers: np.ndarray) -> np.ndarray:
    """The sum of the ranks' few numbers, a NumPy array: by MPI, or where there is none over the GPUs."""
    if group.host is not None:
        return summed(group, numbers)
    gpu = backends.get("gpu")
    return gpu.to_host(summed(group, gpu.from_host(numbers)))


def gathered_on_host(group: ProcessGroup, numbers: np.ndarray) -> np.ndarray:
    """(ranks, *shape) of NumPy arrays, likewise."""
    if group.host is not None:
        return gathered(group, np.ascontiguousarray(numbers))
    gpu = backends.get("gpu")
    return gpu.to_host(gathered(group, gpu.from_host(numbers)))
