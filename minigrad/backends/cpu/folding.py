"""unfold and fold, in torch's layout: what convolution's textbook definition is made of."""

from __future__ import annotations

import numpy as np

from minigrad.backends.cpu.threads import parallel_for
from minigrad.window import Pair, Window

__all__ = ["fold", "unfold"]

SMALL = 1 << 16  # numbers below which a second thread costs more than it brings


def unfold(x: np.ndarray, *, window: Window) -> np.ndarray:
    """U[n, (c KH + kh) KW + kw, oh OW + ow] = x[n, c, oh SH + kh DH - PH, ow SW + kw DW - PW], zero outside the image.

    x (N, C, H, W) to (N, C KH KW, L) for L = OH OW.
    """
    n, c, height, width = x.shape
    oh, ow = window.output_size((height, width))
    columns = np.zeros((n, c, *window.kernel, oh, ow), x.dtype)

    def body(start: int, stop: int) -> None:
        for i, j, (h, w), (out_h, out_w) in window.offsets((height, width), (oh, ow)):
            columns[start:stop, :, i, j, out_h, out_w] = x[start:stop, :, h, w]

    parallel_for(n, body, 1 if columns.size >= SMALL else n)
    return columns.reshape(n, c * window.kernel[0] * window.kernel[1], oh * ow)


def fold(cols: np.ndarray, *, output_size: Pair, window: Window) -> np.ndarray:
    """x (N, C, H, W): every entry of cols (N, C KH KW, L) added to the pixel that `unfold` would take it from."""
    n, size, out = cols.shape[0], output_size, window.output_size(output_size)
    c = cols.shape[1] // (window.kernel[0] * window.kernel[1])
    columns = cols.reshape(n, c, *window.kernel, *out)
    x = np.zeros((n, c, *size), cols.dtype)

    def body(start: int, stop: int) -> None:
        for i, j, (h, w), (out_h, out_w) in window.offsets(size, out):
            x[start:stop, :, h, w] += columns[start:stop, :, i, j, out_h, out_w]

    parallel_for(n, body, 1 if columns.size >= SMALL else n)
    return x
