"""The steps of a convolution: columns, rows of patches, made and added up a chunk at a time.

    cols[row, (kh, kw, c)] = x[n, c, oh SH - PH + kh DH, ow SW - PW + kw DW],   row = (n, oh, ow)

The columns are never there as a whole: they are made in chunks of CHUNK_BYTES, which stay in the GPU's L2 cache
between the kernel that writes them and the product that reads them. A chunk is a number of whole images, or some output
lines of one image where one image is too much. A 1x1 convolution of stride 1 needs no columns: x is the matrix.

N images, C channels, G groups, O output channels, K = KH*KW*C/G numbers in a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minigrad.window import Pair, Window

from ..kernels import Array
from .device import xp
from .launch import kernel, max_blocks

CHUNK_BYTES = 24 * 2**20
ROWS_PER_BLOCK = 8


@dataclass(frozen=True)
class Geometry:
    """The sizes of one convolution."""

    window: Window
    O: int  # noqa: E741 - the letter of the maths
    N: int
    C: int
    H: int
    W: int

    @cached_property
    def G(self) -> int:
        return self.window.groups

    @cached_property
    def out(self) -> Pair:
        return self.window.output_size((self.H, self.W))

    @property
    def OH(self) -> int:
        return self.out[0]

    @property
    def OW(self) -> int:
        return self.out[1]

    @property
    def K(self) -> int:
        return self.window.kernel[0] * self.window.kernel[1] * self.C // self.G

    @property
    def is_pointwise(self) -> bool:
        return self.window.pointwise and self.G == 1

    @property
    def arguments(self) -> tuple[int, ...]:
        """H to DW, as unfold and fold take them."""
        window = self.window
        return (
            self.H, self.W, self.G, self.C // self.G, *window.kernel, *self.out, *window.stride, *window.padding,
            *window.dilation,
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


def columns(g: Geometry, x: Array, rows: slice) -> Array:
    """cols (G, rows, K) of x (N, H, W, C)."""
    if g.is_pointwise:
        return x.reshape(1, -1, g.C)[:, rows]
    count = rows.stop - rows.start
    cols = xp.empty((g.G, count, g.K), x.dtype)
    if cols.size:
        blocks = min(-(-count // ROWS_PER_BLOCK), max_blocks())
        unfold_kernel = kernel("folding", "unfold", x.dtype)
        unfold_kernel.launch(
            (blocks,), (32, ROWS_PER_BLOCK), x, cols, np.int64(rows.start), np.int64(count), *g.arguments
        )
    return cols


def fold_rows(g: Geometry, cols: Array, gx: Array, rows: slice) -> None:
    """Give gx (N, H, W, C) what cols (G, rows, K) hold of it; added up where the rows are a part of an image only."""
    if g.OH * g.OW and (rows.start % (g.OH * g.OW) or rows.stop % (g.OH * g.OW)):
        n, first = divmod(rows.start // g.OW, g.OH)
        last = (rows.stop - 1) // g.OW % g.OH
        stride, padding = g.window.stride[0], g.window.padding[0]
        top = max(0, first * stride - padding)
        bottom = min(g.H, last * stride - padding + g.window.extent[0])
        first_line, lines, accumulate = n * g.H + top, max(0, bottom - top), True
    else:
        images = slice(rows.start // (g.OH * g.OW), rows.stop // (g.OH * g.OW))
        first_line, lines, accumulate = images.start * g.H, (images.stop - images.start) * g.H, False
    kernel("folding", "fold", gx.dtype).over(
        lines * g.W * g.C, cols, gx, np.int64(rows.start), np.int64(rows.stop - rows.start), np.int64(first_line),
        np.int64(lines), *g.arguments, accumulate,
    )  # fmt: skip
