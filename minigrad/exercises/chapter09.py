"""Chapter 9, rounding: a formula without overflow, a sum that rounds less, the first layer that differs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import NotYet, exercise, expect, judges, require


@exercise
def logsumexp(x):
    """log(sum of e^x) of an array (n,), finite for any finite numbers."""


@judges(logsumexp)
def _(answer: Any) -> None:
    with np.errstate(all="ignore"):
        expect(answer(np.array([1.0, 2.0])), np.logaddexp(1.0, 2.0), "logsumexp([1, 2])")
        for x in ([1000.0, 1000.0], [-1000.0, -1000.0]):
            got = float(answer(np.array(x)))
            require(
                np.isfinite(got), f"logsumexp({x}) is {got}. Take the largest number off first, and add it at the end"
            )
            expect(got, x[0] + np.log(2.0), f"logsumexp({x})")


@exercise
def add_up(x):
    """The sum of a float32 array (n,) as a float32, with float32 arithmetic alone, and a smaller error than one by one.

    Ideas: add in pairs, then the pairs in pairs; or carry along what each rounding loses (Kahan, 1965).
    """


@judges(add_up)
def _(answer: Any) -> None:
    x = np.full(1 << 14, 0.1, np.float32)
    right = x.astype(np.float64).sum()
    got = answer(x)
    if getattr(got, "dtype", None) != np.float32:
        raise NotYet(f"the sum should be a float32, but is {getattr(got, 'dtype', type(got).__name__)}")
    one_by_one = abs(float(np.cumsum(x, dtype=np.float32)[-1]) - right)
    error = abs(float(got) - right)
    require(
        error < one_by_one / 20,
        f"the error is {error:.1e}; one by one it is {one_by_one:.1e}. It can be 20 times smaller",
    )


@exercise
def first_difference(ours, theirs, tolerance):
    """The number of the first layer whose arrays differ by more than `tolerance` times theirs' largest; None if none does.

    ours, theirs: lists of arrays, one a layer.
    """


@judges(first_difference)
def _(answer: Any) -> None:
    theirs = [np.array([1e6, 2e6]), np.array([1.0, -1.0]), np.array([5.0])]
    near = [np.array([1e6, 2e6 + 1]), np.array([1.0, -1.0]), np.array([5.0])]
    got = answer(near, theirs, 1e-5)
    require(got != 0, "a difference of 1 is little beside 2,000,000: compare it with the largest of theirs")
    require(got is None, f"nothing differs by more than 1e-5 of the largest, but the answer is {got}")
    far = [theirs[0], np.array([1.0, -1.001]), np.array([7.0])]
    got = answer(far, theirs, 1e-5)
    require(got != 2, "layer 2 differs most, but layer 1 is the first that differs: there the mistake is")
    require(got == 1, f"the first layer that differs is 1, but the answer is {got}")
    spoiled = [theirs[0], theirs[1], np.array([np.nan])]
    require(answer(spoiled, theirs, 1e-5) == 2, "NaN is a difference too. Every comparison with NaN is false")
