"""Chapter 6, convolution: the size of its result, a loop in one dimension, and fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges


@exercise
def output_size(n, kernel, stride, padding):
    """How many places a kernel has along an axis of n pixels, with `padding` zeros at both ends."""


@judges(output_size)
def _(answer: Any) -> None:
    expect(
        answer(28, 3, 1, 0), 26, "output_size(28, 3, 1, 0)", {"the last place begins at 25, the first at 0: add 1": 25}
    )
    expect(answer(28, 3, 1, 1), 28, "output_size(28, 3, 1, 1)", {"there is padding at both ends": 27})
    expect(
        answer(28, 5, 2, 2),
        14,
        "output_size(28, 5, 2, 2)",
        {"places are whole: round down": 14.5, "divide by the stride": 28},
    )
    expect(answer(7, 3, 2, 0), 3, "output_size(7, 3, 2, 0)")


@exercise
def convolve(x, w, stride):
    """y_i = sum over u of w_u x_(i stride + u): arrays x (N,), w (K,), without padding."""


@judges(convolve)
def _(answer: Any) -> None:
    x, w = np.array([1.0, 2.0, 0.0, -1.0, 3.0]), np.array([1.0, 10.0, 100.0])
    right = [21.0, -98.0, 290.0]
    expect(answer(x, w, 1), right, "stride 1", {"the kernel is flipped": np.convolve(x, w, "valid")})
    expect(answer(x, w, 2), right[::2], "stride 2")


@exercise
def fold_counts(n, kernel):
    """Of n pixels in a row, how many places of a kernel (stride 1) see each one: integers (n,)."""


@judges(fold_counts)
def _(answer: Any) -> None:
    expect(
        answer(5, 3),
        [1, 2, 3, 2, 1],
        "fold_counts(5, 3)",
        {"a pixel at the end is seen by one place only": [3, 3, 3, 3, 3]},
    )
    expect(answer(4, 3), [1, 2, 2, 1], "fold_counts(4, 3)")
    expect(answer(6, 1), [1] * 6, "fold_counts(6, 1)")
