"""Windows that slide over channels-last images: their geometry, and views of the patches under them.

Shapes in this room: images are (N, H, W, C) here, the interface's (N, C, H, W) transposed; a window has KH * KW taps,
tap (kh, kw) of the window of output (oh, ow) lies at row oh * SH + kh * DH - PH and column ow * SW + kw * DW - PW.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from minigrad.backends.cpu.threads import scratch

__all__ = [
    "Block",
    "Pair",
    "Windows",
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

Pair: TypeAlias = tuple[int, int]
Block: TypeAlias = tuple[int, int, int, int]  # n0, n1, r0, r1: rows r0 to r1 of the images n0 to n1


class Windows(NamedTuple):
    """Kernel size, stride, padding and dilation, each (height, width)."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def reach(self) -> Pair:
        """From a window's first tap to its last: dilation * (kernel - 1)."""
        return self.dilation[0] * (self.kernel[0] - 1), self.dilation[1] * (self.kernel[1] - 1)

    def output_size(self, size: Pair, ceil_mode: bool = False) -> Pair:
        """(OH, OW) = floor((size + 2 padding - reach - 1) / stride) + 1; with ceil_mode rounded up, where the last
        window must still start inside the image or its padding before it. RuntimeError where no window fits.
        """
        result = []
        for n, s, p, reach in zip(size, self.stride, self.padding, self.reach, strict=True):
            room = n + 2 * p - reach - 1
            out = (-(-room // s) if ceil_mode else room // s) + 1
            if ceil_mode and (out - 1) * s >= n + p:
                out -= 1
            if out < 1:
                raise RuntimeError(
                    f"a window of {self.kernel} with dilation {self.dilation} does not fit into an image of "
                    f"{tuple(size)} padded by {self.padding}"
                )
            result.append(out)
        return result[0], result[1]

    @property
    def pointwise(self) -> bool:
        """One tap that falls on every pixel: the patches are the image."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    def taps(self, size: Pair, out: Pair) -> Iterator[tuple[int, int, tuple[slice, slice], tuple[slice, slice]]]:
        """For each tap (kh, kw) that meets the image at all: the pixels under it, and the outputs they belong to."""
        for kh in range(self.kernel[0]):
            for kw in range(self.kernel[1]):
                rows, out_rows = self.tap(0, kh, size[0], out[0])
                columns, out_columns = self.tap(1, kw, size[1], out[1])
                if out_rows.start < out_rows.stop and out_columns.start < out_columns.stop:
                    yield kh, kw, (rows, columns), (out_rows, out_columns)

    def tap(self, axis: int, k: int, size: int, out: int) -> tuple[slice, slice]:
        """Along one axis: the pixels under tap k where it is inside the image, and the outputs they belong to."""
        s, offset = self.stride[axis], k * self.dilation[axis] - self.padding[axis]
        first = max(0, -(offset // s))  # the least o with o * s + offset >= 0
        last = min(out, (size - 1 - offset) // s + 1)
        if last <= first:
            return slice(0, 0), slice(0, 0)
        start = first * s + offset
        return slice(start, start + (last - first - 1) * s + 1, s), slice(first, last)

    def phase(self, axis: int, start: int) -> tuple[slice, int, int]:
        """Along one axis: the taps that fall on the pixels start, start + S, start + 2 S ..., where 0 <= start < S; the
        output whose first such tap falls on `start`; and from a tap to the next, how many outputs further back it is.
        """
        k, s, p, d = (pair[axis] for pair in self)
        step = s // math.gcd(s, d)
        first = next((i for i in range(min(step, k)) if (i * d - p - start) % s == 0), k)
        return slice(first, k, step), (start + p - first * d) // s, d * step // s


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

    Row r0 may be negative and r1 beyond the image; `left` columns of zeros come first. With y, x counts where y > 0.
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


def patches(x: np.ndarray, windows: Windows, out: Pair) -> np.ndarray:
    """View (N, OH, OW, KH, KW, C) of the patches of contiguous images (N, H, W, C) that are padded already."""
    (sn, sh, sw, sc), (kh, kw) = x.strides, windows.kernel
    return np.ndarray(
        (x.shape[0], *out, kh, kw, x.shape[3]),
        x.dtype,
        x,
        0,
        (sn, sh * windows.stride[0], sw * windows.stride[1], sh * windows.dilation[0], sw * windows.dilation[1], sc),
    )


def runs(x: np.ndarray, windows: Windows, out: Pair) -> np.ndarray:
    """`patches` of windows not dilated in width as (N, OH, OW, KH) runs: the KW C numbers that lie side by side.

    A run is a single element to NumPy, copied at once: for three channels in half the time.
    """
    (sn, sh, sw, _sc), (kh, kw) = x.strides, windows.kernel
    run = np.dtype((np.void, kw * x.shape[3] * x.itemsize))
    strides = (sn, sh * windows.stride[0], sw * windows.stride[1], sh * windows.dilation[0])
    return np.ndarray((x.shape[0], *out, kh), run, x, 0, strides)
