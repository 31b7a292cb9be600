"""Batch normalisation over the batches of all ranks together: what nn.SyncBatchNorm computes in training.

With M numbers a channel in all, m on this rank, and sums over all ranks:

    mean = sum of m mean_r / M,   var = sum of m (var_r + (mean_r - mean)^2) / M        (Chan et al. 1979)
    y = (x - mean) r w + b,   r = 1 / sqrt(var + eps),   z = (x - mean) r
    gx = r w (gy - sum gy / M - z sum gy z / M);   gw, gb are this rank's own sums, for the reducer averages them with the others

Two small exchanges a layer: mean, variance and count going forward, the two sums going back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.distributed.exchange import gathered, summed
from minigrad.distributed.group import ProcessGroup
from minigrad.fused import FusedOp
from minigrad.op import HALF, Op
from minigrad.ops.normalization import _affine, _follow
from minigrad.tensor import Tensor


class SumOverRanks(Op):
    """y = the sum of x over the ranks, on each of them;  gx = the sum of gy."""

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group

    def forward(self, x: Array) -> Array:
        return summed(self.group, backends.of(x).xp.array(x, order="C"))

    def backward(self, gy: Tensor) -> Tensor:
        return SumOverRanks(self.group)(gy)


class SyncBatchNorm(FusedOp):
    """The op of the formulas above: x (N, C, ...); w, b (C) or None. Leaves `mean`, `var` (C) and `count` of all ranks."""

    fresh = True
    known_as = "batch_norm"
    saves = {0: None, 1: None}
    keeps = ("invstd",)

    def __init__(self, eps: float, group: ProcessGroup) -> None:
        self.eps, self.group = eps, group

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        over, total = (0, *range(2, x.ndim)), SumOverRanks(self.group)
        count = math.prod((x.shape[0], *x.shape[2:]))
        self.count = (
            float(summed(self.group, np.array([count], np.float64))[0])
            if self.group.host
            else count * self.group.size()
        )
        mean = total(x.sum(over, keepdim=True)) / self.count
        var = SumOverRanks(self.group)(((x - mean) ** 2).sum(over, keepdim=True)) / self.count
        self.mean, self.var = mean.array.reshape(-1), var.array.reshape(-1)
        return _affine((x - mean) / (var + self.eps).sqrt(), w, b)

    def forward(self, x: Array, w: Array, b: Array) -> Array:
        backend = backends.of(x)
        xp, channels = backend.xp, x.shape[1]
        own = xp.empty((2 * channels + 1,), np.float64)
        own[0] = x.size // channels
        _, own[1 : channels + 1], _, own[channels + 1 :] = backend.batch_norm(x, None, None, eps=self.eps)
        rows = gathered(self.group, own)
        counts, means, variances = rows[:, :1], rows[:, 1 : channels + 1], rows[:, channels + 1 :]
        self.count = float(counts.sum())
        mean = (counts * means).sum(0) / self.count
        var = (counts * (variances + (means - mean) ** 2)).sum(0) / self.count
        self.mean, self.var = mean.astype(x.dtype), var.astype(x.dtype)
        self.invstd = (1 / xp.sqrt(var + self.eps)).astype(x.dtype)
        return backend.batch_norm_apply(x, w, b, self.mean, self.invstd)

    def backward_arrays(self, gy: Array) -> Any:
        x, w, _ = self.arrays
        backend = backends.of(gy)
        needs = (False, True, True)
        _, gw, gb = backend.batch_norm_backward(gy, x, w, self.mean, self.invstd, training=False, needs=needs)
        gx = None
        if self.asked_for[0]:
            sums = summed(self.group, backend.xp.stack([gb, gw])).astype(np.float64) / self.count
            factor = self.invstd if w is None else self.invstd * w
            gx, _, _ = backend.batch_norm_backward(
                gy, None, w, self.mean, self.invstd, training=False, needs=(True, False, False)
            )
            shift, slope = -sums[0] * factor, -sums[1] * self.invstd * factor
            gx += backend.batch_norm_apply(x, None, shift.astype(gy.dtype), self.mean, slope.astype(gy.dtype))
        return gx, gw if self.asked_for[1] else None, gb if self.asked_for[2] else None


def sync_batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float, group: ProcessGroup,
) -> Tensor:  # fmt: skip
    """Batch normalisation of input (N, C, ...), N of this rank, by the statistics of all ranks' inputs; running ones follow.

    ValueError, on all ranks, if there is but one number a channel in all.
    """
    if input.dtype == HALF:
        x, w, b = (v if v is None else v.to(np.float32) for v in (input, weight, bias))
        return sync_batch_norm(x, running_mean, running_var, w, b, momentum, eps, group).to(HALF)  # type: ignore[arg-type]
    op = SyncBatchNorm(eps, group)
    y = op(input, weight, bias)
    if op.count <= 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    _follow(running_mean, running_var, op.mean, op.var, momentum, op.count / (op.count - 1))
    return y
