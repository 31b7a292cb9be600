"""The sizes of a convolution, and its columns: rows of patches, made and added up as unfold and fold ask for them.

    cols[row, (kh, kw, c)] = x[n, c, oh SH - PH + kh DH, ow SW - PW + kw DW],   row = (n, oh, ow)

N images, C channels, G groups, O output channels, K = KH*KW*C/G numbers in a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minigrad.window import Pair, Window

from ..kernels import Array
from .device import xp
from .launch import kernel, max_blocks

MOST_ROWS = 2**31 - 2**16  # of one launch: they are counted in 32 bits
ROWS_PER_BLOCK = 8


@dataclass(frozen=True)
class Geometry:
    """The sizes of one convolution."""

    window: Window
    O: int  # noqa: E741 - the letter of the maths
    N: int
    C: int
    H: int
    W: int
    allow_tf32: bool = False

    @property
    def G(self) -> int:
        return self.window.groups

    @cached_property
    def out(self) -> Pair:
        return self.window.output_size((self.H, self.W))

    @property
    def OH(self) -> int:
        return self.out[0]

    @property
    def OW(self) -> int:
        return self.out[1]

    @property
    def K(self) -> int:
        return self.window.kernel[0] * self.window.kernel[1] * self.C // self.G

    @cached_property
    def sizes(self) -> tuple[np.int32, ...]:
        """G to DW, as the kernels take them."""
        w = self.window
        numbers = (
            self.G, self.C // self.G, self.O // self.G, self.H, self.W, *w.kernel, *self.out, *w.stride, *w.padding, *w.dilation
        )  # fmt: skip
        return tuple(np.int32(number) for number in numbers)

    def images(self, bytes: int | None = None, itemsize: int = 1) -> Iterator[slice]:
        """All images, some at a time: as many as one launch can count, or as have maps of so many bytes."""
        a_map = max(self.out[0] * self.out[1], self.H * self.W, 1)
        some = MOST_ROWS // a_map
        if bytes is not None:
            some = min(some, bytes // (max(1, self.out[0] * self.out[1] * self.O) * itemsize))
        for first in range(0, self.N, max(1, some)):
            yield slice(first, min(first + max(1, some), self.N))


def columns(g: Geometry, x: Array) -> Array:
    """cols (rows, K) of x (N, H, W, C), of one group."""
    rows = g.N * g.OH * g.OW
    cols = xp.empty((rows, g.K), x.dtype)
    if cols.size:
        blocks = min(-(-rows // ROWS_PER_BLOCK), max_blocks())
        unfold = kernel("folding", "unfold", x.dtype)
        unfold.launch((blocks,), (32, ROWS_PER_BLOCK), x, cols, np.int64(rows), *g.sizes)
    return cols


def fold_rows(g: Geometry, cols: Array) -> Array:
    """x (N, H, W, C), every pixel the sum of all that cols (rows, K), of one group, hold of it."""
    x = xp.empty((g.N, g.H, g.W, g.C), cols.dtype)
    kernel("folding", "fold", x.dtype).over(x.size, cols, x, np.int64(x.size), *g.sizes)
    return x
