"""Max-pooling by comparing shifted slices, and adaptive average pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.backends.cpu.threads import parallel_for, scratch
from minigrad.backends.cpu.windows import CACHE, channels_last, copy_image, nhwc
from minigrad.backends.taps import cut_bit, tap_dtype
from minigrad.window import Pair, Window

__all__ = [
    "Winners",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "images_at_once",
    "mark_cut",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_gather",
    "pool_images",
    "unpool_images",
    "winners_of",
    "without_cut",
]

SMALL = 1 << 15  # numbers below which a second thread costs more than it brings


def mark_cut(tap: np.ndarray, p: np.ndarray) -> None:
    """Set `cut_bit` where p <= 0."""
    cut = np.less_equal(p, 0, out=scratch("cut", p.shape, np.bool_)).view(np.uint8)
    bits = np.multiply(cut, cut_bit(tap.dtype), out=scratch("cut bits", tap.shape, tap.dtype), dtype=tap.dtype)
    np.bitwise_or(tap, bits, out=tap)


def without_cut(tap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tap without `cut_bit`, where it was not set), both in scratch memory."""
    bit = cut_bit(tap.dtype)
    passes = np.less(tap, bit, out=scratch("passes", tap.shape, np.bool_))
    return np.bitwise_and(tap, bit - 1, out=scratch("winners' taps", tap.shape, tap.dtype)), passes


def lowest(dtype: np.dtype) -> Any:
    """-inf; of integers the smallest."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _start(
    best: np.ndarray, tap: np.ndarray, value: np.ndarray, value_tap: np.ndarray | int, axis: int, at: slice
) -> None:
    """Put the first value and its tap where their window is inside the image; the lowest number and tap 0 beyond."""
    for edge in (slice(0, at.start), slice(at.stop, None)):
        best[_along(axis, edge)] = lowest(best.dtype)
        tap[_along(axis, edge)] = 0
    best[_along(axis, at)] = value
    tap[_along(axis, at)] = value_tap


def _take_larger(
    best: np.ndarray, tap: np.ndarray, value: np.ndarray, value_tap: np.ndarray | int, axis: int, at: slice
) -> None:
    """Where value > best, put it and its tap there. Taps come in ascending order: the larger tap is the later."""
    best, tap = best[_along(axis, at)], tap[_along(axis, at)]
    larger = scratch("larger", value.shape, np.bool_)
    later = scratch("later", value.shape, tap.dtype)
    np.greater(value, best, out=larger)
    np.multiply(larger.view(np.uint8), value_tap, out=later)
    np.maximum(tap, later, out=tap)
    np.maximum(best, value, out=best)


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, part)


def pool_images(x: np.ndarray, window: Window, p: np.ndarray, tap: np.ndarray) -> None:
    """Pool images (n, H, W, C) into p and tap (n, OH, OW, C).

    First along each row, then along the columns of that: the first of equals by (kw within kh) is then the first by
    tap = kh * KW + kw, and fewer numbers are compared than in every window by itself.
    """
    (kh, kw), (height, width), (oh, ow) = window.kernel, x.shape[1:3], p.shape[1:3]
    shape = (x.shape[0], height, ow, x.shape[3])
    across, across_tap = scratch("across", shape, x.dtype), scratch("across tap", shape, tap.dtype)
    for j in range(kw):
        pixels, at = window.offset(1, j, width, ow)
        put = _take_larger if j else _start
        put(across, across_tap, x[:, :, pixels], tap.dtype.type(j), 2, at)
    for i in range(kh):
        pixels, at = window.offset(0, i, height, oh)
        taps = across_tap[:, pixels]
        if i > 0:
            taps = np.add(taps, tap.dtype.type(i * kw), out=scratch("down tap", taps.shape, tap.dtype))
        put = _take_larger if i else _start
        put(p, tap, across[:, pixels], taps, 1, at)
    if p.size and not p.min() > lowest(p.dtype):  # NaN, or nothing larger than the padding
        _pool_carefully(x, window, p, tap)


def _pool_carefully(x: np.ndarray, window: Window, p: np.ndarray, tap: np.ndarray) -> None:
    """torch's rule, offset by offset: the first pixel that is really there, then what is larger, or NaN."""
    p[...], tap[...] = lowest(p.dtype), 0
    seen = np.zeros(p.shape, np.bool_)
    for i, j, (h, w), (oh, ow) in window.offsets(x.shape[1:3], p.shape[1:3]):
        value, into = x[:, h, w], (slice(None), oh, ow)
        take = (value > p[into]) | np.isnan(value) | ~seen[into]
        p[into] = np.where(take, value, p[into])
        tap[into] = np.where(take, i * window.kernel[1] + j, tap[into])
        seen[into] = True
    if not seen.all():  # no winner for the gradient to go to (torch writes outside its memory)
        raise RuntimeError(f"a pooling window lies wholly in the padding: {window} on an image of {x.shape[1:3]}")


@lru_cache(maxsize=32)
def winners_of(window: Window, size: Pair, channels: int) -> Winners:
    """The plan by which gradients find the winners of such a pool."""
    return Winners(window, size, channels)


class Winners:
    """Where in its image (H, W, C), as a flat index, the winner of each window lies."""

    def __init__(self, window: Window, size: Pair, channels: int) -> None:
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = window.kernel, window.stride, window.padding, window.dilation
        out = window.output_size(size)
        self.row = sh * size[1] * channels  # from one row of windows to the next
        down, across = np.arange(kh)[:, None] * dh - ph, np.arange(kw) * dw - pw
        self.of_tap = ((down * size[1] + across) * channels).reshape(-1)
        self.rows = max(1, min(out[0], CACHE // max(1, 32 * out[1] * channels)))  # a block's indices stay in the cache
        rows, columns = np.arange(self.rows)[:, None, None] * self.row, np.arange(out[1])[:, None] * sw * channels
        self.of_window = rows + columns + np.arange(channels)

    def blocks(self, tap: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of windows of one image, and the indices of their winners. tap: (OH, OW, C), contiguous."""
        for r in range(0, tap.shape[0], self.rows):
            rows = slice(r, min(r + self.rows, tap.shape[0]))
            index = scratch("winners", tap[rows].shape, np.intp)
            np.take(self.of_tap + r * self.row, tap[rows], out=index, mode="clip")
            index += self.of_window[: rows.stop - r]
            yield rows, index.reshape(-1)


def unpool_images(g: np.ndarray, tap: np.ndarray, winners: Winners, gx: np.ndarray) -> None:
    """gx (n, H, W, C) = g (n, OH, OW, C) added at each window's winner. g and gx are contiguous."""
    gx[...] = 0
    for image_g, image_tap, image_gx in zip(g, _contiguous(tap, "taps"), gx, strict=True):
        for rows, index in winners.blocks(image_tap):
            np.add.at(image_gx.reshape(-1), index, image_g[rows].reshape(-1))


def images_at_once(shape: Sequence[int], itemsize: int) -> int:
    """How many images (C, H, W) fit into the cache."""
    return max(1, CACHE // max(1, shape[1] * shape[2] * shape[3] * itemsize))


def _contiguous(x: np.ndarray, name: str) -> np.ndarray:
    """x (n, H, W, C) itself if contiguous, else copied to scratch memory."""
    if x.flags.c_contiguous:
        return x
    out = scratch(name, x.shape, x.dtype)
    copy_image(out, x)
    return out


def max_pool2d(x: np.ndarray, *, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """(y, tap): y[n,c,oh,ow] = the largest x[n, c, oh SH + kh DH - PH, ow SW + kw DW - PW], tap = kh * KW + kw of it.

    x (N, C, H, W) to y and tap (N, C, OH, OW), channels-last. The first of equals wins; NaN wins over all, the last of
    them; the padding never does. tap is uint8, int32 for windows of more than 128.
    """
    shape = (*x.shape[:2], *window.output_size(x.shape[2:]))
    y, tap = channels_last(shape, x.dtype), channels_last(shape, tap_dtype(window.kernel))
    step = images_at_once(x.shape, x.itemsize)

    def body(start: int, stop: int) -> None:
        for n in range(start, stop, step):
            some = slice(n, min(stop, n + step))
            pool_images(_contiguous(nhwc(x)[some], "image"), window, nhwc(y)[some], nhwc(tap)[some])

    parallel_for(x.shape[0], body, 1 if x.size >= SMALL else x.shape[0])
    return y, tap


def max_pool2d_backward(gy: np.ndarray, tap: np.ndarray, *, x_shape: Sequence[int], window: Window) -> np.ndarray:
    """gx (N, C, H, W): gy (N, C, OH, OW) added at each window's winner; channels-last."""
    winners = winners_of(window, (x_shape[2], x_shape[3]), gy.shape[1])
    gx = channels_last(tuple(x_shape), gy.dtype)
    step = images_at_once(x_shape, gy.itemsize)

    def body(start: int, stop: int) -> None:
        for n in range(start, stop, step):
            some = slice(n, min(stop, n + step))
            unpool_images(_contiguous(nhwc(gy)[some], "image"), nhwc(tap)[some], winners, nhwc(gx)[some])

    parallel_for(x_shape[0], body, 1 if gx.size >= SMALL else x_shape[0])
    return gx


def max_pool2d_gather(x: np.ndarray, tap: np.ndarray, *, window: Window) -> np.ndarray:
    """y (N, C, OH, OW) = x (N, C, H, W) at each window's winner: the transpose of `max_pool2d_backward`."""
    winners = winners_of(window, x.shape[2:], tap.shape[1])
    y = channels_last(tap.shape, x.dtype)

    def body(start: int, stop: int) -> None:
        for n in range(start, stop):
            some = slice(n, n + 1)
            image, taps = _contiguous(nhwc(x)[some], "image")[0], _contiguous(nhwc(tap)[some], "taps")[0]
            for rows, index in winners.blocks(taps):
                np.take(image.reshape(-1), index, out=nhwc(y)[n, rows].reshape(-1), mode="clip")

    parallel_for(len(x), body, 1 if x.size >= SMALL else len(x))
    return y


def _bins(size: int, out: int) -> list[slice]:
    """floor(i * size / out) to ceil((i + 1) * size / out)."""
    return [slice(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def adaptive_avg_pool2d(x: np.ndarray, *, output_size: Pair) -> np.ndarray:
    """y[n,c,i,j] = mean of x (N, C, H, W) over rows floor(i H / OH) to ceil((i+1) H / OH) and the columns likewise.

    y (N, C, OH, OW), channels-last. Rows are summed first, then columns.
    """
    (n, c, height, width), (oh, ow) = x.shape, output_size
    y = channels_last((n, c, oh, ow), x.dtype)
    pixels, out, rows, columns = nhwc(x), nhwc(y), _bins(height, oh), _bins(width, ow)

    def body(start: int, stop: int) -> None:
        image = pixels[start:stop]
        for i, r in enumerate(rows):
            strip = image[:, r].sum(axis=1)  # (n, W, C)
            for j, k in enumerate(columns):
                np.sum(strip[:, k], axis=1, out=out[start:stop, i, j])
                out[start:stop, i, j] /= (r.stop - r.start) * (k.stop - k.start)

    parallel_for(n, body, 1 if x.size >= SMALL else n)
    return y


def adaptive_avg_pool2d_backward(gy: np.ndarray, *, x_shape: Sequence[int]) -> np.ndarray:
    """gx (N, C, H, W) for gy (N, C, OH, OW): each bin's gradient over its size, added to each of its pixels.

    The gradient of one bin for all pixels is one number an image and channel, seen at each pixel: it takes no memory.
    """
    n, _, height, width = x_shape
    if gy.shape[2:] == (1, 1) and height and width:
        return np.broadcast_to(gy / (height * width), tuple(x_shape))
    gx = channels_last(tuple(x_shape), gy.dtype)
    g, pixels, rows, columns = nhwc(gy), nhwc(gx), _bins(height, gy.shape[2]), _bins(width, gy.shape[3])

    def body(start: int, stop: int) -> None:
        pixels[start:stop] = 0
        for i, r in enumerate(rows):
            for j, k in enumerate(columns):
                share = g[start:stop, i, j] / ((r.stop - r.start) * (k.stop - k.start))
                pixels[start:stop, r, k] += share[:, None, None]

    parallel_for(n, body, 1 if gx.size >= SMALL else n)
    return gx
