"""Chapter 14, making it fast: strides, Winograd in one dimension, what fusing saves."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges, require


@exercise
def channels_last_strides(n, c, h, w):
    """How many numbers apart neighbours along N, C, H and W are, for images (N, C, H, W) in memory as (N, H, W, C)."""


@judges(channels_last_strides)
def _(answer: Any) -> None:
    mistakes = {"these are the strides of (N, C, H, W) itself": (60, 20, 5, 1)}
    expect(answer(2, 3, 4, 5), (60, 1, 15, 3), "channels_last_strides(2, 3, 4, 5)", mistakes)


class Counted(float):
    """A number that counts the products of two of its kind."""

    products = 0

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Counted):
            Counted.products += 1
        return Counted(float(self) * float(other))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return Counted(float(self) + float(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return Counted(float(self) - float(other))

    def __truediv__(self, other: Any) -> Any:
        return Counted(float(self) / float(other))


@exercise
def two_results(x, w):
    """(y0, y1), y_i = x_i w_0 + x_(i+1) w_1 + x_(i+2) w_2, of sequences x of 4 and w of 3 numbers, with four products x by w."""


@judges(two_results)
def _(answer: Any) -> None:
    x, w = (1.0, -2.0, 0.5, 3.0), (2.0, 1.0, -1.0)
    expect(answer(x, w), (-0.5, -6.5), "two_results")
    Counted.products = 0
    answer([Counted(v) for v in x], [Counted(v) for v in w])
    require(Counted.products <= 4, f"right, but with {Counted.products} products; Winograd needs four")


@exercise
def traffic(pixels, fused):
    """How many numbers conv, ReLU and 2 x 2 max pool read and write: of a map of `pixels` results, the conv's input not counted.

    Apart, the conv writes the map, the ReLU reads it and writes it, the pool reads it and writes a quarter. Fused, only the
    pool's result is written.
    """


@judges(traffic)
def _(answer: Any) -> None:
    expect(answer(400, False), 1700, "traffic(400, False)", {"the pool writes a quarter as many": 2000})
    expect(answer(400, True), 100, "traffic(400, True)")
    require(np.ndim(answer(4, True)) == 0, "return a number")
