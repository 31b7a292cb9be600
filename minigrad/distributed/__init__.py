"""Processes that work on one training together, under torch's names: MPI between CPUs, NCCL between GPUs.

    mpiexec -n 4 python script.py

    import minigrad.distributed as dist

    dist.init_process_group()
    model = minigrad.nn.parallel.DistributedDataParallel(model)    # or by hand:
    dist.all_reduce(tensor)
    dist.destroy_process_group()

docs/distributed.md says how; `launch.py` finds out who started the process, `watch.py` stops all ranks after one has gone wrong.
"""

from minigrad.distributed.collectives import (
    ReduceOp,
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all_single,
    barrier,
    broadcast,
    broadcast_object_list,
    gather,
    irecv,
    isend,
    recv,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    send,
)
from minigrad.distributed.group import (
    ProcessGroup,
    destroy_process_group,
    get_backend,
    get_rank,
    get_world_size,
    init_process_group,
    is_available,
    is_initialized,
)
from minigrad.distributed.work import Work
from minigrad.errors import explain_missing as _explain_missing

__all__ = [
    "ProcessGroup", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce",
    "all_to_all_single", "barrier", "broadcast", "broadcast_object_list", "destroy_process_group", "gather", "get_backend",
    "get_rank", "get_world_size", "init_process_group", "irecv", "is_available", "is_initialized", "isend", "recv",
    "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter", "send",
]  # fmt: skip

_explain_missing(__name__)
