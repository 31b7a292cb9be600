"""Convolution and its gradients, alone and fused with the ReLU and the max-pooling that follow it.

The fused convolution and pool is made image by image: the map before the pool exists for one image a thread at a time,
in the cache, in the forward pass and (as its gradient) in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from minigrad.backends.cpu.columns import Convolution
from minigrad.backends.cpu.depthwise import Depthwise
from minigrad.backends.cpu.pooling import Winners, pool_images, tap_dtype, unpool_images
from minigrad.backends.cpu.threads import SHARES, parallel_for, scratch
from minigrad.backends.cpu.windows import CACHE, Pair, Windows, blocks, channels_last, nhwc, padded

__all__ = ["conv2d", "conv2d_backward", "conv2d_relu_max_pool2d", "conv2d_relu_max_pool2d_backward"]

SMALL = 1 << 20  # multiply-adds below which a second thread costs more than it brings

Gradients: TypeAlias = tuple["np.ndarray | None", "np.ndarray | None", "np.ndarray | None"]
Sums: TypeAlias = tuple["np.ndarray | None", "np.ndarray | None"]  # gw as the steps hold it, gb
Pool: TypeAlias = tuple[Pair, Pair, Pair, Pair, bool]  # kernel, stride, padding, dilation, ceil_mode


def _plan(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    dtype: np.dtype,
) -> tuple[Convolution, int]:
    """The steps of this convolution, and the least share of images or rows that is worth a thread."""
    windows = Windows((w_shape[2], w_shape[3]), stride, padding, dilation)
    size = (x_shape[2], x_shape[3])
    kind = Depthwise if groups == x_shape[1] > 1 else Convolution
    conv = kind(windows, groups, size, windows.output_size(size), (x_shape[1], w_shape[0]), dtype.itemsize)
    work = x_shape[0] * math.prod(conv.out) * w_shape[0] * math.prod(w_shape[1:])
    return conv, 1 if work >= SMALL else x_shape[0] * max(size[0], conv.out[0])


def _bias_relu(rows: np.ndarray, b: np.ndarray | None, relu: bool) -> None:
    """rows (M, O) = max(rows + b, 0) in place, while they are in the cache."""
    m, o = rows.shape
    together = math.gcd(m, max(1, 1024 // o))  # several rows as one: longer loops for few channels
    rows = rows.reshape(m // together, together * o)
    if b is not None:
        rows += np.tile(b, together)
    if relu:
        np.maximum(rows, np.zeros(together * o, rows.dtype), out=rows)  # a scalar 0 is several times slower


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    relu: bool = False,
) -> np.ndarray:
    """y[n,o,oh,ow] = b[o] + sum over c, kh, kw of w[o,c,kh,kw] x[n, c, oh SH + kh DH - PH, ow SW + kw DW - PW].

    x (N, C, H, W), w (O, C/groups, KH, KW), b (O,) or None, to y (N, O, OH, OW), channels-last; pixels outside the
    image are 0, c runs over the channels of o's group. relu: max(y, 0). RuntimeError if no window fits into the image.
    """
    conv, grain = _plan(x.shape, w.shape, stride, padding, dilation, groups, x.dtype)
    y = channels_last((x.shape[0], w.shape[0], *conv.out), x.dtype)
    pixels, rows, matrix = nhwc(x), nhwc(y), conv.matrix(w)

    def body(start: int, stop: int) -> None:
        for block in blocks(start, stop, conv.out[0], conv.block_rows):
            n0, n1, r0, r1 = block
            conv.forward(pixels, matrix, block, rows[n0:n1, r0:r1])
            _bias_relu(rows[n0:n1, r0:r1].reshape(-1, w.shape[0]), b, relu)

    parallel_for(x.shape[0] * conv.out[0], body, grain)
    return y


def _zero_sums(conv: Convolution, needs: Sequence[bool], dtype: np.dtype) -> Sums:
    """Where gw and gb add up, None where not needed. Sums of blocks for gb are added in float64."""
    return conv.zero_weights(dtype) if needs[1] else None, np.zeros(conv.channels[1]) if needs[2] else None


def _shares(conv: Convolution, needs: Sequence[bool]) -> int:
    """Shares of the work for each thread: one where gw, of which every share holds one, is large."""
    weights = conv.columns * conv.channels[1] // conv.groups
    return 1 if needs[1] and weights * conv.itemsize > CACHE else SHARES


def _add_weight_gradients(
    conv: Convolution,
    gy: np.ndarray,
    x: np.ndarray | None,
    y: np.ndarray | None,
    rows: Pair,
    gw: np.ndarray | None,
    gb: np.ndarray | None,
) -> None:
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
    return conv.turned_matrix(w) if conv.turns else conv.scatter_matrix(w)


def _write_input_gradient(
    conv: Convolution, matrix: np.ndarray, gy: np.ndarray, y: np.ndarray | None, gx: np.ndarray, units: Pair
) -> None:
    """gx (N, H, W, C): where `conv.turns`, for the rows `units` of the pile of images, a convolution of gy with the
    turned kernel; else for the images `units`, patches added where they came from.
    """
    start, stop = units
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


def conv2d_backward(
    gy: np.ndarray,
    x: np.ndarray | None,
    w: np.ndarray | None,
    y: np.ndarray | None,
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    needs: Sequence[bool],
) -> Gradients:
    """(gx, gw, gb) for gy (N, O, OH, OW), None where `needs` is False; with y, gy counts where y > 0.

    gx is channels-last; x may be None where gw is not needed, w where gx is not.
    """
    conv, grain = _plan(x_shape, w_shape, stride, padding, dilation, groups, gy.dtype)
    images, height = x_shape[0], conv.out[0]
    rows, mask = nhwc(gy), None if y is None else nhwc(y)
    gx = gw = gb = None
    if needs[1] or needs[2]:
        pixels = None if x is None else nhwc(x)

        def of_weights(start: int, stop: int) -> Sums:
            sums = _zero_sums(conv, needs, gy.dtype)
            _add_weight_gradients(conv, rows, pixels, mask, (start, stop), *sums)
            return sums

        gw, gb = _total(conv, parallel_for(images * height, of_weights, grain, _shares(conv, needs)), gy.dtype)
    if needs[0]:
        gx = channels_last(tuple(x_shape), gy.dtype)
        matrix = _input_matrix(conv, w)

        def of_input(start: int, stop: int) -> None:
            _write_input_gradient(conv, matrix, rows, mask, nhwc(gx), (start, stop))

        parallel_for(images * (conv.size[0] if conv.turns else 1), of_input, grain)
    return gx, gw, gb


def conv2d_relu_max_pool2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    pool: Pool,
) -> tuple[np.ndarray, np.ndarray]:
    """(p, tap) = max_pool2d(relu(conv2d(x, w, b))), both (N, O, PH, PW); of the map, one image a thread exists.

    pool: (kernel, stride, padding, dilation, ceil_mode). Bias and ReLU come after the pool, on fewer numbers: they keep
    the order of any two.
    """
    conv, grain = _plan(x.shape, w.shape, stride, padding, dilation, groups, x.dtype)
    pooling = Windows(*pool[:4])
    shape = (x.shape[0], w.shape[0], *pooling.output_size(conv.out, pool[4]))
    p, tap = channels_last(shape, x.dtype), channels_last(shape, tap_dtype(pooling))
    pixels, matrix = nhwc(x), conv.matrix(w)

    def body(start: int, stop: int) -> None:
        image = scratch("map", (1, *conv.out, w.shape[0]), x.dtype)
        for n in range(start, stop):
            for block in blocks(n * conv.out[0], (n + 1) * conv.out[0], conv.out[0], conv.block_rows):
                conv.forward(pixels, matrix, block, image[:, block[2] : block[3]])
            pooled = nhwc(p)[n : n + 1]
            pool_images(image, pooling, pooled, nhwc(tap)[n : n + 1])
            _bias_relu(pooled.reshape(-1, w.shape[0]), b, True)

    parallel_for(x.shape[0], body, grain)
    return p, tap


def conv2d_relu_max_pool2d_backward(
    gp: np.ndarray,
    x: np.ndarray | None,
    w: np.ndarray | None,
    p: np.ndarray,
    tap: np.ndarray,
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    pool: Pool,
    needs: Sequence[bool],
) -> Gradients:
    """(gx, gw, gb) for gp (N, O, PH, PW), None where `needs` is False. gp counts where p > 0, at the winner."""
    conv, grain = _plan(x_shape, w_shape, stride, padding, dilation, groups, gp.dtype)
    pooling = Windows(*pool[:4])
    winners = Winners(pooling, conv.out, gp.shape[2:], w_shape[0])
    pixels = None if x is None else nhwc(x)
    gx = channels_last(tuple(x_shape), gp.dtype) if needs[0] else None
    if needs[0]:
        matrix = _input_matrix(conv, w)

    def body(start: int, stop: int) -> Sums:
        sums = _zero_sums(conv, needs, gp.dtype)
        image = scratch("map", (1, *conv.out, w_shape[0]), gp.dtype)
        for n in range(start, stop):
            one = slice(n, n + 1)
            g = padded(nhwc(gp), (n, n + 1), (0, gp.shape[2]), 0, gp.shape[3], "gradient", nhwc(p))
            unpool_images(g, nhwc(tap)[one], winners, image)
            here = None if pixels is None else pixels[one]
            _add_weight_gradients(conv, image, here, None, (0, conv.out[0]), *sums)
            if gx is not None:
                units = (0, conv.size[0] if conv.turns else 1)
                _write_input_gradient(conv, matrix, image, None, nhwc(gx)[one], units)
        return sums

    gw, gb = _total(conv, parallel_for(x_shape[0], body, grain, _shares(conv, needs)), gp.dtype)
    return gx, gw, gb
