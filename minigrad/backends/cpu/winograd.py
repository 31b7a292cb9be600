"""Winograd's convolution: 3x3 kernels at stride 1 with 16 multiplications where the plain way has 36.

A tile of 2x2 outputs sees a tile d of 4x4 pixels, and is

    y = A^T [(G w G^T) * (B^T d B)] A,    the product taken number by number, summed over the input channels.

So in each of the 16 places of a tile a convolution is a matrix product, for all T tiles at once, and the gradients are
every step's transpose, in reverse:

    V = B^T d B,    U = G w G^T,    M_k = V_k U_k,    y = A^T M A,    (k = 1 ... 16; V (T, C), U (C, O), M (T, O))
    gM = A gy A^T,    gV_k = gM_k U_k^T,    gU_k = V_k^T gM_k,    gw = G^T gU G,    gd = B gV B^T, added up: tiles overlap.

Sums and differences of inf are NaN, also for outputs that never saw the inf. Where a result is not finite, these functions
say so, and the plain kernels run.

Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks (2016), 4.1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from minigrad.backends.cpu.columns import Convolution
from minigrad.backends.cpu.threads import get_num_threads, parallel_for, scratch
from minigrad.backends.cpu.windows import padded
from minigrad.window import Window

__all__ = ["Winograd", "suits"]

A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])

CHANNELS = 48  # with fewer, the sums around the products cost more than the products saved
WORK = 1 << 20  # outputs times input channels: with fewer, the calls cost more than the numbers
WASTE = 1.4  # of outputs made (an odd row or column makes a tile's other half for nothing) to those wanted
IMAGE = 1 << 23  # bytes of V of one image: more would leave the cache
TILES = 1 << 20  # bytes of V, or of M, that a block of images may have
WEIGHTS = 1 << 21  # bytes of U: larger ones are read by all threads together, not by each for its images
TERMS = 128  # of a sum made in one go
GRAIN = 1 << 14  # kernels of 3x3 that are worth a thread

Result = TypeVar("Result")
Terms: TypeAlias = "np.ndarray | Sequence[np.ndarray]"


def suits(conv: Convolution, images: int) -> bool:
    """Whether this convolution can be done so, and is the faster for it. The threads share whole images."""
    if images < get_num_threads() or conv.window != Window((3, 3), padding=conv.window.padding):
        return False
    wanted, made = math.prod(conv.out), 4 * -(-conv.out[0] // 2) * -(-conv.out[1] // 2)
    enough = min(conv.channels) >= CHANNELS and images * wanted * math.prod(conv.channels) >= max(1, WORK)
    return enough and made <= WASTE * wanted and 4 * made * max(conv.channels) * conv.itemsize <= IMAGE


def _combine(matrix: np.ndarray, terms: Terms, results: Terms) -> None:
    """results[i] = the sum over j of matrix[i, j] terms[j], for a matrix of 0, 1 and -1."""
    for row, result in zip(matrix, results, strict=True):
        plus = [term for entry, term in zip(row, terms, strict=True) if entry > 0]
        minus = [term for entry, term in zip(row, terms, strict=True) if entry < 0]
        if plus and minus:
            np.subtract(plus.pop(), minus.pop(), out=result)
        elif minus:
            np.negative(minus.pop(), out=result)
        elif len(plus) > 1:
            np.add(plus.pop(), plus.pop(), out=result)
        else:
            result[...] = plus.pop()
        for term in plus:
            result += term
        for term in minus:
            result -= term


def _to_tiles(matrix: np.ndarray, image: np.ndarray, tiles: np.ndarray) -> None:
    """tiles (4, 4, n, TH, TW, C) = matrix t matrix^T for the tiles t that begin at every second pixel of the image."""
    _, _, n, height, width, channels = tiles.shape
    half = scratch("half", (4, n, height, image.shape[2], channels), tiles.dtype)
    starts = range(matrix.shape[1])
    _combine(matrix, [image[:, i : i + 2 * height - 1 : 2] for i in starts], half)
    _combine(matrix, [half[:, :, :, j : j + 2 * width - 1 : 2] for j in starts], tiles.swapaxes(0, 1))


def _outputs(tiles: np.ndarray, image: np.ndarray) -> None:
    """image (n, 2 TH, 2 TW, O), contiguous: its tiles are A^T t A for the tiles t (4, 4, n, TH, TW, O)."""
    _, _, n, height, width, channels = tiles.shape
    half = scratch("half", (2, *tiles.shape[1:]), tiles.dtype)
    _combine(A.T, tiles, half)
    _combine(A.T, half.swapaxes(0, 1), image.reshape(n, height, 2, width, 2, channels).transpose(4, 2, 0, 1, 3, 5))


def _overlapping(terms: Terms, result: np.ndarray) -> None:
    """result[2 t + i] = the sum over j of B[i, j] terms[j][t], along the first axis, added up where tiles overlap."""
    even, odd = result[0::2], result[1::2]
    _combine(B[2:3], terms, [even[1:]])
    even[0] = 0
    even[:-1] += terms[0]
    _combine(B[1:2], terms, [odd[:-1]])
    odd[-1] = 0
    odd[1:] -= terms[3]


def _pixels(tiles: np.ndarray, image: np.ndarray) -> None:
    """image (n, 2 TH + 2, 2 TW + 2, C) = the sum of B t B^T for the tiles t (4, 4, n, TH, TW, C), each in its place."""
    _, _, n, height, _, channels = tiles.shape
    half = scratch("half", (4, n, height, image.shape[2], channels), tiles.dtype)
    _overlapping(tiles.transpose(1, 4, 0, 2, 3, 5), half.transpose(3, 0, 1, 2, 4))
    _overlapping(half.swapaxes(1, 2), image.swapaxes(0, 1))


def _finite(x: np.ndarray) -> bool:
    """Whether all of x is finite (and, since squares are looked at, not very large). x: contiguous."""
    numbers = x.reshape(-1)
    return bool(np.isfinite(numbers @ numbers))


def _matrices(tiles: np.ndarray) -> np.ndarray:
    """Tiles (4, 4, n, TH, TW, C) as (16, T, C)."""
    return tiles.reshape(16, -1, tiles.shape[-1])


def _products(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """out[k] = x[k] y[k] for the matrices of the 16 places. Long sums are made in parts: they lose fewer digits."""

    def body(a: int, b: int) -> None:
        np.matmul(x[a:b, :, :TERMS], y[a:b, :TERMS], out=out[a:b])
        for i in range(TERMS, x.shape[2], TERMS):
            part = scratch("part", out[a:b].shape, out.dtype)
            out[a:b] += np.matmul(x[a:b, :, i : i + TERMS], y[a:b, i : i + TERMS], out=part)

    parallel_for(16, body)


class Winograd:
    """One convolution of images (N, H, W, C) with kernels (O, C, 3, 3). Every step is split over the threads; where a
    thread has a block of images for itself, it takes all the steps of that block alone.
    """

    def __init__(self, conv: Convolution, dtype: np.dtype) -> None:
        self.size, self.out, self.channels, self.dtype = conv.size, conv.out, conv.channels, dtype
        self.padding = conv.window.padding
        self.tiles = -(-self.out[0] // 2), -(-self.out[1] // 2)
        self.whole = 2 * self.tiles[0], 2 * self.tiles[1]  # what the tiles cover
        self.outer = np.kron(G, G).astype(dtype)  # (16, 9): U = outer w with w as a vector

    def _in_blocks(self, images: int, body: Callable[[list[slice]], Result]) -> list[Result]:
        """body(blocks of images) for each thread's share of the images; where each block has to read large weights, once
        for all images, with all threads at every step.
        """
        numbers = 16 * math.prod(self.tiles) * max(self.channels)
        step = max(1, TILES // (numbers * self.dtype.itemsize))

        def share(start: int, stop: int) -> Result:
            return body([slice(n, min(n + step, stop)) for n in range(start, stop, step)])

        if 16 * math.prod(self.channels) * self.dtype.itemsize <= WEIGHTS:
            return parallel_for(images, share, step)
        step *= 4
        return [share(0, images)]

    def _new_tiles(self, name: str, images: int, channels: int) -> np.ndarray:
        return scratch(name, (4, 4, images, *self.tiles, channels), self.dtype)

    def _weights(self, w: np.ndarray) -> np.ndarray:
        """U (16, O, C) = G w G^T."""
        c, o = self.channels
        u, taps = np.empty((16, o * c), self.dtype), w.reshape(o * c, 9).T
        parallel_for(o * c, lambda a, b: np.matmul(self.outer, taps[:, a:b], out=u[:, a:b]), GRAIN)
        return u.reshape(16, o, c)

    def _weight_gradient(self, gu: np.ndarray) -> np.ndarray:
        """gw (O, C, 3, 3) = G^T gU G."""
        c, o = self.channels
        gw, columns = np.empty((o * c, 9), self.dtype), gu.reshape(16, o * c).T
        parallel_for(o * c, lambda a, b: np.matmul(columns[a:b], self.outer, out=gw[a:b]), GRAIN)
        return gw.reshape(o, c, 3, 3)

    def _of_pixels(self, x: np.ndarray) -> np.ndarray:
        """V = B^T d B of images."""
        v = self._new_tiles("pixel tiles", len(x), self.channels[0])
        (ph, pw), (height, width) = self.padding, self.whole

        def body(a: int, b: int) -> None:
            image = padded(x, (a, b), (-ph, height + 2 - ph), pw, width + 2, "image")
            _to_tiles(B.T, image, v[:, :, a:b])

        parallel_for(len(x), body)
        return v

    def _of_gradient(self, gy: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        """gM = A gy A^T of images; with y, gy is 0 where y <= 0."""
        gm = self._new_tiles("output tiles", len(gy), self.channels[1])

        def body(a: int, b: int) -> None:
            image = padded(gy, (a, b), (0, self.whole[0]), 0, self.whole[1], "gradient", y)
            _to_tiles(A, image, gm[:, :, a:b])

        parallel_for(len(gy), body)
        return gm

    def _write_outputs(self, m: np.ndarray, y: np.ndarray, finish: Callable[[np.ndarray], None]) -> bool:
        """y = A^T M A, then finish(y). Returns whether y was finite before."""

        def body(a: int, b: int) -> bool:
            some = y[a:b]
            fits = self.out == self.whole
            image = some if fits else scratch("image", (b - a, *self.whole, self.channels[1]), self.dtype)
            _outputs(m[:, :, a:b], image)
            if not fits:
                some[...] = image[:, : self.out[0], : self.out[1]]
            finite = _finite(image)
            finish(some)
            return finite

        return all(parallel_for(len(y), body))

    def _write_pixels(self, gv: np.ndarray, gx: np.ndarray) -> bool:
        """gx = B gV B^T, added up. Returns whether it is finite."""
        (ph, pw), (height, width) = self.padding, self.size

        def body(a: int, b: int) -> bool:
            image = scratch("image", (b - a, self.whole[0] + 2, self.whole[1] + 2, self.channels[0]), self.dtype)
            _pixels(gv[:, :, a:b], image)
            gx[a:b] = image[:, ph : ph + height, pw : pw + width]
            return _finite(image)

        return all(parallel_for(len(gx), body))

    def forward(self, x: np.ndarray, w: np.ndarray, y: np.ndarray, finish: Callable[[np.ndarray], None]) -> bool:
        """Fill y (N, OH, OW, O), contiguous, and call finish(images of y) on every part of it. False: not finite."""
        u = self._weights(w).transpose(0, 2, 1)

        def body(blocks: list[slice]) -> bool:
            finite = True
            for some in blocks:
                v = self._of_pixels(x[some])
                m = self._new_tiles("output tiles", v.shape[2], self.channels[1])
                _products(_matrices(v), u, _matrices(m))
                finite &= self._write_outputs(m, y[some], finish)
            return finite

        return all(self._in_blocks(len(x), body))

    def backward(
        self, gy: np.ndarray, y: np.ndarray | None, x: np.ndarray | None, w: np.ndarray | None, gx: np.ndarray | None
    ) -> tuple[np.ndarray | None, bool]:
        """(gw if x is given, whether all is finite), and fill gx if given. With y, gy is 0 where y <= 0."""
        u = None if gx is None or w is None else self._weights(w)

        def body(blocks: list[slice]) -> tuple[np.ndarray | None, bool]:
            gu, finite = None, True
            for some in blocks:
                gm = _matrices(self._of_gradient(gy[some], None if y is None else y[some]))
                if x is not None:
                    part = np.empty((16, *self.channels[::-1]), self.dtype)
                    _products(gm.transpose(0, 2, 1), _matrices(self._of_pixels(x[some])), part)
                    gu = part if gu is None else np.add(gu, part, out=gu)
                if gx is not None and u is not None:
                    gv = self._new_tiles("pixel tiles", len(gx[some]), self.channels[0])
                    _products(gm, u, _matrices(gv))
                    finite &= self._write_pixels(gv, gx[some])
            return gu, finite

        parts, finite = zip(*self._in_blocks(len(gy), body), strict=True)
        if x is None:
            return None, all(finite)
        with np.errstate(all="ignore"):
            gw = self._weight_gradient(functools.reduce(np.add, parts))
            return gw, all(finite) and _finite(gw)
