"""Batch normalisation.

y = (x - mean) / sqrt(var + eps) * w + b for each channel, over the batch and all places.
Source: S. Ioffe, C. Szegedy, Batch Normalization (2015).
"""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.function import FusedFunction
from minigrad.tensor import Tensor, describe


def _per_channel(v: Tensor, ndim: int) -> Tensor:
    """(C) as (1, C, 1, ...), to broadcast over (N, C, ...)."""
    return v.reshape((1, -1) + (1,) * (ndim - 2))


class BatchNorm(FusedFunction):
    """y = (x - mean) r w + b with r = 1 / sqrt(var + eps), mean and biased var of each channel of this batch.

    With xh = (x - mean) r:  gw = sum gy xh,  gb = sum gy,  gx = r w (gy - gb/m - xh gw/m) over m elements a channel.
    Leaves the batch's statistics in `mean` and `var`, arrays (C).
    """

    saves = {0: None, 1: None}
    keeps = ("invstd",)

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        over = (0, *range(2, x.ndim))
        mean = x.mean(over, keepdim=True)
        var = ((x - mean) ** 2).mean(over, keepdim=True)
        self.mean, self.var = mean.array.reshape(-1), var.array.reshape(-1)
        return _affine((x - mean) / (var + self.eps).sqrt(), w, b)

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        y, self.mean, self.invstd, self.var = backends.of(x).batch_norm(x, w, b, self.eps)
        return y

    def backward_arrays(self, gy: Any) -> Any:
        x, w, _ = self.arrays
        return backends.of(gy).batch_norm_backward(gy, x, w, self.mean, self.invstd, True, self.needs)


class BatchNormApply(FusedFunction):
    """y = (x - mean) r w + b with given statistics (evaluation);  gx = gy r w."""

    saves = {0: 1, 1: None}

    def __init__(self, mean: Any, var: Any, eps: float) -> None:
        self.mean, self.var, self.eps = mean, var, eps

    def definition(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        mean, var = _per_channel(Tensor(self.mean), x.ndim), _per_channel(Tensor(self.var), x.ndim)
        return _affine((x - mean) / (var + self.eps).sqrt(), w, b)

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        backend = backends.of(x)
        self.invstd = 1 / backend.xp.sqrt(self.var + self.eps)
        return backend.batch_norm_apply(x, w, b, self.mean, self.invstd)

    def backward_arrays(self, gy: Any) -> Any:
        x, w, _ = self.arrays
        return backends.of(gy).batch_norm_backward(gy, x, w, self.mean, self.invstd, False, self.needs)


def _affine(xh: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    y = xh if w is None else xh * _per_channel(w, xh.ndim)
    return y if b is None else y + _per_channel(b, xh.ndim)


def batch_norm(
    input: Tensor,  # noqa: A002 - torch's name
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation of input (N, C, ...); weight, bias and running statistics are (C).

    training: with the batch's own statistics, and running = (1 - momentum) running + momentum batch (the variance unbiased),
    outside the graph. Else: with the running statistics.
    """
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm expects (N, C, ...), but got {describe(input)}")
    channels = input.shape[1]
    for name, v in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if v is not None and v.shape != (channels,):
            raise RuntimeError(f"{name} should contain {channels} elements not {v.numel()}")
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        mean, var = running_mean.array, running_var.array
        if mean.dtype != input.dtype:
            mean, var = mean.astype(input.dtype), var.astype(input.dtype)
        return BatchNormApply(mean, var, eps)(input, weight, bias)
    count = input.numel() // channels if channels else 0
    if count <= 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    op = BatchNorm(eps)
    y = op(input, weight, bias)
    for running, batch in ((running_mean, op.mean), (running_var, op.var * (count / (count - 1)))):
        if running is not None:
            running.array *= 1 - momentum
            running.array += (momentum * batch).astype(running.dtype)
            running._bump_version()
    return y
