"""Max-pooling and adaptive average pooling.

Gradients are gathered: each pixel looks through the windows that cover it, so nothing is added by two threads and the
sum is the same in every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minigrad.window import Pair, Window

from ..kernels import Array
from ..taps import tap_dtype
from .device import xp
from .launch import kernel
from .layout import from_rows, to_rows

Shape = Sequence[int]


@dataclass(frozen=True)
class Pooling:
    """The sizes of one max-pooling of images (N, C, H, W)."""

    window: Window
    N: int
    C: int
    H: int
    W: int

    @cached_property
    def out(self) -> Pair:
        """(OH, OW)"""
        return self.window.output_size((self.H, self.W))

    @property
    def tap_dtype(self) -> np.dtype:
        return tap_dtype(self.window.kernel)

    @property
    def arguments(self) -> tuple[int, ...]:
        """H to DW, as the kernels take them."""
        window = self.window
        return (
            self.H, self.W, self.C, *self.out, *window.kernel, *window.stride, *window.padding, *window.dilation
        )  # fmt: skip

    def empty_outputs(self, dtype: np.dtype) -> tuple[Array, Array]:
        """y and tap, (N, OH, OW, C)."""
        shape = (self.N, *self.out, self.C)
        return xp.empty(shape, dtype), xp.empty(shape, self.tap_dtype)


def pool_images(pooling: Pooling, z: Array, b: Array, relu: bool, y: Array, tap: Array) -> None:
    """Fill y and tap (n, OH, OW, C) from z (n, H, W, C), to which a bias is added and ReLU applied first.

    After a ReLU, `cut_bit` is set in tap where y <= 0: no gradient goes to the winner.
    """
    pool = kernel("pooling", "max_pool", z.dtype, pooling.tap_dtype)
    pool.over(y.size, z, b, relu, y, tap, np.int64(y.size), *pooling.arguments)


def pool_images_backward(pooling: Pooling, gy: Array, tap: Array) -> Array:
    """gx (n, H, W, C) of gy and tap (n, OH, OW, C)."""
    gx = xp.empty((len(gy), pooling.H, pooling.W, pooling.C), gy.dtype)
    pool = kernel("pooling", "max_pool_backward", gy.dtype, pooling.tap_dtype)
    pool.over(gx.size, gy, tap, gx, np.int64(gx.size), *pooling.arguments)
    return gx


def max_pool2d(x: Array, *, window: Window) -> tuple[Array, Array]:
    """(y, tap): each window's largest value and where in the window it is (kh*KW + kw, the first among equals)."""
    pooling = Pooling(window, *x.shape)
    y, tap = pooling.empty_outputs(x.dtype)
    pool_images(pooling, to_rows(x, xp), None, False, y, tap)
    return from_rows(y, xp), from_rows(tap, xp)


def max_pool2d_backward(gy: Array, tap: Array, *, x_shape: Shape, window: Window) -> Array:
    """gx: gy (N, C, OH, OW) added at each window's winner."""
    return from_rows(pool_images_backward(Pooling(window, *x_shape), to_rows(gy, xp), to_rows(tap, xp)), xp)


def max_pool2d_gather(x: Array, tap: Array, *, window: Window) -> Array:
    """y (N, C, OH, OW) = x at each window's winner: the transpose of max_pool2d_backward."""
    pooling = Pooling(window, *x.shape)
    y, _ = pooling.empty_outputs(x.dtype)
    gather = kernel("pooling", "max_pool_gather", x.dtype, pooling.tap_dtype)
    gather.over(y.size, to_rows(x, xp), to_rows(tap, xp), y, np.int64(y.size), *pooling.arguments)
    return from_rows(y, xp)


def adaptive_avg_pool2d(x: Array, *, output_size: Pair) -> Array:
    """y (N, C, OH, OW): means over the bins floor(i*H/OH) to ceil((i+1)*H/OH), and alike along W."""
    n, c, h, w = x.shape
    y = xp.empty((n, *output_size, c), x.dtype)
    pool = kernel("pooling", "adaptive_avg_pool", x.dtype)
    pool.over(y.size, to_rows(x, xp), y, np.int64(y.size), h, w, c, *output_size)
    return from_rows(y, xp)


def adaptive_avg_pool2d_backward(gy: Array, *, x_shape: Shape) -> Array:
    """gx (N, C, H, W): each pixel's share of the bins that it lies in; of one bin a view that repeats it."""
    n, c, h, w = x_shape
    if gy.shape[2:] == (1, 1) and h * w:
        return xp.broadcast_to(gy / (h * w), (n, c, h, w))
    gx = xp.empty((n, h, w, c), gy.dtype)
    pool = kernel("pooling", "adaptive_avg_pool_backward", gy.dtype)
    pool.over(gx.size, to_rows(gy, xp), gx, np.int64(gx.size), h, w, c, *gy.shape[2:])
    return from_rows(gx, xp)
