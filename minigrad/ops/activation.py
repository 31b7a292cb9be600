"""Softmax and log-softmax, fused."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.function import FusedFunction
from minigrad.ops.common import axis, floating
from minigrad.ops.reduction import amax, logsumexp
from minigrad.tensor import Tensor


class Softmax(FusedFunction):
    """y_i = e^(x_i) / sum_j e^(x_j) along an axis;  gx = y (gy - sum_j gy_j y_j)."""

    saves_output = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        e = (x - amax(x.detach(), self.dim, keepdim=True)).exp()
        return e / e.sum(self.dim, keepdim=True)

    def forward(self, x: Any) -> Any:
        return backends.of(x).softmax(x, self.dim)

    def backward_arrays(self, gy: Any) -> Any:
        return backends.of(gy).softmax_backward(gy, self.output_array, self.dim)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the output, which is saved, rather than the input, which is not."""
        y, (gy,) = self.output, gradients
        return (y * (gy - (gy * y).sum(self.dim, keepdim=True)),)


class LogSoftmax(FusedFunction):
    """y_i = x_i - log sum_j e^(x_j) along an axis;  gx = gy - e^y sum_j gy_j."""

    saves_output = True

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def definition(self, x: Tensor) -> Tensor:
        return x - logsumexp(x, self.dim, keepdim=True)

    def forward(self, x: Any) -> Any:
        return backends.of(x).log_softmax(x, self.dim)

    def backward_arrays(self, gy: Any) -> Any:
        return backends.of(gy).log_softmax_backward(gy, self.output_array, self.dim)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the output, which is saved, rather than the input, which is not."""
        y, (gy,) = self.output, gradients
        return (gy - y.exp() * gy.sum(self.dim, keepdim=True),)


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:  # noqa: A002 - torch's name
    """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
    x = floating(input) if dtype is None else input.to(np.dtype(dtype))
    return Softmax(axis(_implicit(x) if dim is None else dim, x.ndim))(x) if x.ndim else x * 0 + 1


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:  # noqa: A002
    """x - log sum e^x along `dim`."""
    x = floating(input) if dtype is None else input.to(np.dtype(dtype))
    return LogSoftmax(axis(_implicit(x) if dim is None else dim, x.ndim))(x) if x.ndim else x * 0


def _implicit(x: Tensor) -> int:
    return 0 if x.ndim in (0, 1, 3) else 1
