"""Convolution and its gradients, alone and fused with the ReLU and the max-pooling that follow it.

A kernel of 3x3 at stride 1 goes Winograd's way where that is faster (winograd.py), all others by columns (columns.py).

The fused convolution and pool is made a few images at a time: the map before the pool exists, in the forward pass and
(as its gradient) in the backward pass, for as many images as fit into the cache, and at least one, in each thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from minigrad.backends.cpu.columns import Convolution
from minigrad.backends.cpu.depthwise import Depthwise
from minigrad.backends.cpu.pooling import images_at_once, mark_cut, pool_images, unpool_images, winners_of, without_cut
from minigrad.backends.cpu.threads import SHARES, parallel_for, scratch
from minigrad.backends.cpu.windows import CACHE, blocks, channels_last, masked, nhwc, padded
from minigrad.backends.cpu.winograd import Winograd, suits
from minigrad.backends.taps import tap_dtype
from minigrad.window import Pair, Window

__all__ = ["conv2d", "conv2d_backward", "conv2d_relu_max_pool2d", "conv2d_relu_max_pool2d_backward"]

SHARE = 1 << 23  # multiply-adds of the least share of work: smaller ones would wait for the interpreter's lock

Gradients: TypeAlias = tuple["np.ndarray | None", "np.ndarray | None", "np.ndarray | None"]
Sums: TypeAlias = tuple["np.ndarray | None", "np.ndarray | None"]  # gw as the steps hold it, gb


@lru_cache(maxsize=256)
def _plan(window: Window, size: Pair, channels: Pair, itemsize: int) -> Convolution:
    """The steps of this convolution of images (H, W) from C to O channels."""
    kind = Depthwise if window.groups == channels[0] > 1 else Convolution
    return kind(window, size, channels, itemsize)


def _least(conv: Convolution, images: int) -> float:
    """The least part of the convolution of so many images that is worth a thread."""
    return SHARE / max(1, images * math.prod(conv.out) * conv.channels[1] * conv.columns // conv.groups)


def _grain(units: int, least: float) -> int:
    """The least number of images or rows in a share, where there are `units` of them."""
    return max(1, min(units, math.ceil(units * least)))


def _bias_relu(rows: np.ndarray, b: np.ndarray | None, relu: bool) -> None:
    """rows (M, O) = max(rows + b, 0) in place, while they are in the cache."""
    m, o = rows.shape
    together = math.gcd(m, max(1, 1024 // o))  # several rows as one: longer loops for few channels
    rows = rows.reshape(m // together, together * o)
    if b is not None:
        rows += np.tile(b, together)
    if relu:
        np.maximum(rows, np.zeros(together * o, rows.dtype), out=rows)  # a scalar 0 is several times slower


def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, window: Window, relu: bool = False) -> np.ndarray:
    """y[n,o,oh,ow] = b[o] + sum over c, kh, kw of w[o,c,kh,kw] x[n, c, oh SH + kh DH - PH, ow SW + kw DW - PW].

    x (N, C, H, W), w (O, C/groups, KH, KW), b (O,) or None, to y (N, O, OH, OW), channels-last; pixels outside the
    image are 0, c runs over the channels of o's group. relu: max(y, 0).
    """
    conv = _plan(window, x.shape[2:], (x.shape[1], w.shape[0]), x.itemsize)
    least = _least(conv, len(x))
    y = channels_last((x.shape[0], w.shape[0], *conv.out), x.dtype)
    pixels, rows = nhwc(x), nhwc(y)
    if suits(conv, len(x)):
        winograd = Winograd(conv, x.dtype)
        if winograd.forward(pixels, w, rows, lambda part: _bias_relu(part.reshape(-1, w.shape[0]), b, relu)):
            return y
    matrix = conv.matrix(w)

    def body(start: int, stop: int) -> None:
        for block in blocks(start, stop, conv.out[0], conv.block_rows):
            n0, n1, r0, r1 = block
            conv.forward(pixels, matrix, block, rows[n0:n1, r0:r1])
            _bias_relu(rows[n0:n1, r0:r1].reshape(-1, w.shape[0]), b, relu)

    parallel_for(x.shape[0] * conv.out[0], body, _grain(x.shape[0] * conv.out[0], least))
    return y


def _zero_sums(conv: Convolution, needs: Sequence[bool], dtype: np.dtype) -> Sums:
    """Where gw and gb add up, None where not needed. Sums of blocks for gb are added in float64."""
    return conv.zero_weights(dtype) if needs[1] else None, np.zeros(conv.channels[1]) if needs[2] else None


def _shares(conv: Convolution, needs: Sequence[bool]) -> int:
    """Shares of the work for each thread: one where gw, of which every share holds one, is large."""
    weights = conv.columns * conv.channels[1] // conv.groups
    return 1 if needs[1] and weights * conv.itemsize > CACHE else SHARES


def _add_weight_gradients(
    conv: Convolution, gy: np.ndarray, x: np.ndarray | None, y: np.ndarray | None, rows: Pair, gw: np.ndarray | None,
    gb: np.ndarray | None,
) -> None:  # fmt: skip
    """Add what output rows `rows` of the pile of images bring to gw (as `conv.zero_weights` made it) and gb (O,)."""
    for block in blocks(*rows, conv.out[0], conv.block_rows):
        n0, n1, r0, r1 = block
        g = padded(gy, (n0, n1), (r0, r1), 0, conv.out[1], "gradient", y).reshape(-1, conv.channels[1])
        if gw is not None:
            assert x is not None, "gw is asked for without x"
            conv.weight_gradient(g, x, block, gw)
        if gb is not None:
            gb += np.ones(g.shape[0], g.dtype) @ g


def _input_matrix(conv: Convolution, w: np.ndarray | None) -> np.ndarray:
    """w as `_write_input_gradient` wants it."""
    assert w is not None, "gx is asked for without w"
    return conv.turned_matrix(w) if conv.turns and not conv.gathers else conv.scatter_matrix(w)


def _gradient_units(conv: Convolution) -> int:
    """What `_write_input_gradient` can cut the gradient of an image into."""
    if conv.gathers:
        return conv.phases[0]
    return conv.size[0] if conv.turns else 1


def _write_input_gradient(
    conv: Convolution, matrix: np.ndarray, gy: np.ndarray, y: np.ndarray | None, gx: np.ndarray, units: Pair
) -> None:
    """gx (N, H, W, C): where `conv.gathers`, for the rows `units` of the pile of phases, sums over their kernel offsets;
    where `conv.turns`, for the rows `units` of the pile of images, a convolution of gy with the turned kernel; else for
    the images `units`, patches added where they came from.
    """
    start, stop = units
    if conv.gathers:
        for block in blocks(start, stop, conv.phases[0], conv.gathered_rows):
            conv.gather(gy, matrix, block, gx, y)
        return
    if conv.turns:
        turned = conv.turned()
        for block in blocks(start, stop, conv.size[0], turned.block_rows):
            n0, n1, r0, r1 = block
            turned.forward(gy, matrix, block, gx[n0:n1, r0:r1], y)
        return
    gx[start:stop] = 0
    for block in blocks(start * conv.out[0], stop * conv.out[0], conv.out[0], conv.block_rows):
        n0, n1, r0, r1 = block
        conv.scatter(padded(gy, (n0, n1), (r0, r1), 0, conv.out[1], "gradient", y), matrix, block, gx)


def _total(conv: Convolution, parts: list[Sums], dtype: np.dtype) -> Sums:
    """Add up what the threads found, in their order."""
    gw, gb = parts[0]
    for more_gw, more_gb in parts[1:]:
        gw = None if gw is None else gw + more_gw
        gb = None if gb is None else gb + more_gb
    return None if gw is None else conv.weights(gw), None if gb is None else gb.astype(dtype)


def _weight_gradients(
    conv: Convolution, least: float, gy: np.ndarray, y: np.ndarray | None, x: np.ndarray | None, needs: Sequence[bool]
) -> Sums:
    """(gw (O, C/G, KH, KW), gb (O,)), None where `needs` is False."""
    if not (needs[1] or needs[2]):
        return None, None

    def body(start: int, stop: int) -> Sums:
        sums = _zero_sums(conv, needs, gy.dtype)
        _add_weight_gradients(conv, gy, x, y, (start, stop), *sums)
        return sums

    units = len(gy) * conv.out[0]
    return _total(conv, parallel_for(units, body, _grain(units, least), _shares(conv, needs)), gy.dtype)


def conv2d_backward(
    gy: np.ndarray, x: np.ndarray | None, w: np.ndarray | None, y: np.ndarray | None, *, x_shape: Sequence[int],
    window: Window, needs: Sequence[bool],
) -> Gradients:  # fmt: skip
    """(gx, gw, gb) for gy (N, O, OH, OW), None where `needs` is False; with y, of a fused ReLU, gy passes unless y <= 0.

    gx is channels-last; x may be None where gw is not needed, w where gx is not.
    """
    conv = _plan(window, (x_shape[2], x_shape[3]), (x_shape[1], gy.shape[1]), gy.itemsize)
    least = _least(conv, len(gy))
    g, mask, pixels = nhwc(gy), None if y is None else nhwc(y), nhwc(x) if needs[1] and x is not None else None
    gx = channels_last(tuple(x_shape), gy.dtype) if needs[0] else None
    if suits(conv, len(g)) and (needs[0] or needs[1]):
        gw, finite = Winograd(conv, gy.dtype).backward(g, mask, pixels, w, None if gx is None else nhwc(gx))
        if finite:
            return gx, gw, _weight_gradients(conv, least, g, mask, None, (False, False, needs[2]))[1]
    gw, gb = _weight_gradients(conv, least, g, mask, pixels, needs)
    if gx is not None:
        matrix, pixels_gx = _input_matrix(conv, w), nhwc(gx)
        units = len(g) * _gradient_units(conv)
        parallel_for(
            units, lambda a, b: _write_input_gradient(conv, matrix, g, mask, pixels_gx, (a, b)), _grain(units, least)
        )
    return gx, gw, gb


def conv2d_relu_max_pool2d(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, *, window: Window, pool: Window
) -> tuple[np.ndarray, np.ndarray]:
    """(p, tap) = max_pool2d(relu(conv2d(x, w, b))), both (N, O, PH, PW); of the map, the images
    that fit into a core's cache exist.

    Bias and ReLU come after the pool, on fewer numbers: they keep
    the order of any two. `cut_bit` is set in tap where p <= 0, so that the gradient needs no p.
    """
    conv = _plan(window, x.shape[2:], (x.shape[1], w.shape[0]), x.itemsize)
    least = _least(conv, len(x))
    shape = (x.shape[0], w.shape[0], *pool.output_size(conv.out))
    p, tap = channels_last(shape, x.dtype), channels_last(shape, tap_dtype(pool.kernel))
    pixels, matrix, step = nhwc(x), conv.matrix(w), images_at_once((1, w.shape[0], *conv.out), x.itemsize)

    def body(start: int, stop: int) -> None:
        for n in range(start, stop, step):
            some = slice(n, min(stop, n + step))
            maps = scratch("map", (some.stop - n, *conv.out, w.shape[0]), x.dtype)
            for block in blocks(n * conv.out[0], some.stop * conv.out[0], conv.out[0], conv.block_rows):
                conv.forward(pixels, matrix, block, maps[block[0] - n : block[1] - n, block[2] : block[3]])
            pooled = nhwc(p)[some]
            pool_images(maps, pool, pooled, nhwc(tap)[some])
            _bias_relu(pooled.reshape(-1, w.shape[0]), b, True)
            mark_cut(nhwc(tap)[some], pooled)

    parallel_for(x.shape[0], body, _grain(x.shape[0], least))
    return p, tap


def conv2d_relu_max_pool2d_backward(
    gp: np.ndarray, x: np.ndarray | None, w: np.ndarray | None, tap: np.ndarray, *, x_shape: Sequence[int],
    window: Window, pool: Window, needs: Sequence[bool],
) -> Gradients:  # fmt: skip
    """(gx, gw, gb) for gp (N, O, PH, PW), None where `needs` is False. gp counts at the winner, unless `cut_bit` is set."""
    conv = _plan(window, (x_shape[2], x_shape[3]), (x_shape[1], gp.shape[1]), gp.itemsize)
    least = _least(conv, len(gp))
    winners = winners_of(pool, conv.out, conv.channels[1])
    step = images_at_once((1, conv.channels[1], *conv.out), gp.itemsize)
    pixels = None if x is None else nhwc(x)
    gx = channels_last(tuple(x_shape), gp.dtype) if needs[0] else None
    if needs[0]:
        matrix = _input_matrix(conv, w)

    def body(start: int, stop: int) -> Sums:
        sums = _zero_sums(conv, needs, gp.dtype)
        for n in range(start, stop, step):
            some = slice(n, min(stop, n + step))
            count = some.stop - n
            maps = scratch("map", (count, *conv.out, conv.channels[1]), gp.dtype)
            taps, passes = without_cut(nhwc(tap)[some])
            g = scratch("gradient", taps.shape, gp.dtype)
            masked(nhwc(gp)[some], passes, g)
            unpool_images(g, taps, winners, maps)
            here = None if pixels is None else pixels[some]
            _add_weight_gradients(conv, maps, here, None, (0, count * conv.out[0]), *sums)
            if gx is not None:
                _write_input_gradient(conv, matrix, maps, None, nhwc(gx)[some], (0, count * _gradient_units(conv)))
        return sums

    shares = parallel_for(x_shape[0], body, _grain(x_shape[0], least), _shares(conv, needs))
    gw, gb = _total(conv, shares, gp.dtype)
    return gx, gw, gb
