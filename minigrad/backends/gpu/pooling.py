"""Max-pooling and adaptive average pooling.

Gradients are gathered: each pixel looks through the windows that cover it, so nothing is added by two threads and the
sum is the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..taps import tap_dtype
from .device import xp
from .launch import kernel
from .layout import from_rows, to_rows

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]


def pooled_length(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit an axis; with ceil_mode also one that hangs over the end, if it starts inside."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    length = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    return length - 1 if ceil_mode and (length - 1) * stride >= size + padding else length


@dataclass(frozen=True)
class Window:
    """The sizes of one max-pooling of images (N, C, H, W)."""

    N: int
    C: int
    H: int
    W: int
    OH: int
    OW: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @classmethod
    def of(cls, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Window:
        oh, ow = (
            pooled_length(x_shape[2 + i], kernel[i], stride[i], padding[i], dilation[i], ceil_mode) for i in (0, 1)
        )
        return cls(*x_shape, oh, ow, kernel, stride, padding, dilation)

    @property
    def tap_dtype(self) -> np.dtype:
        return tap_dtype(self.kernel)

    @property
    def arguments(self) -> tuple[int, ...]:
        """H to DW, as the kernels take them."""
        return (
            self.H, self.W, self.C, self.OH, self.OW, *self.kernel, *self.stride, *self.padding, *self.dilation
        )  # fmt: skip

    def empty_outputs(self, dtype: np.dtype) -> tuple[Any, Any]:
        """y and tap, (N, OH, OW, C)."""
        shape = (self.N, self.OH, self.OW, self.C)
        return xp.empty(shape, dtype), xp.empty(shape, self.tap_dtype)


def pool_images(window: Window, z: Any, b: Any, relu: bool, y: Any, tap: Any) -> None:
    """Fill y and tap (n, OH, OW, C) from z (n, H, W, C), to which a bias is added and ReLU applied first.

    After a ReLU, `cut_bit` is set in tap where y <= 0: no gradient goes to the winner.
    """
    pool = kernel("pooling", "max_pool", z.dtype, window.tap_dtype)
    pool.over(y.size, z, b, relu, y, tap, np.int64(y.size), *window.arguments)


def pool_images_backward(window: Window, gy: Any, tap: Any) -> Any:
    """gx (n, H, W, C) of gy and tap (n, OH, OW, C)."""
    gx = xp.empty((len(gy), window.H, window.W, window.C), gy.dtype)
    pool = kernel("pooling", "max_pool_backward", gy.dtype, window.tap_dtype)
    pool.over(gx.size, gy, tap, gx, np.int64(gx.size), *window.arguments)
    return gx


def max_pool2d(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> tuple[Any, Any]:
    """(y, tap): each window's largest value and where in the window it is (kh*KW + kw, the first among equals)."""
    window = Window.of(x.shape, kernel, stride, padding, dilation, ceil_mode)
    y, tap = window.empty_outputs(x.dtype)
    pool_images(window, to_rows(x, xp), None, False, y, tap)
    return from_rows(y, xp), from_rows(tap, xp)


def max_pool2d_backward(
    gy: Any, tap: Any, x_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Any:
    """gx: gy (N, C, OH, OW) added at each window's winner."""
    window = Window(*x_shape, gy.shape[2], gy.shape[3], kernel, stride, padding, dilation)
    return from_rows(pool_images_backward(window, to_rows(gy, xp), to_rows(tap, xp)), xp)


def max_pool2d_gather(x: Any, tap: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """y (N, C, OH, OW) = x at each window's winner: the transpose of max_pool2d_backward."""
    n, c, h, w = x.shape
    window = Window(n, c, h, w, tap.shape[2], tap.shape[3], kernel, stride, padding, dilation)
    y, _ = window.empty_outputs(x.dtype)
    _gather(window, to_rows(x, xp), to_rows(tap, xp), y)
    return from_rows(y, xp)


def _gather(window: Window, x: Any, tap: Any, y: Any) -> None:
    gather = kernel("pooling", "max_pool_gather", x.dtype, window.tap_dtype)
    gather.over(y.size, x, tap, y, np.int64(y.size), *window.arguments)


def adaptive_avg_pool2d(x: Any, output_size: Pair) -> Any:
    """y (N, C, OH, OW): means over the bins floor(i*H/OH) to ceil((i+1)*H/OH), and alike along W."""
    n, c, h, w = x.shape
    y = xp.empty((n, *output_size, c), x.dtype)
    pool = kernel("pooling", "adaptive_avg_pool", x.dtype)
    pool.over(y.size, to_rows(x, xp), y, np.int64(y.size), h, w, c, *output_size)
    return from_rows(y, xp)


def adaptive_avg_pool2d_backward(gy: Any, x_shape: Shape) -> Any:
    """gx (N, C, H, W): each pixel's share of the bins that it lies in."""
    n, c, h, w = x_shape
    gx = xp.empty((n, h, w, c), gy.dtype)
    pool = kernel("pooling", "adaptive_avg_pool_backward", gy.dtype)
    pool.over(gx.size, to_rows(gy, xp), gx, np.int64(gx.size), h, w, c, *gy.shape[2:])
    return from_rows(gx, xp)
