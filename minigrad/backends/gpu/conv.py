"""Convolution as rows of patches times a matrix, and unfold / fold themselves.

    cols[row, (kh, kw, c)] = x[n, c, oh SH - PH + kh DH, ow SW - PW + kw DW],   row = (n, oh, ow)
    y = cols w^T + b,   gw = gy^T cols,   gx = fold(gy w),   gb = sum over rows of gy

The columns are never there as a whole: they are made in chunks of CHUNK_BYTES, which stay in the GPU's L2 cache
between the kernel that writes them and the product that reads them, and are remade for the gradient of the weights.
A chunk is a number of whole images, or some output lines of one image where one image is too much. A 1x1 convolution
of stride 1 needs no columns: x is the matrix.

N images, C channels, G groups, O output channels, K = KH*KW*C/G numbers in a patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blas import gemm
from .device import xp
from .elementwise import bias_relu, relu_backward, split_groups
from .launch import kernel, max_blocks
from .layout import from_rows, to_rows
from .norm import column_sums
from .pool import Shape, Window, pool_images, pool_images_backward

CHUNK_BYTES = 24 * 2**20
ROWS_PER_BLOCK = 8

Pair = tuple[int, int]
Needs = tuple[bool, bool, bool]


def output_length(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many places a window of `kernel` taps takes along an axis: floor((size + 2p - d(k-1) - 1)/s) + 1."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True)
class Geometry:
    """The sizes of one convolution."""

    N: int
    C: int
    H: int
    W: int
    G: int
    O: int  # noqa: E741 - the letter of the maths
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def OH(self) -> int:
        return output_length(self.H, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0])

    @property
    def OW(self) -> int:
        return output_length(self.W, self.kernel[1], self.stride[1], self.padding[1], self.dilation[1])

    @property
    def K(self) -> int:
        return self.kernel[0] * self.kernel[1] * self.C // self.G

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == self.stride == (1, 1) and self.padding == (0, 0) and self.G == 1

    @property
    def arguments(self) -> tuple[int, ...]:
        """H to DW, as unfold and fold take them."""
        channels = self.C // self.G
        return (
            self.H, self.W, self.G, channels, *self.kernel, self.OH, self.OW, *self.stride, *self.padding,
            *self.dilation,
        )  # fmt: skip

    def line_bytes(self, itemsize: int) -> int:
        """Of one output line: its columns and its results."""
        return max(1, self.OW * (self.G * self.K + self.O) * itemsize)

    def image_groups(self, itemsize: int) -> Iterator[slice]:
        """All images, as many at a time as fit a chunk, at least one."""
        images = max(1, CHUNK_BYTES // (self.line_bytes(itemsize) * max(1, self.OH)))
        for first in range(0, self.N, images):
            yield slice(first, min(first + images, self.N))

    def line_groups(self, itemsize: int) -> Iterator[slice]:
        """The output lines of an image, all at once if they fit a chunk."""
        lines = max(1, CHUNK_BYTES // self.line_bytes(itemsize))
        for first in range(0, self.OH, lines):
            yield slice(first, min(first + lines, self.OH))

    def row_groups(self, images: slice, itemsize: int) -> Iterator[slice]:
        """Chunks of the rows (n, oh, ow) of these images."""
        first, last = images.start * self.OH, images.stop * self.OH
        if images.stop - images.start > 1:
            yield slice(first * self.OW, last * self.OW)
        else:
            for lines in self.line_groups(itemsize):
                yield slice((first + lines.start) * self.OW, (first + lines.stop) * self.OW)


def _geometry(x_shape: Shape, w_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Geometry:
    return Geometry(*x_shape, groups, w_shape[0], (w_shape[2], w_shape[3]), stride, padding, dilation)


def _columns(g: Geometry, x: Any, rows: slice) -> Any:
    """cols (G, rows, K) of x (N, H, W, C)."""
    if g.is_pointwise:
        return x.reshape(1, -1, g.C)[:, rows]
    count = rows.stop - rows.start
    cols = xp.empty((g.G, count, g.K), x.dtype)
    if cols.size:
        blocks = min(-(-count // ROWS_PER_BLOCK), max_blocks())
        unfold_kernel = kernel("unfold", "unfold", x.dtype)
        unfold_kernel.launch(
            (blocks,), (32, ROWS_PER_BLOCK), x, cols, np.int64(rows.start), np.int64(count), *g.arguments
        )
    return cols


def _fold_rows(g: Geometry, cols: Any, gx: Any, rows: slice) -> None:
    """Give gx (N, H, W, C) what cols (G, rows, K) hold of it; added up where the rows are a part of an image only."""
    if g.OH * g.OW and (rows.start % (g.OH * g.OW) or rows.stop % (g.OH * g.OW)):
        n, first = divmod(rows.start // g.OW, g.OH)
        last = (rows.stop - 1) // g.OW % g.OH
        top = max(0, first * g.stride[0] - g.padding[0])
        bottom = min(g.H, last * g.stride[0] - g.padding[0] + (g.kernel[0] - 1) * g.dilation[0] + 1)
        first_line, lines, accumulate = n * g.H + top, max(0, bottom - top), True
    else:
        images = slice(rows.start // (g.OH * g.OW), rows.stop // (g.OH * g.OW))
        first_line, lines, accumulate = images.start * g.H, (images.stop - images.start) * g.H, False
    kernel("unfold", "fold", gx.dtype).over(
        lines * g.W * g.C, cols, gx, np.int64(rows.start), np.int64(rows.stop - rows.start), np.int64(first_line),
        np.int64(lines), *g.arguments, accumulate,
    )  # fmt: skip


def _matrix(g: Geometry, w: Any) -> Any:
    """w (O, C/G, KH, KW) as G matrices (G, O/G, K), a patch's numbers in the order (kh, kw, c)."""
    return xp.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(g.G, g.O // g.G, g.K)


def _convolve(g: Geometry, x: Any, matrix: Any, b: Any, relu: bool, images: slice, out: Any) -> None:
    """out (images, OH, OW, O) = the convolution of these images of x (N, H, W, C)."""
    first = images.start * g.OH * g.OW
    out = out.reshape(-1, g.O)
    for rows in g.row_groups(images, x.itemsize):
        y = out[rows.start - first : rows.stop - first]
        cols = _columns(g, x, rows)
        if g.G == 1:
            z = gemm(cols[0], matrix[0], out=y, transpose_b=True)[None]
        else:
            z = gemm(cols, matrix, transpose_b=True)
        if g.G > 1 or relu or b is not None:
            bias_relu(z, b, y, relu)


def _convolve_backward(
    g: Geometry, gradient: Callable[[slice], Any], x: Any, w: Any, dtype: np.dtype, needs: Needs
) -> tuple[Any, Any, Any]:
    """(gx, gw, gb), where gradient(images) is the gradient (images, OH, OW, O) of the convolution's result."""
    needs_x, needs_w, needs_b = needs
    gx: Any = xp.zeros((g.N, g.H, g.W, g.C), dtype) if needs_x else None  # zeros: parts of images are added up
    gw: Any = xp.zeros((g.G, g.O // g.G, g.K), dtype) if needs_w else None
    gb = xp.zeros(g.O, dtype) if needs_b else None
    matrix = _matrix(g, w) if needs_x else None
    x = to_rows(x, xp) if needs_w else None
    for images in g.image_groups(dtype.itemsize):
        gz_images = gradient(images).reshape(-1, g.O)
        first = images.start * g.OH * g.OW
        for rows in g.row_groups(images, dtype.itemsize):
            gz = gz_images[rows.start - first : rows.stop - first]
            if needs_b:
                column_sums(gz, gb)
            gz = gz[None] if g.G == 1 else split_groups(gz, g.G)
            if needs_w:
                _product(gz, _columns(g, x, rows), gw, transpose_a=True, accumulate=True)
            if needs_x and g.is_pointwise:
                _product(gz, matrix, gx.reshape(1, -1, g.C)[:, rows])
            elif needs_x:
                cols = xp.empty((g.G, rows.stop - rows.start, g.K), dtype)
                _product(gz, matrix, cols)
                _fold_rows(g, cols, gx, rows)
    if needs_w:
        gw = gw.reshape(g.O, *g.kernel, g.C // g.G).transpose(0, 3, 1, 2)
    return (from_rows(gx, xp) if needs_x else None), gw, gb


def _product(a: Any, b: Any, out: Any, transpose_a: bool = False, accumulate: bool = False) -> None:
    """gemm of G matrices each; one matrix goes as 2-D, which needs no copies of transposed operands."""
    if len(a) == 1:
        a, b, out = a[0], b[0], out[0]
    gemm(a, b, out=out, transpose_a=transpose_a, accumulate=accumulate)


def conv2d(x: Any, w: Any, b: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int, relu: bool) -> Any:
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/G, KH, KW) and b (O,) or None; ReLU in the same pass if asked for."""
    g = _geometry(x.shape, w.shape, stride, padding, dilation, groups)
    x, matrix = to_rows(x, xp), _matrix(g, w)
    b = None if b is None else xp.ascontiguousarray(b)
    y = xp.empty((g.N, g.OH, g.OW, g.O), x.dtype)
    for images in g.image_groups(x.itemsize):
        _convolve(g, x, matrix, b, relu, images, y[images])
    return from_rows(y, xp)


def conv2d_backward(
    gy: Any, x: Any, w: Any, y: Any, x_shape: Shape, w_shape: Shape, stride: Pair, padding: Pair,
    dilation: Pair, groups: int, needs: Needs,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(gx, gw, gb), None where not needed. y is the output after a fused ReLU: gy counts where y > 0."""
    g = _geometry(x_shape, w_shape, stride, padding, dilation, groups)
    gy = to_rows(gy, xp)
    y = None if y is None else to_rows(y, xp)

    def gradient(images: slice) -> Any:
        return gy[images] if y is None else relu_backward(gy[images], y[images])

    return _convolve_backward(g, gradient, x, w, gy.dtype, needs)


def conv2d_relu_max_pool2d(
    x: Any, w: Any, b: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int, pool: tuple
) -> tuple[Any, Any]:
    """(p, tap): the pooled ReLU'd convolution. Its full map lives for one chunk of images at a time.

    `cut_bit` is set in tap where p <= 0, so that the gradient needs no p.
    """
    g = _geometry(x.shape, w.shape, stride, padding, dilation, groups)
    window = Window.of((g.N, g.O, g.OH, g.OW), *pool)
    x, matrix = to_rows(x, xp), _matrix(g, w)
    b = None if b is None else xp.ascontiguousarray(b)
    p, tap = window.empty_outputs(x.dtype)
    for images in g.image_groups(x.itemsize):
        z = xp.empty((images.stop - images.start, g.OH, g.OW, g.O), x.dtype)
        _convolve(g, x, matrix, None, False, images, z)
        pool_images(window, z, b, True, p[images], tap[images])
    return from_rows(p, xp), from_rows(tap, xp)


def conv2d_relu_max_pool2d_backward(
    gp: Any, x: Any, w: Any, tap: Any, x_shape: Shape, w_shape: Shape, stride: Pair,
    padding: Pair, dilation: Pair, groups: int, pool: tuple, needs: Needs,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(gx, gw, gb), None where not needed; gp counts at the winner, unless `cut_bit` is set."""
    g = _geometry(x_shape, w_shape, stride, padding, dilation, groups)
    window = Window.of((g.N, g.O, g.OH, g.OW), *pool)
    gp, tap = to_rows(gp, xp), to_rows(tap, xp)

    def gradient(images: slice) -> Any:
        return pool_images_backward(window, gp[images], tap[images])

    return _convolve_backward(g, gradient, x, w, gp.dtype, needs)


def unfold(x: Any, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """The patches of x (N, C, H, W) as (N, C*KH*KW, L), L = OH*OW, in torch's order."""
    n, c, h, w = x.shape
    g = Geometry(n, c, h, w, 1, 0, kernel, stride, padding, dilation)
    cols = _columns(g, to_rows(x, xp), slice(0, g.N * g.OH * g.OW))
    patches = cols.reshape(g.N, g.OH * g.OW, *kernel, g.C).transpose(0, 4, 2, 3, 1)
    return xp.ascontiguousarray(patches).reshape(g.N, g.C * kernel[0] * kernel[1], g.OH * g.OW)


def fold(cols: Any, output_size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """The transpose of unfold: (N, C, H, W), every pixel the sum of all that cols (N, C*KH*KW, L) hold of it."""
    n, channels = cols.shape[0], cols.shape[1] // (kernel[0] * kernel[1])
    g = Geometry(n, channels, *output_size, 1, 0, kernel, stride, padding, dilation)
    patches = cols.reshape(n, channels, *kernel, cols.shape[2]).transpose(0, 4, 2, 3, 1)
    x = xp.empty((n, *output_size, channels), cols.dtype)
    rows = slice(0, n * g.OH * g.OW)
    _fold_rows(g, xp.ascontiguousarray(patches).reshape(1, rows.stop, g.K), x, rows)
    return from_rows(x, xp)
