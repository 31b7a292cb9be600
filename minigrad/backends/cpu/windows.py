"""Channels-last images as the CPU kernels work on them: cut into blocks, padded, seen as the patches under window.

Images are (N, H, W, C) here: the (N, C, H, W) of the interface, transposed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.threads import scratch
from minigrad.window import Pair, Window

__all__ = [
    "Block",
    "blocks",
    "channels_last",
    "copy_image",
    "masked",
    "nhwc",
    "padded",
    "patches",
    "relu_passes",
    "runs",
]

CACHE = 1 << 19  # bytes: half of a core's own cache, which a block of columns may fill

Block: TypeAlias = tuple[int, int, int, int]  # n0, n1, r0, r1: rows r0 to r1 of the images n0 to n1


def nhwc(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) seen as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def channels_last(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An uninitialised (N, C, H, W) array whose memory is in the order N, H, W, C."""
    n, c, h, w = shape
    return np.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def blocks(start: int, stop: int, height: int, most: int) -> Iterator[Block]:
    """Cut rows start to stop of a pile of images of `height` rows into blocks: whole images, or rows of a single one,
    with at most `most` rows (but at least one).
    """
    most = max(1, most)
    while start < stop:
        n, r = divmod(start, height)
        whole = min(most, stop - start) // height
        if r == 0 and whole:
            yield n, n + whole, 0, height
            start += whole * height
        else:
            rows = min(most, stop - start, height - r)
            yield n, n + 1, r, r + rows
            start += rows


def relu_passes(y: np.ndarray) -> np.ndarray:
    """Where a gradient goes through y = relu(x): where y > 0 or is NaN. In scratch memory."""
    keep = scratch("keep", y.shape, np.bool_)
    np.less_equal(y, 0, out=keep)
    return np.logical_not(keep, out=keep)


def masked(gy: np.ndarray, keep: np.ndarray, out: np.ndarray) -> None:
    """out = gy where keep, else 0. As a product of integers, which unlike one of floats keeps inf and NaN out."""
    bits = np.dtype(f"i{gy.itemsize}")
    np.multiply(gy.view(bits), keep.view(np.int8), out=out.view(bits))


def copy_image(out: np.ndarray, x: np.ndarray) -> None:
    """out = x for (N, H, W, C). A few channels from planes go one by one: longer loops."""
    if x.shape[3] <= 8 and x.strides[3] > x.strides[2]:
        for c in range(x.shape[3]):
            out[..., c] = x[..., c]
    else:
        out[...] = x


def padded(
    x: np.ndarray, images: Pair, rows: Pair, left: int, width: int, name: str, y: np.ndarray | None = None
) -> np.ndarray:
    """Rows and columns of images (N, H, W, C), zero outside: shape (n1 - n0, r1 - r0, width, C), contiguous.

    Row r0 may be negative and r1 beyond the image; `left` columns of zeros come first. With y, x is 0 where y <= 0.
    A view of x where that will do, else in this thread's scratch memory under `name`.
    """
    (n0, n1), (r0, r1), (height, across, channels) = images, rows, x.shape[1:]
    top, bottom = min(max(0, -r0), r1 - r0), max(0, min(r1, height) - r0)
    block = x[n0:n1, max(0, r0) : max(0, min(r1, height))]
    if y is None and left == 0 and width == across and bottom - top == r1 - r0 and block.flags.c_contiguous:
        return block
    out = scratch(name, (n1 - n0, r1 - r0, width, channels), x.dtype)
    seen = min(across, width - left)
    out[:, :top] = 0
    out[:, bottom:] = 0
    out[:, top:bottom, :left] = 0
    out[:, top:bottom, left + seen :] = 0
    inside = out[:, top:bottom, left : left + seen]
    if y is None:
        copy_image(inside, block[:, :, :seen])
    else:
        masked(block[:, :, :seen], relu_passes(y[n0:n1, max(0, r0) : max(0, min(r1, height)), :seen]), inside)
    return out


def patches(x: np.ndarray, window: Window, out: Pair) -> np.ndarray:
    """View (N, OH, OW, KH, KW, C) of the patches of contiguous images (N, H, W, C) that are padded already."""
    (sn, sh, sw, sc), (kh, kw) = x.strides, window.kernel
    return np.ndarray(
        (x.shape[0], *out, kh, kw, x.shape[3]),
        x.dtype,
        x,
        0,
        (sn, sh * window.stride[0], sw * window.stride[1], sh * window.dilation[0], sw * window.dilation[1], sc),
    )


def runs(x: np.ndarray, window: Window, out: Pair) -> np.ndarray:
    """`patches` of windows not dilated in width as (N, OH, OW, KH) runs: the KW C numbers that lie side by side.

    A run is a single element to NumPy, copied at once: for three channels in half the time.
    """
    (sn, sh, sw, _sc), (kh, kw) = x.strides, window.kernel
    run = np.dtype((np.void, kw * x.shape[3] * x.itemsize))
    strides = (sn, sh * window.stride[0], sw * window.stride[1], sh * window.dilation[0])
    return np.ndarray((x.shape[0], *out, kh), run, x, 0, strides)
