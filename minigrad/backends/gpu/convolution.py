"""Convolution as rows of patches times a matrix, alone and fused with the ReLU and the max-pooling that follow it.

    y = cols w^T + b,   gw = gy^T cols,   gx = fold(gy w),   gb = sum over rows of gy

The columns of a chunk (columns.py) are made for the product and made again for the gradient of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.window import Window

from ..kernels import Array
from .columns import Geometry, columns, fold_rows
from .device import xp
from .elementwise import bias_relu, relu_backward, split_groups
from .layout import from_rows, to_rows
from .normalization import column_sums
from .pooling import Pooling, Shape, pool_images, pool_images_backward
from .products import gemm

Needs = Sequence[bool]


def _matrix(g: Geometry, w: Array) -> Array:
    """w (O, C/G, KH, KW) as G matrices (G, O/G, K), a patch's numbers in the order (kh, kw, c)."""
    return xp.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(g.G, g.O // g.G, g.K)


def _convolve(g: Geometry, x: Array, matrix: Array, b: Array, relu: bool, images: slice, out: Array) -> None:
    """out (images, OH, OW, O) = the convolution of these images of x (N, H, W, C)."""
    first = images.start * g.OH * g.OW
    out = out.reshape(-1, g.O)
    for rows in g.row_groups(images, x.itemsize):
        y = out[rows.start - first : rows.stop - first]
        cols = columns(g, x, rows)
        if g.G == 1:
            z = gemm(cols[0], matrix[0], out=y, transpose_b=True)[None]
        else:
            z = gemm(cols, matrix, transpose_b=True)
        if g.G > 1 or relu or b is not None:
            bias_relu(z, b, y, relu)


def _convolve_backward(
    g: Geometry, gradient: Callable[[slice], Any], x: Array, w: Array, dtype: np.dtype, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), where gradient(images) is the gradient (images, OH, OW, O) of the convolution's result."""
    needs_x, needs_w, needs_b = needs
    gx: Array = xp.zeros((g.N, g.H, g.W, g.C), dtype) if needs_x else None  # zeros: parts of images are added up
    gw: Array = xp.zeros((g.G, g.O // g.G, g.K), dtype) if needs_w else None
    gb = xp.zeros(g.O, dtype) if needs_b else None
    matrix = _matrix(g, w) if needs_x else None
    x = to_rows(x, xp) if needs_w else None
    for images in g.image_groups(dtype.itemsize):
        gz_images = gradient(images).reshape(-1, g.O)
        first = images.start * g.OH * g.OW
        for rows in g.row_groups(images, dtype.itemsize):
            gz = gz_images[rows.start - first : rows.stop - first]
            if needs_b:
                gb += column_sums(gz)
            gz = gz[None] if g.G == 1 else split_groups(gz, g.G)
            if needs_w:
                _product(gz, columns(g, x, rows), gw, transpose_a=True, accumulate=True)
            if needs_x and g.is_pointwise:
                _product(gz, matrix, gx.reshape(1, -1, g.C)[:, rows])
            elif needs_x:
                cols = xp.empty((g.G, rows.stop - rows.start, g.K), dtype)
                _product(gz, matrix, cols)
                fold_rows(g, cols, gx, rows)
    if needs_w:
        gw = gw.reshape(g.O, *g.window.kernel, g.C // g.G).transpose(0, 3, 1, 2)
    return (from_rows(gx, xp) if needs_x else None), gw, gb


def _product(a: Array, b: Array, out: Array, transpose_a: bool = False, accumulate: bool = False) -> None:
    """gemm of G matrices each; one matrix goes as 2-D, which needs no copies of transposed operands."""
    if len(a) == 1:
        a, b, out = a[0], b[0], out[0]
    gemm(a, b, out=out, transpose_a=transpose_a, accumulate=accumulate)


def conv2d(x: Array, w: Array, b: Array, *, window: Window, relu: bool = False) -> Array:
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/G, KH, KW) and b (O,) or None; ReLU in the same pass if asked for."""
    g = Geometry(window, w.shape[0], *x.shape)
    x, matrix = to_rows(x, xp), _matrix(g, w)
    b = None if b is None else xp.ascontiguousarray(b)
    y = xp.empty((g.N, g.OH, g.OW, g.O), x.dtype)
    for images in g.image_groups(x.itemsize):
        _convolve(g, x, matrix, b, relu, images, y[images])
    return from_rows(y, xp)


def conv2d_backward(
    gy: Array, x: Array, w: Array, y: Array, *, x_shape: Shape, window: Window, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed. y is the output of a fused ReLU: gy passes unless y <= 0."""
    g = Geometry(window, gy.shape[1], *x_shape)
    gy = to_rows(gy, xp)
    y = None if y is None else to_rows(y, xp)

    def gradient(images: slice) -> Array:
        return gy[images] if y is None else relu_backward(gy[images], y[images])

    return _convolve_backward(g, gradient, x, w, gy.dtype, needs)


def conv2d_relu_max_pool2d(x: Array, w: Array, b: Array, *, window: Window, pool: Window) -> tuple[Array, Array]:
    """(p, tap): the pooled ReLU'd convolution. Its full map lives for one chunk of images at a time.

    `cut_bit` is set in tap where p <= 0, so that the gradient needs no p.
    """
    g = Geometry(window, w.shape[0], *x.shape)
    pooling = Pooling(pool, g.N, g.O, g.OH, g.OW)
    x, matrix = to_rows(x, xp), _matrix(g, w)
    b = None if b is None else xp.ascontiguousarray(b)
    p, tap = pooling.empty_outputs(x.dtype)
    for images in g.image_groups(x.itemsize):
        z = xp.empty((images.stop - images.start, g.OH, g.OW, g.O), x.dtype)
        _convolve(g, x, matrix, None, False, images, z)
        pool_images(pooling, z, b, True, p[images], tap[images])
    return from_rows(p, xp), from_rows(tap, xp)


def conv2d_relu_max_pool2d_backward(
    gp: Array, x: Array, w: Array, tap: Array, *, x_shape: Shape, window: Window, pool: Window, needs: Needs
) -> tuple[Array, Array, Array]:
    """(gx, gw, gb), None where not needed; gp counts at the winner, unless `cut_bit` is set."""
    g = Geometry(window, gp.shape[1], *x_shape)
    pooling = Pooling(pool, g.N, g.O, g.OH, g.OW)
    gp, tap = to_rows(gp, xp), to_rows(tap, xp)

    def gradient(images: slice) -> Array:
        return pool_images_backward(pooling, gp[images], tap[images])

    return _convolve_backward(g, gradient, x, w, gp.dtype, needs)
