"""Convolution, alone and fused with the ReLU and the max-pooling that follow it: implicit products, one launch each.

    y = patches w^T + b,   gx = the patches of gy times w,   gw = gy^T patches,   gb = sum over rows of gy

cuda/convolution.cu says how. A map that is pooled is there for MAP_BYTES of it at a time: some images at once.

N images, C channels, G groups, O output channels, K = KH*KW*C/G numbers in a patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.window import Window

from ..kernels import Array
from ..precision import cudnn
from .columns import Geometry
from .device import xp
from .launch import counters, kernel, max_blocks, tensor_cores
from .layout import from_rows, to_rows
from .pooling import Pooling, Shape, pool_images, pool_images_backward

MAP_BYTES, SPREAD_BYTES = 128 * 2**20, 32 * 2**20
TILE, DEPTH, THREADS, RESULTS = 64, 16, 256, 16  # as in tiles.cuh
LEAST_ROWS = 256  # of one split of the rows that the gradient of w sums over

Needs = Sequence[bool]


def _geometry(window: Window, outputs: int, shape: Sequence[int]) -> Geometry:
    """Of a convolution of images of that shape, at the precision that is allowed now."""
    n, c, h, w = shape
    return Geometry(window, outputs, n, c, h, w, cudnn.allow_tf32)


def _tiles(count: int) -> int:
    return -(-count // TILE)


def _contiguous(array: Array) -> Array:
    return None if array is None else xp.ascontiguousarray(array)


def _kernel(g: Geometry, name: str, dtype: np.dtype) -> Any:
    return kernel("convolution", name, dtype, tf32=tensor_cores(dtype, g.allow_tf32))


def _convolve(g: Geometry, x: Array, w: Array, b: Array, relu: bool, out: Array) -> None:
    """out (n, OH, OW, O) = the convolution of x (n, H, W, C)."""
    rows = out.size // max(1, g.O)
    if rows:
        grid = (_tiles(rows), _tiles(g.O // g.G), g.G)
        _kernel(g, "convolve", x.dtype).launch(grid, (THREADS,), x, w, b, out, rows, relu, *g.sizes)


def _gradient_of_x(g: Geometry, gy: Array, y: Array, w: Array, gx: Array) -> None:
    """gx (n, H, W, C) from gy (n, OH, OW, O), cut where y <= 0 if there is one."""
    rows = gx.size // max(1, g.C)
    if rows:
        grid = (_tiles(rows), _tiles(g.C // g.G), g.G)
        _kernel(g, "convolve_backward_x", gy.dtype).launch(grid, (THREADS,), gy, y, w, gx, rows, *g.sizes)


def gradient_of_w(g: Geometry, gy: Array, y: Array, x: Array, gw: Array, gb: Array, accumulate: bool) -> None:
    """gw (O, C/G, KH, KW) and gb (O,), either may be None, from gy (n, OH, OW, O), which is not empty, and x (n, H, W, C)."""
    rows = gy.size // g.O
    first = 0 if gw is not None else g.K // TILE  # the tile that the bias is in
    across = (_tiles(g.O // g.G), _tiles(g.K + (gb is not None)) - first)
    tiles = _tiles(g.O // g.G) * _tiles(g.K + 1) * g.G
    splits = min(-(-max_blocks() // (4 * tiles)), -(-rows // LEAST_ROWS))  # four blocks a processor fill it
    split_rows = -(-rows // splits // DEPTH) * DEPTH
    splits = -(-rows // split_rows)
    parts = xp.empty(tiles * splits * THREADS * RESULTS if splits > 1 else 1, gy.dtype)
    _kernel(g, "convolve_backward_w", gy.dtype).launch(
        (*across, g.G * splits), (THREADS,), gy, y, x, gw, gb, parts, counters(tiles), rows, split_rows, splits, first,
        accumulate, *g.sizes,
    )  # fmt: skip


def _convolve_backward(
    g: Geometry, x: Array, w: Array, dtype: np.dtype, needs: Needs, groups: Iterator[slice],
    gradient: Callable[[slice], tuple[Array, Array]],
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(gx, gw, gb), where gradient(images) is (the gradient of the convolution's result, the ReLU's result or None)."""
    needs_x, needs_w, needs_b = needs
    whole = g.N * g.out[0] * g.out[1] * g.O > 0
    gx: Array = xp.empty((g.N, g.H, g.W, g.C), dtype) if needs_x else None
    make = xp.empty if whole else xp.zeros  # without rows nothing is launched
    gw: Array = make((g.O, g.C // g.G, *g.window.kernel), dtype) if needs_w else None
    gb: Array = make(g.O, dtype) if needs_b else None
    if needs_x and not whole:
        gx.fill(0)
    x, w = to_rows(x, xp) if needs_w else None, _contiguous(w) if needs_x else None
    for images in groups if whole else ():
        gy, y = gradient(images)
        if needs_w or needs_b:
            gradient_of_w(g, gy, y, x[images] if needs_w else None, gw, gb, images.start > 0)
        if needs_x:
            _gradient_of_x(g, gy, y, w, gx[images])
        del gy, y  # before the next ones are made
    return (from_rows(gx, xp) if needs_x else None), gw, gb


def conv2d(x: Array, w: Array, b: Array, *, window: Window, relu: bool = False) -> Array:
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/G, KH, KW) and b (O,) or None; ReLU in the same pass if asked for."""
    g = _geometry(window, w.shape[0], x.shape)
    x, w, b = to_rows(x, xp), _contiguous(w), _contiguous(b)
    y = xp.empty((g.N, *g.out, g.O), x.dtype)
    for images in g.images():
        _convolve(g, x[images], w, b, relu, y[images])
    return from_rows(y, xp)


def conv2d_backward(
    gy: Array, x: Array, w: Array, y: Array, *, x_shape: Shape, window: Window, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed. y is the output of a fused ReLU: gy passes unless y <= 0."""
    g = _geometry(window, gy.shape[1], x_shape)
    repeated = 0 in gy.strides[2:]  # as a mean's: it is spread out for some images at a time
    gy = gy if repeated else to_rows(gy, xp)
    y = None if y is None else to_rows(y, xp)

    def gradient(images: slice) -> tuple[Array, Array]:
        return to_rows(gy[images], xp) if repeated else gy[images], None if y is None else y[images]

    groups = g.images(SPREAD_BYTES, gy.itemsize) if repeated else g.images()
    return _convolve_backward(g, x, w, gy.dtype, needs, groups, gradient)


def conv2d_relu_max_pool2d(x: Array, w: Array, b: Array, *, window: Window, pool: Window) -> tuple[Array, Array]:
    """(p, tap): the pooled ReLU'd convolution. Its full map lives for MAP_BYTES of it at a time.

    `cut_bit` is set in tap where p <= 0, so that the gradient needs no p.
    """
    g = _geometry(window, w.shape[0], x.shape)
    pooling = Pooling(pool, g.N, g.O, *g.out)
    x, w, b = to_rows(x, xp), _contiguous(w), _contiguous(b)
    p, tap = pooling.empty_outputs(x.dtype)
    for images in g.images(MAP_BYTES, x.itemsize):
        z = xp.empty((images.stop - images.start, *g.out, g.O), x.dtype)
        _convolve(g, x[images], w, None, False, z)
        pool_images(pooling, z, b, True, p[images], tap[images])
        del z  # before the next one is made
    return from_rows(p, xp), from_rows(tap, xp)


def conv2d_relu_max_pool2d_backward(
    gp: Array, x: Array, w: Array, tap: Array, *, x_shape: Shape, window: Window, pool: Window, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed; gp counts at the winner, unless `cut_bit` is set."""
    g = _geometry(window, gp.shape[1], x_shape)
    pooling = Pooling(pool, g.N, g.O, *g.out)
    gp, tap = to_rows(gp, xp), to_rows(tap, xp)

    def gradient(images: slice) -> tuple[Array, Array]:
        return pool_images_backward(pooling, gp[images], tap[images]), None

    return _convolve_backward(g, x, w, gp.dtype, needs, g.images(MAP_BYTES, gp.itemsize), gradient)
