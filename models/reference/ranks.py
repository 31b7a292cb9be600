"""Several ranks in PyTorch: how train_torch.py joins them, and batch norm over ranks on the CPU, where torch has none."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from minigrad.distributed.group import LIMIT
from minigrad.training import current


def join_ranks(device: torch.device) -> None:
    """Make torch's process group of the run's ranks, gloo between CPUs and nccl between GPUs; nothing to do for one."""
    ranks = current()
    if ranks.size == 1:
        return
    host, port = ranks.meeting_point()
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, f"tcp://{host}:{port}", timedelta(seconds=LIMIT), world_size=ranks.size, rank=ranks.rank
    )

    def add_up(numbers: np.ndarray) -> np.ndarray:
        total = torch.from_numpy(numbers).to(device)
        dist.all_reduce(total)
        return total.cpu().numpy()

    ranks.add_up = add_up


class SumOverRanks(torch.autograd.Function):
    """y = the sum of x over the ranks, on each of them;  gx = the sum of gy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clone()
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return SumOverRanks.apply(gradients[0].contiguous())  # type: ignore[return-value]


class SyncBatchNorm(nn.BatchNorm2d):
    """nn.SyncBatchNorm, which wants GPUs, on the CPU: its formula through sums over the ranks that are differentiated.

    mean = S(sum x) / M, var = S(sum (x - mean)^2) / M, S the sum over the ranks and M the numbers of a channel on all of them.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training or self.running_mean is None):
            return super().forward(input)
        over = (0, *range(2, input.dim()))
        shape = (1, -1, *[1] * (input.dim() - 2))
        numbers = torch.tensor(math.prod(input.shape[k] for k in over), dtype=torch.float64)
        dist.all_reduce(numbers)
        count = float(numbers)
        mean = SumOverRanks.apply(input.sum(over)) / count
        centred = input - mean.reshape(shape)
        var = SumOverRanks.apply((centred**2).sum(over)) / count
        if self.training and self.track_running_stats:
            self._follow(mean.detach(), var.detach() * (count / (count - 1)))
        y = centred * torch.rsqrt(var + self.eps).reshape(shape)
        return y * self.weight.reshape(shape) + self.bias.reshape(shape) if self.affine else y

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor) -> None:
        """The running statistics go towards this batch's."""
        assert self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, var)):
            running.mul_(1 - momentum).add_(new.to(running.dtype), alpha=momentum)


def synchronise(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, its batch norms turned into those over all ranks."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = SyncBatchNorm  # it keeps parameters and statistics
    return model
