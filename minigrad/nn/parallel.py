"""torch.nn.parallel: DistributedDataParallel, one process a rank; and DataParallel, which is the module itself on one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.distributed import broadcast
from minigrad.distributed.group import current
from minigrad.distributed.reducer import BUCKET, FIRST_BUCKET, Reducer
from minigrad.errors import RankError
from minigrad.grad_mode import is_grad_enabled, no_grad
from minigrad.nn.module import Module


class DataParallel(Module):
    """Runs its module on one device. State-dict keys begin with "module.", as in torch."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module, self.dim = module, dim
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """The module of every rank, kept the same: each backward pass leaves the mean of the ranks' gradients in .grad.

    At the start parameters and buffers become rank 0's. The gradients are averaged in buckets while the backward pass goes on
    (minigrad.distributed.reducer). A loss that is a mean over a rank's images, as many on each rank, so has the gradient of the
    mean over all. State-dict keys begin with "module.", as in torch: save `ddp.module`.

    Args:
        module: the same architecture on every rank.
        broadcast_buffers, forward_sync_buffers: give rank 0's buffers to all at each forward pass in training (True).
        init_sync: give rank 0's parameters and buffers to all at the start.
        process_group: None, the group of all ranks.
        bucket_cap_mb, bucket_cap_mb_list: MiB of a bucket (25, the first one 1), or of each bucket.
        find_unused_parameters: parameters that a pass does not reach on some rank count as 0 there; without it they are an
            error.
        device_ids, output_device, dim, check_reduction, gradient_as_bucket_view, static_graph and the rest: torch's own; they
            change nothing here.

    Raises RuntimeError for a module without parameters that require gradients, or of another shape than rank 0's.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: list[int] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        super().__init__()
        self.module, self.process_group = module, process_group
        group = current(process_group)
        trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not trained:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
            )
        self._check_alike(group)
        if init_sync:
            self._broadcast([*module.parameters(), *module.buffers()])
        sync = forward_sync_buffers if forward_sync_buffers is not None else broadcast_buffers
        self.broadcast_buffers = sync is None or sync
        cap = BUCKET if bucket_cap_mb is None else int(bucket_cap_mb * 2**20)
        sizes = [min(FIRST_BUCKET, cap), cap]
        if bucket_cap_mb_list:
            sizes = [int(size * 2**20) for size in bucket_cap_mb_list]
        names, parameters = [name for name, _ in trained], [p for _, p in trained]
        self.__dict__["reducer"] = Reducer(group, parameters, names, sizes, find_unused_parameters)

    def _check_alike(self, group: Any) -> None:
        """RankError, on all ranks, unless all have parameters of the same names, shapes and types."""
        own = [f"{name} {list(p.shape)} {p.dtype} {p.requires_grad}" for name, p in self.module.named_parameters()]
        for rank, other in enumerate(group.watch.gather(own) if group.size() > 1 else [own]):
            first = next((pair for pair in zip(other, own, strict=False) if pair[0] != pair[1]), None)
            if first or len(other) != len(own):
                what = (
                    f"{first[0]} there, {first[1]} here" if first else f"{len(other)} parameters there, {len(own)} here"
                )
                raise RankError(f"rank {rank}'s model is another than rank {group.rank()}'s: {what}")

    @no_grad()
    def _broadcast(self, tensors: list[Any]) -> None:
        for tensor in tensors:
            broadcast(tensor, 0, self.process_group)

    @property
    def reducer(self) -> Reducer:
        """What averages the gradients."""
        return self.__dict__["reducer"]

    @property
    def require_backward_grad_sync(self) -> bool:
        """Whether backward passes average."""
        return self.reducer.active

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        reducer = self.reducer
        if self.training and is_grad_enabled() and reducer.active:
            if self.broadcast_buffers:
                self._broadcast(list(self.module.buffers()))
            if reducer.begun:
                reducer.prepare()
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within, backward passes add up each rank's own gradients; the next one outside averages the sums."""
        reducer = self.reducer
        before, reducer.active = reducer.active, False
        try:
            yield
        finally:
            reducer.active = before
