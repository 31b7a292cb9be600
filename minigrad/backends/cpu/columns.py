"""The steps of a convolution: patches times a matrix, in blocks that stay in the cache.

With the images channels-last, the patches under the windows are rows (N OH OW) of KH KW C numbers, and

    Y = U W + b,    gW = gY^T U,    gU = gY W^T,    gb = the sum of gY's rows.

U is never stored: a block of it, the size of a core's cache, is copied together, multiplied and forgotten, and made
again for gW. For a stride of 1, gX is itself a convolution, of gY with the turned kernel; for others, blocks of gU are
added where their patches came from. Groups are a leading axis of all three matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.threads import scratch
from minigrad.backends.cpu.windows import CACHE, Block, Pair, Windows, padded, patches, runs

__all__ = ["Convolution"]

FEW = 8  # channels
LEAST = 256  # outputs multiplied at once: the matrix product copies all its weights each time


@dataclass
class Convolution:
    """The shapes of one convolution, and the steps that its passes are made of. Arrays here are (N, H, W, C)."""

    windows: Windows
    groups: int
    size: Pair  # (H, W)
    out: Pair  # (OH, OW)
    channels: Pair  # (C, O)
    itemsize: int

    @property
    def columns(self) -> int:
        """Numbers in a patch, all groups together."""
        return math.prod(self.windows.kernel) * self.channels[0]

    @property
    def block_rows(self) -> int:
        """Rows of output whose columns (a pointwise convolution has none: whose pixels) fill the cache, or a few more."""
        numbers = sum(self.channels) if self.windows.pointwise else self.columns
        width = max(1, self.out[1])
        return max(LEAST // width, CACHE // max(1, width * numbers * self.itemsize))

    def turned(self) -> Convolution:
        """The convolution that takes gY to gX: kernel turned by 180 degrees, its padding complemented. Stride 1."""
        (rh, rw), (ph, pw) = self.windows.reach, self.windows.padding
        windows = self.windows._replace(padding=(rh - ph, rw - pw))
        return Convolution(windows, self.groups, self.out, self.size, self.channels[::-1], self.itemsize)

    @property
    def turns(self) -> bool:
        (rh, rw), (ph, pw) = self.windows.reach, self.windows.padding
        return self.windows.stride == (1, 1) and ph <= rh and pw <= rw

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

    def below(self, row: int) -> Windows:
        """The windows as seen from the block of outputs that starts at `row`."""
        (ph, pw), (sh, _) = self.windows.padding, self.windows.stride
        return self.windows._replace(padding=(ph - row * sh, pw))

    def image(self, x: np.ndarray, block: Block, y: np.ndarray | None) -> np.ndarray:
        """The padded pixels under the windows of a block."""
        n0, n1, r0, r1 = block
        (sh, sw), (ph, pw), (rh, rw) = self.windows.stride, self.windows.padding, self.windows.reach
        rows = (r0 * sh - ph, (r1 - 1) * sh - ph + rh + 1)
        return padded(x, (n0, n1), rows, pw, (self.out[1] - 1) * sw + rw + 1, "image", y)

    def patches(self, x: np.ndarray, block: Block, y: np.ndarray | None = None) -> np.ndarray:
        """A block of U: (G, M, KH KW C/G), for M = the block's images * rows * OW. x counts where y > 0, if given."""
        image = self.image(x, block, y)
        if self.windows.pointwise:
            return self.by_group(image)
        n, r, ow = len(image), block[3] - block[2], self.out[1]
        (kh, kw), g, c = self.windows.kernel, self.groups, self.channels[0] // self.groups
        columns = scratch("columns", (g, n, r, ow, kh, kw, c), x.dtype)
        if g == 1 and self.windows.dilation[1] == 1:
            source = runs(image, self.windows, (r, ow))
            columns.reshape(-1).view(source.dtype).reshape(source.shape)[...] = source
        else:
            source = patches(image, self.windows, (r, ow)).reshape(n, r, ow, kh, kw, g, c)
            columns.transpose(1, 2, 3, 4, 5, 0, 6)[...] = source
        return columns.reshape(g, n * r * ow, kh * kw * c)

    def forward(
        self, x: np.ndarray, matrix: np.ndarray, block: Block, out: np.ndarray, y: np.ndarray | None = None
    ) -> None:
        """A block of Y = U W, written to `out` (n, rows, OW, O), contiguous. With y, x counts where y > 0."""
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
        kernel = self.windows.kernel
        parts = gw.reshape(self.channels[1], *kernel, self.channels[0] // self.groups).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(parts)

    def scatter(self, g: np.ndarray, matrix: np.ndarray, block: Block, gx: np.ndarray) -> None:
        """Add a block of gU = gY W^T to the pixels that its patches came from. matrix: (G, O/G, KH KW C/G)."""
        n0, n1, r0, r1 = block
        n, r, width = n1 - n0, r1 - r0, self.out[1]
        (kh, kw), groups, c = self.windows.kernel, self.groups, self.channels[0] // self.groups
        g = self.by_group(g)
        if groups == 1 and c <= FEW:
            # One channel at a time, gU^T = W gY^T: loops along a row are longer than over the channels of a pixel.
            columns = scratch("columns", (groups, kh * kw * c, n * r * width), gx.dtype)
            np.matmul(matrix.transpose(0, 2, 1), g.transpose(0, 2, 1), out=columns)
            columns = columns.reshape(groups, kh, kw, c, n, r, width).transpose(1, 2, 4, 5, 6, 0, 3)
            channels = [slice(k, k + 1) for k in range(c)]
        else:
            columns = scratch("columns", (groups, n * r * width, kh * kw * c), gx.dtype)
            np.matmul(g, matrix, out=columns)
            columns = columns.reshape(groups, n, r, width, kh, kw, c).transpose(4, 5, 1, 2, 3, 0, 6)
            channels = [slice(None)]
        image = gx[n0:n1].reshape(n, *self.size, groups, c)
        for i, j, (h, w), (oh, ow) in self.below(r0).taps(self.size, (r, width)):
            for k in channels:
                image[:, h, w, :, k] += columns[i, j, :, oh, ow, :, k]
