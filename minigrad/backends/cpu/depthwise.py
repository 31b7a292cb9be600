"""The steps of a depthwise convolution: every input channel has filters of its own, so there is no matrix in it.

y[..., c, m] = sum over kernel offsets of patch[offset][..., c] w[offset][c, m],    O = C * m
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.columns import Convolution
from minigrad.backends.cpu.threads import scratch
from minigrad.backends.cpu.windows import Block, patches

__all__ = ["Depthwise"]


class Depthwise(Convolution):
    """A convolution with as many groups as channels: products of images, offset by offset, in place of matrices."""

    turns = False  # type: ignore[assignment]

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """w (O, 1, KH, KW) as (KH, KW, C, m)."""
        c = self.channels[0]
        return np.ascontiguousarray(w.reshape(c, w.shape[0] // c, *self.window.kernel).transpose(2, 3, 0, 1))

    scatter_matrix = matrix

    def _under(self, x: np.ndarray, block: Block, y: np.ndarray | None) -> np.ndarray:
        """(KH, KW, n, rows, OW, C, 1): for each kernel offset, the pixels under it."""
        view = patches(self.image(x, block, y), self.window, (block[3] - block[2], self.out[1]))
        return view.transpose(3, 4, 0, 1, 2, 5)[..., None]

    def _by_channel(self, rows: np.ndarray, block: Block) -> np.ndarray:
        n0, n1, r0, r1 = block
        return rows.reshape(n1 - n0, r1 - r0, self.out[1], self.channels[0], -1)

    def forward(
        self, x: np.ndarray, matrix: np.ndarray, block: Block, out: np.ndarray, y: np.ndarray | None = None
    ) -> None:
        out = self._by_channel(out, block)
        product = scratch("product", out.shape, out.dtype)
        pixels = self._under(x, block, y)
        out[...] = 0
        for at in np.ndindex(self.window.kernel):
            out += np.multiply(pixels[at], matrix[at], out=product)

    def weight_gradient(self, g: np.ndarray, x: np.ndarray, block: Block, gw: np.ndarray) -> None:
        g = self._by_channel(g, block)
        product = scratch("product", g.shape, g.dtype)
        pixels, ones = self._under(x, block, None), np.ones(product[..., 0, 0].size, g.dtype)
        for at in np.ndindex(self.window.kernel):
            np.multiply(pixels[at], g, out=product)
            gw[at] += (ones @ product.reshape(ones.size, self.channels[1])).reshape(gw[at].shape)

    def zero_weights(self, dtype: DTypeLike) -> np.ndarray:
        return np.zeros((*self.window.kernel, self.channels[0], self.channels[1] // self.channels[0]), dtype)

    def weights(self, gw: np.ndarray) -> np.ndarray:
        o = self.channels[1]
        return np.ascontiguousarray(gw.transpose(2, 3, 0, 1)).reshape(o, 1, *self.window.kernel)

    def scatter(self, g: np.ndarray, matrix: np.ndarray, block: Block, gx: np.ndarray) -> None:
        n0, n1, r0, r1 = block
        g, image = self._by_channel(g, block), gx[n0:n1]
        product = scratch("product", g.shape, g.dtype)
        for kh, kw, (h, w), (oh, ow) in self.below(r0).offsets(self.size, (r1 - r0, self.out[1])):
            np.multiply(g, matrix[kh, kw], out=product)
            image[:, h, w] += product[:, oh, ow].sum(axis=-1)
