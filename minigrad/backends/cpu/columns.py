"""The steps of a convolution: patches times a matrix, in blocks that stay in the cache.

With the images channels-last, the patches under the windows are rows (N OH OW) of KH KW C numbers, and

    Y = U W + b,    gW = gY^T U,    gU = gY W^T,    gb = the sum of gY's rows.

U is never stored: a block of it, the size of a core's cache, is copied together, multiplied and forgotten, and made
again for gW. For a stride of 1, gX is itself a convolution, of gY with the turned kernel; for others, blocks of gU are
added where their patches came from. To images of a few channels gU is brought the other way: each pixel adds up what
its kernel offsets have for it, so that the sums run along the rows of an image. Groups are a leading axis of all three matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from minigrad.backends.cpu.threads import scratch
from minigrad.backends.cpu.windows import CACHE, Block, padded, patches, runs
from minigrad.window import Pair, Window

__all__ = ["Convolution"]

FEW = 8  # channels: loops over a pixel's would be short
SUMS = 1 << 22  # bytes of gU to gather from at once: rows at the border of two blocks are made twice
LEAST = 256  # outputs multiplied at once: the matrix product copies all its weights each time


@dataclass(frozen=True)
class Convolution:
    """The shapes of one convolution, and the steps that its passes are made of. Arrays here are (N, H, W, C)."""

    window: Window
    size: Pair  # (H, W)
    channels: Pair  # (C, O)
    itemsize: int

    @cached_property
    def groups(self) -> int:
        return self.window.groups

    @cached_property
    def out(self) -> Pair:
        """(OH, OW)"""
        return self.window.output_size(self.size)

    @cached_property
    def columns(self) -> int:
        """Numbers in a patch, all groups together."""
        return math.prod(self.window.kernel) * self.channels[0]

    @cached_property
    def block_rows(self) -> int:
        """Rows of output whose columns (a pointwise convolution has none: whose pixels) fill the cache, or a few more."""
        numbers = sum(self.channels) if self.window.pointwise else self.columns
        width = max(1, self.out[1])
        return max(LEAST // width, CACHE // max(1, width * numbers * self.itemsize))

    def turned(self) -> Convolution:
        """The convolution that takes gY to gX: kernel turned by 180 degrees, its padding complemented. Stride 1."""
        (eh, ew), (ph, pw) = self.window.extent, self.window.padding
        window = replace(self.window, padding=(eh - 1 - ph, ew - 1 - pw))
        return Convolution(window, self.out, self.channels[::-1], self.itemsize)

    @cached_property
    def turns(self) -> bool:
        (eh, ew), (ph, pw) = self.window.extent, self.window.padding
        return self.window.stride == (1, 1) and ph < eh and pw < ew

    @cached_property
    def gathers(self) -> bool:
        return self.groups == 1 and self.channels[0] <= FEW and not self.window.pointwise

    @cached_property
    def phases(self) -> Pair:
        """The size of the images of every SH-th row and SW-th column of gX, to each of which its own kernel offsets belong."""
        (height, width), (sh, sw) = self.size, self.window.stride
        return -(-height // sh), -(-width // sw)

    @cached_property
    def margins(self) -> tuple[Pair, Pair]:
        """How far before and beyond pixel i of a phase lie the outputs that see it: (above, below), (left, right)."""
        (sh, sw), (ph, pw), (eh, ew) = self.window.stride, self.window.padding, self.window.extent
        return (max(0, (eh - 1 - ph) // sh), -(-ph // sh)), (max(0, (ew - 1 - pw) // sw), -(-pw // sw))

    @cached_property
    def gathered_rows(self) -> int:
        """Rows of the phases for which gU has about `SUMS` bytes."""
        rows, columns = self.margins
        return SUMS // max(1, (self.phases[1] + sum(columns)) * self.columns * self.itemsize) - sum(rows)

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """w (O, C/G, KH, KW) as the matrix (G, KH KW C/G, O/G) on the right of the columns."""
        return self.scatter_matrix(w).transpose(0, 2, 1)

    def turned_matrix(self, w: np.ndarray) -> np.ndarray:
        """w as the matrix (G, KH KW O/G, C/G) of the convolution that takes gY to gX."""
        o, c, kh, kw = w.shape
        parts = w[:, :, ::-1, ::-1].reshape(self.groups, o // self.groups, c, kh, kw).transpose(0, 3, 4, 1, 2)
        return np.ascontiguousarray(parts).reshape(self.groups, kh * kw * (o // self.groups), c)

    def scatter_matrix(self, w: np.ndarray) -> np.ndarray:
        """w as the matrix (G, O/G, KH KW C/G) that takes rows of gY to rows of gU."""
        parts = np.ascontiguousarray(w.transpose(0, 2, 3, 1))
        return parts.reshape(self.groups, self.channels[1] // self.groups, self.columns // self.groups)

    def by_group(self, rows: np.ndarray) -> np.ndarray:
        """Rows (..., channels) as (G, M, channels/G): a view of contiguous rows."""
        return rows.reshape(-1, self.groups, rows.shape[-1] // self.groups).transpose(1, 0, 2)

    def below(self, row: int) -> Window:
        """The window as seen from the block of outputs that starts at `row`."""
        (ph, pw), (sh, _) = self.window.padding, self.window.stride
        return replace(self.window, padding=(ph - row * sh, pw))

    def image(self, x: np.ndarray, block: Block, y: np.ndarray | None) -> np.ndarray:
        """The padded pixels under the windows of a block."""
        n0, n1, r0, r1 = block
        (sh, sw), (ph, pw), (eh, ew) = self.window.stride, self.window.padding, self.window.extent
        rows = (r0 * sh - ph, (r1 - 1) * sh - ph + eh)
        return padded(x, (n0, n1), rows, pw, (self.out[1] - 1) * sw + ew, "image", y)

    def patches(self, x: np.ndarray, block: Block, y: np.ndarray | None = None) -> np.ndarray:
        """A block of U: (G, M, KH KW C/G), for M = the block's images * rows * OW. With y, x is 0 where y <= 0."""
        image = self.image(x, block, y)
        if self.window.pointwise:
            return self.by_group(image)
        n, r, ow = len(image), block[3] - block[2], self.out[1]
        (kh, kw), g, c = self.window.kernel, self.groups, self.channels[0] // self.groups
        columns = scratch("columns", (g, n, r, ow, kh, kw, c), x.dtype)
        if g == 1 and self.window.dilation[1] == 1:
            source = runs(image, self.window, (r, ow))
            columns.reshape(-1).view(source.dtype).reshape(source.shape)[...] = source
        else:
            source = patches(image, self.window, (r, ow)).reshape(n, r, ow, kh, kw, g, c)
            columns.transpose(1, 2, 3, 4, 5, 0, 6)[...] = source
        return columns.reshape(g, n * r * ow, kh * kw * c)

    def forward(
        self, x: np.ndarray, matrix: np.ndarray, block: Block, out: np.ndarray, y: np.ndarray | None = None
    ) -> None:
        """A block of Y = U W, written to `out` (n, rows, OW, O), contiguous. With y, x is 0 where y <= 0."""
        np.matmul(self.patches(x, block, y), matrix, out=self.by_group(out))

    def weight_gradient(self, g: np.ndarray, x: np.ndarray, block: Block, gw: np.ndarray) -> None:
        """Add a block's gY^T U to gw (G, O/G, KH KW C/G). g: the block of gY, (M, O)."""
        part = scratch("weights", gw.shape, gw.dtype)
        gw += np.matmul(self.by_group(g).transpose(0, 2, 1), self.patches(x, block), out=part)

    def zero_weights(self, dtype: DTypeLike) -> np.ndarray:
        """Where `weight_gradient` adds up."""
        return np.zeros((self.groups, self.channels[1] // self.groups, self.columns // self.groups), dtype)

    def weights(self, gw: np.ndarray) -> np.ndarray:
        """What `weight_gradient` added up, as (O, C/G, KH, KW)."""
        kernel = self.window.kernel
        parts = gw.reshape(self.channels[1], *kernel, self.channels[0] // self.groups).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(parts)

    def scatter(self, g: np.ndarray, matrix: np.ndarray, block: Block, gx: np.ndarray) -> None:
        """Add a block of gU = gY W^T to the pixels that its patches came from. matrix: (G, O/G, KH KW C/G)."""
        n0, n1, r0, r1 = block
        n, r, width = n1 - n0, r1 - r0, self.out[1]
        (kh, kw), groups, c = self.window.kernel, self.groups, self.channels[0] // self.groups
        columns = scratch("columns", (groups, n * r * width, kh * kw * c), gx.dtype)
        np.matmul(self.by_group(g), matrix, out=columns)
        columns = columns.reshape(groups, n, r, width, kh, kw, c).transpose(4, 5, 1, 2, 3, 0, 6)
        image = gx[n0:n1].reshape(n, *self.size, groups, c)
        for i, j, (h, w), (oh, ow) in self.below(r0).offsets(self.size, (r, width)):
            image[:, h, w] += columns[i, j, :, oh, ow]

    def gather(
        self, gy: np.ndarray, matrix: np.ndarray, block: Block, gx: np.ndarray, y: np.ndarray | None = None
    ) -> None:
        """Write a block of gX's phases: to each pixel the sum of what gU^T = W gY^T has for it. With y, gy is 0
        where y <= 0. block: rows of the phases; matrix: (1, O, KH KW C).
        """
        n0, n1, r0, r1 = block
        ((above, below), (left, right)), (sh, sw), (kh, kw) = self.margins, self.window.stride, self.window.kernel
        g = padded(gy, (n0, n1), (r0 - above, r1 + below), left, left + self.phases[1] + right, "image", y)
        columns = scratch("columns", (self.columns, math.prod(g.shape[:3])), gx.dtype)
        np.matmul(matrix[0].T, g.reshape(-1, self.channels[1]).T, out=columns)
        columns = columns.reshape(kh, kw, self.channels[0], *g.shape[:3]).transpose(0, 1, 3, 4, 5, 2)
        down, across, *each = columns.strides
        for a, b in np.ndindex(sh, sw):
            pixels = gx[n0:n1, r0 * sh + a : r1 * sh : sh, b::sw]
            (rows, oh, back), (offsets, ow, left_back) = self.window.phase(0, a), self.window.phase(1, b)
            first = columns[rows, offsets, :, above + oh :, left + ow :]
            strides = down * rows.step - back * each[1], across * offsets.step - left_back * each[2], *each
            terms = as_strided(first, (*first.shape[:2], *pixels.shape), strides)
            total = scratch("sums", (self.channels[0], *pixels.shape[:3]), gx.dtype).transpose(1, 2, 3, 0)
            pixels[...] = np.add.reduce(terms, axis=(0, 1), out=total)
