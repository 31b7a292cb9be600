"""Collectives of tensors, under torch's names: what each rank has, brought together on all of them, or on one.

All ranks have to call the same functions in the same order, with tensors of the same shapes and types. Tensors are changed in
place. With async_op=True a function returns a Work at once; the tensor is the collective's until work.wait().
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.distributed.exchange import gathered_on_host, on_host
from minigrad.distributed.group import ProcessGroup, current
from minigrad.distributed.work import Work
from minigrad.tensor import Tensor, describe


class ReduceOp:
    """How all_reduce and its kin put the ranks' numbers together."""

    SUM, PRODUCT, MIN, MAX, BAND, BOR, BXOR, AVG = "sum", "product", "min", "max", "band", "bor", "bxor", "avg"


class Staged:
    """The memory that a collective of a tensor works on: without gaps, on the host where it has to be; `finish` copies back."""

    def __init__(self, tensor: Any, group: ProcessGroup, changed: bool) -> None:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"a Tensor is wanted, not {type(tensor).__name__}")
        if changed and tensor._requires_grad and tensor._node is not None:
            raise RuntimeError(f"{describe(tensor)} was computed: a collective changes it in place, so detach it first")
        self.tensor, self.changed = tensor, changed
        self.transport, self.through_host = group.of(tensor.array)
        if self.through_host:
            self.memory: Any = backends.get("gpu").to_host(tensor.array)
        else:
            self.memory = tensor.array if tensor.array.flags.c_contiguous else self._without_gaps()

    def _without_gaps(self) -> Any:
        return backends.of(self.tensor.array).xp.ascontiguousarray(self.tensor.array).reshape(self.tensor.array.shape)

    def finish(self) -> None:
        """The result in the tensor."""
        if not self.changed:
            return
        if self.through_host:
            self.tensor.array[...] = backends.get("gpu").from_host(self.memory, index=self.tensor.device.index or 0)
        elif self.memory is not self.tensor.array:
            self.tensor.array[...] = self.memory
        self.tensor._bump_version()


def _work(group: ProcessGroup, test: Callable[[], bool], finish: Callable[[], None], async_op: bool) -> Work | None:
    group.watch.check()
    work = Work(group.watch, test, finish)
    if async_op:
        return work
    work.wait()
    return None


def _root(group: ProcessGroup, given: int | None, by_group: int | None, name: str) -> int:
    root = by_group if given is None else given
    if root is None:
        raise ValueError(f"{name} is wanted: a rank from 0 to {group.size() - 1}")
    if not 0 <= root < group.size():
        raise ValueError(f"{name}={root}: there are ranks 0 to {group.size() - 1}")
    return root


def _mean(staged: Staged, op: str, size: int) -> Callable[[], None]:
    """What is left to do of a reduction: AVG is a sum, divided."""
    if op != ReduceOp.AVG:
        return staged.finish
    if staged.memory.dtype.kind != "f":
        raise RuntimeError(f"ReduceOp.AVG is for floating-point tensors, not for {describe(staged.tensor)}")

    def finish() -> None:
        staged.memory /= size
        staged.finish()

    return finish


def all_reduce(tensor: Tensor, op: str = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """tensor <- the sum (or what `op` says) of the ranks' tensors, on all of them."""
    world = current(group)
    staged = Staged(tensor, world, True)
    test = staged.transport.all_reduce(staged.memory, "sum" if op == ReduceOp.AVG else op)
    return _work(world, test, _mean(staged, op, world.size()), async_op)


def reduce(
    tensor: Tensor, dst: int | None = None, op: str = ReduceOp.SUM, group: Any = None, async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """As all_reduce, on rank `dst` alone; the others' tensors stay as they are."""
    world = current(group)
    root = _root(world, dst, group_dst, "dst")
    staged = Staged(tensor, world, root == world.rank())
    test = staged.transport.reduce(staged.memory, "sum" if op == ReduceOp.AVG else op, root)
    return _work(world, test, _mean(staged, op, world.size()) if staged.changed else staged.finish, async_op)


def broadcast(
    tensor: Tensor, src: int | None = None, group: Any = None, async_op: bool = False, group_src: int | None = None
) -> Work | None:
    """tensor <- rank src's."""
    world = current(group)
    staged = Staged(tensor, world, True)
    test = staged.transport.broadcast(staged.memory, _root(world, src, group_src, "src"))
    return _work(world, test, staged.finish, async_op)


def _empty(staged: Staged, rows: int) -> Any:
    """Memory (rows, *shape) beside a staged tensor's."""
    return backends.of(staged.memory).xp.empty((rows, *staged.memory.shape), staged.memory.dtype)


def _hand_out(staged: Staged, rows: Any, tensors: Sequence[Tensor]) -> None:
    """tensors[r] <- rows[r]."""
    for row, tensor in zip(rows, tensors, strict=True):
        array = backends.get("gpu").from_host(row, index=tensor.device.index or 0) if staged.through_host else row
        tensor.array[...] = array.reshape(tensor.array.shape)
        tensor._bump_version()


def _check_parts(parts: Sequence[Tensor], tensor: Tensor, size: int, name: str) -> None:
    """ValueError unless there is a part for each rank, of the tensor's shape and type."""
    if len(parts) != size:
        raise ValueError(f"{name} has {len(parts)} tensors, and there are {size} ranks")
    for part in parts:
        if part.array.shape != tensor.array.shape or part.array.dtype != tensor.array.dtype:
            raise ValueError(f"{name} has {describe(part)} beside {describe(tensor)}: they have to be alike")


def all_gather(tensor_list: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False) -> Work | None:
    """tensor_list[r] <- rank r's tensor, on all ranks."""
    world = current(group)
    _check_parts(tensor_list, tensor, world.size(), "tensor_list")
    staged = Staged(tensor, world, False)
    rows = _empty(staged, world.size())
    test = staged.transport.all_gather(rows, staged.memory)
    return _work(world, test, lambda: _hand_out(staged, rows, tensor_list), async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """output_tensor <- the ranks' tensors one after the other along the first axis, or stacked: as many numbers in all."""
    world = current(group)
    staged = Staged(input_tensor, world, False)
    if output_tensor.array.size != staged.memory.size * world.size():
        raise ValueError(f"{describe(output_tensor)} does not hold {world.size()} times {describe(input_tensor)}")
    rows = _empty(staged, world.size())
    test = staged.transport.all_gather(rows, staged.memory)
    return _work(world, test, lambda: _hand_out(staged, [rows], [output_tensor]), async_op)


def gather(
    tensor: Tensor, gather_list: list[Tensor] | None = None, dst: int | None = None, group: Any = None,
    async_op: bool = False, group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """On rank dst (0) gather_list[r] <- rank r's tensor; the others give no list."""
    world = current(group)
    root = _root(world, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    here = world.rank() == root
    if here != (gather_list is not None):
        raise ValueError(f"gather_list is for rank {root}, and for it alone")
    staged = Staged(tensor, world, False)
    rows = _empty(staged, world.size()) if here else None
    parts = gather_list or []
    if here:
        _check_parts(parts, tensor, world.size(), "gather_list")
    if not hasattr(staged.transport, "gather"):  # NCCL: what is gathered everywhere is gathered there
        everywhere = _empty(staged, world.size())
        test = staged.transport.all_gather(everywhere, staged.memory)
        return _work(world, test, lambda: _hand_out(staged, everywhere, parts) if here else None, async_op)
    test = staged.transport.gather(rows, staged.memory, root)
    return _work(world, test, lambda: _hand_out(staged, rows, parts) if here else None, async_op)


def _stacked(parts: Sequence[Tensor], world: ProcessGroup) -> tuple[Any, bool]:
    """The tensors' arrays as rows of one, where the collectives want it; and whether that is the host."""
    staged = [Staged(part, world, False) for part in parts]
    rows = _empty(staged[0], len(parts))
    for row, part in zip(rows, staged, strict=True):
        row[...] = part.memory
    return rows, staged[0].through_host


def scatter(
    tensor: Tensor, scatter_list: list[Tensor] | None = None, src: int | None = None, group: Any = None,
    async_op: bool = False, group_src: int | None = None,
) -> Work | None:  # fmt: skip
    """tensor <- scatter_list[this rank] of rank src (0); the others give no list."""
    world = current(group)
    root = _root(world, 0 if src is None and group_src is None else src, group_src, "src")
    here = world.rank() == root
    if here != (scatter_list is not None):
        raise ValueError(f"scatter_list is for rank {root}, and for it alone")
    staged, rows = Staged(tensor, world, True), None
    if scatter_list is not None:
        _check_parts(scatter_list, tensor, world.size(), "scatter_list")
        rows, _ = _stacked(scatter_list, world)
    if not hasattr(staged.transport, "scatter"):  # NCCL
        whole = _empty(staged, world.size()) if rows is None else rows
        test = staged.transport.broadcast(whole, root)

        def finish() -> None:
            staged.tensor.array[...] = whole[world.rank()]
            staged.tensor._bump_version()

        return _work(world, test, finish, async_op)
    return _work(world, staged.transport.scatter(staged.memory, rows, root), staged.finish, async_op)


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: str = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """output <- the sum over the ranks of input_list[this rank]."""
    world = current(group)
    _check_parts(input_list, output, world.size(), "input_list")
    rows, _ = _stacked(input_list, world)
    return _reduce_scatter(world, output, rows, op, async_op)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: str = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """output <- this rank's share, along the first axis, of the sum of the ranks' inputs."""
    world = current(group)
    if input.array.size != output.array.size * world.size():
        raise ValueError(f"{describe(input)} is not {world.size()} times {describe(output)}")
    staged = Staged(input, world, False)
    memory = staged.memory if staged.through_host else staged.memory.copy()
    return _reduce_scatter(world, output, memory.reshape(world.size(), *output.array.shape), op, async_op)


def _reduce_scatter(world: ProcessGroup, output: Tensor, rows: Any, op: str, async_op: bool) -> Work | None:
    staged = Staged(output, world, True)
    finish = _mean(staged, op, world.size())
    reduction = "sum" if op == ReduceOp.AVG else op
    if hasattr(staged.transport, "reduce_scatter"):
        return _work(world, staged.transport.reduce_scatter(staged.memory, rows, reduction), finish, async_op)

    def take_share() -> None:
        staged.memory[...] = rows[world.rank()]
        finish()

    return _work(world, staged.transport.all_reduce(rows, reduction), take_share, async_op)


def all_to_all_single(
    output: Tensor, input: Tensor, output_split_sizes: Any = None, input_split_sizes: Any = None, group: Any = None,
    async_op: bool = False,
) -> Work | None:  # fmt: skip
    """Row r of output <- this rank's row of rank r's input, both divided into equal parts along the first axis."""
    world = current(group)
    if output_split_sizes is not None or input_split_sizes is not None:
        raise NotImplementedError("all_to_all_single divides tensors into equal parts: no split sizes")
    if input.array.shape != output.array.shape or not input.array.shape or input.array.shape[0] % world.size():
        raise ValueError(f"{describe(input)} and {describe(output)} have to be alike, of {world.size()} equal parts")
    source, staged = Staged(input, world, False), Staged(output, world, True)
    if not hasattr(staged.transport, "all_to_all"):
        raise NotImplementedError("all_to_all_single is built on MPI alone")
    return _work(world, staged.transport.all_to_all(staged.memory, source.memory), staged.finish, async_op)


def isend(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> Work | None:
    """Begin to send the tensor to rank dst."""
    world = current(group)
    staged = Staged(tensor, world, False)
    test = staged.transport.send(staged.memory, _root(world, dst, group_dst, "dst"), tag)
    return _work(world, test, staged.finish, True)


def irecv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> Work | None:
    """Begin to receive what rank src sends."""
    world = current(group)
    staged = Staged(tensor, world, True)
    test = staged.transport.receive(staged.memory, _root(world, src, group_src, "src"), tag)
    return _work(world, test, staged.finish, True)


def send(tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None) -> None:
    """Send the tensor to rank dst."""
    work = isend(tensor, dst, group, tag, group_dst)
    assert work is not None
    work.wait()


def recv(tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None) -> int:
    """tensor <- what rank src sends; returns src."""
    work = irecv(tensor, src, group, tag, group_src)
    assert work is not None
    work.wait()
    return _root(current(group), src, group_src, "src")


def barrier(
    group: Any = None, async_op: bool = False, device_ids: list[int] | None = None, timeout: timedelta | None = None
) -> Work | None:
    """Wait until all ranks have come here."""
    world = current(group)
    if world.host is not None:
        return _work(world, world.host.barrier(), lambda: None, async_op)
    on_host(world, np.zeros(1, np.float32))
    return Work(world.watch, lambda: True) if async_op else None


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """object_list[r] <- rank r's object, which pickle has to know, on all ranks. Ranks trust each other: pickle executes."""
    world = current(group)
    if len(object_list) != world.size():
        raise ValueError(f"object_list has {len(object_list)} places, and there are {world.size()} ranks")
    data = np.frombuffer(pickle.dumps(obj), np.uint8)
    lengths = gathered_on_host(world, np.array([len(data)]))[:, 0]
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(data)] = data
    rows = gathered_on_host(world, padded)
    object_list[:] = [pickle.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]


def broadcast_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None, group_src: int | None = None
) -> None:
    """object_list <- rank src's objects, which pickle has to know."""
    world = current(group)
    root = _root(world, src, group_src, "src")
    everybodys: list[Any] = [None] * world.size()
    all_gather_object(everybodys, list(object_list) if world.rank() == root else None, group)
    object_list[:] = everybodys[root]
