"""Pooling: the largest or the mean of each window.

A max pool remembers, for each window, which of its KH KW places won (its `tap`, the first among equals): one byte. Its
gradient is sent there; reading at the winners and adding at the winners are each other's adjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.function import Function, FusedFunction
from minigrad.ops.common import IntOrPair, Pair, pair
from minigrad.tensor import Tensor, describe

Pool = tuple[Pair, Pair, Pair, Pair, bool]
"""(kernel, stride, padding, dilation, ceil_mode)"""


def output_size(n: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False) -> int:
    """How many windows fit: floor((n + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.

    ceil_mode rounds up, but a last window that would start in the right padding is dropped.
    """
    span = n + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return span // stride + 1
    count = -(-span // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


class MaxPool2d(FusedFunction):
    """y = the largest of each window;  gx = gy added at each window's winner."""

    keeps = ("tap",)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def definition(self, x: Tensor) -> Tensor:
        (kh, kw), (sh, sw), (ph, pw), (dh, dw), ceil_mode = self.pool
        n, c, h, w = x.shape
        height = output_size(h, kh, sh, ph, dh, ceil_mode)
        width = output_size(w, kw, sw, pw, dw, ceil_mode)
        bottom = max((height - 1) * sh + dh * (kh - 1) + 1 - h - ph, 0)
        right = max((width - 1) * sw + dw * (kw - 1) + 1 - w - pw, 0)
        x = x.pad((pw, right, ph, bottom), value=-float("inf"))
        windows = [
            x[:, :, i * dh : i * dh + (height - 1) * sh + 1 : sh, j * dw : j * dw + (width - 1) * sw + 1 : sw]
            for i in range(kh)
            for j in range(kw)
        ]
        from minigrad.ops.shape import stack

        return stack(windows).max(0).values

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        y, self.tap = backends.of(x).max_pool2d(x, *self.pool)
        return y

    def backward_arrays(self, gy: Any) -> Any:
        self._kept()
        return backends.of(gy).max_pool2d_backward(gy, self.tap, self.shape, *self.pool[:4])

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the winners, which are saved, rather than the input, which is not."""
        self._kept()
        return (PoolScatter(self.tap, self.shape, self.pool)(gradients[0]),)


class PoolScatter(Function):
    """x = zeros with y added at each window's winner;  gy = gx at the winners."""

    def __init__(self, tap: Any, shape: tuple[int, ...], pool: Pool) -> None:
        self.tap, self.shape, self.pool = tap, shape, pool

    def forward(self, y: Any) -> Any:
        return backends.of(y).max_pool2d_backward(y, self.tap, self.shape, *self.pool[:4])

    def backward(self, gx: Tensor) -> Tensor:
        return PoolGather(self.tap, self.shape, self.pool)(gx)


class PoolGather(Function):
    """y = x at each window's winner;  gx = zeros with gy added there."""

    def __init__(self, tap: Any, shape: tuple[int, ...], pool: Pool) -> None:
        self.tap, self.shape, self.pool = tap, shape, pool

    def forward(self, x: Any) -> Any:
        return backends.of(x).max_pool2d_gather(x, self.tap, *self.pool[:4])

    def backward(self, gy: Tensor) -> Tensor:
        return PoolScatter(self.tap, self.shape, self.pool)(gy)


class AdaptiveAvgPool2d(FusedFunction):
    """y[i, j] = the mean of x over rows floor(i H/OH) to ceil((i+1) H/OH) and the like columns: Y = A X B^T.

    A (OH, H) and B (OW, W) hold 1/n where a row or column belongs to a bin of n.
    """

    def __init__(self, size: Pair) -> None:
        self.size = size

    def definition(self, x: Tensor) -> Tensor:
        rows, columns = (self._averages(x, i) for i in (0, 1))
        return rows @ x @ columns.mT

    def _averages(self, x: Tensor, i: int) -> Tensor:
        n, bins = x.shape[2 + i], self.size[i]
        matrix = np.zeros((bins, n), x.dtype)
        for k in range(bins):
            start, stop = k * n // bins, -(-(k + 1) * n // bins)
            matrix[k, start:stop] = 1 / (stop - start)
        return Tensor(matrix).to(x.device)

    def forward(self, x: Any) -> Any:
        self.shape = x.shape
        return backends.of(x).adaptive_avg_pool2d(x, self.size)

    def backward_arrays(self, gy: Any) -> Any:
        return backends.of(gy).adaptive_avg_pool2d_backward(gy, self.shape)


# -- the functions, as torch names them ---------------------------------------------------------------------------------


def max_pool2d(
    input: Tensor,  # noqa: A002 - torch's name
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given.

    return_indices: also the winners' places, int64, counted through the flattened (H, W).
    """
    if input.ndim == 3:
        result = max_pool2d(input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return tuple([r.squeeze(0) for r in result]) if return_indices else result.squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"non-empty 3D or 4D (batch mode) tensor expected for input, but got {describe(input)}")
    kernel = pair(kernel_size)
    pool: Pool = (
        kernel,
        kernel if stride is None or stride == [] else pair(stride),
        pair(padding),
        pair(dilation),
        ceil_mode,
    )
    check_pool(pool, input.shape)
    op = MaxPool2d(pool)
    y = op(input)
    return (y, _flat_indices(input, pool)) if return_indices else y


def check_pool(pool: Pool, shape: tuple[int, ...]) -> None:
    """Raises as torch does where the window does not fit."""
    kernel, stride, padding, dilation, ceil_mode = pool
    if min(*kernel, *stride, *dilation) < 1:
        raise RuntimeError(f"kernel size {kernel}, stride {stride} and dilation {dilation} should be greater than zero")
    for i in range(2):
        if padding[i] < 0 or padding[i] > (dilation[i] * (kernel[i] - 1) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={padding[i]}, "
                f"kernel_size={kernel[i]} and dilation={dilation[i]}"
            )
        if output_size(shape[2 + i], kernel[i], stride[i], padding[i], dilation[i], ceil_mode) < 1:
            raise RuntimeError(
                f"Given input size: {tuple(shape[1:])}. Output size is too small for kernel size {kernel}"
            )


def _flat_indices(x: Tensor, pool: Pool) -> Tensor:
    """The winners' places in the flattened image, from their taps."""
    backend = backends.of(x.array)
    kernel, stride, padding, dilation, _ = pool
    _, tap = backend.max_pool2d(x.array, *pool)
    tap = tap.astype(np.int64)
    i, j = tap // kernel[1], tap % kernel[1]
    rows = backend.xp.arange(tap.shape[2])[:, None] * stride[0] - padding[0]
    columns = backend.xp.arange(tap.shape[3])[None, :] * stride[1] - padding[1]
    return Tensor._wrap((rows + i * dilation[0]) * x.shape[3] + columns + j * dilation[1])


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:  # noqa: A002
    """The mean of each of OH x OW bins of input (N, C, H, W) or (C, H, W); None keeps an axis's size."""
    if input.ndim == 3:
        return adaptive_avg_pool2d(input.unsqueeze(0), output_size).squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got {describe(input)}")
    sizes = (output_size, output_size) if output_size is None or isinstance(output_size, int) else tuple(output_size)
    size = tuple([n if v is None else int(v) for v, n in zip(sizes, input.shape[2:], strict=True)])
    return AdaptiveAvgPool2d(size)(input)  # type: ignore[arg-type]
