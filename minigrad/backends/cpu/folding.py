"""unfold and fold, in torch's layout: what convolution's textbook definition is made of."""

from __future__ import annotations

import numpy as np

from minigrad.backends.cpu.threads import parallel_for
from minigrad.backends.cpu.windows import Pair, Windows

__all__ = ["fold", "unfold"]

SMALL = 1 << 16  # numbers below which a second thread costs more than it brings


def unfold(x: np.ndarray, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> np.ndarray:
    """U[n, (c KH + kh) KW + kw, oh OW + ow] = x[n, c, oh SH + kh DH - PH, ow SW + kw DW - PW], zero outside the image.

    x (N, C, H, W) to (N, C KH KW, L) for L = OH OW.
    """
    windows = Windows(kernel, stride, padding, dilation)
    n, c, height, width = x.shape
    oh, ow = windows.output_size((height, width))
    columns = np.zeros((n, c, *windows.kernel, oh, ow), x.dtype)

    def body(start: int, stop: int) -> None:
        for i, j, (h, w), (out_h, out_w) in windows.taps((height, width), (oh, ow)):
            columns[start:stop, :, i, j, out_h, out_w] = x[start:stop, :, h, w]

    parallel_for(n, body, 1 if columns.size >= SMALL else n)
    return columns.reshape(n, c * windows.kernel[0] * windows.kernel[1], oh * ow)


def fold(cols: np.ndarray, output_size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> np.ndarray:
    """x (N, C, H, W): every entry of cols (N, C KH KW, L) added to the pixel that `unfold` would take it from."""
    windows = Windows(kernel, stride, padding, dilation)
    n, size = cols.shape[0], (output_size[0], output_size[1])
    out = windows.output_size(size)
    c = cols.shape[1] // (windows.kernel[0] * windows.kernel[1])
    columns = cols.reshape(n, c, *windows.kernel, *out)
    x = np.zeros((n, c, *size), cols.dtype)

    def body(start: int, stop: int) -> None:
        for i, j, (h, w), (out_h, out_w) in windows.taps(size, out):
            x[start:stop, :, h, w] += columns[start:stop, :, i, j, out_h, out_w]

    parallel_for(n, body, 1 if columns.size >= SMALL else n)
    return x
